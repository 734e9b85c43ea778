//! Older files are backed up and migrated and lose nothing; newer ones are refused untouched.

use meshd::agent::{GraceClock, Reason};
use meshd::registry::{Reader, RegistryError};

use super::*;

/// The schema of version 1, as older files have it: kept here, so that no change to the step goes unnoticed.
const BASE: &str = "CREATE TABLE agents (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, display_name TEXT, \
        runtime TEXT NOT NULL, project_path TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL DEFAULT 'default', \
        capabilities_json TEXT NOT NULL DEFAULT '[]', entrypoint TEXT, version TEXT, description TEXT, approver TEXT, \
        status TEXT NOT NULL DEFAULT 'active', last_seen_at TEXT, last_seen_event TEXT, \
        registered_at TEXT NOT NULL, updated_at TEXT NOT NULL);
    CREATE TABLE agent_denials (id TEXT PRIMARY KEY NOT NULL, path TEXT NOT NULL UNIQUE, reason TEXT, denier TEXT, \
        created_at TEXT NOT NULL);
    INSERT INTO agents VALUES ('a', 'Ä', 'Disp', 'codex', '/r/a', 'team', '[\"x\"]', 'run.sh', '1.2', NULL, NULL, \
        'active', '2026-01-01T11:00:00.000Z', 'heartbeat', '2025-05-05T05:05:05.000Z', '2025-06-06T06:06:06.000Z');
    INSERT INTO agent_denials VALUES ('d', '/r/denied', 'noisy', 'me', '2025-05-05T05:05:05.000Z');";

/// What version 2 added.
const SCAN_ROOTS: &str = "ALTER TABLE agents ADD COLUMN scan_root TEXT NOT NULL DEFAULT '';
    ALTER TABLE agents ADD COLUMN behavior_json TEXT NOT NULL DEFAULT '{\"responseMode\":\"always\"}';
    ALTER TABLE agents ADD COLUMN budget_json TEXT NOT NULL DEFAULT '{\"maxHopsPerMessage\":5,\"maxCallsPerHour\":100}';
    INSERT INTO agents (id, name, runtime, project_path, approver, status, registered_at, updated_at, scan_root, \
        behavior_json, budget_json) VALUES ('b', 'b', 'cursor', '/r/b', 'me', 'unreachable', \
        '2025-05-05T05:05:05.000Z', '2025-07-07T07:07:07.000Z', '/r', '{\"responseMode\":\"silent\"}', \
        '{\"maxHopsPerMessage\":1,\"maxCallsPerHour\":2}');";

