//! The registry's file: damaged, replaced, deleted, shared.

use std::os::unix::fs::PermissionsExt;

use meshd::registry::{Checkpointer, Reader, RegistryError};

use super::*;

/// A registry of some agents that was closed.
fn filled() -> Home {
    let home = Home::new();
    let mut registry = home.open();
    for number in 0..60 {
        registry.upsert(&agent(&format!("a{number}")), &seen(number), &minute(0)).unwrap();
    }
    drop(registry);
    home
}

/// Opens a damaged registry: it must end up aside, and a new one work and stay.
#[track_caller]
fn is_moved_aside_and_rebuilt(home: &Home) {
    let damaged = std::fs::read(home.file()).unwrap_or_default();
    let (mut registry, opened) = AgentRegistry::open(&home.file(), &minute(0)).unwrap();
    let aside = opened.moved_aside.expect("moved aside");
    assert!(aside.to_string_lossy().contains("registry.db.corrupt-20260101T120000.000Z"), "{}", aside.display());
    if !damaged.is_empty() {
        assert_eq!(std::fs::read(&aside).unwrap(), damaged, "kept as it was");
    }
    registry.upsert(&agent("new"), &seen(1), &minute(0)).unwrap();
    drop(registry);
    let (registry, opened) = AgentRegistry::open(&home.file(), &minute(0)).unwrap();
    assert_eq!(opened.moved_aside, None);
    assert_eq!(registry.recorded().unwrap().len(), 1);
    assert_eq!(registry.integrity().unwrap(), Vec::<String>::new());
}

#[test]
fn a_file_that_is_no_database_is_moved_aside() {
    for garbage in [&b"x"[..], &[b'x'; 5000], b"SQLite format 3\0"] {
        let home = Home::new();
        std::fs::write(home.file(), garbage).unwrap();
        assert!(matches!(Reader::open(&home.file()).err(), Some(RegistryError::Corrupt(_))));
        assert!(matches!(AgentRegistry::in_memory_copy(&home.file()).err(), Some(RegistryError::Corrupt(_))));
        is_moved_aside_and_rebuilt(&home);
    }
}

#[test]
fn a_truncated_file_is_moved_aside() {
    for keep in [99, 4096, 3 * 4096 + 17, 12 * 4096] {
        let home = filled();
        let bytes = std::fs::read(home.file()).unwrap();
        std::fs::write(home.file(), &bytes[..keep]).unwrap();
        is_moved_aside_and_rebuilt(&home);
    }
}

#[test]
fn damage_that_shows_only_in_use_can_be_moved_aside_too() {
    let home = filled();
    let (registry, opened) = AgentRegistry::open_anew(&home.file(), &minute(0)).unwrap();
    assert!(registry.recorded().unwrap().is_empty());
    assert_eq!(Reader::open(&opened.moved_aside.unwrap()).unwrap().recorded().unwrap().len(), 60);
}

#[test]
fn an_empty_file_is_a_new_one() {
    let home = Home::new();
    std::fs::write(home.file(), "").unwrap();
    let (_, opened) = AgentRegistry::open(&home.file(), &minute(0)).unwrap();
    assert_eq!(opened, meshd::registry::Opened::default());
}

#[test]
fn flipped_bits_are_found_or_do_no_harm() {
    let home = filled();
    let bytes = std::fs::read(home.file()).unwrap();
    let mut moved = 0;
    // Every header byte, and the first bytes of every page, where its structure is.
    let page_starts = (4096..bytes.len()).step_by(3 * 4096).flat_map(|page| [page, page + 3, page + 5, page + 9]);
    for position in (0..100).chain(page_starts) {
        let mut flipped = bytes.clone();
        flipped[position] ^= 0xff;
        std::fs::write(home.file(), &flipped).unwrap();
        match AgentRegistry::open(&home.file(), &minute(0)) {
            Ok((mut registry, opened)) => {
                moved += u32::from(opened.moved_aside.is_some());
                registry.upsert(&agent("new"), &seen(1), &minute(0)).unwrap_or_else(|e| panic!("{position}: {e}"));
                registry.recorded().unwrap();
            }
            // The schema's number itself: nothing tells a flipped one from a newer one.
            Err(RegistryError::Newer { .. }) => assert!((60..64).contains(&position), "{position}"),
            Err(error) => panic!("byte {position}: {error}"),
        }
        for name in home.names() {
            std::fs::remove_file(home.directory.path().join(name)).unwrap();
        }
    }
    assert!(moved > 30, "{moved}");
}

#[test]
fn a_log_without_its_database_is_moved_aside() {
    let other = Home::new();
    let mut running = other.open();
    running.upsert(&agent("stranger"), &seen(1), &minute(0)).unwrap();
    for database in [None, Some("")] {
        let home = Home::new();
        std::fs::copy(other.beside("-wal"), home.beside("-wal")).unwrap();
        if let Some(content) = database {
            std::fs::write(home.file(), content).unwrap();
        }
        is_moved_aside_and_rebuilt(&home);
        assert!(home.names().iter().any(|name| name.contains("corrupt") && name.ends_with("-wal")));
    }
}

