//! `meshd discover`.

use serde_json::json;

use super::*;

fn paths(answer: &Value) -> Vec<&str> {
    answer["candidates"].as_array().unwrap().iter().map(|found| found["path"].as_str().unwrap()).collect()
}

#[test]
fn candidates_are_listed_and_nothing_is_written() {
    let home = Home::new();
    home.write("root/a/CLAUDE.md", "# A\n\nDoes \u{1b}[2Jthings.\n");
    home.write("root/b/AGENTS.md", "");
    home.write("root/registered/CLAUDE.md", "");
    home.write("root/registered/.dork/agent.json", "{");
    let answer = home.json(&["discover", "root"]);
    let first = json!({
        "path": home.below("root/a"), "name": "a", "runtime": "claude-code", "description": "Does [2Jthings.",
        "markers": ["CLAUDE.md"],
    });
    assert_eq!(answer["candidates"][0], first);
    assert_eq!(answer["candidates"][1]["description"], Value::Null);
    assert_eq!(answer["candidates"].as_array().unwrap().len(), 2);
    let output = home.meshd(&["discover", "root"]).assert().success();
    let output = output.get_output();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.lines().nth(1).unwrap().starts_with("1   claude-code  a"), "{text}");
    assert!(output.stderr.is_empty(), "no progress where there is no terminal");
    assert!(!home.below("state").try_exists().unwrap());
}

#[test]
fn neither_a_home_nor_what_is_denied_is_a_candidate() {
    let home = Home::new();
    for project in ["home", "home/p", "home/denied", "home/denied/below", "home/.claude"] {
        home.write(&format!("{project}/CLAUDE.md"), "");
    }
    home.meshd(&["reconcile", "home"]).assert().success();
    let registry = rusqlite::Connection::open(home.below("state/registry.db")).unwrap();
    let denied = home.below("home/denied").display().to_string();
    registry.execute("INSERT INTO agent_denials (id, path, created_at) VALUES ('d', ?1, 'x')", [denied]).unwrap();
    // Without a root it looks where the registry remembers to look.
    assert_eq!(paths(&home.json(&["discover"])), [home.below("home/p").to_str().unwrap()]);
}

#[test]
fn what_cannot_be_done_is_said() {
    let home = Home::new();
    let said = |arguments: &[&str], code| {
        let failed = home.meshd(arguments).assert().code(code);
        String::from_utf8(failed.get_output().stderr.clone()).unwrap()
    };
    assert!(said(&["discover"], 78).contains("no scan root is known"));
    assert!(said(&["discover", "none"], 1).contains("No such file"));
    home.write("root/a/CLAUDE.md", "");
    assert!(said(&["discover", "root", "--register"], 2).contains("no terminal to ask on"));
    said(&["discover", "root", "--yes"], 2);
}

#[test]
fn what_is_picked_becomes_an_agent() {
    let home = Home::new();
    home.write("root/a/CLAUDE.md", "# A\n\nReviews the shop.\n");
    home.write("root/b/.cursorrules", "");
    home.meshd(&["reconcile", "root"]).assert().success();
    let answer = home.json(&["discover", "--register", "--yes"]);
    assert_eq!(answer["registered"].as_array().unwrap().len(), 2, "{answer}");
    let agents = home.json(&["list"])["agents"].as_array().unwrap().clone();
    let facts: Vec<_> = agents.iter().map(|agent| (&agent["name"], &agent["runtime"], &agent["description"])).collect();
    let (a, b) = (Value::from("a"), Value::from("b"));
    let (claude, cursor) = (Value::from("claude-code"), Value::from("cursor"));
    assert_eq!(facts, [(&a, &claude, &Value::from("Reviews the shop.")), (&b, &cursor, &Value::from(""))]);
    assert!(paths(&home.json(&["discover"])).is_empty());
}