fn number(sql: &rusqlite::Connection) -> u32 {
    sql.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[track_caller]
fn has_lost_nothing(registry: &AgentRegistry) {
    let record = record(registry, "a");
    let manifest = record.agent.as_ref().unwrap().manifest.clone();
    assert_eq!((manifest.name.as_str(), manifest.display_name.as_deref()), ("Ä", Some("Disp")));
    assert_eq!(manifest.capabilities, ["x"]);
    assert_eq!(manifest.registered_at, "2025-05-05T05:05:05.000Z");
    assert_eq!(
        (manifest.behavior, manifest.budget),
        (meshd::agent::manifest::Behavior::default(), meshd::agent::manifest::Budget::default())
    );
    assert_eq!(record.agent.as_ref().unwrap().scan_root, None);
    assert_eq!(record.columns.namespace, "team");
    assert_eq!(record.last_seen_event.as_deref(), Some("heartbeat"));
    assert_eq!((record.observation, record.home, record.unreachable), (None, None, None));
    assert_eq!(registry.denials().unwrap(), [Path::new("/r/denied")]);
    assert_eq!(registry.integrity().unwrap(), Vec::<String>::new());
}

#[test]
fn a_new_file_needs_no_backup() {
    let home = Home::new();
    let (registry, opened) = AgentRegistry::open(&home.file(), &minute(0)).unwrap();
    assert_eq!(opened, meshd::registry::Opened::default());
    assert_eq!(number(&home.sql()), 5);
    drop(registry);
    let (_, opened) = AgentRegistry::open(&home.file(), &minute(0)).unwrap();
    assert_eq!(opened, meshd::registry::Opened::default());
}

#[test]
fn a_file_of_version_1_is_backed_up_and_migrated() {
    let home = Home::new();
    home.sql().execute_batch(&format!("{BASE} PRAGMA user_version = 1;")).unwrap();
    assert!(matches!(Reader::open(&home.file()).err(), Some(RegistryError::Older { found: 1, known: 5 })));
    let (registry, opened) = AgentRegistry::open(&home.file(), &minute(0)).unwrap();
    assert_eq!((opened.migrated_from, opened.moved_aside), (Some(1), None));
    has_lost_nothing(&registry);
    let backup = rusqlite::Connection::open(opened.backup.unwrap()).unwrap();
    assert_eq!(number(&backup), 1);
    assert_eq!(backup.query_row("SELECT entrypoint FROM agents", [], |row| row.get(0)), Ok("run.sh".to_owned()));
    let kept = "SELECT entrypoint || version FROM agents";
    assert_eq!(home.sql().query_row(kept, [], |row| row.get(0)), Ok("run.sh1.2".to_owned()));
}

#[test]
fn a_file_of_version_2_is_migrated_and_its_unreachable_agents_start_their_grace_period_anew() {
    let home = Home::new();
    home.sql().execute_batch(&format!("{BASE} {SCAN_ROOTS} PRAGMA user_version = 2;")).unwrap();
    // A backup of an earlier try is replaced.
    std::fs::write(home.beside(".backup-v2"), "half").unwrap();
    let (registry, opened) = AgentRegistry::open(&home.file(), &minute(0)).unwrap();
    assert_eq!((opened.migrated_from, opened.backup), (Some(2), Some(home.beside(".backup-v2"))));
    assert_eq!(number(&rusqlite::Connection::open(home.beside(".backup-v2")).unwrap()), 2);
    has_lost_nothing(&registry);
    let record = record(&registry, "b");
    let unreachable = record.unreachable.unwrap();
    assert_eq!((unreachable.reason, unreachable.clock), (Reason::ManifestGone, GraceClock::stopped()));
    assert_eq!(meshd::agent::moment::iso(unreachable.since_ms), "2025-07-07T07:07:07.000Z");
    let agent = record.agent.unwrap();
    assert_eq!(agent.scan_root.as_deref(), Some(Path::new("/r")));
    assert_eq!((agent.manifest.budget.max_hops_per_message, agent.manifest.registered_by.as_str()), (1, "me"));
}

#[test]
fn a_root_of_version_4_is_on_a_file_system_of_unknown_type_and_nothing_is_known_to_be_mounted_below() {
    let home = Home::new();
    let steps = [
        include_str!("../../src/registry/sql/003_meshd.sql"),
        include_str!("../../src/registry/sql/004_registration.sql"),
    ];
    let root =
        "INSERT INTO roots (path, device, inode, born_ns, state, configured) VALUES ('/r', -1, 1, 0, 'online', 1)";
    let [third, fourth] = steps;
    home.sql()
        .execute_batch(&format!("{BASE} {SCAN_ROOTS} {third} {fourth} {root}; PRAGMA user_version = 4;"))
        .unwrap();
    let (registry, opened) = AgentRegistry::open(&home.file(), &minute(0)).unwrap();
    assert_eq!((opened.migrated_from, opened.backup), (Some(4), Some(home.beside(".backup-v4"))));
    let identity = registry.roots().unwrap()[0].identity.unwrap();
    assert_eq!(identity, RootIdentity { directory: directory(1), file_system: None });
    assert!(identity.is(&super::root(1)) && super::root(1).is_new_to(Some(&identity)));
    assert_eq!(registry.mounts().unwrap(), Vec::<std::path::PathBuf>::new());
    assert_eq!(registry.integrity().unwrap(), Vec::<String>::new());
}

#[test]
fn a_file_without_a_number_is_migrated_from_what_its_columns_show() {
    let half = SCAN_ROOTS.split_once(';').unwrap().0;
    let one_table = BASE.split_once("CREATE TABLE agent_denials").unwrap().0;
    for (sql, shown) in [(BASE, 1), (&format!("{BASE} {SCAN_ROOTS}"), 2), (&format!("{BASE} {half}"), 1)] {
        let home = Home::new();
        home.sql().execute_batch(sql).unwrap();
        let (registry, opened) = AgentRegistry::open(&home.file(), &minute(0)).unwrap();
        assert_eq!((opened.migrated_from, opened.moved_aside), (Some(shown), None));
        has_lost_nothing(&registry);
    }
    let home = Home::new();
    home.sql().execute_batch(one_table).unwrap();
    assert!(home.open().denials().unwrap().is_empty());
}

#[test]
fn a_migration_that_was_killed_is_finished_by_the_next_open() {
    let home = Home::new();
    home.sql().execute_batch(&format!("{BASE} PRAGMA user_version = 1;")).unwrap();
    std::fs::write(home.beside(".backup-v1"), "whole").unwrap();
    std::fs::write(home.beside(".backup-v2.tmp"), "half").unwrap();
    // Killed after the second of three steps, its commit still in the write-ahead log.
    let killed = home.sql();
    killed
        .execute_batch(&format!("PRAGMA journal_mode = wal; BEGIN; {SCAN_ROOTS} PRAGMA user_version = 2; COMMIT;"))
        .unwrap();
    let copy = Home::new();
    for suffix in ["", "-wal", ".backup-v1", ".backup-v2.tmp"] {
        std::fs::copy(home.beside(suffix), copy.beside(suffix)).unwrap();
    }
    let (registry, opened) = AgentRegistry::open(&copy.file(), &minute(0)).unwrap();
    assert_eq!(opened.migrated_from, Some(2));
    has_lost_nothing(&registry);
    assert_eq!(std::fs::read(copy.beside(".backup-v1")).unwrap(), b"whole");
    assert!(!copy.names().contains(&"registry.db.backup-v2.tmp".to_owned()));
}

#[test]
fn a_newer_schema_is_refused_and_nothing_is_touched() {
    let home = Home::new();
    drop(home.open());
    home.sql().execute_batch("PRAGMA user_version = 6; PRAGMA journal_mode = delete;").unwrap();
    let (bytes, names) = (std::fs::read(home.file()).unwrap(), home.names());
    let newer = |error: Option<RegistryError>| matches!(error, Some(RegistryError::Newer { found: 6, known: 5 }));
    assert!(newer(AgentRegistry::open(&home.file(), &minute(0)).err()));
    assert!(newer(AgentRegistry::in_memory_copy(&home.file()).err()));
    assert!(newer(Reader::open(&home.file()).err()));
    assert_eq!((std::fs::read(home.file()).unwrap(), home.names()), (bytes, names));
}

#[test]
fn a_newer_schema_that_is_only_in_the_log_is_refused_too() {
    let home = Home::new();
    drop(home.open());
    let running = home.sql();
    running.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 6;").unwrap();
    let copy = Home::new();
    for suffix in ["", "-wal"] {
        std::fs::copy(home.beside(suffix), copy.beside(suffix)).unwrap();
    }
    let bytes = || (std::fs::read(copy.file()).unwrap(), std::fs::read(copy.beside("-wal")).unwrap());
    let before = bytes();
    assert!(matches!(AgentRegistry::open(&copy.file(), &minute(0)).err(), Some(RegistryError::Newer { found: 6, .. })));
    assert_eq!(bytes(), before);
}

#[test]
fn a_dry_run_sees_the_migrated_registry_and_leaves_the_file_as_it_is() {
    let home = Home::new();
    assert!(AgentRegistry::in_memory_copy(&home.file()).unwrap().recorded().unwrap().is_empty());
    assert!(home.names().is_empty());
    home.sql().execute_batch(&format!("{BASE} PRAGMA user_version = 1;")).unwrap();
    let (bytes, names) = (std::fs::read(home.file()).unwrap(), home.names());
    let mut copy = AgentRegistry::in_memory_copy(&home.file()).unwrap();
    has_lost_nothing(&copy);
    copy.upsert(&agent("n"), &seen(1), &minute(0)).unwrap();
    assert_eq!(ids(&copy.list(&meshd::registry::Filter::default(), &minute(0)).unwrap()), ["a", "n"]);
    assert_eq!((std::fs::read(home.file()).unwrap(), home.names()), (bytes, names));
}

#[test]
fn a_dry_run_copies_what_a_running_daemon_committed() {
    let home = Home::new();
    let mut running = home.open();
    running.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    let mut copy = AgentRegistry::in_memory_copy(&home.file()).unwrap();
    assert_eq!(copy.recorded().unwrap(), running.recorded().unwrap());
    copy.remove(&id("a")).unwrap();
    assert_eq!(running.recorded().unwrap().len(), 1);
}

#[test]
fn every_column_has_a_comment() {
    let steps = [
        include_str!("../../src/registry/sql/001_base.sql"),
        include_str!("../../src/registry/sql/002_scan_roots.sql"),
        include_str!("../../src/registry/sql/003_meshd.sql"),
        include_str!("../../src/registry/sql/004_registration.sql"),
        include_str!("../../src/registry/sql/005_mounts.sql"),
    ];
    let mut columns = 0;
    for step in steps {
        let lines: Vec<&str> = step.lines().collect();
        for pair in lines.windows(2) {
            let line = pair[1];
            let in_table = line.starts_with("    ") && line.trim_start().starts_with(|c: char| c.is_ascii_lowercase());
            if in_table || line.starts_with("ALTER TABLE") {
                columns += 1;
                assert!(pair[0].trim_start().starts_with("-- "), "no comment above `{}`", line.trim());
            }
        }
    }
    let home = Home::new();
    drop(home.open());
    let all = "SELECT count(*) FROM sqlite_schema AS t, pragma_table_info(t.name) WHERE t.type = 'table'";
    assert_eq!(home.sql().query_row(all, [], |row| row.get::<_, i32>(0)), Ok(columns));
}
