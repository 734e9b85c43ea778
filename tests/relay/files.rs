//! `relay.db`: made, damaged, replaced, deleted, shared with strangers, and read without leaving a trace.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshd::clock::monotonic;
use meshd::relay::local::{Local, Post, PostError, StoreError};
use meshd::relay::{Desk, Limits, Relay, RelayError, Verdict};
use tempfile::TempDir;

use super::fake::{DEADLINE, until};
use super::*;

/// A state directory with a relay in it.
pub struct Office {
    directory: TempDir,
}

impl Office {
    /// With nothing in it yet.
    pub fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// With these agents, and no daemon.
    pub fn of(endpoints: &[(&str, &str)]) -> Self {
        let office = Self::empty();
        make_all(&office.relay(), endpoints);
        office
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self) -> PathBuf {
        self.path().join("relay.db")
    }

    pub fn beside(&self, suffix: &str) -> PathBuf {
        self.path().join(format!("relay.db{suffix}"))
    }

    pub fn relay(&self) -> Local {
        Local::new(self.path())
    }

    pub fn post(&self) -> Post {
        Post::open(self.path()).unwrap()
    }

    /// Another program with the same file.
    pub fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file()).unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        names_in(self.path())
    }
}

/// Makes these agents' endpoints, with their rules.
pub fn make_all(relay: &Local, endpoints: &[(&str, &str)]) {
    for (agent, name) in endpoints {
        for rule in rules(name) {
            relay.change(&Change::PutRule(rule), soon()).unwrap();
        }
        relay.change(&ensure(name, agent), soon()).unwrap();
    }
}

pub fn names_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn soon() -> Instant {
    monotonic() + DEADLINE
}

/// Every file and directory below, with all that a write would change.
fn everything_below(directory: &Path) -> BTreeMap<PathBuf, (u64, u64, i64, i64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let stat = fs::symlink_metadata(&path).unwrap();
            if stat.is_dir() {
                open.push(path.clone());
            }
            let times = (stat.ino(), stat.len(), stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec());
            found.insert(path, times);
        }
    }
    found
}

/// The same without the time of the inode: SQLite gives a log to its owner each time it is opened by root.
fn contents_below(directory: &Path) -> BTreeMap<PathBuf, (u64, u64, i64, i64)> {
    let contents = |(path, (inode, bytes, seconds, nanoseconds, _, _))| (path, (inode, bytes, seconds, nanoseconds));
    everything_below(directory).into_iter().map(contents).collect()
}

fn refused(result: &Result<Present, RelayError>) -> bool {
    matches!(result, Err(RelayError::Rejected(_)))
}

#[test]
fn what_is_made_is_listed_and_making_it_again_changes_nothing() {
    let office = Office::empty();
    let relay = office.relay();
    let (endpoints, pairs) = (agents(&[("a", "x"), ("b", "y")]), vec![pair("x", "y", RuleAction::Allow)]);
    let changes = meshd::relay::Wanted::of(endpoints.clone(), &pairs).diff(&meshd::relay::There::default());
    for _ in 0..2 {
        assert_eq!(relay.change_all(&changes, soon()), Some(vec![Ok(()); changes.len()]));
        assert_eq!(sorted(relay.list(soon()).unwrap()), complete(&endpoints, &pairs));
    }
    let undo = [retire("x", "a", None), Change::RemoveRule(rules("x")[0].clone())];
    for change in undo.iter().chain(&undo) {
        assert_eq!(relay.change(change, soon()), Ok(()));
    }
    assert_eq!(relay.list(soon()).unwrap().endpoints, [endpoint("y", "b")]);
    assert_eq!(relay.list(soon()).unwrap().rules.len(), 4);
}

