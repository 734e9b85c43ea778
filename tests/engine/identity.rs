//! Who an agent is, whatever is moved, copied, switched and deleted.

use std::fs;
use std::time::Duration;

use meshd::agent::Reason;
use meshd::decide::ProblemKind;

use crate::support::{SETTLED, World};

fn with_one_agent() -> World {
    let mut world = World::new();
    world.agent("root/ns/a", "a");
    world.sweep();
    world
}

#[test]
fn a_moved_project_keeps_its_identity_at_once() {
    let mut world = with_one_agent();
    world.rename("root/ns/a", "root/other/place");
    assert_eq!(world.look_below("root/other").relocated, 1);
    world.assert_active_at("a", "root/other/place");
    assert_eq!(world.sweep().relocated, 0);
}

#[test]
fn the_projects_of_a_moved_directory_keep_theirs() {
    let mut world = with_one_agent();
    world.agent("root/ns/b", "b");
    world.sweep();
    world.rename("root/ns", "root/renamed");
    world.look_below("root/renamed");
    world.assert_active_at("a", "root/renamed/a");
    world.assert_active_at("b", "root/renamed/b");
}

#[test]
fn two_projects_that_change_places_take_their_identities_along() {
    let mut world = with_one_agent();
    world.agent("root/ns/b", "b");
    world.sweep();
    world.rename("root/ns/a", "side");
    world.rename("root/ns/b", "root/ns/a");
    world.rename("side", "root/ns/b");
    assert_eq!(world.look_below("root/ns").relocated, 2);
    world.assert_active_at("a", "root/ns/b");
    world.assert_active_at("b", "root/ns/a");
    assert!(!world.events().contains(&"agent.removed"));
}

#[test]
fn a_swap_that_is_seen_half_done_loses_nobody() {
    let mut world = with_one_agent();
    world.agent("root/ns/b", "b");
    world.sweep();
    world.rename("root/ns/a", "root/.swap");
    world.rename("root/ns/b", "root/ns/a");
    world.look_below("root/ns/a");
    world.rename("root/.swap", "root/ns/b");
    world.look_below("root/ns/b");
    world.sweep_settled();
    world.assert_active_at("a", "root/ns/b");
    world.assert_active_at("b", "root/ns/a");
    assert!(!world.events().contains(&"agent.removed"), "{:?}", world.events());
}

#[test]
fn a_copied_manifest_does_not_steal_the_id() {
    let mut world = with_one_agent();
    world.copy("root/ns/a", "root/aa/copy");
    assert_eq!(world.look_below("root/aa").discovered, 0);
    world.assert_active_at("a", "root/ns/a");
    assert_eq!(world.problems(), [(ProblemKind::DuplicateId, "root/aa/copy".into())]);
    assert_eq!(world.sweep().problems, 1);
    world.restart();
    world.sweep();
    world.assert_active_at("a", "root/ns/a");
}

#[test]
fn when_the_original_of_a_copy_is_deleted_the_copy_is_the_agent() {
    let mut world = with_one_agent();
    world.copy("root/ns/a", "root/aa/copy");
    world.sweep();
    world.delete("root/ns/a");
    world.look_below("root/ns/a");
    world.assert_active_at("a", "root/aa/copy");
    assert_eq!(world.problems(), []);
}

#[test]
fn of_several_copies_of_a_new_id_the_main_checkout_wins_then_the_lowest_path() {
    let mut world = World::new();
    for project in ["a-worktree", "b-main", "c-main"] {
        world.agent(&format!("root/ns/{project}"), "x");
    }
    fs::write(world.path("root/ns/a-worktree/.git"), "gitdir: elsewhere").unwrap();
    fs::create_dir(world.path("root/ns/c-main/.git")).unwrap();
    world.sweep();
    world.assert_active_at("x", "root/ns/b-main");
    assert_eq!(world.problems().len(), 2);
}

#[test]
fn a_rebuilt_registry_picks_the_same_winner() {
    let mut world = World::new();
    for project in ["c", "a", "b"] {
        world.agent(&format!("root/ns/{project}"), "x");
    }
    world.sweep();
    let before = world.state("x");
    fs::remove_file(world.registry_file()).unwrap();
    world.restart();
    world.sweep();
    assert_eq!(world.state("x"), before);
}

#[test]
fn a_branch_switch_with_a_copy_elsewhere_is_contested_and_all_right_after_switching_back() {
    let mut world = with_one_agent();
    world.copy("root/ns/a", "root/ns/worktree");
    world.sweep();
    fs::remove_file(world.manifest_of("root/ns/a")).unwrap();
    world.look_at("root/ns/a");
    world.pass_time(SETTLED);
    world.look_at("root/ns/a");
    world.assert_unreachable("a", "root/ns/a", Reason::Contested);
    assert!(world.problems().contains(&(ProblemKind::Contested, "root/ns/a".into())));

    world.agent("root/ns/a", "a");
    world.look_at("root/ns/a");
    world.assert_active_at("a", "root/ns/a");
    assert_eq!(world.problems(), [(ProblemKind::DuplicateId, "root/ns/worktree".into())]);
}

