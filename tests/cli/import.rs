//! `meshd import`.

use std::collections::BTreeMap;
use std::fs;

use rusqlite::Connection;
use serde_json::json;

use super::*;

#[test]
fn a_database_in_use_is_taken_over_and_no_byte_beside_it_changes() {
    let home = Home::new();
    home.write("root/a/.dork/agent.json", &manifest("a1"));
    home.meshd(&["reconcile", "root"]).assert().success();
    let writer = Connection::open(home.below("dork.db")).unwrap();
    writer
        .execute_batch(
            "PRAGMA journal_mode = wal; \
            CREATE TABLE agents (id, project_path, name, last_seen_at, last_seen_event, registered_at); \
            CREATE TABLE agent_denials (path, reason, denier, created_at); \
            CREATE TABLE mesh_namespace_rules (source_namespace, target_namespace, created_at); \
            INSERT INTO agents VALUES ('a1', '/old/a', 'a', NULL, NULL, '2025-01-01T00:00:00Z'), \
                ('a2', '/old/b', 'b', NULL, NULL, '2025-01-01T00:00:00Z'), ('a.\x1b', '/old/c', 'c', NULL, NULL, NULL); \
            INSERT INTO agent_denials VALUES ('/root/x', 'noisy', 'me', '2025-01-01T00:00:00Z'); \
            INSERT INTO mesh_namespace_rules VALUES ('p', 'q', '2025-01-01T00:00:00Z')",
        )
        .unwrap();
    let files = || -> BTreeMap<_, _> {
        ["", "-wal", "-shm"].map(|end| (end, fs::read(home.below(&format!("dork.db{end}"))).unwrap())).into()
    };
    let before = files();
    let answer = home.json(&["import", "dork.db"]);
    assert_eq!(files(), before);
    assert_eq!((&answer["health"], &answer["registeredAt"], &answer["denials"]), (&json!(0), &json!(1), &json!(1)));
    assert_eq!(answer["unknownAgents"], json!(["a2"]));
    assert_eq!(answer["skipped"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer["rules"], 1);
    assert_eq!(home.json(&["show", "a1"])["registeredAt"], "2026-01-02T00:00:00Z", "as its manifest says");
    let text = home.meshd(&["import", "dork.db"]).assert().success();
    let text = String::from_utf8(text.get_output().stdout.clone()).unwrap();
    assert!(
        text.starts_with("taken: when 0 agents were last seen, when 0 agents were registered, 0 denials, 0 rules\n")
    );
    assert!(text.contains("not recorded here: a2\n") && text.contains(r"the agent `a.\u{1b}`"), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn what_cannot_be_imported_is_said() {
    let home = Home::new();
    for (name, why) in [("none.db", "No such file"), ("text.db", "not a SQLite database")] {
        home.write("text.db", "text");
        let failed = home.meshd(&["import", name]).assert().code(1);
        let said = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
        assert!(said.contains(&format!("{name} cannot be imported: ")) && said.contains(why), "{said}");
    }
    assert!(!home.below("state/registry.db").try_exists().unwrap(), "nothing was made for it");
}
