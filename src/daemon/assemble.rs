//! Puts an engine together from settings: for the daemon, and for a command that does a daemon's work once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::DaemonError;
use crate::clock::{Clock, SystemClock};
use crate::config::{RelayKind, Settings};
use crate::disk::mounts::KernelMounts;
use crate::disk::{Kept, Unwatched, Watches};
use crate::engine::{Engine, MeshCore, Setup, StartError, Vitals};
use crate::registry::{AgentRegistry, Checkpointer, RegistryError, RootRow};
use crate::relay::local::Local;
use crate::relay::{Limits, Relay};
use crate::scope::inbox::{Announcer, inbox};
use crate::telemetry::{Metrics, Telemetry};
use crate::watch::{WatchFacts, Watcher};

/// How long commits are collected before they are moved from the log into the registry's file: a burst of changes is one
/// checkpoint, and what a power cut takes is at most this and what came in it.
const COLLECT: Duration = Duration::from_secs(1);

/// What tells, with all counts at zero.
#[must_use]
pub fn telemetry() -> Telemetry {
    Telemetry { metrics: Arc::new(Metrics::new()) }
}

/// The scan roots, and which directories below them belong to a scan.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// Every scan root.
    pub roots: Vec<PathBuf>,
    /// Which directories are kept; it knows which of the roots are single projects.
    pub kept: Kept,
}

/// What is scanned: the roots of the settings, or where these have none, those that the registry remembers; and the
/// projects that were registered outside of every root, as far as they still are. `named` come on top.
#[must_use]
pub fn scanned(settings: &Settings, known: Vec<RootRow>, named: &[PathBuf]) -> Scanned {
    let mut roots = settings.roots.clone();
    if roots.is_empty() {
        roots.extend(known.iter().filter(|root| root.configured && !root.alone).map(|root| root.path.clone()));
    }
    for root in named {
        if !roots.iter().any(|known| root.starts_with(known)) {
            roots.push(root.clone());
        }
    }
    let mut kept = Kept::new(settings.max_depth, settings.exclude.globs().clone());
    let is_outside = |project: &PathBuf| !roots.iter().any(|root| kept.reaches(root, project));
    let alone: Vec<PathBuf> =
        known.into_iter().filter(|root| root.alone).map(|root| root.path).filter(is_outside).collect();
    kept.set_alone(alone.clone());
    roots.extend(alone);
    Scanned { roots, kept }
}

/// What an engine works with.
#[must_use]
pub fn setup(
    settings: &Settings,
    registry: AgentRegistry,
    scanned: Scanned,
    registry_file: Option<PathBuf>,
    watches: Box<dyn Watches>,
    telemetry: Telemetry,
) -> Setup {
    Setup {
        registry,
        registry_file,
        roots: scanned.roots,
        kept: scanned.kept,
        policy: settings.policy.clone(),
        poll_interval: settings.poll_interval,
        watches,
        mounts: Box::new(KernelMounts),
        clock: Box::new(SystemClock::new()),
        telemetry,
    }
}

/// Starts the engine with its watcher and its checkpoints. `committed` is rung, too, after whatever it commits.
pub(super) fn start_core(
    settings: &Settings,
    telemetry: &Telemetry,
    committed: Sender<()>,
) -> Result<MeshCore, DaemonError> {
    let file = settings.registry();
    let registry = open(&file, telemetry)?;
    let scanned = scanned(settings, registry.roots()?, &[]);
    if scanned.roots.is_empty() {
        tracing::warn!("there is no scan root: name one, `meshd run ROOT` or `roots` in the configuration");
    }
    let (announcer, inbox) = inbox();
    let (watches, vitals) = watcher(settings, announcer);
    let setup = setup(settings, registry, scanned, Some(file.clone()), watches, telemetry.clone());
    let checkpoints = checkpoints(file)?;
    Ok(MeshCore::start(Engine::new(setup)?, inbox, vitals, vec![checkpoints, committed], relay(settings))?)
}

