//! The engine's side of a relay: it says what is wanted, and goes on.
//!
//! A thread of the desk's own owns the conversation with the backend, and each call is a thread of its own, so that
//! whoever holds a desk never waits for a relay, however slow or dead that is. What fails is tried again for as long as
//! it is wanted; nothing is queued.

mod answers;
mod calls;
mod conversation;
mod hear;
mod tasks;
mod told;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

pub use told::RelayFacts;

use super::{Pair, Relay, RelayError, Tally};
use crate::agent::{AgentId, Namespace};
use crate::clock::monotonic;
use conversation::Conversation;
use told::{Everything, Insistence, Shared, Told};

/// What no relay is called in the configuration.
const NONE: &str = "none";

/// How long the desk waits for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// For a call. One that takes longer is left behind.
    pub call_within: Duration,
    /// For the answer to [`Desk::insist`].
    pub insist_within: Duration,
    /// Before what failed is tried again for the first time; twice as long each further time.
    pub retry_after: Duration,
    /// Never longer than this.
    pub retry_at_most: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_within: Duration::from_secs(5),
            // One call that is left behind, and a look at what came of it.
            insist_within: Duration::from_secs(10),
            retry_after: Duration::from_secs(1),
            retry_at_most: Duration::from_mins(1),
        }
    }
}

/// What the desk has to say. It says it on its own thread, and whoever listens must not wait there for whoever holds the
/// desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// What came of an [`insist`](Desk::insist): what is wanted for this agent is there, or why not.
    Insisted {
        /// Which agent.
        id: AgentId,
        /// Whether it is there.
        result: Result<(), RelayError>,
    },
    /// An outage began. It is told once, however many endpoints it is about.
    Failing {
        /// What failed.
        why: String,
        /// How many endpoints are wanted and not known to be there.
        pending: u64,
    },
    /// The relay will not give this agent what is wanted for it. It is told again only if the reason is another one.
    Rejected {
        /// Which agent.
        id: AgentId,
        /// Why not.
        why: String,
    },
    /// The outage is over.
    Recovered,
}

/// The conversation with one relay. It ends when this is dropped; what is under way then is left behind.
pub struct Desk(Partner);

/// With whom.
enum Partner {
    /// With nobody. Everything that is wanted counts as there.
    Nobody(Mutex<Box<dyn Fn(Report) + Send>>),
    Relay(Talk),
}

/// A conversation on its thread.
struct Talk {
    shared: Arc<Shared>,
    bell: Sender<()>,
    thread: Option<JoinHandle<()>>,
    insist_within: Duration,
}

impl Desk {
    /// Starts the conversation. Nothing is asked before something is wanted, and before [`want_all`](Self::want_all)
    /// nothing is taken away that was not told of.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(
        relay: Arc<dyn Relay>,
        limits: Limits,
        report: impl Fn(Report) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(relay.name()));
        // One stroke is enough: it means that there is something to hear, not how much.
        let (bell, strokes): (Sender<()>, Receiver<()>) = bounded(1);
        let insist_within = limits.insist_within;
        let conversation = Conversation::new(relay, limits, Box::new(report), Arc::clone(&shared));
        let run = move || conversation.run(&strokes);
        let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(run)?;
        Ok(Self(Partner::Relay(Talk { shared, bell, thread: Some(thread), insist_within })))
    }

    /// The desk where there is no relay. It has no thread: an [`insist`](Self::insist) is answered before it returns.
    pub fn none(report: impl Fn(Report) + Send + 'static) -> Self {
        Self(Partner::Nobody(Mutex::new(Box::new(report))))
    }

    /// Says everything that is wanted; what was wanted before counts no more. What is there is listed and compared.
    pub fn want_all(&self, endpoints: Vec<(AgentId, Namespace)>, pairs: Vec<Pair>) {
        self.tell(|told| {
            told.changed.clear();
            told.pairs = None;
            told.all = Some(Everything { endpoints, pairs });
        });
    }

    /// Says what is wanted for some agents; `None`: nothing any more. Only that is compared, with what is known to be
    /// there.
    pub fn want(&self, changes: Vec<(AgentId, Option<Namespace>)>) {
        self.tell(|told| told.changed.extend(changes));
    }

    /// Says which pairs are wanted; those from before count no more.
    pub fn want_pairs(&self, pairs: Vec<Pair>) {
        self.tell(|told| told.pairs = Some(pairs));
    }

    /// Asks for what is wanted for this agent now, even if it failed before and waits. Exactly one
    /// [`Report::Insisted`] follows, within [`Limits::insist_within`].
    pub fn insist(&self, id: AgentId) {
        match &self.0 {
            Partner::Nobody(report) => {
                let report = report.lock().unwrap_or_else(PoisonError::into_inner);
                report(Report::Insisted { id, result: Ok(()) });
            }
            Partner::Relay(talk) => {
                let until = monotonic() + talk.insist_within;
                talk.tell(|told| {
                    let insistence = told.insisted.entry(id).or_insert(Insistence { until, answers: 0 });
                    insistence.answers = insistence.answers.saturating_add(1);
                });
            }
        }
    }

    /// Compares what is there with everything that is wanted. Where both are the same, nothing is written.
    pub fn verify(&self) {
        self.tell(|told| told.verify = true);
    }

    /// How the relay stands.
    #[must_use]
    pub fn facts(&self) -> RelayFacts {
        match &self.0 {
            Partner::Nobody(_) => RelayFacts { backend: NONE, pending: 0, error: None },
            Partner::Relay(talk) => talk.shared.facts(),
        }
    }

    /// How often the relay was asked for what, and how often it did not do it.
    #[must_use]
    pub fn tally(&self) -> Tally {
        match &self.0 {
            Partner::Nobody(_) => Tally::default(),
            Partner::Relay(talk) => talk.shared.tally(),
        }
    }

    /// Waits until everything that is wanted was tried once, or the time is over: for a command that ends then.
    pub fn finish(&self, within: Duration) {
        if let Partner::Relay(talk) = &self.0 {
            talk.shared.wait_until_tried(within);
        }
    }

    fn tell(&self, what: impl FnOnce(&mut Told)) {
        if let Partner::Relay(talk) = &self.0 {
            talk.tell(what);
        }
    }
}

impl Talk {
    fn tell(&self, what: impl FnOnce(&mut Told)) {
        self.shared.tell(what);
        // Full means that the bell rings already.
        let _ = self.bell.try_send(());
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.tell(|told| told.stop = true);
        if let Some(thread) = self.thread.take() {
            // It waits for no call. Should it have panicked, that was said when it did.
            let _ = thread.join();
        }
    }
}
