//! The memory of an idle daemon, beside floors that watch the same directories.
//!
//! `cargo bench --bench memory -- [--agents N]`; without a number at 50, 1,000 and 10,000 agents. Each floor is a process of
//! its own: one that only walks the tree, one that watches it with bare inotify and keeps the paths, one that watches it
//! through notify as meshd does and keeps nothing itself. What notify's tables take is the last without the first.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

mod rig;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use notify::{Config, EventKindMask, INotifyWatcher, PathOp, RecursiveMode, WatchPathConfig, Watcher};

use rig::bare::walk::Walked;
use rig::bare::watch::Watch;
use rig::child::{self, Floor};
use rig::daemon::Daemon;
use rig::process::Memory;
use rig::{Scratch, option, word};

/// As many watches an instance as meshd has: taking one off costs time in proportion to all.
const WATCHES: usize = 4096;

fn main() -> anyhow::Result<()> {
    if let Some(name) = child::asked_for() {
        return be(&name, &PathBuf::from(word("--tree").context("a floor without a tree")?));
    }
    let sizes = if word("--agents").is_some() { vec![option("--agents", 0)?] } else { vec![50, 1000, 10_000] };
    for agents in sizes {
        measure(agents)?;
    }
    Ok(())
}

fn measure(agents: usize) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let tree = scratch.tree("tree", agents)?;
    let directories = Walked::walk(std::slice::from_ref(&tree), |_| Ok(()))?.directories.len();
    println!("{agents} agents, {directories} directories, kB");
    println!("{:36}{:>9}{:>9}{:>9}{:>12}", "", "VmRSS", "RssAnon", "VmHWM", "B/directory");
    let row = |what: &str, memory: Memory| {
        let each = usize::try_from(memory.anonymous).unwrap_or(usize::MAX) / directories;
        let [resident, anonymous, most] = [memory.resident, memory.anonymous, memory.most].map(|bytes| bytes / 1024);
        println!("{what:36}{resident:9}{anonymous:9}{most:9}{each:12}");
        memory
    };
    let floor = |name: &str| {
        let floor = Floor::start(name, &["--tree", &tree.to_string_lossy()])?;
        Memory::of(floor.pid())
    };
    let nothing = row("floor that only walks", floor("walk")?);
    row("floor with bare inotify", floor("inotify")?);
    let through = row("floor with notify", floor("notify")?);
    let (daemon, _) = Daemon::start(&scratch, "cold", &tree, &["--sweep-interval", "1h"])?;
    row("meshd, started cold", Memory::of(daemon.pid())?);
    for _ in 0..10 {
        daemon.ask("POST", "/api/mesh/reconcile")?;
    }
    row("  after ten sweeps", Memory::of(daemon.pid())?);
    drop(daemon);
    let (daemon, _) = Daemon::start(&scratch, "cold", &tree, &["--sweep-interval", "1h"])?;
    let meshd = row("meshd, its registry full", Memory::of(daemon.pid())?);
    let tables = through.anonymous.saturating_sub(nothing.anonymous);
    println!("{:36}{:9}", "notify's own tables", tables / 1024);
    println!(
        "{:36}{:9}  must be ≤ {}\n",
        "meshd without them",
        meshd.resident.saturating_sub(tables) / 1024,
        16 * 1024
    );
    Ok(())
}

/// Is one of the floors.
fn be(name: &str, tree: &Path) -> anyhow::Result<()> {
    match name {
        "walk" => {
            walk_by_parts(tree, |_| Ok(()))?;
            child::stay()
        }
        "inotify" => {
            let (watch, mut paths) = (Watch::new()?, HashMap::new());
            walk_by_parts(tree, |directory| {
                if let Some(number) = watch.add(directory)? {
                    paths.insert(number, directory.to_owned());
                }
                Ok(())
            })?;
            child::stay()
        }
        "notify" => {
            let mut through = Through::default();
            walk_by_parts(tree, |directory| through.add(directory))?;
            through.flush()?;
            child::stay()
        }
        _ => bail!("no floor is called {name}"),
    }
}

/// Walks a namespace at a time, so that the walk's own lists are small and leave no holes worth counting.
fn walk_by_parts(tree: &Path, mut enter: impl FnMut(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    enter(tree)?;
    for part in std::fs::read_dir(tree)? {
        Walked::walk(&[part?.path()], &mut enter)?;
    }
    Ok(())
}

/// Directories that are watched through notify: those called `.dork` in instances of their own, as in meshd.
#[derive(Default)]
struct Through {
    dorks: Instances,
    others: Instances,
}

impl Through {
    fn add(&mut self, directory: &Path) -> anyhow::Result<()> {
        let moves = EventKindMask::CREATE | EventKindMask::REMOVE | EventKindMask::MODIFY_NAME;
        if directory.ends_with(".dork") {
            self.dorks.add(directory, moves | EventKindMask::ACCESS_CLOSE)
        } else {
            self.others.add(directory, moves)
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.dorks.flush()?;
        self.others.flush()
    }
}

/// Instances of one kind.
#[derive(Default)]
struct Instances {
    open: Vec<INotifyWatcher>,
    watched: usize,
    batch: Vec<PathOp>,
}

impl Instances {
    fn add(&mut self, directory: &Path, mask: EventKindMask) -> anyhow::Result<()> {
        if self.watched.is_multiple_of(WATCHES) {
            self.flush()?;
            let config = Config::default().with_follow_symlinks(false).with_event_kinds(mask);
            self.open.push(INotifyWatcher::new(|_| (), config)?);
        }
        let config = WatchPathConfig::new(RecursiveMode::NonRecursive).with_dereference_symlinks(false);
        self.batch.push(PathOp::Watch(directory.to_owned(), config));
        self.watched += 1;
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let Some(last) = self.open.last_mut() else { return Ok(()) };
        last.update_paths(std::mem::take(&mut self.batch))?;
        Ok(())
    }
}
