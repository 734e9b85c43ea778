//! Calls to a relay, each on a thread of its own for as long as it lasts.
//!
//! A backend may hang for ever, and no thread can be ended from outside. So a call that does not come back by its
//! deadline is left behind: it counts as done or not done, nobody knows, and its thread counts as taken until it comes
//! back. There are [`MAX_CALLS`] threads and never one more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::relay::{Change, Present, Relay, RelayError, Target};

/// The most threads that talk with a relay, those included that were left behind. Eight requests at a time keep a relay
/// across a network busy; a relay that swallowed eight calls is not worth a ninth.
pub(super) const MAX_CALLS: usize = 8;

/// From so many threads left behind on, nothing is asked again that is still out: one endpoint that always hangs takes
/// half of the threads at most, and the other half is for all others.
const MANY_LEFT: usize = MAX_CALLS / 2;

/// What a relay is asked for.
#[derive(Debug)]
pub(super) enum Ask {
    /// What is there.
    List,
    /// One change after the other, or all at once. Each with what it is for.
    Changes { changes: Vec<Change>, targets: Vec<Target>, how: How },
}

/// How changes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// One by one.
    Single,
    /// All at once.
    Batch,
}

/// What a relay answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// What is there.
    Listed(Result<Present, RelayError>),
    /// A result for each change, in their order.
    Changed(Vec<Result<(), RelayError>>),
    /// It makes changes one by one only.
    OneByOne,
}

/// A call that came back.
pub(super) struct Returned {
    pub ask: Arc<Ask>,
    pub answer: Answer,
    /// Whether it had been left behind.
    pub late: bool,
    /// How it stands to the last listing.
    pub order: Order,
}

/// Which of a call and a listing was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The call was made after the listing came back.
    After,
    /// The listing came back while the call was out. It may show what the call did, or not, or the relay may have lost
    /// what it did.
    Unknown,
}

/// The calls that are out.
pub(super) struct Calls {
    relay: Arc<dyn Relay>,
    sender: Sender<(u64, Answer)>,
    answers: Receiver<(u64, Answer)>,
    last: u64,
    out: BTreeMap<u64, Out>,
}

struct Out {
    ask: Arc<Ask>,
    /// When it is left behind; `None` since it was.
    until: Option<Instant>,
    order: Order,
}

impl Calls {
    pub fn new(relay: Arc<dyn Relay>) -> Self {
        // Room for an answer of each thread, so that none ever waits for the desk.
        let (sender, answers) = bounded(MAX_CALLS);
        Self { relay, sender, answers, last: 0, out: BTreeMap::new() }
    }

    /// Where answers arrive: each goes to [`returned`](Self::returned).
    pub fn answers(&self) -> Receiver<(u64, Answer)> {
        self.answers.clone()
    }

    /// Makes a call on a thread of its own.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(&mut self, ask: Ask, now: Instant, within: Duration) -> std::io::Result<()> {
        // A backend that keeps to its deadline answers itself, and better, before it is left behind.
        let by = now + within.saturating_sub(within / 10);
        let number = self.last.wrapping_add(1);
        let (ask, relay) = (Arc::new(ask), Arc::clone(&self.relay));
        let reply = Reply { number, sender: self.sender.clone(), answer: None };
        let asked = Arc::clone(&ask);
        let call = move || reply.give(|| make(relay.as_ref(), &asked, by));
        std::thread::Builder::new().name("relay call".to_owned()).spawn(call)?;
        self.last = number;
        self.out.insert(number, Out { ask, until: Some(now + within), order: Order::After });
        Ok(())
    }

    /// The call that this is the answer to.
    pub fn returned(&mut self, (number, answer): (u64, Answer)) -> Option<Returned> {
        let out = self.out.remove(&number)?;
        Some(Returned { ask: out.ask, answer, late: out.until.is_none(), order: out.order })
    }

    /// A listing came back: what is out now was asked for before.
    pub fn listed(&mut self) {
        for out in self.out.values_mut() {
            out.order = Order::Unknown;
        }
    }

    /// Leaves behind what did not come back in time, and says what that is.
    pub fn leave_behind(&mut self, now: Instant) -> Vec<Arc<Ask>> {
        let late = self.out.values_mut().filter(|out| out.until.is_some_and(|until| until <= now));
        late.map(|out| {
            out.until = None;
            Arc::clone(&out.ask)
        })
        .collect()
    }

    /// When the next call is left behind.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.out.values().filter_map(|out| out.until).min()
    }

    /// Whether a call is waited for.
    pub fn is_waiting(&self) -> bool {
        self.out.values().any(|out| out.until.is_some())
    }

    /// Whether a listing is waited for.
    pub fn is_listing(&self) -> bool {
        self.out.values().any(|out| out.until.is_some() && matches!(*out.ask, Ask::List))
    }

    /// Whether a call that makes all changes at once is waited for.
    pub fn is_making_batch(&self) -> bool {
        let batch = |ask: &Ask| matches!(ask, Ask::Changes { how: How::Batch, .. });
        self.out.values().any(|out| out.until.is_some() && batch(&out.ask))
    }

    /// Whether a call about this target is out, waited for or left behind.
    pub fn is_out(&self, target: &Target) -> bool {
        let about = |ask: &Ask| match ask {
            Ask::List => false,
            Ask::Changes { targets, .. } => targets.contains(target),
        };
        self.out.values().any(|out| about(&out.ask))
    }

    /// Whether a listing was left behind.
    pub fn left_a_listing(&self) -> bool {
        self.out.values().any(|out| out.until.is_none() && matches!(*out.ask, Ask::List))
    }

    /// How many threads are left behind.
    pub fn left_behind(&self) -> usize {
        self.out.values().filter(|out| out.until.is_none()).count()
    }

    /// Whether there is a thread for one more call.
    pub fn has_room(&self) -> bool {
        self.out.len() < MAX_CALLS
    }

    /// Whether every thread is left behind.
    pub fn is_cut_off(&self) -> bool {
        self.left_behind() >= MAX_CALLS
    }

    /// Whether so many are left behind that nothing is asked twice.
    pub fn spares(&self) -> bool {
        self.left_behind() >= MANY_LEFT
    }
}

fn make(relay: &dyn Relay, ask: &Ask, by: Instant) -> Answer {
    match ask {
        Ask::List => Answer::Listed(relay.list(by)),
        Ask::Changes { changes, how: How::Single, .. } => {
            Answer::Changed(changes.iter().map(|change| relay.change(change, by)).collect())
        }
        Ask::Changes { changes, how: How::Batch, .. } => {
            relay.change_all(changes, by).map_or(Answer::OneByOne, Answer::Changed)
        }
    }
}

/// Sends the answer when the call ends, however it ends: a thread that panicked is not out for ever.
struct Reply {
    number: u64,
    sender: Sender<(u64, Answer)>,
    answer: Option<Answer>,
}

impl Reply {
    fn give(mut self, make: impl FnOnce() -> Answer) {
        self.answer = Some(make());
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // Nothing answered means a panic. No results for changes are taken for results that nobody knows.
        let answer = self.answer.take().unwrap_or(Answer::Changed(Vec::new()));
        // The desk may be gone by now.
        let _ = self.sender.send((self.number, answer));
    }
}
