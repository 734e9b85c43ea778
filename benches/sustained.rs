//! How many distinct changes a second get through, when they come as fast as a program can save; beside the floor of the
//! same run.
//!
//! `cargo bench --bench sustained -- [--agents 1000] [--rounds 5] [--on /dev/shm]`. Every manifest of the tree is rewritten
//! by one thread, by rename; the time is from the first until every row says so. The floor reads each manifest that it is
//! told of and commits what one read of its inotify instance brought. `--on` names another file system.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

mod rig;

use std::thread;
use std::time::Duration;

use anyhow::ensure;
use meshd::clock::monotonic;

use rig::bare::mirror::Mirror;
use rig::bare::rows::Synchronous;
use rig::daemon::Daemon;
use rig::observer::Observer;
use rig::times::Times;
use rig::tree::{Project, Way, projects};
use rig::{Scratch, option};

fn main() -> anyhow::Result<()> {
    let (agents, rounds) = (option("--agents", 1000)?, option("--rounds", 5)?);
    ensure!(agents > 0 && rounds > 0, "nothing to do");
    let scratch = Scratch::new()?;
    let (floor_tree, meshd_tree) = (scratch.tree("floor-tree", agents)?, scratch.tree("meshd-tree", agents)?);
    let registry = scratch.join("floor.db");
    let _mirror = Mirror::start(&registry, &floor_tree, Synchronous::Normal)?;
    let (daemon, _) = Daemon::start(&scratch, "state", &meshd_tree, &["--sweep-interval", "1h"])?;
    let mut floor = Side::new(projects(&floor_tree)?, Observer::open(&registry)?);
    let mut meshd = Side::new(projects(&meshd_tree)?, Observer::open(&daemon.registry())?);
    // The first round warms up and is not counted.
    for round in 0..=rounds {
        for side in [&mut floor, &mut meshd] {
            side.round(round)?;
        }
    }
    println!(
        "{agents} distinct changes as fast as they can be saved, p50 of {rounds} rounds, {}",
        scratch.path().display()
    );
    println!("{:36}{:>10}{:>10}{:>8}  must be", "", "floor", "meshd", "ratio");
    let [saved, (floor_rate, meshd_rate)] =
        [(floor.rate(&floor.saved), meshd.rate(&meshd.saved)), (floor.rate(&floor.there), meshd.rate(&meshd.there))];
    println!("{:36}{floor_rate:10.0}{meshd_rate:10.0}{:8.2}  ≥ 0.8 floors", "rows a second", meshd_rate / floor_rate);
    println!("{:36}{:10.0}{:10.0}", "  saved a second", saved.0, saved.1);
    println!("{:36}{:10}{:10}{:8}  0", "lost", floor.lost, meshd.lost, "");
    daemon.ask("POST", "/api/mesh/reconcile")?;
    thread::sleep(Duration::from_millis(2500));
    let (missed, (_, overflows)) = (daemon.metric("meshd_missed_events_total")?, daemon.events()?);
    println!("{:36}{:10}{missed:10}{:8}  0", "  missed, as the daemon says", "", "");
    println!("{:36}{:10}{overflows:10}", "  watch.overflow, as the daemon says", "");
    Ok(())
}

/// One of the two: its tree, and the eye on its registry.
struct Side {
    projects: Vec<Project>,
    observer: Observer,
    /// Until the last manifest was saved.
    saved: Times,
    /// Until every row said so.
    there: Times,
    lost: usize,
}

impl Side {
    fn new(projects: Vec<Project>, observer: Observer) -> Self {
        Self { projects, observer, saved: Times::default(), there: Times::default(), lost: 0 }
    }

    fn round(&mut self, round: usize) -> anyhow::Result<()> {
        let (marker, begun) = (format!("saved in round {round}"), monotonic());
        for project in &mut self.projects {
            project.mark(&marker, Way::Rename)?;
        }
        let saved = begun.elapsed();
        let (end, missing) = self.observer.wait_for_all(&marker, self.projects.len())?;
        self.lost += missing;
        if round > 0 {
            self.saved.push(saved);
            self.there.push(end.saturating_duration_since(begun));
        }
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "some ten thousands")]
    fn rate(&self, times: &Times) -> f64 {
        self.projects.len() as f64 * 1000.0 / times.percentile(50)
    }
}
