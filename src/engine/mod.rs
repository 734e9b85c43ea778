//! The engine: the one thread that writes the registry, and the handle by which everybody else asks it to.
//!
//! All requests go through one channel and end in the same pass, which serialises everything and removes every race.

mod asked;
mod holds;
mod look;
mod memory;
mod missed;
mod mounted;
mod pass;
mod refusal;
mod registering;
mod relaying;
mod reload;
mod requests;
mod result;
mod run;
mod schedule;
mod site;
mod survey;
mod surveying;
mod waiters;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::decide::Policy;
use crate::disk::Kept;
use crate::registry::{Event, RegistryError, RootRow};
use crate::relay::{Desk, Limits, Relay, Report, Tally};
use crate::scope::Scope;
use crate::scope::inbox::Inbox;

pub use asked::Verdict;
pub use holds::Token;
pub use pass::{Engine, Pass, RootFacts, Setup};
pub use refusal::Refusal;
pub use registering::{Begun, Denying, Intent, Outside, Target};
pub use requests::Strictness;
pub use result::ReconcileResult;
use run::Runner;
pub use run::{Facts, RelayState, SweepFacts, Vitals};

/// Asks the engine. Cheap to clone.
#[derive(Clone)]
pub struct MeshCore {
    requests: Sender<Request>,
    /// Disconnected once the engine's thread has ended: what it was asked for in its last moment is answered by nobody.
    ended: Receiver<()>,
    facts: Arc<run::Shared>,
}

/// Why a request came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
    /// The registry could not be read or written; the engine tries again by itself.
    #[error("registry: {0}")]
    Registry(String),
    /// It was asked for something that cannot be granted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such scan root is configured.
    #[error("{} is not a configured scan root, nor under one", crate::agent::Shown::path(.0))]
    NotUnderARoot(PathBuf),
}

/// The engine cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system refuses a thread.
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    /// The registry cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
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
    /// How often what cannot be watched is looked at.
    pub poll_interval: Duration,
    /// The most watches that are used; a share of what there is where nothing is said.
    pub watch_budget: Option<u64>,
}

impl From<RegistryError> for EngineError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error.to_string())
    }
}

type Reply<T> = Sender<Result<T, EngineError>>;

/// What can be asked of the engine.
enum Request {
    /// Something to do on its thread, which answers for itself.
    Work(Box<dyn FnOnce(&mut Runner) + Send>),
    /// To end.
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

/// How long the relay's thread waits for a place among the requests.
const REPORT_WITHIN: Duration = Duration::from_secs(1);

impl MeshCore {
    /// Starts the engine's thread. It rings the bells, without waiting, after whatever it commits.
    ///
    /// # Errors
    /// A thread cannot be started, or the registry cannot be read.
    pub fn start(
        mut engine: Engine,
        inbox: Inbox,
        vitals: Arc<dyn Vitals>,
        bells: Vec<Sender<()>>,
        relay: Option<(Arc<dyn Relay>, Limits)>,
    ) -> Result<Self, StartError> {
        let (requests, receiver) = bounded(MAX_REQUESTS);
        let relay = match relay {
            Some((relay, limits)) => {
                let to_engine = requests.clone();
                let report = move |report: Report| {
                    // Not for ever: an engine that ends waits for this thread.
                    let hear = Request::Work(Box::new(move |runner| runner.hear_relay(&report)));
                    let _ = to_engine.send_timeout(hear, REPORT_WITHIN);
                };
                let desk = Arc::new(Desk::start(relay, limits, report)?);
                engine.set_relay(desk.clone())?;
                Some(desk)
            }
            None => None,
        };
        let facts = Arc::new(run::Shared::new(vitals, engine.policy().clone(), relay));
        let runner = run::Runner::new(engine, inbox, receiver, facts.clone(), bells);
        let (alive, ended) = bounded(0);
        let run = move || {
            let _alive: Sender<()> = alive;
            runner.run();
        };
        std::thread::Builder::new().name("engine".to_owned()).spawn(run)?;
        Ok(Self { requests, ended, facts })
    }

    /// Reconciles a scope, and waits until what it found has settled.
    pub fn reconcile(&self, scope: Scope) -> Result<ReconcileResult, EngineError> {
        self.ask(|runner, reply| runner.reconcile(scope, Until::Settled, reply))
    }

    /// The first pass over everything. From then on the daemon is ready.
    pub fn reconcile_on_startup(&self) -> Result<ReconcileResult, EngineError> {
        let scope = Scope::everything();
        let result = self.ask(|runner, reply| runner.reconcile(scope, Until::Passed, reply))?;
        self.facts.ready.store(true, Ordering::Release);
        Ok(result)
    }

