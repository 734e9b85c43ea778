//! A sweep that finds nothing new, one that the kernel has forgotten things for, and one that finds 1 % changed; each
//! beside the floor of the same run.
//!
//! `cargo bench --bench sweep -- [--agents 1000] [--rounds 20] [--changed 5]`. The floor is a `statx` of every directory
//! and every manifest that meshd knows, on one thread; for what changed it also reads those manifests and commits their
//! rows in one transaction. The kernel is told to forget through `drop_caches`, which only root may; it keeps inodes and
//! names, and drops the blocks that a listing reads.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

mod rig;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use meshd::clock::monotonic;
use serde_json::Value;

use rig::bare::rows::{Rows, Synchronous};
use rig::bare::walk::{Changed, Walked};
use rig::daemon::Daemon;
use rig::observer::Observer;
use rig::times::{Times, duration, duration_head};
use rig::tree::{Way, projects};
use rig::{Scratch, option};

/// A manifest that is younger than this when it is read may change within one tick of the clock and is read again.
const RACY: Duration = Duration::from_millis(2500);

fn main() -> anyhow::Result<()> {
    let (agents, rounds) = (option("--agents", 1000)?, option("--rounds", 20)?);
    let scratch = Scratch::new()?;
    let tree = scratch.tree("tree", agents)?;
    let walked = Walked::walk(std::slice::from_ref(&tree), |_| Ok(()))?;
    println!("{agents} agents, {} directories; {rounds} idle sweeps of each kind", walked.directories.len());
    duration_head();
    let (daemon, _) = Daemon::start(&scratch, "sweep", &tree, &["--sweep-interval", "1h"])?;
    thread::sleep(RACY);
    idle(&daemon, &walked, rounds, Cache::Warm)?;
    idle(&daemon, &walked, rounds, Cache::Dropped)?;
    drop(daemon);
    changed(&scratch, &tree, &walked, option("--changed", 5)?)
}

/// What the kernel still has of the directories.
#[derive(Clone, Copy)]
enum Cache {
    Warm,
    Dropped,
}

impl Cache {
    /// Brings it about; `false` where that is not permitted.
    fn prepare(self) -> bool {
        match self {
            Self::Warm => true,
            Self::Dropped => {
                rustix::fs::sync();
                fs::write("/proc/sys/vm/drop_caches", "1").is_ok()
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Warm => "idle",
            Self::Dropped => "idle, caches dropped",
        }
    }
}

fn idle(daemon: &Daemon, walked: &Walked, rounds: usize, cache: Cache) -> anyhow::Result<()> {
    for _ in 0..3 {
        walked.look();
        sweep(daemon, 0)?;
    }
    let registry = Observer::open(&daemon.registry())?;
    let (before, written) = (registry.version()?, size(daemon));
    let (mut floor, mut listing, mut own, mut asked) =
        (Times::default(), Times::default(), Times::default(), Times::default());
    for _ in 0..rounds {
        if !cache.prepare() {
            println!("{:36}not permitted here", cache.name());
            return Ok(());
        }
        let begun = monotonic();
        let there = walked.look();
        floor.push(begun.elapsed());
        ensure!(there == walked.directories.len() + walked.manifests.len(), "the tree changed");

        cache.prepare();
        let took = sweep(daemon, 0)?;
        own.push(took.own);
        asked.push(took.asked);

        if let Some(top) = walked.top().filter(|_| matches!(cache, Cache::Dropped)) {
            cache.prepare();
            let begun = monotonic();
            Walked::walk(&[top.to_owned()], |_| Ok(()))?;
            listing.push(begun.elapsed());
        }
    }
    duration(&format!("{}: as the daemon says", cache.name()), &floor, &own, "≤ 1.5 floors");
    duration(&format!("{}: asked for", cache.name()), &floor, &asked, "≤ 1.5 floors");
    if matches!(cache, Cache::Dropped) {
        println!("{:36}{:10.2}", "  by listing it would be", listing.percentile(50));
    }
    let commits = if registry.version()? == before { "none" } else { "some" };
    println!(
        "{:36}commits: {commits}; bytes: {}; must be none, 0",
        "  written in these sweeps",
        size(daemon) - written
    );
    Ok(())
}

fn changed(scratch: &Scratch, tree: &Path, walked: &Walked, rounds: usize) -> anyhow::Result<()> {
    let (daemon, _) = Daemon::start(scratch, "changed", tree, &["--sweep-interval", "1h", "--no-watch"])?;
    let rows = Rows::open(&scratch.join("floor.db"), Synchronous::Normal)?;
    let mut bare = Changed::default();
    let mut projects = projects(tree)?;
    let part = (projects.len() / 100).max(1);
    let (mut floor, mut own, mut asked) = (Times::default(), Times::default(), Times::default());
    // The first round is not counted: the floor reads everything in it.
    for round in 0..=rounds {
        thread::sleep(RACY);
        sweep(&daemon, 0)?;
        bare.sweep(walked, &rows)?;
        for project in projects.iter_mut().skip(round).step_by(100).take(part) {
            project.mark(&format!("round {round}"), Way::Rename)?;
        }
        let begun = monotonic();
        let found = bare.sweep(walked, &rows)?;
        let bare = begun.elapsed();
        ensure!(found == part, "the floor found {found} of {part}");
        let took = sweep(&daemon, part)?;
        if round > 0 {
            floor.push(bare);
            own.push(took.own);
            asked.push(took.asked);
        }
    }
    duration("1 % changed: as the daemon says", &floor, &own, "≤ 1.5 floors");
    duration("1 % changed: asked for", &floor, &asked, "≤ 1.5 floors");
    Ok(())
}

/// How long a sweep took.
struct Took {
    /// By the daemon's own measure.
    own: Duration,
    /// From the question to the answer.
    asked: Duration,
}

/// Asks for a sweep, which must sync so many and do nothing else.
fn sweep(daemon: &Daemon, synced: usize) -> anyhow::Result<Took> {
    let before = daemon.metric("meshd_sweep_duration_seconds_sum")?;
    let begun = monotonic();
    let result: Value = serde_json::from_str(&daemon.ask("POST", "/api/mesh/reconcile")?)?;
    let asked = begun.elapsed();
    let spent = daemon.metric("meshd_sweep_duration_seconds_sum")? - before;
    let mut counters = result.as_object().into_iter().flatten();
    let is_right = |(name, count): (&String, &Value)| *count == if name == "synced" { synced } else { 0 };
    ensure!(counters.all(is_right), "not a sweep that syncs {synced}: {result}");
    Ok(Took { own: Duration::try_from_secs_f64(spent).unwrap_or_default(), asked })
}

/// Bytes in the registry's two files that grow.
fn size(daemon: &Daemon) -> u64 {
    let registry = daemon.registry();
    let log = registry.with_file_name("registry.db-wal");
    [registry, log].iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
}
