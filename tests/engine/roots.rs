//! Scan roots that come and go: nothing of theirs is removed, relocated or counted meanwhile.

use std::fs;
use std::time::Duration;

use meshd::agent::Reason;
use meshd::scope::Scope;

use crate::support::{SETTLED, World};

const DAY: Duration = Duration::from_hours(24);

fn with_two_agents() -> World {
    let mut world = World::new();
    world.agent("root/ns/a", "a");
    world.agent("root/ns/b", "b");
    world.sweep();
    world
}

fn root_state(world: &World, name: &str) -> &'static str {
    let root = world.registry().roots().unwrap().into_iter().find(|root| root.path == world.path(name)).unwrap();
    root.state.unwrap().as_str()
}

#[test]
fn a_root_that_is_renamed_away_takes_nothing_with_it() {
    let mut world = with_two_agents();
    world.rename("root", "elsewhere");
    world.look_at("root/ns/a");
    world.assert_unreachable("a", "root/ns/a", Reason::RootOffline);
    world.assert_unreachable("b", "root/ns/b", Reason::RootOffline);
    for _ in 0..5 {
        world.pass_time(DAY);
        assert_eq!(world.sweep().removed, 0);
    }
    world.rename("elsewhere", "root");
    assert_eq!(world.look_below("root").resurrected, 2);
    world.assert_active_at("a", "root/ns/a");
    assert_eq!(root_state(&world, "root"), "online");
}

#[test]
fn the_grace_clock_stands_still_while_the_root_is_offline() {
    let mut world = with_two_agents();
    world.delete("root/ns/a");
    world.sweep_settled();
    world.pass_time(DAY / 2);
    world.sweep();
    world.rename("root", "elsewhere");
    world.sweep();
    world.pass_time(DAY * 30);
    world.sweep();
    world.rename("elsewhere", "root");
    world.sweep();
    world.assert_unreachable("a", "root/ns/a", Reason::ManifestGone);
    world.pass_time((DAY / 2).saturating_sub(SETTLED * 2));
    assert_eq!(world.sweep().removed, 0);
    world.pass_time(SETTLED * 3);
    assert_eq!(world.sweep().removed, 1);
}

#[test]
fn an_empty_directory_in_the_place_of_a_root_is_not_the_root() {
    let mut world = with_two_agents();
    world.rename("root", "elsewhere");
    fs::create_dir(world.path("root")).unwrap();
    world.sweep();
    world.pass_time(DAY * 3);
    world.sweep();
    world.assert_unreachable("a", "root/ns/a", Reason::RootOffline);
    assert_eq!(root_state(&world, "root"), "offline");

    let root = world.path("root");
    assert!(world.engine().accept_root(&root), "a person says that it is meant");
    world.engine().reconcile(&Scope::below(root)).unwrap();
    world.pass_time(SETTLED);
    world.sweep();
    world.assert_unreachable("a", "root/ns/a", Reason::ManifestGone);
    assert_eq!(root_state(&world, "root"), "online");
    world.pass_time(DAY);
    assert_eq!(world.sweep().removed, 2);
}

#[test]
fn a_problem_in_a_root_that_is_offline_is_told_once() {
    let mut world = with_two_agents();
    world.copy("root/ns/a", "root/ns/copy");
    world.write("root/ns/bad", "{");
    world.sweep_settled();
    let told = |world: &World| world.events().iter().filter(|name| name.starts_with("manifest.")).count();
    assert_eq!((world.problems().len(), told(&world)), (2, 2));
    world.rename("root", "elsewhere");
    world.sweep_settled();
    assert_eq!(world.problems().len(), 2);
    world.rename("elsewhere", "root");
    world.sweep_settled();
    assert_eq!((world.problems().len(), told(&world)), (2, 2));
    world.delete("root/ns/copy");
    world.sweep();
    assert_eq!(world.problems().len(), 1);
}

#[test]
fn no_narrow_look_takes_another_directory_for_the_root() {
    let mut world = with_two_agents();
    world.rename("root", "elsewhere");
    fs::create_dir(world.path("root")).unwrap();
    world.sweep();
    fs::create_dir(world.path("root/anything")).unwrap();
    world.look_below("root/anything");
    assert_eq!(root_state(&world, "root"), "offline");
    world.agent("root/new", "new");
    world.look_at("root/new");
    world.look_below("root/new");
    world.agent("root/clone", "a");
    world.look_at("root/clone");
    world.assert_unreachable("a", "root/ns/a", Reason::RootOffline);
    assert_eq!(root_state(&world, "root"), "offline");
    world.pass_time(DAY * 3);
    assert_eq!(world.sweep().removed, 0);
}

#[test]
fn a_clone_in_the_mount_point_of_an_unplugged_drive_brings_nothing_of_it_back() {
    let mut world = with_two_agents();
    world.rename("root", "drive");
    world.agent("root/ns/new", "new");
    world.agent("root/ns/copy", "b");
    world.sweep();
    world.sweep_settled();
    world.assert_active_at("new", "root/ns/new");
    world.assert_unreachable("b", "root/ns/b", Reason::RootOffline);
    world.pass_time(DAY * 3);
    assert_eq!(world.sweep().removed, 0);
    world.delete("root");
    world.rename("drive", "root");
    world.sweep_settled();
    world.assert_active_at("a", "root/ns/a");
    world.assert_active_at("b", "root/ns/b");
}

