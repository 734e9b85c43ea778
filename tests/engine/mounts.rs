//! File systems that are mounted below a scan root and come and go: nothing of theirs is removed, relocated or counted
//! meanwhile.

use std::fs;
use std::time::Duration;

use meshd::agent::Reason;
use meshd::decide::ProblemKind;

use crate::support::{SETTLED, World};

const DAY: Duration = Duration::from_hours(24);

/// A root with an agent of its own, and a drive in it with two.
fn with_a_drive() -> World {
    let mut world = World::new();
    world.agent("root/ns/home", "home");
    world.agent("drive/a", "a");
    world.agent("drive/b", "b");
    world.mount("drive", "root/usb");
    assert_eq!(world.sweep().discovered, 3);
    world
}

/// The same, unplugged.
fn without_its_drive() -> World {
    let mut world = with_a_drive();
    world.unmount("root/usb", "drive");
    world.sweep();
    world
}

/// The root's state and the sentence that says why.
fn state(world: &World) -> (&'static str, String) {
    let root = world.registry().roots().unwrap().remove(0);
    let state = root.state.unwrap();
    (state.as_str(), state.why().to_owned())
}

#[track_caller]
fn assert_waits(world: &World) {
    world.assert_unreachable("a", "root/usb/a", Reason::RootOffline);
    world.assert_unreachable("b", "root/usb/b", Reason::RootOffline);
    let sentence = format!("what was mounted at {} is not there", world.path("root/usb").display());
    assert_eq!(state(world), ("degraded", sentence));
}

#[track_caller]
fn assert_all_well(world: &World) {
    world.assert_active_at("home", "root/ns/home");
    world.assert_active_at("a", "root/usb/a");
    world.assert_active_at("b", "root/usb/b");
    assert_eq!(state(world), ("online", String::new()));
}

fn told(world: &World, name: &str) -> usize {
    world.events().iter().filter(|event| **event == name).count()
}

#[test]
fn a_drive_that_is_unplugged_takes_nothing_with_it() {
    let mut world = without_its_drive();
    for _ in 0..5 {
        assert_waits(&world);
        world.pass_time(DAY);
        assert_eq!(world.sweep().removed, 0);
    }
    world.assert_active_at("home", "root/ns/home");
    world.mount("drive", "root/usb");
    assert_eq!(world.sweep().resurrected, 2);
    assert_all_well(&world);
    assert_eq!((told(&world, "root.degraded"), told(&world, "root.online")), (1, 2));
}

#[test]
fn its_mount_point_may_go_with_it() {
    let mut world = with_a_drive();
    world.unmount("root/usb", "drive");
    world.delete("root/usb");
    world.look_below("root");
    assert_waits(&world);
    world.pass_time(DAY * 3);
    assert_eq!(world.sweep().removed, 0);
    world.mount("drive", "root/usb");
    world.sweep();
    assert_all_well(&world);
}

#[test]
fn a_second_sweep_without_the_drive_writes_nothing() {
    let mut world = without_its_drive();
    let events = world.events().len();
    assert!(world.engine().reconcile(&meshd::scope::Scope::everything()).unwrap().outcome.applied.is_empty());
    assert_eq!(world.events().len(), events);
    world.mount("drive", "root/usb");
    world.sweep();
    assert!(world.engine().reconcile(&meshd::scope::Scope::everything()).unwrap().outcome.applied.is_empty());
}

#[test]
fn the_grace_clock_stands_still_while_the_drive_is_away() {
    let mut world = with_a_drive();
    world.delete("root/usb/a");
    world.sweep_settled();
    world.assert_unreachable("a", "root/usb/a", Reason::ManifestGone);
    world.pass_time(DAY / 2);
    world.unmount("root/usb", "drive");
    world.sweep();
    world.pass_time(DAY * 30);
    world.sweep();
    world.assert_unreachable("a", "root/usb/a", Reason::RootOffline);
    world.mount("drive", "root/usb");
    world.sweep();
    world.assert_unreachable("a", "root/usb/a", Reason::ManifestGone);
    world.pass_time((DAY / 2).saturating_sub(SETTLED * 2));
    assert_eq!(world.sweep().removed, 0);
    world.pass_time(SETTLED * 3);
    assert_eq!(world.sweep().removed, 1);
}