#[test]
fn a_contested_id_goes_to_the_copy_after_ten_minutes() {
    let mut world = with_one_agent();
    world.copy("root/ns/a", "root/ns/worktree");
    world.sweep();
    fs::remove_file(world.manifest_of("root/ns/a")).unwrap();
    world.sweep_settled();
    world.pass_time(Duration::from_mins(9));
    world.sweep();
    world.assert_unreachable("a", "root/ns/a", Reason::Contested);
    world.pass_time(Duration::from_mins(1));
    let due = world.engine().due();
    assert!(due.covers(&world.path("root/ns/a")), "it is looked at again by itself");
    world.engine().reconcile(&due).unwrap();
    world.assert_active_at("a", "root/ns/worktree");
}

#[test]
fn a_contested_claim_that_is_the_very_directory_moved_wins_at_once() {
    let mut world = with_one_agent();
    world.rename("root/ns/a", "root/ns/moved");
    fs::create_dir(world.path("root/ns/a")).unwrap();
    world.look_below("root/ns");
    world.assert_active_at("a", "root/ns/moved");
}

#[test]
fn another_agents_manifest_that_appears_displaces_nobody_it_copies_and_smears_nothing() {
    let mut world = with_one_agent();
    world.agent("root/ns/b", "b");
    world.sweep();
    world.copy("root/ns/b", "root/ns/a");
    world.sweep_settled();
    world.assert_active_at("b", "root/ns/b");
    world.assert_unreachable("a", "root/ns/a", Reason::OtherManifest);
    world.agent("root/ns/a", "a");
    world.look_at("root/ns/a");
    world.assert_active_at("a", "root/ns/a");
    world.assert_active_at("b", "root/ns/b");
    assert_eq!(world.problems(), []);
}

#[test]
fn a_new_agent_at_the_place_of_another_displaces_it() {
    let mut world = with_one_agent();
    world.agent("root/ns/a", "newcomer");
    world.look_at("root/ns/a");
    world.pass_time(SETTLED);
    world.look_at("root/ns/a");
    world.assert_active_at("newcomer", "root/ns/a");
    assert_eq!(world.state("a"), None);
    let events = world.events();
    assert_eq!(events[events.len() - 2..], ["agent.removed", "agent.registered"]);
}

#[test]
fn a_project_deleted_and_cloned_again_elsewhere_is_the_same_agent() {
    let mut world = with_one_agent();
    world.delete("root/ns/a");
    world.sweep_settled();
    world.agent("root/clone/a", "a");
    world.look_below("root/clone");
    world.assert_active_at("a", "root/clone/a");
}

#[test]
fn a_copy_never_takes_over_from_one_that_cannot_be_read() {
    let mut world = with_one_agent();
    world.copy("root/ns/a", "root/ns/copy");
    world.write("root/ns/a", "{ torn");
    world.sweep_settled();
    world.assert_active_at("a", "root/ns/a");
    assert_eq!(world.problems().len(), 2);
}

#[test]
fn a_denied_path_is_no_claim_and_its_record_goes_with_the_next_sweep() {
    let mut world = with_one_agent();
    world.agent("root/no/b", "b");
    let now = meshd::agent::Moment { wall_ms: 1, boot_ms: 1, boot: "x".into() };
    let (mut other, _) = meshd::registry::AgentRegistry::open(&world.registry_file(), &now).unwrap();
    for path in ["root/no", "root/ns/a"] {
        let path = world.path(path);
        other
            .transact(meshd::registry::Durability::Synced, |batch| {
                batch.deny(&path, Some("not here"), Some("a person"), &now)
            })
            .unwrap();
    }
    assert_eq!(world.sweep().removed, 1);
    assert_eq!((world.state("a"), world.state("b")), (None, None));
    assert!(world.manifest_of("root/ns/a").is_file());
    assert_eq!(world.sweep().discovered, 0);
}

#[test]
fn an_editors_delete_and_create_is_one_edit() {
    let mut world = with_one_agent();
    fs::remove_file(world.manifest_of("root/ns/a")).unwrap();
    world.look_at("root/ns/a");
    world.assert_active_at("a", "root/ns/a");
    world.write("root/ns/a", crate::support::manifest("a", "another name"));
    assert_eq!(world.look_at("root/ns/a").synced, 1);
    assert!(!world.events().contains(&"agent.unreachable"));
}
