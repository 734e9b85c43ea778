//! A relay as bad as one across a network can be, and a desk that talks with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use meshd::relay::{Desk, Limits, Relay, RelayError, Report};

use super::*;

/// Longer than anything takes that comes at all.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A call as the relay got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    List,
    Change(Change),
    /// Several changes at once.
    Batch(Vec<Change>),
}

/// What the relay does with a call.
pub enum Act {
    /// What it is asked for.
    Do,
    /// Nothing, and says so.
    Refuse(RelayError),
    /// What it is asked for, and answers that it is not known.
    DoAndDoubt,
    /// Nothing, and answers that it is not known.
    Doubt,
    /// Waits until the gate is opened, then does it.
    Wait(Gate),
    /// Ends without an answer.
    Panic,
}

/// What calls wait at.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |open| !*open).unwrap());
    }
}

type Acting = Box<dyn FnMut(&Call) -> Act + Send>;

/// The relay.
pub struct FakeRelay {
    inside: Mutex<Inside>,
    batches: Batches,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Batches {
    Taken,
    NotTaken,
}

struct Inside {
    present: Present,
    calls: Vec<Call>,
    acting: Acting,
    running: usize,
    most_running: usize,
}

impl FakeRelay {
    pub fn new(batches: Batches) -> Arc<Self> {
        let inside = Inside {
            present: Present::default(),
            calls: Vec::new(),
            acting: Box::new(|_| Act::Do),
            running: 0,
            most_running: 0,
        };
        Arc::new(Self { inside: Mutex::new(inside), batches })
    }

    pub fn one_by_one() -> Arc<Self> {
        Self::new(Batches::NotTaken)
    }

    /// From now on it does this.
    pub fn acts(&self, acting: impl FnMut(&Call) -> Act + Send + 'static) {
        self.inside.lock().unwrap().acting = Box::new(acting);
    }

    /// From now on it does what it is asked for.
    pub fn heals(&self) {
        self.acts(|_| Act::Do);
    }

    /// Something happens to it.
    pub fn is(&self, present: Present) {
        self.inside.lock().unwrap().present = present;
    }

    pub fn present(&self) -> Present {
        sorted(self.inside.lock().unwrap().present.clone())
    }

    /// The calls since the last time this was asked.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.inside.lock().unwrap().calls)
    }

    /// The changes among them.
    pub fn changes(&self) -> Vec<Change> {
        let changes = |call: Call| match call {
            Call::List => Vec::new(),
            Call::Change(change) => vec![change],
            Call::Batch(changes) => changes,
        };
        self.calls().into_iter().flat_map(changes).collect()
    }

    /// The most calls that ever ran at a time.
    pub fn most_running(&self) -> usize {
        self.inside.lock().unwrap().most_running
    }

    fn call(&self, call: &Call) -> Result<(), RelayError> {
        let act = {
            let mut inside = self.inside.lock().unwrap();
            inside.calls.push(call.clone());
            inside.running += 1;
            inside.most_running = inside.most_running.max(inside.running);
            (inside.acting)(call)
        };
        let acted = self.act(call, act);
        self.inside.lock().unwrap().running -= 1;
        acted
    }

    fn act(&self, call: &Call, act: Act) -> Result<(), RelayError> {
        let unknown = || Err(RelayError::Ambiguous("the line broke".to_owned()));
        match act {
            Act::Do => self.make(call),
            Act::Refuse(error) => return Err(error),
            Act::DoAndDoubt => {
                self.make(call);
                return unknown();
            }
            Act::Doubt => return unknown(),
            Act::Wait(gate) => {
                gate.pass();
                self.make(call);
            }
            Act::Panic => panic!("the relay's own mistake, as a test wants it"),
        }
        Ok(())
    }

    fn make(&self, call: &Call) {
        let present = &mut self.inside.lock().unwrap().present;
        match call {
            Call::List => {}
            Call::Change(change) => make(present, change),
            Call::Batch(changes) => changes.iter().for_each(|change| make(present, change)),
        }
    }
}

