//! What a daemon costs that has nothing to do: wake-ups and time on a processor.
//!
//! `cargo bench --bench idle -- [--agents 1000] [--seconds 15]`; the numbers asked for are those of `--seconds 60`. The
//! floor is a process that watches the same directories and waits. Both are looked at in the same time. The daemon has a
//! watchdog to feed, as under systemd.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

mod rig;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use meshd::clock::monotonic;

use rig::bare::walk::Walked;
use rig::bare::watch::Watch;
use rig::child::{self, Floor};
use rig::daemon::Daemon;
use rig::process::{Thread, busy, ticked};
use rig::{Scratch, option, word};

/// Young manifests are read again, the log is moved into the file: then there is nothing left to do.
const SETTLED: Duration = Duration::from_secs(6);

/// Between two looks, which cost the process nothing: soon enough to see threads that only live for seconds.
const EVERY: Duration = Duration::from_millis(500);

/// How often a daemon sweeps by default.
const SWEEP_INTERVAL: Duration = Duration::from_mins(5);

fn main() -> anyhow::Result<()> {
    if child::asked_for().is_some() {
        let tree = PathBuf::from(word("--tree").context("a floor without a tree")?);
        let watch = Watch::new()?;
        Walked::walk(&[tree], |directory| watch.add(directory).map(drop))?;
        return child::stay();
    }
    let (agents, seconds) = (option("--agents", 1000)?, option("--seconds", 15)?);
    let window = Duration::from_secs(seconds.try_into()?);
    let scratch = Scratch::new()?;
    let tree = scratch.tree("tree", agents)?;
    let (daemon, _) = Daemon::start(&scratch, "state", &tree, &["--sweep-interval", "1h"])?;
    let floor = Floor::start("watch", &["--tree", &tree.to_string_lossy()])?;
    thread::sleep(SETTLED);

    let (mut of_floor, mut of_meshd) = (Spent::of(floor.pid())?, Spent::of(daemon.pid())?);
    let begun = monotonic();
    while begun.elapsed() < window {
        thread::sleep(EVERY);
        of_floor.look()?;
        of_meshd.look()?;
    }
    println!("{agents} agents, idle for {seconds} s");
    println!("{:36}{:>10}{:>10}  must be", "", "floor", "meshd");
    let print = |what: &str, number: &dyn Fn(&Spent) -> f64, target: &str| {
        println!("{what:36}{:10.4}{:10.4}  {target}", number(&of_floor), number(&of_meshd));
    };
    print("wake-ups a minute", &|spent| spent.wakeups(window), "≤ 6");
    print("processor, %", &|spent| percent(spent.busy(), window), "≤ 0.01");
    print("the same by ticks of 10 ms, %", &|spent| percent(spent.ticked, window), "");
    of_meshd.print_threads();

    let before = busy(daemon.pid())?;
    daemon.ask("POST", "/api/mesh/reconcile")?;
    let sweep = busy(daemon.pid())?.saturating_sub(before);
    println!("{:36}{:10}{:10.4}", "a sweep every 5 min adds, %", "", percent(sweep, SWEEP_INTERVAL));
    Ok(())
}

fn percent(busy: Duration, window: Duration) -> f64 {
    busy.as_secs_f64() / window.as_secs_f64() * 100.0
}

/// What a process did since the first look at it.
struct Spent {
    pid: u32,
    before: BTreeMap<u32, Thread>,
    /// Each thread as it was seen last: one that ended in between still counts.
    now: BTreeMap<u32, Thread>,
    ticked_before: Duration,
    ticked: Duration,
}

impl Spent {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let before: BTreeMap<_, _> = Thread::all(pid)?.into_iter().map(|thread| (thread.number, thread)).collect();
        Ok(Self { pid, now: before.clone(), before, ticked_before: ticked(pid)?, ticked: Duration::ZERO })
    }

    fn look(&mut self) -> anyhow::Result<()> {
        self.now.extend(Thread::all(self.pid)?.into_iter().map(|thread| (thread.number, thread)));
        self.ticked = ticked(self.pid)?.saturating_sub(self.ticked_before);
        Ok(())
    }

    fn busy(&self) -> Duration {
        let before = |thread: &Thread| self.before.get(&thread.number).map_or(Duration::ZERO, |then| then.busy);
        self.now.values().map(|thread| thread.busy.saturating_sub(before(thread))).sum()
    }

    fn wakeups_of(&self, thread: &Thread) -> u64 {
        thread.wakeups - self.before.get(&thread.number).map_or(0, |then| then.wakeups)
    }

    /// In a minute.
    #[allow(clippy::cast_precision_loss, reason = "a few")]
    fn wakeups(&self, window: Duration) -> f64 {
        let all: u64 = self.now.values().map(|thread| self.wakeups_of(thread)).sum();
        all as f64 / window.as_secs_f64() * 60.0
    }

    /// Says which threads were woken at all.
    fn print_threads(&self) {
        for thread in self.now.values().filter(|thread| self.wakeups_of(thread) > 0) {
            let name = format!("  wake-ups of thread {}", thread.name);
            println!("{name:36}{:10}{:10}", "", self.wakeups_of(thread));
        }
    }
}
