//! Identities under version control: copies, worktrees, branch switches and clones, with the real git.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use meshd::agent::Reason;
use meshd::decide::ProblemKind;

use crate::support::{World, manifest};

const A_DAY: Duration = Duration::from_hours(25);

#[track_caller]
fn git(directory: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=tests", "-c", "user.email=tests@localhost", "-c", "commit.gpgsign=false"];
    let done = Command::new("git")
        .current_dir(directory)
        .args(identity)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A repository with the agent `a` in its first commit, on the branch `main`; the branch `bare` is without it, and on the
/// branch `other` it is agent `b`.
fn repository(world: &World, name: &str) {
    world.agent(name, "a");
    let path = world.path(name);
    git(&path, &["init", "-q", "-b", "main"]);
    git(&path, &["add", "-A"]);
    git(&path, &["commit", "-q", "-m", "an agent"]);
    git(&path, &["checkout", "-q", "-b", "bare"]);
    git(&path, &["rm", "-q", "-r", ".dork"]);
    git(&path, &["commit", "-q", "-m", "no agent"]);
    git(&path, &["checkout", "-q", "-b", "other", "main"]);
    world.write(name, manifest("b", "another agent"));
    git(&path, &["commit", "-q", "-a", "-m", "another agent"]);
    git(&path, &["checkout", "-q", "main"]);
}

#[test]
fn a_worktree_does_not_take_the_id_and_gets_it_once_its_repository_is_gone() {
    let mut world = World::new();
    repository(&world, "root/shop");
    world.sweep();
    let worktree = world.path("root/a-feature");
    git(&world.path("root/shop"), &["worktree", "add", "-q", worktree.to_str().unwrap(), "-b", "feature"]);
    world.sweep_settled();
    world.assert_active_at("a", "root/shop");
    assert_eq!(world.problems(), [(ProblemKind::DuplicateId, "root/a-feature".into())]);
    world.delete("root/shop");
    world.sweep_settled();
    world.assert_active_at("a", "root/a-feature");
    assert_eq!(world.problems(), []);
}

#[test]
fn a_registry_that_is_built_anew_prefers_the_main_checkout_wherever_it_lies() {
    let mut world = World::new();
    repository(&world, "root/shop");
    let worktree = world.path("root/a-feature");
    git(&world.path("root/shop"), &["worktree", "add", "-q", worktree.to_str().unwrap(), "-b", "feature"]);
    world.sweep();
    world.assert_active_at("a", "root/shop");
}

#[test]
fn a_branch_without_the_manifest_does_not_lose_the_agent_to_a_clone() {
    let mut world = World::new();
    repository(&world, "root/shop");
    world.sweep();
    git(&world.path("root"), &["clone", "-q", "shop", "clone"]);
    world.sweep_settled();
    git(&world.path("root/shop"), &["checkout", "-q", "bare"]);
    world.sweep_settled();
    world.assert_unreachable("a", "root/shop", Reason::Contested);
    git(&world.path("root/shop"), &["checkout", "-q", "main"]);
    world.sweep_settled();
    world.assert_active_at("a", "root/shop");
    assert_eq!(world.problems(), [(ProblemKind::DuplicateId, "root/clone".into())]);

    git(&world.path("root/shop"), &["checkout", "-q", "bare"]);
    world.sweep_settled();
    world.pass_time(Duration::from_mins(10));
    world.sweep_settled();
    world.assert_active_at("a", "root/clone");
}

#[test]
fn a_branch_with_another_agent_smears_no_row_and_all_is_right_after_switching_back() {
    let mut world = World::new();
    repository(&world, "root/shop");
    world.sweep();
    git(&world.path("root/shop"), &["checkout", "-q", "other"]);
    world.sweep_settled();
    world.assert_active_at("b", "root/shop");
    assert_eq!(world.record("b").unwrap().columns.name, "another agent");
    assert_eq!(world.state("a"), None, "nowhere else: displaced");
    git(&world.path("root/shop"), &["checkout", "-q", "main"]);
    world.sweep_settled();
    world.assert_active_at("a", "root/shop");
    assert_eq!(world.record("a").unwrap().columns.name, "an agent");
    assert_eq!((world.state("b"), world.problems()), (None, vec![]));
}

#[test]
fn a_copy_gets_the_id_once_the_original_is_deleted() {
    let mut world = World::new();
    repository(&world, "root/shop");
    world.sweep();
    world.copy("root/shop", "root/copy");
    world.sweep_settled();
    world.assert_active_at("a", "root/shop");
    world.delete("root/shop");
    world.sweep_settled();
    world.assert_active_at("a", "root/copy");
}

#[test]
fn a_clone_gets_nothing_while_the_drive_with_the_original_is_unplugged() {
    let mut world = World::with_roots(&["drive", "root"]);
    repository(&world, "drive/shop");
    world.sweep();
    world.rename("drive", "unplugged");
    git(&world.path("root"), &["clone", "-q", "../unplugged/shop", "clone"]);
    for _ in 0..3 {
        world.pass_time(A_DAY);
        world.sweep_settled();
        world.assert_unreachable("a", "drive/shop", Reason::RootOffline);
    }
    world.rename("unplugged", "drive");
    world.sweep_settled();
    world.assert_active_at("a", "drive/shop");
    assert_eq!(world.problems(), [(ProblemKind::DuplicateId, "root/clone".into())]);
}
