//! From a saved manifest to its committed row: p50 and p99, beside the floor of the same run.
//!
//! `cargo bench --bench change -- [--agents 1000] [--changes 500] [--full]`. Manifests are rewritten one at a time, by
//! rename and in place: with nothing else going on, while the side under test sweeps back to back, and while a thousand
//! other manifests a second are rewritten. The clock starts just before the rename or the close, and stops when another
//! connection, which spins on `PRAGMA data_version`, reads the new row. `--full` syncs the floor's commits to disk.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

mod rig;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use meshd::clock::monotonic;

use rig::bare::mirror::Mirror;
use rig::bare::rows::Synchronous;
use rig::bare::walk::Walked;
use rig::daemon::Daemon;
use rig::observer::{Gaze, Observer};
use rig::times::{Times, latency, latency_head};
use rig::tree::{Project, Way, projects};
use rig::{Scratch, given, option};

/// Changes of one side before it is the other's turn: long enough to be warm, short enough to share its moods.
const BLOCK: usize = 50;

/// Between two changes, so that each finds its watcher asleep, as a person's save does.
const PAUSE: Duration = Duration::from_millis(2);

/// What goes on meanwhile, on the side whose turn it is.
#[derive(Clone, Copy)]
enum Beside {
    Nothing,
    Sweeps,
    Changes,
}

fn main() -> anyhow::Result<()> {
    let (agents, changes) = (option("--agents", 1000)?, option("--changes", 500)?);
    let synchronous = if given("--full") { Synchronous::Full } else { Synchronous::Normal };
    let scratch = Scratch::new()?;
    let (floor_tree, meshd_tree) = (scratch.tree("floor-tree", agents)?, scratch.tree("meshd-tree", agents)?);

    let registry = scratch.join("floor.db");
    let _mirror = Mirror::start(&registry, &floor_tree, synchronous)?;
    let walked = Walked::walk(std::slice::from_ref(&floor_tree), |_| Ok(()))?;
    let (daemon, _) = Daemon::start(&scratch, "state", &meshd_tree, &["--sweep-interval", "1h"])?;
    let sweep_floor = || {
        walked.look();
        Ok(())
    };
    let sweep_meshd = || daemon.ask("POST", "/api/mesh/reconcile").map(drop);
    let mut floor = Side::new(projects(&floor_tree)?, Observer::open(&registry)?, &sweep_floor);
    let mut meshd = Side::new(projects(&meshd_tree)?, Observer::open(&daemon.registry())?, &sweep_meshd);

    println!("{agents} agents, {changes} changes each way, the floor's synchronous={}", synchronous.as_str());
    println!("from the change to its committed row");
    latency_head();
    for beside in [Beside::Nothing, Beside::Sweeps, Beside::Changes] {
        for way in [Way::Rename, Way::InPlace] {
            let (mut floor_times, mut meshd_times) = (Times::default(), Times::default());
            (floor.meanwhile, meshd.meanwhile) = (Meanwhile::default(), Meanwhile::default());
            // The first block of each warms up and is not counted.
            for block in 0..=changes.div_ceil(BLOCK) {
                for (side, times) in [(&mut floor, &mut floor_times), (&mut meshd, &mut meshd_times)] {
                    let of_block = side.block(way, beside)?;
                    if block > 0 {
                        times.extend(of_block);
                    }
                }
            }
            print(beside, way, &floor_times, &meshd_times);
            if !matches!(beside, Beside::Nothing) {
                println!(
                    "{:36}{:^18.0}{:^18.0}",
                    "  of those a second",
                    floor.meanwhile.rate(),
                    meshd.meanwhile.rate()
                );
            }
        }
    }
    Ok(())
}