impl Relay for FakeRelay {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn list(&self, _by: Instant) -> Result<Present, RelayError> {
        // As it was when the relay was asked: an answer may come late.
        let present = self.present();
        self.call(&Call::List).map(|()| present)
    }

    fn change(&self, change: &Change, _by: Instant) -> Result<(), RelayError> {
        self.call(&Call::Change(change.clone()))
    }

    fn change_all(&self, changes: &[Change], _by: Instant) -> Option<Vec<Result<(), RelayError>>> {
        if self.batches == Batches::NotTaken {
            return None;
        }
        let done = self.call(&Call::Batch(changes.to_vec()));
        Some(vec![done; changes.len()])
    }
}

/// A desk, and what it reported.
pub struct Talk {
    pub desk: Desk,
    reports: Receiver<Report>,
}

/// Times that tests can wait for, and a deadline for calls that only a call that waits for a gate exceeds.
pub fn limits() -> Limits {
    Limits {
        call_within: Duration::from_secs(20),
        insist_within: Duration::from_secs(25),
        retry_after: Duration::from_millis(2),
        retry_at_most: Duration::from_millis(20),
    }
}

/// The same for tests in which calls are left behind.
pub fn impatient() -> Limits {
    Limits { call_within: Duration::from_millis(100), insist_within: Duration::from_millis(500), ..limits() }
}

impl Talk {
    pub fn with(relay: &Arc<FakeRelay>, limits: Limits) -> Self {
        let (sender, reports) = unbounded();
        let relay: Arc<dyn Relay> = Arc::clone(relay) as Arc<dyn Relay>;
        let desk = Desk::start(relay, limits, move |report| drop(sender.send(report))).unwrap();
        Self { desk, reports }
    }

    pub fn of(relay: &Arc<FakeRelay>) -> Self {
        Self::with(relay, limits())
    }

    /// Waits until everything was tried once.
    pub fn finish(&self) {
        self.desk.finish(DEADLINE);
    }

    /// Waits for the next report.
    pub fn report(&self) -> Report {
        self.reports.recv_timeout(DEADLINE).expect("a report")
    }

    /// The reports that are there.
    pub fn reports(&self) -> Vec<Report> {
        self.reports.try_iter().collect()
    }

    /// Insists, and waits for the answer. Other reports are dropped.
    pub fn insist(&self, agent: &str) -> Result<(), RelayError> {
        self.desk.insist(id(agent));
        loop {
            if let Report::Insisted { id: of, result } = self.report() {
                assert_eq!(of, id(agent));
                return result;
            }
        }
    }
}

/// Waits for what must come.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = meshd::clock::monotonic();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// `count` agents, `a0` and so on, in one namespace.
pub fn many(count: usize, namespace_name: &str) -> Vec<(AgentId, Namespace)> {
    (0..count).map(|number| (id(&format!("a{number}")), namespace(namespace_name))).collect()
}

/// Whether a call is about this agent's endpoint.
pub fn is_about(call: &Call, agent: &str) -> bool {
    match call {
        Call::Change(Change::EnsureEndpoint(endpoint)) => endpoint.agent == id(agent),
        Call::Change(Change::RetireEndpoint { subject, .. }) => {
            subject.agent().is_some_and(|(_, other)| other == agent)
        }
        Call::Change(Change::PutRule(_) | Change::RemoveRule(_)) | Call::List | Call::Batch(_) => false,
    }
}

pub fn unavailable() -> RelayError {
    RelayError::Unavailable("no route".to_owned())
}

/// How often each report came, by what it is about.
pub fn counted(reports: &[Report]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for report in reports {
        let name = match report {
            Report::Insisted { id, .. } => format!("insisted {id}"),
            Report::Failing { .. } => "failing".to_owned(),
            Report::Rejected { id, .. } => format!("rejected {id}"),
            Report::Recovered => "recovered".to_owned(),
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}