#[test]
fn a_strangers_log_never_stops_the_next_start() {
    let other = filled();
    let mut running = other.open();
    for number in 0..50 {
        running.upsert(&agent(&format!("s{number}")), &seen(number), &minute(0)).unwrap();
    }
    let stranger = std::fs::read(other.beside("-wal")).unwrap();
    for log in [stranger.clone(), stranger[..stranger.len() / 2].to_vec(), vec![b'x'; 9000], vec![0; 40]] {
        let home = Home::new();
        home.open().upsert(&agent("mine"), &seen(1), &minute(0)).unwrap();
        std::fs::write(home.beside("-wal"), log).unwrap();
        for _ in 0..2 {
            let mut registry = home.open();
            registry.upsert(&agent("new"), &seen(1), &minute(0)).unwrap();
            assert_eq!(registry.integrity().unwrap(), Vec::<String>::new());
        }
    }
}

#[test]
fn what_a_killed_daemon_committed_is_there() {
    let home = Home::new();
    let mut running = home.open();
    running.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    let copy = Home::new();
    for suffix in ["", "-wal"] {
        std::fs::copy(home.beside(suffix), copy.beside(suffix)).unwrap();
    }
    let (registry, opened) = AgentRegistry::open(&copy.file(), &minute(0)).unwrap();
    assert_eq!(opened, meshd::registry::Opened::default());
    assert_eq!(registry.recorded().unwrap(), running.recorded().unwrap());
}

#[test]
fn what_is_no_file_is_an_error_and_not_moved() {
    let home = Home::new();
    std::fs::create_dir(home.file()).unwrap();
    let linked = filled();
    let link = linked.directory.path().join("link.db");
    std::os::unix::fs::symlink(linked.file(), &link).unwrap();
    for path in [home.file(), link] {
        assert!(matches!(AgentRegistry::open(&path, &minute(0)).err(), Some(RegistryError::NotAFile(_))));
        assert!(matches!(Reader::open(&path).err(), Some(RegistryError::NotAFile(_))));
        assert!(std::fs::symlink_metadata(&path).is_ok());
    }
}

#[test]
fn another_programs_database_is_refused_and_kept() {
    let home = Home::new();
    home.sql().execute_batch("CREATE TABLE agents (x); PRAGMA user_version = 5;").unwrap();
    let error = AgentRegistry::open(&home.file(), &minute(0)).err();
    assert!(matches!(error, Some(RegistryError::Foreign { .. })), "{error:?}");
    assert_eq!(home.sql().query_row("SELECT count(x) FROM agents", [], |row| row.get::<_, i64>(0)), Ok(0));
}

#[test]
fn only_the_owner_may_read_the_files() {
    let home = Home::new();
    home.sql().execute_batch("CREATE TABLE agents (id TEXT PRIMARY KEY)").unwrap();
    std::fs::set_permissions(home.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    // Not a registry that can be migrated whole: what matters is what was made until then.
    let _ = AgentRegistry::open(&home.file(), &minute(0));
    let running = Home::new();
    let _registry = running.open();
    for home in [&home, &running] {
        for name in home.names() {
            let mode = std::fs::metadata(home.directory.path().join(&name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}

#[test]
fn a_command_reads_beside_the_daemon_and_never_makes_a_file() {
    let home = Home::new();
    assert!(matches!(Reader::open(&home.file()).err(), Some(RegistryError::Missing(_))));
    assert!(home.names().is_empty());
    let mut registry = home.open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    let reader = Reader::open(&home.file()).unwrap();
    assert_eq!(reader.recorded().unwrap(), registry.recorded().unwrap());
    let version = reader.data_version().unwrap();
    registry.upsert(&agent("b"), &seen(2), &minute(0)).unwrap();
    assert_ne!(reader.data_version().unwrap(), version);
    assert_eq!(reader.recorded().unwrap().len(), 2);
}

#[test]
fn a_registry_that_is_deleted_or_replaced_while_it_is_open_is_noticed() {
    let home = filled();
    let registry = home.open();
    assert!(registry.is_same_file(&home.file()));
    std::fs::rename(home.file(), home.beside(".old")).unwrap();
    assert!(!registry.is_same_file(&home.file()));
    std::fs::copy(home.beside(".old"), home.file()).unwrap();
    assert!(!registry.is_same_file(&home.file()));
    assert!(AgentRegistry::in_memory_copy(&home.file()).unwrap().is_same_file(&home.file()));
}

#[test]
fn a_registry_that_was_deleted_is_made_anew_beside_the_one_that_is_still_open() {
    let home = filled();
    let mut old = home.open();
    old.upsert(&agent("late"), &seen(1), &minute(0)).unwrap();
    std::fs::remove_file(home.file()).unwrap();
    let mut new = home.open();
    new.upsert(&agent("new"), &seen(1), &minute(0)).unwrap();
    drop(old);
    assert_eq!(new.recorded().unwrap().len(), 1);
    drop(new);
    assert_eq!(home.open().recorded().unwrap().len(), 1);
}

#[test]
fn checkpoints_move_what_was_committed_and_write_nothing_twice() {
    let home = Home::new();
    let mut registry = home.open();
    let checkpointer = Checkpointer::open(&home.file()).unwrap();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    checkpointer.run().unwrap();
    let content = std::fs::read(home.file()).unwrap();
    let modified = || std::fs::metadata(home.file()).unwrap().modified().unwrap();
    let before = modified();
    checkpointer.run().unwrap();
    assert_eq!(modified(), before);
    let copy = Home::new();
    std::fs::write(copy.file(), content).unwrap();
    assert_eq!(copy.open().recorded().unwrap(), registry.recorded().unwrap(), "the file alone has it");
}
