//! What a sweep costs and what it finds.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use meshd::decide::{Found, Probe};

use crate::support::{World, manifest};

fn bytes_of_the_registry(world: &World) -> Vec<Vec<u8>> {
    let file = world.registry_file();
    let log = file.with_file_name("registry.db-wal");
    [file, log].into_iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn a_second_sweep_writes_nothing_and_tells_nothing() {
    let mut world = World::new();
    for number in 0..20 {
        world.agent(&format!("root/ns{}/p{number}", number % 3), &format!("id{number}"));
    }
    world.write("root/ns0/bad", "{");
    world.copy("root/ns0/p0", "root/ns0/p0-copy");
    assert_eq!(world.sweep_settled().discovered, 20);
    let (events, bytes) = (world.events(), bytes_of_the_registry(&world));
    for _ in 0..3 {
        let result = world.sweep();
        assert_eq!((result.discovered, result.synced, result.unreachable, result.problems), (0, 0, 0, 2));
    }
    assert_eq!(world.events(), events);
    assert_eq!(bytes_of_the_registry(&world), bytes);
}

/// Sets a file's times back: the look was long after the last change.
fn age(path: &std::path::Path) {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
}

#[test]
fn a_manifest_that_did_not_change_is_not_read_again() {
    let mut world = World::new();
    world.agent("root/ns/a", "a");
    age(&world.manifest_of("root/ns/a"));
    world.sweep();
    let is_read = |world: &mut World| {
        let path = world.path("root/ns/a");
        let view = world.view("root/ns/a");
        let Probe::Present(found) = &view.sites[&path].probe else { panic!("no manifest") };
        matches!(found, Found::Read(..))
    };
    assert!(is_read(&mut world), "its inode changed a moment before it was read: the next tick may hide a change");

    // The inode's own time cannot be set back; a look after more than the racy time vouches.
    let changed = fs::metadata(world.manifest_of("root/ns/a")).unwrap();
    let deadline = changed.ctime() * 1_000 + changed.ctime_nsec() / 1_000_000 + 2_100;
    while meshd::clock::wall_ns() / 1_000_000 < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    world.sweep();
    assert!(!is_read(&mut world));
    world.write("root/ns/a", manifest("a", "changed"));
    assert!(is_read(&mut world));
}

#[test]
fn a_change_of_the_same_size_with_the_time_set_back_is_found() {
    let mut world = World::new();
    world.agent("root/ns/a", "a");
    let path = world.manifest_of("root/ns/a");
    age(&path);
    world.sweep();
    let before = fs::metadata(&path).unwrap();
    world.write("root/ns/a", manifest("a", "an agenT"));
    age(&path);
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.len(), before.mtime(), before.ino()), (after.len(), after.mtime(), after.ino()));
    assert_eq!(world.sweep().synced, 1);
    assert_eq!(world.record("a").unwrap().columns.name, "an agenT");
}

#[test]
fn a_key_that_nobody_knows_is_synced_and_kept() {
    let mut world = World::new();
    world.agent("root/ns/a", "a");
    world.sweep();
    let text = manifest("a", "an agent").replace("\"runtime\"", "\"mcpServers\": {\"x\": [1, null]},\n  \"runtime\"");
    world.write("root/ns/a", text);
    assert_eq!(world.look_at("root/ns/a").synced, 1);
    let agent = world.record("a").unwrap().agent.unwrap();
    assert_eq!(agent.manifest.rest["mcpServers"]["x"][0], 1);
}

#[test]
fn a_narrow_look_sees_a_new_tree_to_its_depth() {
    let mut world = World::new();
    world.sweep();
    world.agent("root/1/2/3/4/5", "at-the-limit");
    world.agent("root/1/2/3/4/5/6", "too-deep");
    world.agent("root/1/node_modules/x", "pruned");
    world.agent("root/1/.git/x", "pruned-too");
    assert_eq!(world.look_below("root/1").discovered, 1);
    world.assert_active_at("at-the-limit", "root/1/2/3/4/5");
    assert_eq!(world.sweep().discovered, 0);
}

#[test]
fn a_path_that_is_not_utf8_is_an_agent_like_any_other() {
    let mut world = World::new();
    let odd = world.path("root/ns").join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir_all(odd.join(".dork")).unwrap();
    fs::write(odd.join(".dork/agent.json"), manifest("odd", "odd")).unwrap();
    assert_eq!(world.sweep().discovered, 1);
    assert_eq!(world.state("odd"), Some((odd.clone(), None)));
    world.restart();
    assert_eq!(world.sweep(), meshd::engine::ReconcileResult::default());
    fs::remove_dir_all(odd).unwrap();
    assert_eq!(world.sweep_settled().unreachable, 1);
}

#[test]
fn a_directory_that_is_deleted_and_made_anew_is_listed_anew() {
    let mut world = World::new();
    world.agent("root/ns/deep/a", "a");
    world.sweep();
    for round in 0..20 {
        world.delete("root/ns");
        let id = format!("round{round}");
        world.agent(&format!("root/ns/deep/{id}"), &id);
        world.sweep();
        world.assert_active_at(&id, &format!("root/ns/deep/{id}"));
    }
}
