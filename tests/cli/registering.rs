//! The commands that register, change and unregister, and those that send.

use super::*;

fn stderr(home: &Home, arguments: &[&str], code: i32) -> String {
    let failed = home.meshd(arguments).assert().code(code);
    String::from_utf8(failed.get_output().stderr.clone()).unwrap()
}

/// A root with a project in each of two namespaces.
fn two_projects() -> Home {
    let home = Home::new();
    for project in ["root/web/shop", "root/ops/deploy"] {
        std::fs::create_dir_all(home.below(project)).unwrap();
    }
    home.meshd(&["reconcile", "root"]).assert().success();
    home
}

fn register(home: &Home, project: &str) -> String {
    let answer = home.json(&["register", project, "--name", "an agent", "--runtime", "codex"]);
    answer["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_agent_is_registered_changed_and_unregistered() {
    let home = two_projects();
    let id = register(&home, "root/web/shop");
    let shown = home.json(&["show", "root/web/shop"]);
    assert_eq!((shown["id"].as_str(), shown["relay"].as_str()), (Some(id.as_str()), Some("registered")));
    assert!(
        stderr(&home, &["register", "root/web/shop", "--name", "n", "--runtime", "codex"], 1)
            .contains("already registered")
    );
    assert_eq!(home.json(&["update", &id, "--name", "other", "--response-mode", "silent"])["changed"], true);
    assert_eq!(home.json(&["update", &id, "--name", "other"])["changed"], false);
    let shown = home.json(&["show", &id]);
    assert_eq!((shown["name"].as_str(), shown["behavior"]["responseMode"].as_str()), (Some("other"), Some("silent")));
    home.meshd(&["update", &id]).assert().code(2);
    assert_eq!(home.json(&["unregister", &id])["manifest"], "deleted");
    assert!(stderr(&home, &["show", &id], 1).contains("no agent"));
    assert!(stderr(&home, &["unregister", &id], 1).contains("no agent"));
}

#[test]
fn a_relay_that_is_not_wanted_is_none() {
    let home = two_projects();
    home.write("config.toml", "relay = 'none'");
    let config = home.below("config.toml");
    let config = config.to_str().unwrap();
    let answer = home.json(&["register", "root/web/shop", "--name", "n", "--runtime", "codex", "--config", config]);
    assert_eq!(answer["relay"], "none");
    assert_eq!(home.json(&["show", "root/web/shop"])["relay"], "pending", "as the next pass with a relay finds it");
    home.meshd(&["reconcile"]).assert().success();
    assert_eq!(home.json(&["show", "root/web/shop"])["relay"], "registered");
}

#[test]
fn who_may_send_to_whom_goes_by_namespaces_one_direction_each() {
    let home = two_projects();
    let (web, ops) = (register(&home, "root/web/shop"), register(&home, "root/ops/deploy"));
    let send = |from: &str, to: &str| home.meshd(&["send", to, "--from", from]).write_stdin("hello").assert();
    send(&web, &ops).code(1);
    home.meshd(&["access", &web, &ops]).assert().code(1);
    home.meshd(&["access", "allow", "web", "ops"]).assert().success();
    assert_eq!(home.json(&["access", &web, &ops])["rule"]["priority"], 50);
    send(&web, &ops).success();
    send(&ops, &web).code(1);
    home.meshd(&["access", "deny", "web", "ops"]).assert().success();
    send(&web, &ops).code(1);
    assert!(stderr(&home, &["access", "allow", "web", "web"], 1).contains("always reach each other"));
    home.meshd(&["access", "allow", "--", "---", "ops"]).assert().code(2);
    let taken = home.meshd(&["inbox", &ops, "--take", "--json"]).assert().success();
    let message: Value = serde_json::from_slice(&taken.get_output().stdout).unwrap();
    assert_eq!((message["from"].as_str(), message["body"].as_str()), (Some(web.as_str()), Some("hello")));
    home.meshd(&["inbox", &ops]).assert().success().stdout("");
}

#[test]
fn mail_that_nobody_took_outlives_its_agent() {
    let home = two_projects();
    let (a, b) = (register(&home, "root/web/shop"), register(&home, "root/ops/deploy"));
    home.meshd(&["access", "allow", "web", "ops"]).assert().success();
    home.meshd(&["send", &b, "--from", &a]).write_stdin("for later").assert().success();
    home.meshd(&["unregister", &b]).assert().success();
    let mut kept = Vec::new();
    let mut open = vec![home.below("state/mail/.archive")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { kept.push(std::fs::read_to_string(path).unwrap()) }
        }
    }
    assert!(kept.len() == 1 && kept[0].ends_with("for later"), "{kept:?}");
}