#[test]
fn what_strangers_made_is_neither_listed_nor_touched() {
    let office = Office::of(&[("a", "x")]);
    let [within, _] = rules("x");
    let sql = office.sql();
    let theirs = "INSERT INTO endpoints VALUES ('relay.agent.x.b', 'b', 'them', 'then'), ('relay.human.bob', 'bob', 'them', 'then')";
    sql.execute_batch(theirs).unwrap();
    let rule = "INSERT INTO rules VALUES (?1, ?2, 'allow', 100, 'them', 'then')";
    sql.execute(rule, [within.from.as_str(), within.to.as_str()]).unwrap();
    drop(sql);
    let relay = office.relay();
    assert_eq!(sorted(relay.list(soon()).unwrap()), complete(&agents(&[("a", "x")]), &[]));
    let taken = relay.change(&ensure("x", "b"), soon());
    assert!(matches!(&taken, Err(RelayError::Rejected(why)) if why.contains("them")), "{taken:?}");
    assert_eq!(relay.change(&retire("x", "b", None), soon()), Ok(()));
    assert_eq!(relay.change(&Change::RemoveRule(within), soon()), Ok(()));
    let count = |table: &str| -> u32 {
        let sql = format!("SELECT count(*) FROM {table} WHERE made_by = 'them' AND created_at = 'then'");
        office.sql().query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("endpoints"), count("rules")), (2, 1));
}

#[test]
fn a_stranger_at_a_wanted_subject_holds_up_nobody_else() {
    let office = Office::of(&[("a", "x")]);
    office.sql().execute_batch("INSERT INTO endpoints VALUES ('relay.agent.y.a', 'a', 'them', 'then')").unwrap();
    let relay = office.relay();
    // Its old endpoint stays, since there is no new one.
    let changes = [ensure("y", "a"), ensure("x", "c"), retire("x", "a", Some("z"))];
    let results = relay.change_all(&changes, soon()).unwrap();
    assert!(
        matches!(results.as_slice(), [Err(RelayError::Rejected(_)), Ok(()), Err(RelayError::Rejected(_))]),
        "{results:?}"
    );
    assert_eq!(relay.list(soon()).unwrap().endpoints, [endpoint("x", "a"), endpoint("x", "c")]);
}

#[test]
fn access_goes_by_all_rules_strangers_too() {
    let office = Office::of(&[("a", "x"), ("b", "x"), ("c", "y")]);
    let post = office.post();
    let verdict = |from: &str, to: &str| post.access(&id(from), &id(to)).unwrap().verdict;
    assert_eq!(verdict("a", "b"), Verdict::Allowed(rules("x")[0].clone()));
    assert_eq!(verdict("a", "c"), Verdict::Denied(Some(rules("x")[1].clone())));
    office.relay().change(&Change::PutRule(pair("x", "y", RuleAction::Allow).rule().unwrap()), soon()).unwrap();
    assert!(matches!(verdict("a", "c"), Verdict::Allowed(_)));
    assert!(matches!(verdict("c", "a"), Verdict::Denied(_)));
    let put = |values: &str| office.sql().execute_batch(&format!("INSERT INTO rules VALUES {values}")).unwrap();
    put("('relay.>', 'relay.agent.x.b', 'deny', 100, 'them', 'then')");
    assert!(matches!(verdict("a", "b"), Verdict::Denied(Some(rule)) if rule.to.as_str() == "relay.agent.x.b"));
    // Nobody knows what it says, so it says no.
    put(
        "('relay.agent.x.a', 'relay.agent.y.c', 'maybe', 1, 'them', 'then'), ('no pattern', '>', 'deny', 900, 'them', 'then')",
    );
    assert!(matches!(verdict("a", "c"), Verdict::Denied(Some(rule)) if rule.action == RuleAction::Deny));
    assert!(matches!(verdict("a", "a"), Verdict::Allowed(_)));
    assert!(matches!(post.access(&id("a"), &id("nobody")), Err(PostError::NoEndpoint(of)) if of == id("nobody")));
}