#[test]
fn an_agent_that_is_deleted_from_the_drive_goes_the_normal_way() {
    let mut world = with_a_drive();
    world.delete("root/usb/a");
    world.sweep_settled();
    world.assert_unreachable("a", "root/usb/a", Reason::ManifestGone);
    assert_eq!(state(&world).0, "online");
    world.pass_time(DAY);
    assert_eq!(world.sweep().removed, 1);
}

#[test]
fn a_daemon_that_starts_while_the_drive_is_away_waits_for_it() {
    let mut world = with_a_drive();
    world.unmount("root/usb", "drive");
    world.reboot_after(DAY * 3);
    world.look_below("root");
    assert_waits(&world);
    world.pass_time(DAY * 3);
    world.restart();
    assert_eq!(world.sweep().removed, 0);
    assert_waits(&world);
    world.mount("drive", "root/usb");
    world.restart();
    world.look_below("root");
    assert_all_well(&world);
}

#[test]
fn a_narrow_look_before_anybody_heard_of_it_takes_nothing_for_gone() {
    let mut world = with_a_drive();
    // With the project gone and a claim elsewhere, one wrong look would give the agent away at once.
    world.copy("root/usb/a", "root/ns/clone");
    world.sweep();
    world.unmount("root/usb", "drive");
    assert_eq!(world.look_at("root/usb/a").relocated, 0);
    assert_waits(&world);
    world.pass_time(SETTLED);
    world.look_at("root/ns/clone");
    assert_waits(&world);
    assert_eq!(world.problems(), [(ProblemKind::DuplicateId, "root/ns/clone".into())]);
}

#[test]
fn a_drive_that_goes_in_the_middle_of_a_sweep_is_waited_for() {
    let mut world = with_a_drive();
    world.unmount("root/usb", "drive");
    world.hear_of_mount("root/usb");
    world.look_at("root/ns/home");
    assert_waits(&world);
}

#[test]
fn a_clone_does_not_take_an_id_over_while_the_drive_is_away() {
    let mut world = without_its_drive();
    let manifest = fs::read(world.path("drive/a/.dork/agent.json")).unwrap();
    world.write("root/ns/clone", &manifest);
    world.sweep_settled();
    world.pass_time(DAY * 3);
    world.sweep();
    assert_waits(&world);
    assert_eq!(world.problems(), [(ProblemKind::DuplicateId, "root/ns/clone".into())]);
    world.mount("drive", "root/usb");
    world.sweep();
    assert_all_well(&world);
}

#[test]
fn what_is_found_in_the_bare_mount_point_is_registered_and_places_are_kept() {
    let mut world = without_its_drive();
    world.agent("root/usb/new", "new");
    world.agent("root/usb/a", "stranger");
    assert_eq!(world.sweep_settled().discovered, 1);
    world.assert_active_at("new", "root/usb/new");
    assert_waits(&world);
    assert_eq!(world.problems(), [(ProblemKind::Contested, "root/usb/a".into())]);
    world.pass_time(DAY * 3);
    assert_eq!(world.sweep().removed, 0);
    world.delete("root/usb");
    world.mount("drive", "root/usb");
    world.sweep_settled();
    assert_all_well(&world);
    world.assert_unreachable("new", "root/usb/new", Reason::ManifestGone);
}

#[test]
fn a_problem_on_a_drive_that_is_away_is_told_once() {
    let mut world = with_a_drive();
    world.copy("root/ns/home", "root/usb/copy");
    world.write("root/usb/bad", "{");
    world.sweep_settled();
    let told = |world: &World| world.events().iter().filter(|name| name.starts_with("manifest.")).count();
    assert_eq!((world.problems().len(), told(&world)), (2, 2));
    world.unmount("root/usb", "drive");
    world.sweep_settled();
    world.mount("drive", "root/usb");
    world.sweep_settled();
    assert_eq!((world.problems().len(), told(&world)), (2, 2));
}