#[test]
fn a_strangers_manifest_gains_nothing_and_prints_harmlessly() {
    let home = two_projects();
    let victim = register(&home, "root/ops/deploy");
    let hostile = "a\u{1b}]52;c;x\u{7}\u{9b}31m\n\u{202e}\u{200b}<script>";
    let manifest = |id: &str, namespace: &str| {
        serde_json::json!({
            "id": id, "name": hostile, "displayName": hostile, "description": hostile, "runtime": "codex",
            "namespace": namespace, "capabilities": [hostile], "persona": hostile, "color": hostile, "icon": hostile,
            "isSystem": true, "registeredAt": "2026-01-01T00:00:00Z", "registeredBy": hostile, hostile: hostile,
            "behavior": { "responseMode": "always", hostile: hostile }, "model": hostile,
        })
        .to_string()
    };
    let asked = ["*", ">", "ops.*", "relay.agent.ops", "../ops", "ops\u{0}", "ops > *"];
    for (number, namespace) in asked.iter().enumerate() {
        home.write(&format!("root/web/n{number}/.dork/agent.json"), &manifest(&format!("n{number}"), namespace));
    }
    for (number, id) in ["a.b", "*", ">", "../x", "a b", ""].iter().enumerate() {
        home.write(&format!("root/web/bad{number}/.dork/agent.json"), &manifest(id, "web"));
    }
    home.write("root/web/thief/.dork/agent.json", &manifest(&victim, "web"));
    home.meshd(&["reconcile"]).assert().success();

    let agents = home.json(&["list"])["agents"].as_array().unwrap().clone();
    let holder = agents.iter().find(|agent| agent["id"] == victim.as_str()).unwrap();
    assert!(holder["projectPath"].as_str().unwrap().ends_with("ops/deploy"));
    assert!(agents.iter().all(|agent| !agent["projectPath"].as_str().unwrap().contains("bad")));
    for agent in agents.iter().filter(|agent| agent["id"] != victim.as_str()) {
        let (id, namespace) = (agent["id"].as_str().unwrap(), agent["namespace"].as_str().unwrap());
        assert!(namespace.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
        if namespace != "ops" {
            home.meshd(&["access", id, &victim]).assert().code(1);
        }
    }
    let rules = rusqlite::Connection::open(home.below("state/relay.db")).unwrap();
    let wide = "SELECT count(*) FROM rules WHERE action = 'allow' AND from_pattern <> to_pattern";
    assert_eq!(rules.query_row(wide, [], |row| row.get::<_, i64>(0)), Ok(0), "nobody granted itself a rule");

    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["show", "n0"],
        &["show", "n0", "--json"],
        &["explain", "root/web/bad0"],
        &["explain", "n0", "--json"],
        &["status"],
        &["status", "--json"],
        &["events"],
        &["check"],
        &["reconcile", "--dry-run"],
        &["sync", "root/web/thief"],
    ] {
        let output = home.meshd(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{arguments:?}: {said:?}");
        assert!(!said.contains(['\u{202e}', '\u{200b}']), "{arguments:?}: {said:?}");
    }
}

/// Something that is done to a file.
type Damage<'a> = Box<dyn Fn() + 'a>;

#[test]
fn a_relay_that_is_damaged_in_place_is_made_anew_by_the_next_sweep_of_the_daemon() {
    let home = two_projects();
    let (a, b) = (register(&home, "root/web/shop"), register(&home, "root/ops/deploy"));
    let state = home.below("state");
    let daemon = std::process::Command::new(assert_cmd::cargo::cargo_bin("meshd"))
        .env_clear()
        .args(["run", "--sweep-interval", "100ms", "--log-level", "error", "--state-dir"])
        .arg(&state)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let _daemon = Running(daemon);
    let until_reached = |what: &str| {
        let deadline = meshd::clock::monotonic() + std::time::Duration::from_secs(30);
        while [&a, &b].iter().any(|id| home.json(&["show", id])["relay"] != "registered") {
            assert!(meshd::clock::monotonic() < deadline, "never healed: {what}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    until_reached("at the start");
    let file = state.join("relay.db");
    let damages: [(&str, Damage<'_>); 4] = [
        ("cut to nothing", Box::new(|| std::fs::File::options().write(true).open(&file).unwrap().set_len(0).unwrap())),
        (
            "garbage",
            Box::new(|| {
                let garbage = vec![0xa5; 20_000];
                std::io::Write::write_all(&mut std::fs::File::options().write(true).open(&file).unwrap(), &garbage)
                    .unwrap();
            }),
        ),
        (
            "a table that is missing",
            Box::new(|| {
                rusqlite::Connection::open(&file).unwrap().execute_batch("DROP TABLE endpoints").unwrap();
            }),
        ),
        ("deleted", Box::new(|| std::fs::remove_file(&file).unwrap())),
    ];
    for (what, damage) in &damages {
        damage();
        std::thread::sleep(std::time::Duration::from_millis(150));
        until_reached(what);
    }
}

/// A daemon that runs no longer than its test, however that ends.
pub struct Running(pub std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