#[test]
fn a_root_that_was_made_anew_with_its_agents_in_it_is_the_root() {
    let mut world = with_two_agents();
    world.delete("root");
    world.agent("root/ns/a", "a");
    world.agent("root/ns/b", "b");
    world.sweep();
    world.assert_active_at("a", "root/ns/a");
    assert_eq!(root_state(&world, "root"), "online");
}

#[test]
fn a_link_or_a_file_in_the_place_of_a_root_is_not_followed() {
    let mut world = with_two_agents();
    world.rename("root", "elsewhere");
    std::os::unix::fs::symlink(world.path("elsewhere"), world.path("root")).unwrap();
    world.sweep();
    world.assert_unreachable("a", "root/ns/a", Reason::RootOffline);
    fs::remove_file(world.path("root")).unwrap();
    fs::write(world.path("root"), "").unwrap();
    world.sweep();
    world.assert_unreachable("a", "root/ns/a", Reason::RootOffline);
}

#[test]
fn a_root_may_be_missing_at_the_start_and_appear_later() {
    let mut world = World::new();
    world.delete("root");
    world.restart();
    world.sweep();
    assert_eq!(root_state(&world, "root"), "offline");
    world.agent("root/ns/a", "a");
    world.look_below("root");
    world.assert_active_at("a", "root/ns/a");
}

#[test]
fn a_root_that_is_configured_no_more_lets_its_agents_go_after_the_grace_period() {
    let mut world = World::with_roots(&["one", "two"]);
    world.agent("one/ns/a", "a");
    world.agent("two/ns/b", "b");
    world.sweep();
    world.restart_with_roots(&["two"]);
    world.sweep();
    world.assert_unreachable("a", "one/ns/a", Reason::OutOfScope);
    world.pass_time(DAY);
    assert_eq!(world.sweep().removed, 1);
    assert!(world.manifest_of("one/ns/a").is_file(), "its manifest is not touched");
    world.assert_active_at("b", "two/ns/b");
}

#[test]
fn each_project_of_nested_roots_is_recorded_once_and_named_by_the_deepest() {
    let mut world = World::with_roots(&["root", "root/deep/team"]);
    world.agent("root/deep/team/a", "a");
    world.agent("root/deep/b", "b");
    assert_eq!(world.sweep().discovered, 2);
    let namespace = |id: &str| world.record(id).unwrap().columns.namespace;
    assert_eq!(namespace("a"), "a", "the first directory below the deeper root");
    assert_eq!(namespace("b"), "deep");
    world.restart_with_roots(&["root"]);
    assert_eq!(world.sweep().synced, 1);
    assert_eq!(world.record("a").unwrap().columns.namespace, "deep");
}

#[test]
fn a_project_moved_from_one_root_to_another_keeps_its_identity() {
    let mut world = World::with_roots(&["one", "two"]);
    world.agent("one/ns/a", "a");
    world.sweep();
    world.rename("one/ns/a", "two/team/a");
    world.look_below("two/team/a");
    world.assert_active_at("a", "two/team/a");
    assert_eq!(world.record("a").unwrap().columns.namespace, "team");
    assert_eq!(world.events().last(), Some(&"agent.relocated"));
}

/// An agent with a copy of it in another root.
fn with_a_copy() -> World {
    let mut world = World::with_roots(&["root", "other"]);
    world.agent("root/ns/a", "a");
    world.agent("root/ns/b", "b");
    world.sweep();
    world.copy("root/ns/a", "other/copy");
    world.sweep();
    world
}

#[test]
fn a_root_that_goes_in_the_middle_of_a_look_gives_no_agent_to_a_copy() {
    let mut world = with_a_copy();
    world.rename_in_the_middle("root", "away");
    assert_eq!(world.look_at("other/copy").relocated, 0);
    world.assert_unreachable("a", "root/ns/a", Reason::RootOffline);
    world.assert_unreachable("b", "root/ns/b", Reason::RootOffline);
    world.rename("away", "root");
    world.look_at("other/copy");
    world.assert_active_at("a", "root/ns/a");
    world.assert_active_at("b", "root/ns/b");
}

#[test]
fn a_root_that_goes_in_the_middle_of_a_sweep_gives_no_agent_to_a_copy() {
    let mut world = with_a_copy();
    world.delete("root/ns/b");
    world.rename_in_the_middle("root", "away");
    assert_eq!(world.sweep().relocated, 0);
    world.pass_time(DAY * 3);
    assert_eq!(world.sweep_settled().removed, 0);
    world.assert_unreachable("a", "root/ns/a", Reason::RootOffline);
    world.rename("away", "root");
    world.sweep();
    world.assert_active_at("a", "root/ns/a");
}

#[test]
fn another_directory_that_takes_the_roots_place_in_the_middle_of_a_look_gives_no_agent_to_a_copy() {
    let mut world = with_a_copy();
    world.agent("imposter/ns/a", "stranger");
    let (root, away, imposter) = (world.path("root"), world.path("away"), world.path("imposter"));
    world.in_the_middle(move || {
        std::fs::rename(&root, away).unwrap();
        std::fs::rename(imposter, root).unwrap();
    });
    assert_eq!(world.look_at("other/copy").relocated, 0);
    world.sweep_settled();
    world.assert_unreachable("a", "root/ns/a", Reason::RootOffline);
    world.rename("root", "imposter");
    world.rename("away", "root");
    world.sweep();
    world.assert_active_at("a", "root/ns/a");
}