fn print(beside: Beside, way: Way, floor: &Times, meshd: &Times) {
    let way = match way {
        Way::Rename => "by rename",
        Way::InPlace => "in place",
    };
    let (beside, target) = match beside {
        Beside::Nothing => ("", "p50 ≤ 2, p99 ≤ 4 floors"),
        Beside::Sweeps => (", while it sweeps", "p99 ≤ 25 ms"),
        Beside::Changes => (", beside 1,000 changes/s", "p99 ≤ 25 ms"),
    };
    latency(&format!("{way}{beside}"), floor, meshd, target);
}

/// What went on beside the changes, and for how long.
#[derive(Default)]
struct Meanwhile {
    count: u32,
    time: Duration,
}

impl Meanwhile {
    fn rate(&self) -> f64 {
        f64::from(self.count) / self.time.as_secs_f64()
    }
}

/// One of the two: its tree, the eye on its registry, and how it sweeps.
struct Side<'a> {
    measured: Vec<Project>,
    others: Vec<Project>,
    observer: Observer,
    sweep: &'a (dyn Fn() -> anyhow::Result<()> + Sync),
    count: usize,
    meanwhile: Meanwhile,
}

impl<'a> Side<'a> {
    fn new(mut measured: Vec<Project>, observer: Observer, sweep: &'a (dyn Fn() -> anyhow::Result<()> + Sync)) -> Self {
        let others = measured.split_off(measured.len() / 2);
        Self { measured, others, observer, sweep, count: 0, meanwhile: Meanwhile::default() }
    }

    /// One block of changes; returns the time of each until its row says so.
    fn block(&mut self, way: Way, beside: Beside) -> anyhow::Result<Vec<Duration>> {
        let gaze = if matches!(beside, Beside::Nothing) { Gaze::Steady } else { Gaze::Blinking };
        let Self { measured, others, observer, sweep, count, meanwhile } = self;
        let (done, begun) = (AtomicBool::new(false), monotonic());
        thread::scope(|scope| {
            let busy = scope.spawn(|| match beside {
                Beside::Nothing => Ok(0),
                Beside::Sweeps => sweep_until(&done, sweep),
                Beside::Changes => rewrite_until(&done, others),
            });
            let times = (0..BLOCK).map(|_| change(measured, observer, count, way, gaze)).collect();
            done.store(true, Ordering::Relaxed);
            meanwhile.count += busy.join().map_err(|_| anyhow::anyhow!("a panic beside"))??;
            meanwhile.time += begun.elapsed();
            times
        })
    }
}

/// Changes the next manifest; returns the time until its row says so.
fn change(
    projects: &mut [Project],
    observer: &mut Observer,
    count: &mut usize,
    way: Way,
    gaze: Gaze,
) -> anyhow::Result<Duration> {
    /// Prime: all projects have their turn before one comes again, and neighbours do not follow each other.
    const STRIDE: usize = 397;
    thread::sleep(PAUSE);
    *count += 1;
    let place = *count * STRIDE % projects.len();
    let project = projects.get_mut(place).context("a tree without projects")?;
    let marker = format!("change number {count} of its tree");
    let start = project.mark(&marker, way)?;
    observer.wait_for(&project.path, &marker, start, gaze)
}

/// Sweeps back to back; returns how often.
fn sweep_until(done: &AtomicBool, sweep: &dyn Fn() -> anyhow::Result<()>) -> anyhow::Result<u32> {
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        sweep()?;
        count += 1;
    }
    Ok(count)
}

/// Rewrites a thousand manifests a second; returns how many.
fn rewrite_until(done: &AtomicBool, others: &mut [Project]) -> anyhow::Result<u32> {
    const AT_ONCE: usize = 10;
    const EVERY: Duration = Duration::from_millis(10);
    let begun = monotonic();
    let (mut count, mut next) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        for _ in 0..AT_ONCE {
            let project = others.get_mut(next).context("a tree without other projects")?;
            project.mark(&format!("other change {count}"), Way::Rename)?;
            count += 1;
            next = (next + 1) % others.len();
        }
        let due = EVERY * (count / u32::try_from(AT_ONCE)?);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(count)
}
