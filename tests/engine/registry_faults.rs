//! A registry that is damaged, edited or deleted behind meshd's back.

use std::fs;
use std::path::Path;

use meshd::agent::Moment;
use meshd::registry::{AgentRegistry, Durability};

use crate::support::World;

fn with_two_agents() -> World {
    let mut world = World::new();
    world.agent("root/ns/a", "a");
    world.agent("root/ns/b", "b");
    world.sweep();
    world
}

/// Runs SQL on the file as somebody else.
fn edit(world: &World, sql: &str) {
    rusqlite::Connection::open(world.registry_file()).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_row_that_was_edited_by_hand_is_put_right_by_the_next_sweep() {
    let mut world = with_two_agents();
    edit(&world, "UPDATE agents SET name = 'smeared', capabilities_json = 'no json' WHERE id = 'a'");
    assert_eq!(world.sweep().synced, 1);
    assert_eq!(world.record("a").unwrap().agent.unwrap().manifest.name, "an agent");
}

#[test]
fn a_row_that_was_edited_while_meshd_was_not_running_is_put_right_as_well() {
    let mut world = with_two_agents();
    edit(&world, "UPDATE agents SET description = 'smeared' WHERE id = 'b'; DELETE FROM agents WHERE id = 'a'");
    world.restart();
    let result = world.sweep();
    assert_eq!((result.synced, result.discovered), (1, 1));
}

#[test]
fn a_registry_that_was_deleted_while_running_is_rebuilt_by_the_next_sweep() {
    let mut world = with_two_agents();
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", world.registry_file().display())).unwrap();
    }
    assert_eq!(world.sweep().discovered, 2);
    world.restart();
    world.assert_active_at("a", "root/ns/a");
}

#[test]
fn a_damaged_registry_is_moved_aside_and_rebuilt() {
    let mut world = with_two_agents();
    let file = world.registry_file();
    world.restart();
    fs::write(&file, "not a database at all, and long enough to be looked at: ".repeat(100)).unwrap();
    let _ = fs::remove_file(file.with_file_name("registry.db-wal"));
    world.restart();
    assert_eq!(world.sweep().discovered, 2);
}

#[test]
fn what_was_denied_stays_so_when_the_registry_is_damaged_or_deleted_while_running() {
    let damage = |file: &Path| fs::write(file, "no database, and long enough to be looked at: ".repeat(1_000)).unwrap();
    let delete = |file: &Path| fs::remove_file(file).unwrap();
    for fault in [&damage as &dyn Fn(&Path), &delete] {
        let mut world = with_two_agents();
        let (denied, now) = (world.path("root/ns/a"), Moment { wall_ms: 1, boot_ms: 1, boot: "x".into() });
        let (mut other, _) = AgentRegistry::open(&world.registry_file(), &now).unwrap();
        other.transact(Durability::Synced, |batch| batch.deny(&denied, None, None, &now)).unwrap();
        drop(other);
        world.sweep();
        assert_eq!(world.state("a"), None);
        fault(&world.registry_file());
        world.sweep();
        assert_eq!((world.state("a"), world.state("b").is_some()), (None, true));
        world.restart();
        world.sweep();
        assert_eq!(world.state("a"), None, "it is written down again");
    }
}

#[test]
fn a_registry_that_somebody_locked_is_written_once_it_is_free() {
    let mut world = with_two_agents();
    world.registry().set_busy_timeout(std::time::Duration::from_millis(20)).unwrap();
    let other = rusqlite::Connection::open(world.registry_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.agent("root/ns/c", "c");
    let everything = meshd::scope::Scope::everything();
    let events = world.events();
    assert!(matches!(world.engine().reconcile(&everything), Err(meshd::registry::RegistryError::Busy)));
    assert_eq!((world.state("c"), world.events()), (None, events), "nothing half done");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(world.sweep().discovered, 1);
}

/// Has another process open the registry for writing, read it, and close it.
fn look_from_outside(world: &World) {
    let look = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute('SELECT * FROM agents').fetchall()\nc.close()";
    let done = std::process::Command::new("python3").args(["-c", look]).arg(world.registry_file()).status();
    assert!(done.unwrap().success());
}

#[test]
fn another_program_that_closes_the_registry_does_not_take_its_log_away() {
    let mut world = with_two_agents();
    world.sweep();
    world.sweep();
    look_from_outside(&world);
    world.agent("root/ns/c", "c");
    assert_eq!(world.sweep().discovered, 1);
    let log = world.registry_file().with_file_name("registry.db-wal");
    assert!(log.try_exists().unwrap(), "the log was deleted under the engine");
}

#[test]
fn a_log_that_was_deleted_while_running_costs_nothing() {
    let mut world = with_two_agents();
    fs::remove_dir_all(world.path("root/ns/a")).unwrap();
    world.sweep_settled();
    let (unreachable, events) = (world.state("a"), world.events());
    fs::remove_file(world.registry_file().with_file_name("registry.db-wal")).unwrap();
    world.agent("root/ns/c", "c");
    assert_eq!(world.sweep().discovered, 1);
    assert_eq!(world.state("a"), unreachable);
    look_from_outside(&world);
    world.restart();
    assert_eq!(world.state("a"), unreachable);
    assert_eq!(world.events()[..events.len()], events);
    world.assert_active_at("c", "root/ns/c");
}

#[test]
fn a_registry_that_was_cut_to_nothing_while_running_is_rebuilt() {
    let mut world = with_two_agents();
    world.registry().settle_log().unwrap();
    fs::File::options().write(true).open(world.registry_file()).unwrap().set_len(0).unwrap();
    world.sweep();
    world.sweep();
    world.restart();
    world.sweep();
    world.assert_active_at("a", "root/ns/a");
    world.assert_active_at("b", "root/ns/b");
}
