//! Databases of DorkOS: of every age, in use, left behind by a kill, damaged, and what is taken over from them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use meshd::registry::{Imported, ImportedAgent, Taken, read_dork};
use rusqlite::Connection;

use super::*;

const BASE: &str = "CREATE TABLE agents (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, runtime TEXT NOT NULL, \
        project_path TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL DEFAULT 'default', \
        capabilities_json TEXT NOT NULL DEFAULT '[]', entrypoint TEXT, version TEXT, description TEXT, approver TEXT, \
        status TEXT NOT NULL DEFAULT 'active', last_seen_at TEXT, last_seen_event TEXT, registered_at TEXT NOT NULL, \
        updated_at TEXT NOT NULL); \
    CREATE TABLE agent_denials (id TEXT PRIMARY KEY NOT NULL, path TEXT NOT NULL UNIQUE, reason TEXT, denier TEXT, \
        created_at TEXT NOT NULL);";

/// What each later migration of DorkOS did, in order.
const AGES: [&str; 9] = [
    "ALTER TABLE agents ADD scan_root TEXT NOT NULL DEFAULT ''; ALTER TABLE agents ADD behavior_json TEXT; \
        ALTER TABLE agents ADD budget_json TEXT;",
    "ALTER TABLE agents ADD persona TEXT; ALTER TABLE agents ADD persona_enabled INTEGER; \
        ALTER TABLE agents ADD color TEXT; ALTER TABLE agents ADD icon TEXT;",
    "ALTER TABLE agents ADD traits_json TEXT; ALTER TABLE agents ADD conventions_json TEXT;",
    "ALTER TABLE agents ADD is_system INTEGER;",
    "ALTER TABLE agents ADD display_name TEXT;",
    "CREATE TABLE mesh_namespace_rules (source_namespace TEXT NOT NULL, target_namespace TEXT NOT NULL, \
        created_at TEXT NOT NULL); \
        INSERT INTO mesh_namespace_rules VALUES ('team', 'other', '2026-07-09T00:00:00.000Z');",
    "ALTER TABLE agents DROP budget_json;",
    "ALTER TABLE agents ADD model TEXT; ALTER TABLE agents ADD effort TEXT;",
    "ALTER TABLE agents ADD account TEXT;",
];

/// The age at which rules between namespaces came.
const WITH_RULES: usize = 6;

const ROWS: &str = "INSERT INTO agents (id, name, runtime, project_path, last_seen_at, last_seen_event, registered_at, \
        updated_at) \
        VALUES ('a1', 'one', 'codex', '/r/a1', '2026-02-01T10:00:00.5Z', 'heartbeat', '2026-01-01T00:00:00Z', 'x'), \
        ('a2', 'two', 'cursor', '/r/a2', NULL, NULL, '2026-01-02 03:04:05', 'x'); \
    INSERT INTO agent_denials VALUES ('d1', '/r/denied', 'noisy', 'me', '2026-01-03T02:00:00+02:00');";

/// A DorkOS database in a directory of its own.
struct Dork {
    directory: TempDir,
}

impl Dork {
    fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn of_age(age: usize) -> Self {
        let dork = Self::empty();
        dork.run(BASE);
        dork.run(ROWS);
        for migration in AGES.iter().take(age) {
            dork.run(migration);
        }
        dork
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("dork.db")
    }