/// Starts an engine that watches nothing: for a command that does a daemon's work once. Roots that are `named` and new are
/// remembered.
pub fn core_for_command(settings: &Settings, named: &[PathBuf]) -> Result<(MeshCore, Scanned), StartError> {
    let (file, telemetry) = (settings.registry(), telemetry());
    let registry = open(&file, &telemetry)?;
    let scanned = scanned(settings, registry.roots()?, named);
    let (_, inbox) = inbox();
    let setup = setup(settings, registry, scanned.clone(), Some(file), Box::new(Unwatched), telemetry);
    let core = MeshCore::start(Engine::new(setup)?, inbox, Arc::new(Unwatched), Vec::new(), relay(settings))?;
    Ok((core, scanned))
}

fn open(file: &Path, telemetry: &Telemetry) -> Result<AgentRegistry, RegistryError> {
    let (registry, opened) = AgentRegistry::open(file, &SystemClock::new().now())?;
    telemetry.registry_opened(&opened);
    Ok(registry)
}

/// The relay that agents are made known to.
fn relay(settings: &Settings) -> Option<(Arc<dyn Relay>, Limits)> {
    match settings.relay {
        RelayKind::None => None,
        RelayKind::Local => Some((Arc::new(Local::new(&settings.state_dir)), Limits::default())),
    }
}

/// The watcher, or nobody where watching was not asked for or is not possible: then the sweep finds everything.
fn watcher(settings: &Settings, announcer: Announcer) -> (Box<dyn Watches>, Arc<dyn Vitals>) {
    if settings.watch {
        match Watcher::start(announcer, &settings.state_dir, settings.watch_budget) {
            Ok(watcher) => {
                let vitals = Watching(watcher.facts());
                return (Box::new(watcher), Arc::new(vitals));
            }
            Err(error) => tracing::warn!("nothing is watched, only the sweep finds what changes: {error}"),
        }
    }
    (Box::new(Unwatched), Arc::new(Unwatched))
}

/// Starts the thread that makes checkpoints, and returns its bell.
fn checkpoints(file: PathBuf) -> Result<Sender<()>, std::io::Error> {
    // One stroke is enough: it means that something was committed, not how much.
    let (bell, strokes) = bounded(1);
    std::thread::Builder::new().name("checkpoint".to_owned()).spawn(move || checkpoint(&file, &strokes))?;
    Ok(bell)
}

fn checkpoint(file: &Path, strokes: &Receiver<()>) {
    while strokes.recv().is_ok() {
        std::thread::sleep(COLLECT);
        // Opened anew each time: the file may have been replaced since.
        if let Err(error) = Checkpointer::open(file).and_then(|checkpointer| checkpointer.run()) {
            tracing::debug!("no checkpoint: {error}");
        }
    }
}

/// A watcher's signs of life.
struct Watching(Arc<WatchFacts>);

/// How often in a row the canary may be silent: once, and everything is watched anew.
const SILENCES: u64 = 2;

impl Vitals for Watching {
    fn beats(&self) -> bool {
        self.0.silences.load(Ordering::Relaxed) < SILENCES
    }

    fn is_watching(&self) -> bool {
        true
    }

    fn watched(&self) -> u64 {
        self.0.watched.load(Ordering::Relaxed)
    }

    fn cold(&self) -> u64 {
        self.0.cold.load(Ordering::Relaxed)
    }

    fn budget(&self) -> u64 {
        self.0.budget.load(Ordering::Relaxed)
    }

    fn has_unheard(&self) -> bool {
        self.cold() > 0 || self.0.has_quiet.load(Ordering::Relaxed)
    }

    fn overflows(&self) -> u64 {
        self.0.overflows.load(Ordering::Relaxed)
    }

    fn shortage(&self) -> Option<String> {
        self.0.shortage()
    }
}

impl Vitals for Unwatched {
    fn beats(&self) -> bool {
        true
    }

    fn is_watching(&self) -> bool {
        false
    }

    fn watched(&self) -> u64 {
        0
    }

    fn cold(&self) -> u64 {
        0
    }

    fn budget(&self) -> u64 {
        0
    }

    fn has_unheard(&self) -> bool {
        false
    }

    fn overflows(&self) -> u64 {
        0
    }

    fn shortage(&self) -> Option<String> {
        None
    }
}