#[test]
fn accepting_the_root_says_that_the_drive_is_not_waited_for() {
    let mut world = without_its_drive();
    let root = world.path("root");
    assert!(world.engine().accept_root(&root));
    world.look_below("root");
    world.assert_unreachable("a", "root/usb/a", Reason::ManifestGone);
    assert_eq!(state(&world), ("online", String::new()));
    assert_eq!(world.registry().mounts().unwrap(), Vec::<std::path::PathBuf>::new());
    world.pass_time(DAY);
    assert_eq!(world.sweep().removed, 2);
}

#[test]
fn a_drive_that_was_copied_into_its_mount_point_is_not_missed() {
    let mut world = without_its_drive();
    world.delete("root/usb");
    world.rename("drive", "root/usb");
    world.sweep();
    assert_all_well(&world);
    world.delete("root/usb/a");
    world.sweep_settled();
    world.assert_unreachable("a", "root/usb/a", Reason::ManifestGone);
}

#[test]
fn only_mounts_that_agents_are_below_are_remembered() {
    let mut world = World::with_roots(&["root", "root/inner"]);
    world.agent("root/ns/a", "a");
    world.agent("root/inner/b", "b");
    for (drive, point) in [("empty", "root/empty"), ("elsewhere", "other")] {
        fs::create_dir(world.path(drive)).unwrap();
        world.mount(drive, point);
    }
    world.rename("root/inner", "inner");
    world.mount("inner", "root/inner");
    world.sweep();
    let known = |world: &World| world.registry().mounts().unwrap();
    assert_eq!(known(&world), Vec::<std::path::PathBuf>::new(), "what is mounted at a root is that root");
    world.agent("root/empty/team/c", "c");
    world.look_at("root/empty/team/c");
    assert_eq!(known(&world), [world.path("root/empty")]);
    world.rename("root/empty/team/c", "root/ns/c");
    world.delete("root/empty/team");
    world.sweep();
    // The first sweep moves the agent, the next one finds nobody there any more.
    world.sweep();
    assert_eq!(known(&world), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_drive_in_a_drive_is_waited_for_with_it() {
    let mut world = with_a_drive();
    world.agent("second/c", "c");
    world.mount("second", "root/usb/second");
    world.sweep();
    world.unmount("root/usb/second", "second");
    world.unmount("root/usb", "drive");
    world.sweep();
    world.assert_unreachable("c", "root/usb/second/c", Reason::RootOffline);
    let (degraded, why) = state(&world);
    assert_eq!(degraded, "degraded");
    assert!(why.ends_with("root/usb is not there, and 1 more"), "{why}");
    world.mount("drive", "root/usb");
    world.sweep();
    assert!(state(&world).1.ends_with("root/usb/second is not there"));
    world.mount("second", "root/usb/second");
    world.sweep();
    world.assert_active_at("c", "root/usb/second/c");
    assert_all_well(&world);
}

#[test]
fn a_root_that_is_offline_says_nothing_of_the_mounts_below_it() {
    let mut world = with_a_drive();
    world.unmount("root/usb", "drive");
    world.rename("root", "elsewhere");
    world.sweep();
    assert_eq!(state(&world).0, "offline");
    world.rename("elsewhere", "root");
    world.sweep();
    assert_waits(&world);
}

#[test]
fn a_root_on_a_file_system_of_another_type_is_another_directory() {
    let mut world = World::new();
    world.agent("root/ns/a", "a");
    world.sweep();
    let others = rusqlite::Connection::open(world.registry_file()).unwrap();
    let change = |sql: &str| others.execute(sql, []).unwrap();
    change("UPDATE roots SET file_system = NULL");
    world.rename("root/ns/a", "a");
    world.sweep();
    assert_eq!(state(&world).0, "online", "a type that is not known is that of any other");
    assert!(world.registry().roots().unwrap()[0].identity.unwrap().file_system.is_some(), "and is known from now on");
    change("UPDATE roots SET file_system = 1");
    world.sweep();
    assert_eq!(state(&world).0, "offline");
    world.assert_unreachable("a", "root/ns/a", Reason::RootOffline);
}
