//! A reload: what is as it was is neither forgotten nor watched anew, and what changed is taken up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};
use meshd::agent::Reason;
use meshd::decide::Policy;
use meshd::disk::Kept;
use meshd::engine::Reconfigure;

use crate::support::World;

impl World {
    /// A reload and the sweeps that follow it.
    fn reload(&mut self, roots: &[&str], kept: Kept) {
        let roots = roots.iter().map(|root| self.path(root)).collect();
        let (policy, poll_interval) = (Policy::default(), Duration::from_secs(30));
        let settings = Reconfigure { roots, kept, policy, poll_interval, watch_budget: None };
        self.engine().reconfigure(settings).unwrap();
        self.sweep_settled();
    }
}

fn excluding(glob: &str) -> GlobSet {
    GlobSetBuilder::new().add(Glob::new(glob).unwrap()).build().unwrap()
}

fn with_three_agents() -> World {
    let mut world = World::with_roots(&["root", "other"]);
    world.agent("root/ns/a", "a");
    world.agent("root/ns/deep/b", "b");
    world.agent("other/c", "c");
    world.sweep();
    world.take_asked();
    world
}

fn none<'a>() -> impl IntoIterator<Item = &'a Path> {
    std::iter::empty()
}

#[track_caller]
fn assert_asked<'a>(
    world: &World,
    watched: impl IntoIterator<Item = &'a Path>,
    forgotten: impl IntoIterator<Item = &'a Path>,
) {
    let asked = world.take_asked();
    let in_world =
        |paths: Vec<&Path>| paths.into_iter().map(|path| world.path("").join(path)).collect::<Vec<PathBuf>>();
    assert_eq!(asked.watched.into_iter().collect::<Vec<_>>(), in_world(watched.into_iter().collect()), "watched");
    assert_eq!(asked.forgotten.into_iter().collect::<Vec<_>>(), in_world(forgotten.into_iter().collect()), "forgotten");
}

#[test]
fn a_reload_without_a_change_forgets_nothing_and_watches_nothing_anew() {
    let mut world = with_three_agents();
    world.reload(&["root", "other"], Kept::default());
    assert_asked(&world, none(), none());
    world.assert_active_at("a", "root/ns/a");
}

#[test]
fn a_reload_forgets_what_is_excluded_from_now_on_and_finds_it_again_after_the_next() {
    let mut world = with_three_agents();
    let deep = ["root/ns/deep", "root/ns/deep/b", "root/ns/deep/b/.dork"].map(Path::new);
    world.reload(&["root", "other"], Kept::new(5, excluding("**/deep")));
    assert_asked(&world, none(), deep);
    world.assert_unreachable("b", "root/ns/deep/b", Reason::OutOfScope);
    world.reload(&["root", "other"], Kept::default());
    assert_asked(&world, deep, none());
    world.assert_active_at("b", "root/ns/deep/b");
    world.reload(&["root", "other"], Kept::default().to_depth(2));
    assert_asked(&world, none(), ["root/ns/deep/b", "root/ns/deep/b/.dork"].map(Path::new));
    world.reload(&["root", "other"], Kept::default());
    world.assert_active_at("b", "root/ns/deep/b");
}

#[test]
fn a_reload_takes_up_other_roots() {
    let mut world = with_three_agents();
    let other = ["other", "other/c", "other/c/.dork"].map(Path::new);
    world.reload(&["root"], Kept::default());
    assert_asked(&world, none(), other);
    world.assert_unreachable("c", "other/c", Reason::OutOfScope);
    world.reload(&["root", "other"], Kept::default());
    assert_asked(&world, other, none());
    world.assert_active_at("c", "other/c");
    // A root in a root, and no more.
    let deep = ["root/ns/deep", "root/ns/deep/b", "root/ns/deep/b/.dork"].map(Path::new);
    for roots in [&["root", "root/ns/deep", "other"][..], &["root", "other"]] {
        world.reload(roots, Kept::default());
        assert_asked(&world, deep, deep);
        world.assert_active_at("b", "root/ns/deep/b");
    }
}