    /// Sweeps everything every `interval` ± 10 %, one sweep at a time, and seldom enough that sweeping takes at most 2 % of
    /// the time.
    pub fn start_periodic_reconciliation(&self, interval: Duration) {
        self.tell(move |runner| runner.sweep_every(Some(interval)));
    }

    /// Sweeps no more by itself.
    pub fn stop_periodic_reconciliation(&self) {
        self.tell(|runner| runner.sweep_every(None));
    }

    /// Takes a person's word that what is at a scan root's path is the root, and passes over it.
    pub fn accept_root(&self, root: PathBuf) -> Result<ReconcileResult, EngineError> {
        self.ask(|runner, reply| runner.accept_root(root, reply))
    }

    /// Takes other settings, and waits until everything was passed over with them.
    pub fn reconfigure(&self, settings: Reconfigure) -> Result<ReconcileResult, EngineError> {
        self.ask(|runner, reply| runner.reconfigure(settings, reply))
    }

    /// The scan roots that the registry knows.
    pub fn known_roots(&self) -> Result<Vec<RootRow>, EngineError> {
        self.answer(|runner| Ok(runner.engine.registry().roots()?))
    }

    /// Numbers an event that tells of no agent, and tells it.
    pub fn record(&self, event: Event) {
        let _ = self.answer(move |runner| {
            runner.engine.record(&event);
            Ok(())
        });
    }

    /// Whether the engine and the watcher both answer in time.
    #[must_use]
    pub fn is_alive(&self, within: Duration) -> bool {
        let (reply, answer) = bounded(1);
        let ping = Request::Work(Box::new(move |_| {
            let _ = reply.send(());
        }));
        let asked = self.requests.send_timeout(ping, within).is_ok();
        asked && answer.recv_timeout(within).is_ok() && self.facts.vitals.beats()
    }

    /// Sweeps soon: anything may have changed unannounced.
    pub fn doubt(&self) {
        self.tell(Runner::doubt);
    }

    /// What is heard of each root; nothing if the engine is busy for longer than that.
    #[must_use]
    pub fn roots_heard(&self, within: Duration) -> Option<Vec<RootFacts>> {
        let (reply, answer) = bounded(1);
        self.tell(move |runner| {
            let _ = reply.send(runner.engine.root_facts());
        });
        answer.recv_timeout(within).ok()
    }

    /// What the engine says about itself.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.facts.read()
    }

    /// How often the relay was asked for what; none where there is none.
    #[must_use]
    pub fn relay_tally(&self) -> Option<Tally> {
        self.facts.relay_tally()
    }

    /// The last sweeps, the oldest first.
    #[must_use]
    pub fn last_sweeps(&self) -> Vec<SweepFacts> {
        self.facts.last_sweeps().into()
    }

    /// The scan roots that are looked under now, and which directories below them belong to a scan.
    pub fn scanned(&self) -> Result<(Vec<PathBuf>, Kept), EngineError> {
        self.answer(|runner| Ok(runner.engine.scanned()))
    }

    /// Ends the pass that is under way and stops.
    pub fn stop(&self) {
        let (reply, answer) = bounded(1);
        if self.requests.send(Request::Stop { reply }).is_ok() {
            let _ = self.wait(&answer);
        }
    }

    /// Has something done on the engine's thread.
    fn tell(&self, work: impl FnOnce(&mut Runner) + Send + 'static) {
        // A stopped engine does nothing any more, and nobody waits for it here.
        let _ = self.requests.send(Request::Work(Box::new(work)));
    }

    /// Has something done on the engine's thread that answers once, perhaps later.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Runner, Reply<T>) + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = bounded(1);
        self.tell(move |runner| work(runner, reply));
        self.wait(&answer)
    }

    /// Waits for an answer, or for the end of whoever would give it.
    fn wait<T>(&self, answer: &Receiver<Result<T, EngineError>>) -> Result<T, EngineError> {
        select! {
            recv(answer) -> answer => answer.unwrap_or(Err(EngineError::Stopped)),
            recv(self.ended) -> _ => answer.try_recv().unwrap_or(Err(EngineError::Stopped)),
        }
    }

    /// Has something done on the engine's thread that answers at once.
    fn answer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Runner) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.ask(|runner, reply| {
            let _ = reply.send(work(runner));
            // It may have written something.
            runner.ring();
        })
    }
}

/// The paths that a scope names: what a request must have under a root.
fn named(scope: &Scope) -> impl Iterator<Item = &Path> {
    scope.directories().chain(scope.projects())
}
