//! From the start of the process until it is ready, beside the floor of the same run.
//!
//! `cargo bench --bench start -- [--agents 1000] [--starts 5] [--noise]`. The floor of a cold start is a walk by two
//! threads that watches each directory before it lists it, reads the manifests and inserts the rows in one transaction.
//! That of a start with a full registry reads the rows, and watches and `statx`es what is known, without listing anything.
//! `--noise` adds 43 directories to each project that belong to no scan; at 10,000 agents the tree takes minutes to make.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

mod rig;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use meshd::clock::monotonic;

use rig::bare::rows::{Rows, Synchronous};
use rig::bare::walk::Walked;
use rig::bare::watch::Watch;
use rig::daemon::Daemon;
use rig::times::{Times, duration, duration_head};
use rig::tree::{self, Noise};
use rig::{Scratch, given, option};

fn main() -> anyhow::Result<()> {
    let (agents, starts) = (option("--agents", 1000)?, option("--starts", 5)?);
    let noise = if given("--noise") { Noise::Pruned } else { Noise::None };
    let scratch = Scratch::new()?;
    let tree = scratch.join("tree");
    tree::make(&tree, agents, noise)?;
    let walked = Walked::walk(std::slice::from_ref(&tree), |_| Ok(()))?;
    let more = if noise == Noise::Pruned { agents * 43 } else { 0 };
    println!(
        "{agents} agents, {} directories and {more} that are not entered; {starts} starts",
        walked.directories.len()
    );
    duration_head();
    start(&scratch, &tree, &walked, starts, Registry::Empty)?;
    start(&scratch, &tree, &walked, starts, Registry::Full)
}

/// With what a start begins.
#[derive(Clone, Copy)]
enum Registry {
    Empty,
    Full,
}

fn start(scratch: &Scratch, tree: &Path, known: &Walked, starts: usize, registry: Registry) -> anyhow::Result<()> {
    let (mut floor, mut meshd) = (Times::default(), Times::default());
    let (name, what) = match registry {
        Registry::Empty => ("cold", "cold start to ready"),
        Registry::Full => ("full", "start with a full registry"),
    };
    let rows = scratch.join("start.db");
    // The first of each is not counted: it fills the registry for a full start, and the kernel's caches for both.
    for number in 0..=starts {
        if matches!(registry, Registry::Empty) {
            for suffix in ["", "-wal", "-shm"] {
                // Not there the first time.
                let _ = fs::remove_file(scratch.join(&format!("start.db{suffix}")));
            }
            let _ = fs::remove_dir_all(scratch.join(name));
        }
        let begun = monotonic();
        let watch = bare_start(tree, known, &rows, registry)?;
        let bare = begun.elapsed();
        // Watches are given back before the daemon needs its own.
        drop(watch);
        let (daemon, ready) = Daemon::start(scratch, name, tree, &["--sweep-interval", "1h"])?;
        drop(daemon);
        if number > 0 {
            floor.push(bare);
            meshd.push(ready);
        }
    }
    duration(what, &floor, &meshd, "≤ 2 floors");
    Ok(())
}

fn bare_start(tree: &Path, known: &Walked, registry: &Path, state: Registry) -> anyhow::Result<Watch> {
    let rows = Rows::open(registry, Synchronous::Normal)?;
    let watch = Watch::new()?;
    match state {
        Registry::Empty => {
            for (project, manifest) in found(tree, &watch)? {
                rows.put(&project, &manifest)?;
            }
            rows.commit()?;
        }
        Registry::Full => {
            rows.read()?;
            for directory in &known.directories {
                watch.add(directory)?;
            }
            known.look();
        }
    }
    Ok(watch)
}

/// The manifests of a tree that is walked, watched and read by two threads, each with one half of its top.
fn found(tree: &Path, watch: &Watch) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    watch.add(tree)?;
    let mut halves = [Vec::new(), Vec::new()];
    for (number, entry) in fs::read_dir(tree)?.enumerate() {
        if let Some(half) = halves.get_mut(number % 2) {
            half.push(entry?.path());
        }
    }
    let walk = |half: &[PathBuf]| -> anyhow::Result<Vec<_>> {
        let walked = Walked::walk(half, |directory| watch.add(directory).map(drop))?;
        walked.manifests.into_iter().map(|file| Ok((file.clone(), fs::read(file)?))).collect()
    };
    let [one, other] = &halves;
    thread::scope(|scope| {
        let second = scope.spawn(|| walk(other));
        let mut rows = walk(one)?;
        rows.extend(second.join().map_err(|_| anyhow::anyhow!("a panic in the floor"))??);
        Ok(rows)
    })
}