#[test]
fn rows_that_were_edited_by_hand_are_put_right() {
    let office = Office::of(&[("a", "x"), ("b", "x")]);
    let desk = Desk::start(Arc::new(office.relay()), Limits::default(), |_| {}).unwrap();
    desk.want_all(agents(&[("a", "x"), ("b", "x")]), vec![]);
    desk.finish(DEADLINE);
    let edits = "UPDATE endpoints SET agent_id = 'b' WHERE agent_id = 'a'; \
        UPDATE endpoints SET agent_id = 'no id' WHERE subject = 'relay.agent.x.b'; \
        INSERT INTO endpoints VALUES ('no subject', 'c', 'meshd', ''), ('relay.agent.x.d', 'd', 'meshd', ''); \
        INSERT INTO rules VALUES ('a b', '>', 'allow', 1, 'meshd', ''), ('>', '>', 'allow', 999, 'meshd', ''), \
            ('>', '>', 'allow', 'much', 'meshd', ''); \
        DELETE FROM rules WHERE priority = 10;";
    office.sql().execute_batch(edits).unwrap();
    desk.verify();
    desk.finish(DEADLINE);
    let rows = |sql: &str| -> Vec<String> {
        let conn = office.sql();
        let mut select = conn.prepare(sql).unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(rows("SELECT subject || agent_id FROM endpoints ORDER BY 1"), ["relay.agent.x.aa", "relay.agent.x.bb"]);
    assert_eq!(rows("SELECT priority || action FROM rules ORDER BY priority"), ["10deny", "100allow"]);
}

/// A relay whose file has this content: it must end up aside, and a new one work.
#[track_caller]
fn is_moved_aside(content: &[u8]) {
    let office = Office::empty();
    fs::write(office.file(), content).unwrap();
    let relay = office.relay();
    assert_eq!(relay.list(soon()), Ok(Present::default()));
    let aside: Vec<String> = office.names().into_iter().filter(|name| name.starts_with("relay.db.corrupt-")).collect();
    assert_eq!(aside.len(), 1, "{:?}", office.names());
    assert_eq!(fs::read(office.path().join(&aside[0])).unwrap(), content, "kept as it was");
    make_all(&relay, &[("a", "x")]);
    drop(relay);
    assert_eq!(office.relay().list(soon()).unwrap().endpoints, [endpoint("x", "a")]);
}

/// The database that these statements make.
fn database(sql: &str) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    rusqlite::Connection::open(file.path()).unwrap().execute_batch(sql).unwrap();
    fs::read(file.path()).unwrap()
}

#[test]
fn what_is_damaged_or_another_programs_is_moved_aside_and_a_new_one_is_made() {
    for garbage in [&b"x"[..], &[b'x'; 5000], b"SQLite format 3\0"] {
        is_moved_aside(garbage);
    }
    is_moved_aside(&database("CREATE TABLE endpoints (x)"));
    is_moved_aside(&database("CREATE TABLE other (x); PRAGMA user_version = 1"));
    is_moved_aside(&database("PRAGMA user_version = -1"));
    let good = Office::of(&[("a", "x")]);
    drop(good.relay().list(soon()).unwrap());
    let bytes = fs::read(good.file()).unwrap();
    for keep in [99, 4096, bytes.len() - 5000] {
        is_moved_aside(&bytes[..keep]);
    }
}

#[test]
fn flipped_bits_are_found_or_do_no_harm() {
    let good = Office::of(&[("a", "x"), ("b", "y")]);
    drop(good.relay().list(soon()).unwrap());
    let bytes = fs::read(good.file()).unwrap();
    let page_starts = (4096..bytes.len()).step_by(4096).flat_map(|page| [page, page + 3, page + 5, page + 9]);
    for place in (0..100).chain(page_starts) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 0xff;
        let office = Office::empty();
        fs::write(office.file(), flipped).unwrap();
        let desk = Desk::start(Arc::new(office.relay()), Limits::default(), |_| {}).unwrap();
        desk.want_all(agents(&[("a", "x"), ("b", "y")]), vec![]);
        desk.finish(DEADLINE);
        desk.verify();
        desk.finish(DEADLINE);
        // The schema's number itself: nothing tells a flipped one from a newer one.
        if (60..64).contains(&place) {
            continue;
        }
        assert_eq!(desk.facts().error, None, "byte {place}");
        drop(desk);
        assert_eq!(office.relay().list(soon()).unwrap().endpoints.len(), 2, "byte {place}");
    }
}

#[test]
fn a_log_without_its_database_is_moved_aside() {
    let other = Office::of(&[("stranger", "x")]);
    let relay = other.relay();
    make_all(&relay, &[("more", "x")]);
    for content in [None, Some("")] {
        let office = Office::empty();
        fs::copy(other.beside("-wal"), office.beside("-wal")).unwrap();
        if let Some(content) = content {
            fs::write(office.file(), content).unwrap();
        }
        assert_eq!(office.relay().list(soon()), Ok(Present::default()));
        assert!(office.names().iter().any(|name| name.contains("corrupt") && name.ends_with("-wal")));
    }
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    let office = Office::of(&[("a", "x")]);
    office.sql().execute_batch("CREATE TABLE more (x); PRAGMA user_version = 2").unwrap();
    let closed = everything_below(office.path());
    let bytes = fs::read(office.file()).unwrap();
    assert!(refused(&office.relay().list(soon())));
    assert!(matches!(office.relay().change(&ensure("x", "b"), soon()), Err(RelayError::Rejected(_))));
    assert!(matches!(Post::open(office.path()), Err(PostError::Store(StoreError::Newer { found: 2, known: 1 }))));
    assert_eq!((everything_below(office.path()), fs::read(office.file()).unwrap()), (closed, bytes));
    // The same while somebody has it open, and the number is in the log alone.
    let office = Office::of(&[("a", "x")]);
    let newer = office.sql();
    newer.execute_batch("CREATE TABLE more (x); PRAGMA user_version = 2").unwrap();
    let bytes = fs::read(office.file()).unwrap();
    assert!(refused(&office.relay().list(soon())));
    assert_eq!(fs::read(office.file()).unwrap(), bytes);
}

