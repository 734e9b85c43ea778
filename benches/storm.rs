//! Storms of notifications that concern no manifest: what they cost, and how long an edit elsewhere takes meanwhile; beside
//! the floor of the same run.
//!
//! `cargo bench --bench storm -- [--agents 1000] [--files 50000] [--directories 5000] [--rounds 5]`. Files are made and
//! removed in a `node_modules`, which is not watched, and in a directory of a project, which is. Then a project with many
//! directories is deleted, and the edit comes right after.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

mod rig;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use meshd::clock::monotonic;

use rig::bare::mirror::Mirror;
use rig::bare::rows::Synchronous;
use rig::daemon::Daemon;
use rig::observer::{Gaze, Observer};
use rig::process::busy;
use rig::times::{Times, latency, latency_head};
use rig::tree::{Project, Way, projects};
use rig::{Scratch, option};

fn main() -> anyhow::Result<()> {
    let (agents, files) = (option("--agents", 1000)?, option("--files", 50_000)?);
    let (directories, rounds) = (option("--directories", 5000)?, option("--rounds", 5)?);
    let scratch = Scratch::new()?;
    let (floor_tree, meshd_tree) = (scratch.tree("floor-tree", agents)?, scratch.tree("meshd-tree", agents)?);
    let registry = scratch.join("floor.db");
    let mirror = Mirror::start(&registry, &floor_tree, Synchronous::Normal)?;
    let (daemon, _) = Daemon::start(&scratch, "state", &meshd_tree, &["--sweep-interval", "1h"])?;
    let spent_floor = || Ok(Spent { busy: mirror.thread()?.busy, passes: 0.0, events: 0 });
    let spent_meshd = || {
        let (events, _) = daemon.events()?;
        Ok(Spent { busy: busy(daemon.pid())?, passes: daemon.metric("meshd_passes_total")?, events })
    };
    let mut floor = Side::new(&floor_tree, Observer::open(&registry)?, &spent_floor)?;
    let mut meshd = Side::new(&meshd_tree, Observer::open(&daemon.registry())?, &spent_meshd)?;

    println!("{agents} agents; an edit elsewhere, from the change to its committed row");
    latency_head();
    for (what, place) in [("node_modules", "node_modules"), ("a kept directory", "kept")] {
        let (of_floor, of_meshd) = (floor.storm(place, files)?, meshd.storm(place, files)?);
        latency(&format!("{files} files in {what}"), &of_floor.times, &of_meshd.times, "");
        of_floor.beside(&of_meshd);
    }
    let (mut of_floor, mut of_meshd) = (Deleted::default(), Deleted::default());
    for _ in 0..rounds {
        floor.delete(directories, &mut of_floor)?;
        meshd.delete(directories, &mut of_meshd)?;
    }
    latency(&format!("right after {directories} directories"), &of_floor.first, &of_meshd.first, "p99 ≤ 100 ms");
    latency("  in the second after it", &of_floor.then, &of_meshd.then, "");
    Ok(())
}

/// What a side has done so far.
struct Spent {
    busy: Duration,
    passes: f64,
    events: u64,
}

/// What a storm did.
struct Storm {
    times: Times,
    spent: Spent,
    took: Duration,
}

impl Storm {
    fn beside(&self, meshd: &Self) {
        let [floor, daemon] = [self, meshd].map(|storm| storm.spent.busy.as_secs_f64() * 1000.0);
        println!("{:36}{floor:^18.1}{daemon:^18.1}", "  its time on a processor, ms");
        let [floor, daemon] = [self, meshd].map(|storm| storm.took.as_secs_f64() * 1000.0);
        println!("{:36}{floor:^18.0}{daemon:^18.0}", "  the storm lasted, ms");
        println!("{:36}{:^18}{:^18}", "  edits meanwhile", self.times.len(), meshd.times.len());
        println!("{:36}{:^18}{:^18}", "  passes", "", meshd.spent.passes);
        println!("{:36}{:^18}{:^18}", "  events told", "", meshd.spent.events);
    }
}

