//! The idle sweep and the start, each beside the floor of the same run.
//!
//! `cargo bench --bench sweep -- [--agents 1000] [--rounds 20] [--starts 5]`. The sweep's floor is a `statx` of every
//! directory and every manifest that meshd knows, on one thread. The cold start's is a walk by two threads that watches
//! each directory before it lists it, reads the manifests and inserts the rows in one transaction. That of a start with a
//! full registry reads the rows, and watches and `statx`es what is known, without listing anything.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

mod rig;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use meshd::clock::monotonic;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use rig::bare::{Rows, Synchronous, Walked, Watch};
use rig::{Daemon, Scratch, Times, option};

fn main() -> anyhow::Result<()> {
    let (agents, rounds, starts) = (option("--agents", 1000)?, option("--rounds", 20)?, option("--starts", 5)?);
    let scratch = Scratch::new()?;
    let tree = scratch.tree("tree", agents)?;
    let walked = Walked::walk(std::slice::from_ref(&tree), |_| Ok(()))?;
    println!(
        "{agents} agents, {} directories; milliseconds, p50 of {rounds} sweeps and {starts} starts",
        walked.directories.len()
    );
    println!("{:34}{:>9}{:>9}{:>8}  must be", "", "floor", "meshd", "ratio");
    sweeps(&scratch, &tree, &walked, rounds)?;
    start(&scratch, &tree, &walked, starts, Registry::Empty)?;
    start(&scratch, &tree, &walked, starts, Registry::Full)
}

fn sweeps(scratch: &Scratch, tree: &Path, walked: &Walked, rounds: usize) -> anyhow::Result<()> {
    // A manifest that is younger than this when it is read may change within one tick of the clock and is read again.
    const RACY: Duration = Duration::from_secs(2);
    let (daemon, _) = Daemon::start(scratch, "sweep", tree, &["--sweep-interval", "1h"])?;
    thread::sleep(RACY + Duration::from_millis(500));
    for _ in 0..3 {
        walked.look();
        daemon.ask("POST", "/api/mesh/reconcile")?;
    }
    let registry = Connection::open_with_flags(daemon.registry(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version = || registry.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0));
    let (before, written) = (version()?, daemon_wrote(&daemon));
    let (mut floor, mut asked, mut own) = (Times::default(), Times::default(), Times::default());
    for _ in 0..rounds {
        let begun = monotonic();
        let there = walked.look();
        floor.push(begun.elapsed());
        ensure!(there == walked.directories.len() + walked.manifests.len(), "the tree changed");

        let spent = daemon.metric("meshd_sweep_duration_seconds_sum")?;
        let begun = monotonic();
        let result: Value = serde_json::from_str(&daemon.ask("POST", "/api/mesh/reconcile")?)?;
        asked.push(begun.elapsed());
        let spent = daemon.metric("meshd_sweep_duration_seconds_sum")? - spent;
        own.push(Duration::try_from_secs_f64(spent).unwrap_or_default());
        let idle = result.as_object().is_some_and(|counters| counters.values().all(|count| count == 0));
        ensure!(idle, "not an idle sweep: {result}");
    }
    row("idle sweep, as the daemon says", &floor, &own, "1.5");
    row("idle sweep, asked for by socket", &floor, &asked, "1.5");
    let pages = if version()? == before { "none" } else { "some" };
    println!("{:34}commits: {pages}; bytes: {}", "  written in these sweeps", daemon_wrote(&daemon) - written);
    Ok(())
}

/// Bytes in the registry's two files that grow.
fn daemon_wrote(daemon: &Daemon) -> u64 {
    let registry = daemon.registry();
    let log = registry.with_file_name("registry.db-wal");
    [registry, log].iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
}

/// With what a start begins.
#[derive(Clone, Copy)]
enum Registry {
    Empty,
    Full,
}

fn start(scratch: &Scratch, tree: &Path, known: &Walked, starts: usize, registry: Registry) -> anyhow::Result<()> {
    let (mut floor, mut meshd) = (Times::default(), Times::default());
    let name = match registry {
        Registry::Empty => "cold",
        Registry::Full => "full",
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
    match registry {
        Registry::Empty => row("cold start to ready", &floor, &meshd, "2.0"),
        Registry::Full => row("start with a full registry", &floor, &meshd, "2.0"),
    }
    Ok(())
}

fn bare_start(tree: &Path, known: &Walked, registry: &Path, state: Registry) -> anyhow::Result<Watch> {
    let mut rows = Rows::open(registry, Synchronous::Normal)?;
    let watch = Watch::new()?;
    match state {
        Registry::Empty => rows.insert(found(tree, &watch)?.into_iter())?,
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

/// The rows of a tree that is walked, watched and read by two threads, each with one half of its top.
fn found(tree: &Path, watch: &Watch) -> anyhow::Result<Vec<(String, PathBuf, Vec<u8>)>> {
    watch.add(tree)?;
    let mut halves = [Vec::new(), Vec::new()];
    for (number, entry) in fs::read_dir(tree)?.enumerate() {
        if let Some(half) = halves.get_mut(number % 2) {
            half.push(entry?.path());
        }
    }
    let walk = |half: &[PathBuf]| -> anyhow::Result<Vec<_>> {
        let walked = Walked::walk(half, |directory| watch.add(directory).map(drop))?;
        let read = |file: PathBuf| Ok((file.display().to_string(), file.clone(), fs::read(file)?));
        walked.manifests.into_iter().map(read).collect()
    };
    let [one, other] = &halves;
    thread::scope(|scope| {
        let second = scope.spawn(|| walk(other));
        let mut rows = walk(one)?;
        rows.extend(second.join().map_err(|_| anyhow::anyhow!("a panic in the floor"))??);
        Ok(rows)
    })
}

fn row(what: &str, floor: &Times, meshd: &Times, most: &str) {
    let (floor, meshd) = (floor.percentile(50), meshd.percentile(50));
    println!("{what:34}{floor:9.2}{meshd:9.2}{:8.2}  ≤ {most}", meshd / floor);
}