#[test]
fn what_is_no_file_is_refused_and_not_moved() {
    let office = Office::empty();
    fs::create_dir(office.file()).unwrap();
    let linked = Office::of(&[("a", "x")]);
    let link = Office::empty();
    std::os::unix::fs::symlink(linked.file(), link.file()).unwrap();
    for office in [&office, &link] {
        assert!(refused(&office.relay().list(soon())));
        assert!(matches!(Post::open(office.path()), Err(PostError::Store(StoreError::NotAFile(_)))));
        assert_eq!(office.names(), ["relay.db"]);
    }
}

#[test]
fn only_the_owner_may_read_it() {
    let office = Office::empty();
    fs::write(office.file(), "").unwrap();
    fs::set_permissions(office.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let relay = office.relay();
    make_all(&relay, &[("a", "x")]);
    for name in office.names() {
        let mode = fs::metadata(office.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(office.names(), ["relay.db", "relay.db-shm", "relay.db-wal"], "no mailbox before there is mail");
}

#[test]
fn a_file_that_is_deleted_or_replaced_while_it_is_open_is_noticed() {
    let office = Office::empty();
    let relay = office.relay();
    make_all(&relay, &[("a", "x"), ("b", "x")]);
    fs::remove_file(office.file()).unwrap();
    // Nothing is added to a file of which nobody knows what is in it.
    assert!(matches!(relay.change(&ensure("x", "c"), soon()), Err(RelayError::Ambiguous(_))));
    assert_eq!(relay.list(soon()), Ok(Present::default()));
    make_all(&relay, &[("a", "x")]);
    drop(relay);
    let replaced = Office::empty();
    let relay = replaced.relay();
    make_all(&relay, &[("z", "z")]);
    fs::copy(office.file(), replaced.beside(".new")).unwrap();
    fs::rename(replaced.beside(".new"), replaced.file()).unwrap();
    assert_eq!(relay.list(soon()).unwrap().endpoints, [endpoint("x", "a")]);
}

#[test]
fn a_relay_that_loses_its_file_in_use_is_filled_again() {
    let office = Office::empty();
    let wanted = agents(&[("a", "x"), ("b", "y")]);
    let desk = Desk::start(Arc::new(office.relay()), Limits::default(), |_| {}).unwrap();
    desk.want_all(wanted.clone(), vec![]);
    desk.finish(DEADLINE);
    // A change notices it, and so does a sweep.
    fs::remove_file(office.file()).unwrap();
    desk.want(vec![(id("c"), Some(namespace("x")))]);
    until("all are back", || desk.facts().pending == 0 && desk.facts().error.is_none());
    let is_there = |agent: &str| office.post().endpoint(&id(agent)).unwrap().is_some();
    assert!(is_there("a") && is_there("b") && is_there("c"));
    for name in office.names() {
        fs::remove_file(office.path().join(name)).unwrap();
    }
    desk.verify();
    desk.finish(DEADLINE);
    assert!(is_there("a") && is_there("b") && is_there("c"));
    // Damage in the middle of it.
    let mut bytes = fs::read(office.file()).unwrap();
    let log = fs::read(office.beside("-wal")).unwrap();
    bytes.fill(b'x');
    fs::write(office.file(), bytes).unwrap();
    fs::write(office.beside("-wal"), vec![b'x'; log.len()]).unwrap();
    desk.want(vec![(id("d"), Some(namespace("x")))]);
    desk.verify();
    until("all are back", || {
        let post = Post::open(office.path());
        post.is_ok_and(|post| ["a", "b", "c", "d"].iter().all(|agent| matches!(post.endpoint(&id(agent)), Ok(Some(_)))))
    });
}

#[test]
fn a_steady_relay_writes_nothing() {
    let office = Office::empty();
    let desk = Desk::start(Arc::new(office.relay()), Limits::default(), |_| {}).unwrap();
    desk.want_all(agents(&[("a", "x"), ("b", "y")]), vec![pair("x", "y", RuleAction::Allow)]);
    desk.finish(DEADLINE);
    office.post().send(&id("a"), &id("b"), b"hello").unwrap();
    desk.verify();
    desk.finish(DEADLINE);
    let before = everything_below(office.path());
    for _ in 0..3 {
        desk.verify();
        desk.want_all(agents(&[("b", "y"), ("a", "x")]), vec![pair("x", "y", RuleAction::Allow)]);
        desk.finish(DEADLINE);
    }
    assert_eq!(everything_below(office.path()), before);
}

#[test]
fn whoever_only_reads_leaves_no_trace() {
    let nothing = Office::empty();
    assert!(matches!(Post::open(nothing.path()), Err(PostError::Store(StoreError::Missing(_)))));
    assert_eq!(nothing.names(), Vec::<String>::new());
    let office = Office::of(&[("a", "x"), ("b", "x"), ("c", "y")]);
    let read = || {
        let post = office.post();
        post.access(&id("a"), &id("b")).unwrap();
        assert_eq!(post.messages(&subject("x", "b")).unwrap().count(), 0);
        assert!(matches!(post.send(&id("a"), &id("c"), b"x"), Err(PostError::Denied { .. })));
    };
    let closed = everything_below(office.path());
    assert_eq!(office.names(), ["relay.db"]);
    read();
    assert_eq!(everything_below(office.path()), closed, "without a daemon");
    let relay = office.relay();
    make_all(&relay, &[("d", "x")]);
    let open = contents_below(office.path());
    read();
    assert_eq!(contents_below(office.path()), open, "beside one");
    assert!(office.post().endpoint(&id("d")).unwrap().is_some(), "what is in the log counts");
    // As a kill leaves it: with a log, and nobody at it.
    let killed = Office::empty();
    for suffix in ["", "-wal", "-shm"] {
        fs::copy(office.beside(suffix), killed.beside(suffix)).unwrap();
    }
    let bytes = |office: &Office| ["", "-wal"].map(|suffix| fs::read(office.beside(suffix)).unwrap());
    let before = bytes(&killed);
    assert!(killed.post().endpoint(&id("d")).unwrap().is_some());
    assert_eq!(bytes(&killed), before);
    assert_eq!(killed.names(), ["relay.db", "relay.db-shm", "relay.db-wal"]);
}

#[test]
fn nothing_is_allowed_by_a_damaged_file() {
    let office = Office::of(&[("a", "x"), ("b", "x")]);
    let post = office.post();
    fs::write(office.file(), [b'x'; 5000]).unwrap();
    assert!(matches!(post.access(&id("a"), &id("b")), Err(PostError::Store(StoreError::Damaged(_)))));
    assert!(matches!(post.send(&id("a"), &id("b"), b"x"), Err(PostError::Store(StoreError::Damaged(_)))));
    assert_eq!(office.names(), ["relay.db"]);
}

#[test]
fn a_file_that_another_program_has_locked_is_tried_again_in_time() {
    let office = Office::of(&[("a", "x")]);
    let relay = office.relay();
    relay.list(soon()).unwrap();
    let other = office.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let brief = monotonic() + Duration::from_millis(50);
    assert!(matches!(relay.change(&ensure("x", "b"), brief), Err(RelayError::Unavailable(_))));
    assert_eq!(relay.list(soon()).unwrap().endpoints.len(), 1, "it can be read meanwhile");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(relay.change(&ensure("x", "b"), soon()), Ok(()));
}

#[test]
fn what_there_was_no_time_for_is_said_and_the_rest_is_kept() {
    let office = Office::of(&[("a", "x")]);
    let relay = office.relay();
    let late = relay.change_all(&[ensure("x", "b"), ensure("x", "c")], monotonic()).unwrap();
    assert!(late.iter().all(|result| matches!(result, Err(RelayError::Unavailable(_)))), "{late:?}");
    assert_eq!(relay.list(soon()).unwrap().endpoints.len(), 1);
}