/// Edits after deletions: the first of each, and those that follow.
#[derive(Default)]
struct Deleted {
    first: Times,
    then: Times,
}

/// One of the two: its tree, the eye on its registry, and how it says what it has done.
struct Side<'a> {
    tree: PathBuf,
    projects: Vec<Project>,
    observer: Observer,
    spent: &'a dyn Fn() -> anyhow::Result<Spent>,
    count: usize,
}

impl<'a> Side<'a> {
    fn new(tree: &Path, observer: Observer, spent: &'a dyn Fn() -> anyhow::Result<Spent>) -> anyhow::Result<Self> {
        Ok(Self { tree: tree.to_owned(), projects: projects(tree)?, observer, spent, count: 0 })
    }

    /// Makes files in a directory of a project and removes them, with edits elsewhere meanwhile.
    fn storm(&mut self, place: &str, files: usize) -> anyhow::Result<Storm> {
        let project = self.projects.last().context("a tree without projects")?.path.clone();
        let (directory, before, begun) = (project.join(place), (self.spent)()?, monotonic());
        let done = AtomicBool::new(false);
        let (times, took) = thread::scope(|scope| {
            let storm = scope.spawn(|| {
                let made = make_files(&directory, files).and_then(|()| Ok(fs::remove_dir_all(&directory)?));
                done.store(true, Ordering::Relaxed);
                made.map(|()| begun.elapsed())
            });
            let mut times = Times::default();
            while !done.load(Ordering::Relaxed) {
                times.push(self.edit()?);
            }
            let took = storm.join().map_err(|_| anyhow::anyhow!("a panic in the storm"))??;
            anyhow::Ok((times, took))
        })?;
        // What the storm left to do is its cost too.
        thread::sleep(Duration::from_secs(1));
        let after = (self.spent)()?;
        let spent = Spent {
            busy: after.busy.saturating_sub(before.busy),
            passes: after.passes - before.passes,
            events: after.events - before.events,
        };
        Ok(Storm { times, spent, took })
    }

    /// Deletes a project with many directories; then come edits elsewhere, the first at once.
    fn delete(&mut self, directories: usize, deleted: &mut Deleted) -> anyhow::Result<()> {
        /// Until all of the new directories are watched: half a millisecond each would be slow.
        const WATCHED: Duration = Duration::from_secs(3);
        const AFTER: Duration = Duration::from_secs(1);
        let project = self.tree.join("ns000/large");
        for number in 0..directories {
            fs::create_dir_all(project.join(format!("{:02}/{number:05}", number % 50)))?;
        }
        thread::sleep(WATCHED);
        fs::remove_dir_all(&project)?;
        deleted.first.push(self.edit_now()?);
        let begun = monotonic();
        while begun.elapsed() < AFTER {
            deleted.then.push(self.edit()?);
        }
        Ok(())
    }

    /// An edit some milliseconds from now.
    fn edit(&mut self) -> anyhow::Result<Duration> {
        thread::sleep(Duration::from_millis(5));
        self.edit_now()
    }

    /// Edits the next project; returns the time until its row says so.
    fn edit_now(&mut self) -> anyhow::Result<Duration> {
        self.count += 1;
        // The last one is the storm's.
        let place = self.count % (self.projects.len() - 1).max(1);
        let project = self.projects.get_mut(place).context("a tree without projects")?;
        let marker = format!("edit {} of its tree", self.count);
        let start = project.mark(&marker, Way::Rename)?;
        self.observer.wait_for(&project.path, &marker, start, Gaze::Blinking)
    }
}

/// A hundred in a directory, as packages are.
fn make_files(directory: &Path, files: usize) -> anyhow::Result<()> {
    for package in 0..files.div_ceil(100) {
        let package = directory.join(format!("package{package:04}"));
        fs::create_dir_all(&package)?;
        for file in 0..100 {
            fs::write(package.join(format!("{file:02}.js")), "")?;
        }
    }
    Ok(())
}
