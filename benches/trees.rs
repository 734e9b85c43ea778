//! From a new project to its committed row, and whether all that was made arrives; beside the floor of the same run.
//!
//! `cargo bench --bench trees -- [--agents 1000] [--trees 10000] [--single 500]`. A project is `mkdir -p P/.dork` and a
//! manifest. In a burst two threads make them as fast as they can; then they are made one at a time. The clock starts just
//! before the manifest is closed and stops when another connection reads the row.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

mod rig;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use meshd::clock::monotonic;

use rig::bare::mirror::Mirror;
use rig::bare::rows::Synchronous;
use rig::daemon::Daemon;
use rig::observer::{Gaze, Observer};
use rig::times::{Times, latency, latency_head};
use rig::tree::{manifest, manifest_into};
use rig::{Scratch, option};

/// The numbers of new projects begin here; those of the tree end below.
const FIRST: usize = 1_000_000;

fn main() -> anyhow::Result<()> {
    let (agents, trees, single) = (option("--agents", 1000)?, option("--trees", 10_000)?, option("--single", 500)?);
    let scratch = Scratch::new()?;
    let (floor_tree, meshd_tree) = (scratch.tree("floor-tree", agents)?, scratch.tree("meshd-tree", agents)?);
    let registry = scratch.join("floor.db");
    let _mirror = Mirror::start(&registry, &floor_tree, Synchronous::Normal)?;
    let (daemon, _) = Daemon::start(&scratch, "state", &meshd_tree, &["--sweep-interval", "1h"])?;
    let mut floor = Side { tree: floor_tree, observer: Observer::open(&registry)?, made: FIRST };
    let mut meshd = Side { tree: meshd_tree, observer: Observer::open(&daemon.registry())?, made: FIRST };

    println!("{agents} agents; new projects, from the manifest to its committed row");
    latency_head();
    let (of_floor, of_meshd) = (floor.one_at_a_time(single)?, meshd.one_at_a_time(single)?);
    latency(&format!("{single} one at a time"), &of_floor, &of_meshd, "p99 ≤ 20 ms");
    let (of_floor, of_meshd) = (floor.burst(trees)?, meshd.burst(trees)?);
    latency(&format!("{trees} in a burst"), &of_floor.times, &of_meshd.times, "p99 ≤ 20 ms");
    let per_second = |burst: &Burst| burst.rate(trees);
    println!("{:36}{:^18.0}{:^18.0}", "  made a second", of_floor.rate_made, of_meshd.rate_made);
    println!("{:36}{:^18.0}{:^18.0}", "  rows a second", per_second(&of_floor), per_second(&of_meshd));
    println!("{:36}{:^18}{:^18}  must be 0", "  without a row", of_floor.lost, of_meshd.lost);

    // A sweep finds what was not announced; what is only late has a second for it.
    daemon.ask("POST", "/api/mesh/reconcile")?;
    thread::sleep(Duration::from_millis(2500));
    let (missed, (_, overflows)) = (daemon.metric("meshd_missed_events_total")?, daemon.events()?);
    println!("{:36}{:^18}{missed:^18}  must be 0", "  missed, as the daemon says", "");
    println!("{:36}{:^18}{overflows:^18}", "  watch.overflow, as the daemon says", "");
    Ok(())
}

/// One of the two: its tree, and the eye on its registry.
struct Side {
    tree: PathBuf,
    observer: Observer,
    made: usize,
}

/// What came of a burst.
struct Burst {
    times: Times,
    lost: usize,
    rate_made: f64,
    all: Duration,
}

impl Burst {
    fn rate(&self, trees: usize) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "some ten thousands")]
        let arrived = (trees - self.lost) as f64;
        arrived / self.all.as_secs_f64()
    }
}

impl Side {
    fn one_at_a_time(&mut self, trees: usize) -> anyhow::Result<Times> {
        /// So that each finds its watcher asleep.
        const PAUSE: Duration = Duration::from_millis(2);
        let mut times = Times::default();
        for number in self.made..self.made + trees {
            thread::sleep(PAUSE);
            let (project, start) = make(&self.tree, number)?;
            // What the row says of a new project is all in its manifest.
            times.push(self.observer.wait_for(&project, &format!("project {number:05}"), start, Gaze::Steady)?);
        }
        self.made += trees;
        Ok(times)
    }

    fn burst(&mut self, trees: usize) -> anyhow::Result<Burst> {
        let (first, middle, last) = (self.made, self.made + trees / 2, self.made + trees);
        let (mut row, begun) = (self.observer.last_row()?, monotonic());
        let tree = self.tree.as_path();
        let half = |numbers: std::ops::Range<usize>| -> anyhow::Result<_> {
            let made: anyhow::Result<Vec<_>> = numbers.map(|number| make(tree, number)).collect();
            Ok((made?, monotonic()))
        };
        let (made, end, arrived) = thread::scope(|scope| {
            let halves = [scope.spawn(|| half(first..middle)), scope.spawn(|| half(middle..last))];
            let arrived = arrivals(&self.observer, &mut row, trees)?;
            let (mut made, mut end) = (Vec::new(), begun);
            for half in halves {
                let (projects, ended) = half.join().map_err(|_| anyhow::anyhow!("a panic in a maker"))??;
                made.extend(projects);
                end = end.max(ended);
            }
            anyhow::Ok((made, end, arrived))
        })?;
        self.made = last;
        let seen = made.iter().filter_map(|(project, start)| {
            let when = arrived.get(project.to_str()?)?;
            Some(when.saturating_duration_since(*start))
        });
        let mut times = Times::default();
        times.extend(seen);
        let all = arrived.values().max().map_or(Duration::ZERO, |last| last.saturating_duration_since(begun));
        #[allow(clippy::cast_precision_loss, reason = "some ten thousands")]
        let rate_made = trees as f64 / end.saturating_duration_since(begun).as_secs_f64();
        Ok(Burst { times, lost: trees - arrived.len(), rate_made, all })
    }
}

/// Makes a project somewhere below some directories that may be new too.
fn make(tree: &Path, number: usize) -> anyhow::Result<(PathBuf, Instant)> {
    let namespace = format!("new{:02}", number / 10 % 50);
    let project = tree.join(&namespace).join(format!("proj{number:05}"));
    let start = manifest_into(&project, &manifest(number, &namespace))?;
    Ok((project, start))
}

/// When each of `all` rows was seen to be there; fewer, if none comes any more.
fn arrivals(observer: &Observer, row: &mut i64, all: usize) -> anyhow::Result<HashMap<String, Instant>> {
    /// Nobody who still works on a burst is silent for so long.
    const SILENCE: Duration = Duration::from_secs(10);
    /// Between two looks, so that makers and watchers have the processors.
    const EVERY: Duration = Duration::from_millis(1);
    let (mut arrived, mut last) = (HashMap::new(), monotonic());
    while arrived.len() < all && last.elapsed() < SILENCE {
        thread::sleep(EVERY);
        let new = observer.arrived(row).context("reading what arrived")?;
        let now = monotonic();
        if !new.is_empty() {
            last = now;
        }
        arrived.extend(new.into_iter().map(|path| (path, now)));
    }
    Ok(arrived)
}
