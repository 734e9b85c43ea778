//! From a saved manifest to its committed row: p50 and p99, beside the floor of the same run.
//!
//! `cargo bench --bench change -- [--agents 1000] [--changes 500] [--full]`. Manifests are rewritten one at a time, by
//! rename and in place. The clock starts just before the rename or the close, and stops when another connection, which
//! spins on `PRAGMA data_version`, reads the new row. The floor is a thread with one inotify instance on the `.dork`
//! directories, that reads the file and commits an `UPDATE`. `--full` syncs the floor's commits to disk.

#![allow(clippy::print_stdout, reason = "the numbers are the answer")]

mod rig;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use meshd::clock::monotonic;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use rig::bare::{Rows, Synchronous, Watch};
use rig::{Daemon, Project, Scratch, Times, given, option, projects};

/// Changes of one side before it is the other's turn: long enough to be warm, short enough to share its moods.
const BLOCK: usize = 50;

/// Between two changes, so that each finds its watcher asleep, as a person's save does.
const PAUSE: Duration = Duration::from_millis(2);

/// How a program saves.
#[derive(Clone, Copy)]
enum Way {
    Rename,
    InPlace,
}

fn main() -> anyhow::Result<()> {
    let (agents, changes) = (option("--agents", 1000)?, option("--changes", 500)?);
    let synchronous = if given("--full") { Synchronous::Full } else { Synchronous::Normal };
    let scratch = Scratch::new()?;
    let floor_projects = projects(&scratch.tree("floor-tree", agents)?)?;
    let meshd_tree = scratch.tree("meshd-tree", agents)?;
    let meshd_projects = projects(&meshd_tree)?;

    let registry = scratch.join("floor.db");
    start_floor(&registry, &floor_projects, synchronous)?;
    let (daemon, _) = Daemon::start(&scratch, "state", &meshd_tree, &["--sweep-interval", "1h"])?;
    let mut floor = Side { projects: floor_projects, observer: Observer::open(&registry)?, count: 0 };
    let mut meshd = Side { projects: meshd_projects, observer: Observer::open(&daemon.registry())?, count: 0 };

    println!("{agents} agents, {changes} changes each way, the floor's synchronous={}", synchronous.as_str());
    println!("milliseconds from the change to its committed row; the ratio must be at most 2.0 at p50 and 4.0 at p99");
    println!("{:18}{:^18}{:^18}{:^16}", "", "floor", "meshd", "ratio");
    println!("{:18}{:>8}{:>8}  {:>8}{:>8}  {:>7}{:>7}", "", "p50", "p99", "p50", "p99", "p50", "p99");
    for way in [Way::Rename, Way::InPlace] {
        let (mut floor_times, mut meshd_times) = (Times::default(), Times::default());
        // The first block of each warms up and is not counted.
        for block in 0..=changes.div_ceil(BLOCK) {
            for (side, times) in [(&mut floor, &mut floor_times), (&mut meshd, &mut meshd_times)] {
                for _ in 0..BLOCK {
                    let time = side.change(way)?;
                    if block > 0 {
                        times.push(time);
                    }
                }
            }
        }
        let name = match way {
            Way::Rename => "saved by rename",
            Way::InPlace => "written in place",
        };
        let [f50, f99, m50, m99] = [(&floor_times, 50), (&floor_times, 99), (&meshd_times, 50), (&meshd_times, 99)]
            .map(|(times, percent)| times.percentile(percent));
        println!("{name:18}{f50:8.2}{f99:8.2}  {m50:8.2}{m99:8.2}  {:7.2}{:7.2}", m50 / f50, m99 / f99);
    }
    Ok(())
}

/// One of the two: its tree, and the eye on its registry.
struct Side {
    projects: Vec<Project>,
    observer: Observer,
    count: usize,
}

impl Side {
    /// Changes the next manifest; returns the time until its row says so.
    fn change(&mut self, way: Way) -> anyhow::Result<Duration> {
        /// Prime: all projects have their turn before one comes again, and neighbours do not follow each other.
        const STRIDE: usize = 397;
        thread::sleep(PAUSE);
        self.count += 1;
        let place = self.count * STRIDE % self.projects.len();
        let project = self.projects.get_mut(place).context("a tree without projects")?;
        let marker = format!("change number {}", self.count);
        if let Some(manifest) = project.manifest.as_object_mut() {
            manifest.insert("description".to_owned(), Value::String(marker.clone()));
        }
        let text = format!("{:#}\n", project.manifest);
        let start = save(&project.file(), &text, way)?;
        self.observer.wait_for(project.id(), &marker, start)
    }
}

/// Saves a manifest; returns when the last step of it began.
fn save(path: &Path, text: &str, way: Way) -> anyhow::Result<Instant> {
    match way {
        Way::Rename => {
            let beside = path.with_extension("json.tmp");
            fs::write(&beside, text)?;
            let start = monotonic();
            fs::rename(&beside, path)?;
            Ok(start)
        }
        Way::InPlace => {
            let mut file = File::create(path)?;
            file.write_all(text.as_bytes())?;
            let start = monotonic();
            drop(file);
            Ok(start)
        }
    }
}

/// A connection of its own to a registry, that only reads.
struct Observer {
    connection: Connection,
    version: i64,
}

impl Observer {
    fn open(registry: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open_with_flags(registry, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self { connection, version: 0 })
    }

    /// Spins until the row has the marker; returns the time since `start`.
    fn wait_for(&mut self, id: &str, marker: &str, start: Instant) -> anyhow::Result<Duration> {
        const DEADLINE: Duration = Duration::from_secs(20);
        let mut version = self.connection.prepare_cached("PRAGMA data_version")?;
        let mut row = self.connection.prepare_cached("SELECT description FROM agents WHERE id = ?1")?;
        loop {
            let now: i64 = version.query_row([], |row| row.get(0))?;
            if now != self.version {
                self.version = now;
                let description: String = row.query_row([id], |row| row.get(0))?;
                let elapsed = start.elapsed();
                if description.contains(marker) {
                    return Ok(elapsed);
                }
            }
            if start.elapsed() > DEADLINE {
                bail!("{marker} of {id} did not come within {DEADLINE:?}");
            }
        }
    }
}

/// Starts the floor's thread, which lives as long as the bench.
fn start_floor(registry: &Path, projects: &[Project], synchronous: Synchronous) -> anyhow::Result<()> {
    let mut rows = Rows::open(registry, synchronous)?;
    let read = |project: &Project| fs::read(project.file()).unwrap_or_default();
    rows.insert(projects.iter().map(|project| (project.id().to_owned(), project.path.clone(), read(project))))?;
    let (watch, mut homes) = (Watch::new()?, Vec::new());
    for project in projects {
        let number = usize::try_from(watch.add(&project.path.join(".dork"))?)?;
        // The kernel counts its watches from 1, without gaps.
        homes.resize(number + 1, None);
        if let Some(home) = homes.get_mut(number) {
            *home = Some((project.id().to_owned(), project.file()));
        }
    }
    thread::spawn(move || {
        watch.follow(|number, name| {
            let home = usize::try_from(number).ok().and_then(|number| homes.get(number)?.as_ref());
            if let Some((id, file)) = home.filter(|_| name == b"agent.json") {
                rows.update(id, &fs::read(file)?)?;
            }
            Ok(true)
        })
    });
    Ok(())
}
