//! The engine: the one thread that writes the registry, and the handle by which everybody else asks it to.
//!
//! All requests go through one channel and end in the same pass, which serialises everything and removes every race.

mod look;
mod memory;
mod pass;
mod result;
mod run;
mod schedule;
mod site;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use crate::decide::Policy;
use crate::disk::Kept;
use crate::registry::Event;
use crate::scope::Scope;
use crate::scope::inbox::Inbox;

pub use pass::{Engine, Pass, Setup};
pub use result::ReconcileResult;
pub use run::{Facts, SweepFacts, Vitals};

/// Asks the engine. Cheap to clone.
#[derive(Clone)]
pub struct MeshCore {
    requests: Sender<Request>,
    facts: Arc<run::Shared>,
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
    /// The registry could not be read or written; the engine tries again by itself.
    #[error("registry: {0}")]
    Registry(String),
    /// No such scan root is configured.
    #[error("{} is not a configured scan root, nor under one", crate::agent::Shown::path(.0))]
    NotUnderARoot(PathBuf),
}

/// Settings that can change while the engine runs.
#[derive(Debug, Clone)]
pub struct Reconfigure {
    /// The configured scan roots.
    pub roots: Vec<PathBuf>,
    /// Which directories belong to a scan.
    pub kept: Kept,
    /// The times that decisions go by.
    pub policy: Policy,
}

type Reply<T> = Sender<Result<T, EngineError>>;

/// What can be asked of the engine.
enum Request {
    Reconcile { scope: Scope, until: Until, reply: Reply<ReconcileResult> },
    AcceptRoot { root: PathBuf, reply: Reply<ReconcileResult> },
    Reconfigure { settings: Box<Reconfigure>, reply: Reply<()> },
    Periodic { interval: Option<Duration> },
    Record { event: Box<Event>, reply: Reply<()> },
    Ping { reply: Reply<()> },
    Stop { reply: Reply<()> },
}

/// When a reconcile that was asked for is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// After one pass.
    Passed,
    /// When nothing is left that settles by itself within moments.
    Settled,
}

/// Requests that may wait: more than clients that the control socket serves at once.
const MAX_REQUESTS: usize = 1_024;

impl MeshCore {
    /// Starts the engine's thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        engine: Engine,
        inbox: Inbox,
        vitals: Arc<dyn Vitals>,
        checkpoint: Option<Sender<()>>,
    ) -> std::io::Result<Self> {
        let (requests, receiver) = bounded(MAX_REQUESTS);
        let facts = Arc::new(run::Shared::new(vitals, engine.policy().clone()));
        let runner = run::Runner::new(engine, inbox, receiver, facts.clone(), checkpoint);
        std::thread::Builder::new().name("engine".to_owned()).spawn(move || runner.run())?;
        Ok(Self { requests, facts })
    }

    /// Reconciles a scope, and waits until what it found has settled.
    pub fn reconcile(&self, scope: Scope) -> Result<ReconcileResult, EngineError> {
        self.ask(|reply| Request::Reconcile { scope, until: Until::Settled, reply })
    }

    /// The first pass over everything. From then on the daemon is ready.
    pub fn reconcile_on_startup(&self) -> Result<ReconcileResult, EngineError> {
        let scope = Scope::everything();
        let result = self.ask(|reply| Request::Reconcile { scope, until: Until::Passed, reply })?;
        self.facts.ready.store(true, Ordering::Release);
        Ok(result)
    }

    /// Sweeps everything every `interval` ± 10 %, one sweep at a time, and seldom enough that sweeping takes at most 2 % of
    /// the time.
    pub fn start_periodic_reconciliation(&self, interval: Duration) {
        let _ = self.requests.send(Request::Periodic { interval: Some(interval) });
    }

    /// Sweeps no more by itself.
    pub fn stop_periodic_reconciliation(&self) {
        let _ = self.requests.send(Request::Periodic { interval: None });
    }

    /// Takes a person's word that what is at a scan root's path is the root, and passes over it.
    pub fn accept_root(&self, root: PathBuf) -> Result<ReconcileResult, EngineError> {
        self.ask(|reply| Request::AcceptRoot { root, reply })
    }

    /// Takes other settings, and passes over everything.
    pub fn reconfigure(&self, settings: Reconfigure) -> Result<(), EngineError> {
        self.ask(|reply| Request::Reconfigure { settings: Box::new(settings), reply })
    }

    /// Numbers an event that tells of no agent, and tells it.
    pub fn record(&self, event: Event) {
        let _ = self.ask(|reply| Request::Record { event: Box::new(event), reply });
    }

    /// Whether the engine and the watcher both answer in time.
    #[must_use]
    pub fn is_alive(&self, within: Duration) -> bool {
        let (reply, answer) = bounded(1);
        let asked = self.requests.send_timeout(Request::Ping { reply }, within).is_ok();
        asked && matches!(answer.recv_timeout(within), Ok(Ok(()))) && self.facts.vitals.beats(within)
    }

    /// What the engine says about itself.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.facts.read()
    }

    /// Ends the pass that is under way and stops.
    pub fn stop(&self) {
        let _ = self.ask(|reply| Request::Stop { reply });
    }

    fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, EngineError> {
        let (reply, answer) = bounded(1);
        self.requests.send(request(reply)).map_err(|_| EngineError::Stopped)?;
        answer.recv().unwrap_or(Err(EngineError::Stopped))
    }
}

/// The paths that a scope names: what a request must have under a root.
fn named(scope: &Scope) -> impl Iterator<Item = &Path> {
    scope.directories().chain(scope.projects())
}