    fn open(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    fn run(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap();
    }

    /// What lies in the directory, told by its bytes and times.
    fn files(&self) -> BTreeMap<String, (u64, std::time::SystemTime)> {
        let entries = fs::read_dir(self.directory.path()).unwrap().map(Result::unwrap);
        let file = |entry: fs::DirEntry| {
            let mut hash = DefaultHasher::new();
            fs::read(entry.path()).unwrap().hash(&mut hash);
            let changed = entry.metadata().unwrap().modified().unwrap();
            (entry.file_name().into_string().unwrap(), (hash.finish(), changed))
        };
        entries.map(file).collect()
    }

    /// Reads it and holds that nothing was made or changed there.
    fn read(&self) -> Imported {
        let before = self.files();
        let imported = read_dork(&self.file()).unwrap();
        assert_eq!(self.files(), before);
        imported
    }

    #[track_caller]
    fn refused(&self, why: &str) {
        let before = self.files();
        let error = read_dork(&self.file()).unwrap_err().to_string();
        assert!(error.contains("cannot be imported") && error.contains(why), "{error}");
        assert_eq!(self.files(), before);
    }
}

fn dork_ids(imported: &Imported) -> Vec<&str> {
    imported.agents.iter().map(|agent| agent.id.as_str()).collect()
}

#[test]
fn a_database_of_any_age_gives_what_it_has() {
    for age in 0..=AGES.len() {
        let imported = Dork::of_age(age).read();
        let one = ImportedAgent {
            id: id("a1"),
            project_path: "/r/a1".into(),
            name: Some("one".to_owned()),
            last_seen_at: Some("2026-02-01T10:00:00.500Z".to_owned()),
            last_seen_event: Some("heartbeat".to_owned()),
            registered_at: Some("2026-01-01T00:00:00.000Z".to_owned()),
        };
        assert_eq!(imported.agents[0], one, "age {age}");
        assert_eq!(imported.agents[1].registered_at.as_deref(), Some("2026-01-02T03:04:05.000Z"));
        assert_eq!(imported.agents[1].last_seen_at, None);
        let denial = &imported.denials[0];
        assert_eq!(
            (denial.path.to_str(), denial.reason.as_deref(), denial.denier.as_deref(), denial.created_at.as_str()),
            (Some("/r/denied"), Some("noisy"), Some("me"), "2026-01-03T00:00:00.000Z")
        );
        let rule = ("team".to_owned(), "other".to_owned(), "2026-07-09T00:00:00.000Z".to_owned());
        if age < WITH_RULES {
            assert!(imported.rules.is_empty());
            assert_eq!(
                imported.skipped,
                ["it has no rules between namespaces: there is no table `mesh_namespace_rules`"]
            );
        } else {
            assert_eq!((imported.rules, imported.skipped), (vec![rule], Vec::new()), "age {age}");
        }
    }
}

#[test]
fn a_column_or_table_that_is_missing_is_said_and_the_rest_is_taken() {
    let dork = Dork::of_age(AGES.len());
    dork.run("ALTER TABLE agents DROP last_seen_event; DROP TABLE agent_denials");
    let imported = dork.read();
    assert_eq!(dork_ids(&imported), ["a1", "a2"]);
    assert_eq!(imported.agents[0].last_seen_at.as_deref(), Some("2026-02-01T10:00:00.500Z"));
    let said = ["`agents` has no column `last_seen_event`", "it has no denials: there is no table `agent_denials`"];
    assert_eq!(imported.skipped, said);
    dork.run("DROP TABLE agents");
    dork.refused("neither `agents` nor `agent_denials`");
}

#[test]
fn a_bad_row_is_said_and_hides_no_other() {
    let dork = Dork::of_age(AGES.len());
    dork.run(
        "PRAGMA ignore_check_constraints = 1; \
        INSERT INTO agents (id, name, runtime, project_path, registered_at, updated_at) VALUES \
            ('a.b', 'n', 'codex', '/r/x', 'x', 'x'), ('b1', 'n', 'codex', 7, 'x', 'x'), \
            (x'ff', 'n', 'codex', '/r/y', 'x', 'x'), ('b2', 'n', 'codex', '/r/b2', 'last week', 'x'), \
            ('b3', 'n', 'codex', '/r/b3', 20260101, 'x'); \
        UPDATE agents SET last_seen_at = 'yesterday', last_seen_event = 'e' WHERE id = 'a2'; \
        INSERT INTO agent_denials VALUES ('d2', 'relative', NULL, NULL, 'x'), ('d3', '', NULL, NULL, 'x'), \
            ('d4', x'2f72ff', NULL, NULL, 'never'); \
        INSERT INTO mesh_namespace_rules VALUES ('', 'x', 'y'), ('p', 'q', 'soon')",
    );
    let imported = dork.read();
    assert_eq!(dork_ids(&imported), ["a1", "a2", "b1", "b2", "b3"]);
    assert_eq!((&imported.agents[1].last_seen_at, &imported.agents[1].last_seen_event), (&None, &None));
    assert_eq!(imported.agents[2].project_path, Path::new("7"), "a column of text holds numbers as text");
    assert_eq!(imported.denials[1].path, Path::new(OsStr::from_bytes(b"/r\xff")));
    assert_eq!(imported.denials[1].created_at, "");
    assert_eq!(imported.rules[1], ("p".to_owned(), "q".to_owned(), String::new()));
    for said in [
        "the agent `a.b`: an id is one token",
        "agent `b2`: when it was registered is not a time: `last week`",
        "agent `b3`: when it was registered is not a time: `20260101`",
        "agent `a2`: when it was last seen is not a time: `yesterday`",
        "the denial of `relative`: it is not an absolute path",
        "the denial of ``: it is not an absolute path",
        "since when is not a time: `never`",
        "the rule from `` to `x`: it names no namespace",
        "rule from `p` to `q`: since when is not a time: `soon`",
    ] {
        assert!(imported.skipped.iter().any(|skipped| skipped.contains(said)), "{said}: {:#?}", imported.skipped);
    }
    assert_eq!(imported.skipped.len(), 11, "{:#?}", imported.skipped);
}

#[test]
fn what_is_only_in_the_log_is_read_and_the_log_stays_as_it_is() {
    let dork = Dork::of_age(AGES.len());
    dork.run("PRAGMA journal_mode = wal");
    assert_eq!(dork.read().agents.len(), 2, "an empty log");
    let writer = dork.open();
    writer.execute_batch("UPDATE agents SET id = 'late' WHERE id = 'a1'").unwrap();
    // As a backup or a kill leaves it: with and without the memory that the writer made.
    for suffixes in [&["", "-wal"][..], &["", "-wal", "-shm"]] {
        let left = Dork::empty();
        for suffix in suffixes {
            let name = format!("dork.db{suffix}");
            fs::copy(dork.directory.path().join(&name), left.directory.path().join(&name)).unwrap();
        }
        assert_eq!(dork_ids(&left.read()), ["late", "a2"], "{suffixes:?}");
    }
}

#[test]
fn a_database_that_is_being_written_is_read_as_it_was_committed() {
    let dork = Dork::of_age(AGES.len());
    let writer = dork.open();
    writer.execute_batch("PRAGMA journal_mode = wal; UPDATE agents SET id = 'b1' WHERE id = 'a1'; BEGIN").unwrap();
    writer.execute_batch("UPDATE agents SET id = 'c1' WHERE id = 'b1'").unwrap();
    let read = || {
        let mut before = dork.files();
        let imported = read_dork(&dork.file()).unwrap();
        let mut after = dork.files();
        // Two connections of one process share their memory, however it was asked for.
        for files in [&mut before, &mut after] {
            files.remove("dork.db-shm");
        }
        assert_eq!(after, before);
        imported
    };
    assert_eq!(dork_ids(&read()), ["b1", "a2"]);
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(dork_ids(&read()), ["c1", "a2"]);
}

#[test]
fn a_transaction_that_a_kill_left_is_rolled_back_in_a_copy_only() {
    let dork = Dork::of_age(AGES.len());
    let writer = dork.open();
    // A transaction too large for memory is written to the file before it is committed.
    writer.execute_batch("PRAGMA cache_size = 1; BEGIN; UPDATE agents SET id = 'half' WHERE id = 'a1'").unwrap();
    for n in 0..200 {
        let sql = "INSERT INTO agent_denials VALUES (?1, ?1, ?2, NULL, 'x')";
        writer.execute(sql, (format!("/{n}"), "x".repeat(4000))).unwrap();
    }
    let left = Dork::empty();
    for name in ["dork.db", "dork.db-journal"] {
        fs::copy(dork.directory.path().join(name), left.directory.path().join(name)).unwrap();
    }
    let imported = left.read();
    assert_eq!((dork_ids(&imported), imported.denials.len()), (vec!["a1", "a2"], 1));
}

#[test]
fn what_is_damaged_or_no_database_is_refused_and_left() {
    let dork = Dork::of_age(AGES.len());
    let whole = fs::read(dork.file()).unwrap();
    fs::write(dork.file(), &whole[..whole.len() / 2]).unwrap();
    dork.refused("malformed");
    fs::write(dork.file(), &whole[..50]).unwrap();
    dork.refused("");
    fs::write(dork.file(), "").unwrap();
    dork.refused("not a SQLite database");
    fs::write(dork.file(), "id,name\n").unwrap();
    dork.refused("not a SQLite database");
    fs::remove_file(dork.file()).unwrap();
    dork.refused("No such file");
    fs::create_dir(dork.file()).unwrap();
    assert!(read_dork(&dork.file()).unwrap_err().to_string().contains("not a regular file"));
    let other = Dork::empty();
    other.run("CREATE TABLE things (id)");
    other.refused("not a DorkOS database");
}

#[test]
fn a_damaged_table_is_said_and_the_others_are_taken() {
    let dork = Dork::of_age(AGES.len());
    let page_bytes = 4096;
    let root: usize = dork
        .open()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'agents'", [], |row| row.get::<_, u32>(0))
        .unwrap() as usize;
    let mut bytes = fs::read(dork.file()).unwrap();
    bytes[(root - 1) * page_bytes..root * page_bytes].fill(0xff);
    fs::write(dork.file(), bytes).unwrap();
    let imported = dork.read();
    assert_eq!((imported.agents.len(), imported.denials.len()), (0, 1));
    assert!(imported.skipped[0].contains("the rest of `agents` cannot be read"), "{:?}", imported.skipped);
}

#[test]
fn a_database_may_be_called_anything_and_be_behind_a_link() {
    let dork = Dork::of_age(AGES.len());
    for name in [&b"a?b=1&c#d%41 e.db"[..], b"\xff.db"] {
        let path = dork.directory.path().join(OsStr::from_bytes(name));
        fs::rename(dork.file(), &path).unwrap();
        assert_eq!(read_dork(&path).unwrap().agents.len(), 2);
        symlink(&path, dork.file()).unwrap();
        assert_eq!(read_dork(&dork.file()).unwrap().agents.len(), 2);
        fs::rename(&path, dork.file()).unwrap();
    }
}

fn import(registry: &mut AgentRegistry, imported: &Imported, now: &Moment) -> Taken {
    registry.transact(meshd::registry::Durability::Synced, |batch| batch.import(imported, now)).unwrap()
}

fn imported_agent(agent: &str, seen: &str, registered: &str) -> ImportedAgent {
    ImportedAgent {
        id: id(agent),
        project_path: "/elsewhere".into(),
        name: None,
        last_seen_at: Some(seen.to_owned()),
        last_seen_event: Some("heartbeat".to_owned()),
        registered_at: Some(registered.to_owned()),
    }
}

#[test]
fn health_is_taken_if_it_is_newer_and_a_registration_if_it_is_older() {
    let mut registry = Home::new().open();
    for agent in ["a", "b", "c"] {
        registry.upsert(&self::agent(agent), &seen(1), &minute(0)).unwrap();
    }
    let (later, earlier, future) = (minute(5).to_iso(), minute(-5).to_iso(), minute(60).to_iso());
    let imported = Imported {
        agents: vec![
            imported_agent("a", &later, "2025-12-31T00:00:00.000Z"),
            imported_agent("b", &earlier, "2026-01-02T00:00:00.000Z"),
            imported_agent("c", &future, "2026-01-01T00:00:00.000Z"),
            imported_agent("gone", &later, "2025-12-31T00:00:00.000Z"),
        ],
        ..Imported::default()
    };
    let taken = import(&mut registry, &imported, &minute(10));
    let expected = Taken { health: 1, registered_at: 1, unknown_agents: vec!["gone".to_owned()], ..Taken::default() };
    assert_eq!(taken, expected);
    let a = record(&registry, "a");
    assert_eq!((a.last_seen_at.as_deref(), a.last_seen_event.as_deref()), (Some(&*later), Some("heartbeat")));
    assert_eq!(a.registered_at, "2025-12-31T00:00:00.000Z");
    assert_eq!(a.observation, Some(observation(1)), "the row still is what was read from its manifest");
    for other in ["b", "c"] {
        let other = record(&registry, other);
        assert_eq!(other.last_seen_event.as_deref(), Some("registered"));
        assert_eq!((other.registered_at.as_str(), other.updated_at), ("2026-01-01T00:00:00Z", minute(0).to_iso()));
    }
    let again = import(&mut registry, &imported, &minute(11));
    assert_eq!(again, Taken { unknown_agents: vec!["gone".to_owned()], ..Taken::default() });
    assert_eq!(record(&registry, "a").updated_at, minute(10).to_iso());
}

#[test]
fn a_denial_is_taken_with_its_reason_and_one_that_is_there_stays_as_it_is() {
    let mut registry = Home::new().open();
    let deny = |batch: &mut meshd::registry::Batch<'_>| batch.deny(Path::new("/r/x"), Some("ours"), None, &minute(0));
    registry.transact(meshd::registry::Durability::Synced, deny).unwrap();
    let mut imported = Dork::of_age(0).read();
    let mut other = imported.denials[0].clone();
    other.path = "/r/x".into();
    imported.denials.push(other.clone());
    other.path = OsStr::from_bytes(b"/r/\xff").into();
    other.created_at = String::new();
    imported.denials.push(other);
    assert_eq!(import(&mut registry, &imported, &minute(1)).denials, 2);
    let denials = registry.list_denials().unwrap();
    let reason = |path: &[u8]| {
        let denial = denials.iter().find(|denial| denial.path.as_os_str().as_bytes() == path).unwrap();
        (denial.reason.as_deref().unwrap(), denial.created_at.as_str())
    };
    assert_eq!(reason(b"/r/x"), ("ours", &*minute(0).to_iso()));
    assert_eq!(reason(b"/r/denied"), ("noisy", "2026-01-03T00:00:00.000Z"));
    assert_eq!(reason(b"/r/\xff"), ("noisy", &*minute(1).to_iso()));
    assert_eq!(import(&mut registry, &imported, &minute(1)).denials, 0);
}
