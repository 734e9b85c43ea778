//! The conversation with a relay: look, compare, ask for the difference, and again when something is told or answered.
//!
//! What is there is known from the last look and from what was done since. As soon as that is in doubt, nothing more is
//! asked for before the next look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, at, never, select};

use super::calls::{Ask, Calls, How};
use super::tasks::Tasks;
use super::told::{Insistence, Shared, Tried};
use super::{Limits, Report};
use crate::agent::AgentId;
use crate::clock::monotonic;
use crate::relay::{Change, Relay, RelayError, Subject, Tally, Target, There, Wanted};

/// One desk's conversation.
pub(super) struct Conversation {
    pub(super) calls: Calls,
    pub(super) limits: Limits,
    pub(super) shared: Arc<Shared>,
    report: Box<dyn Fn(Report) + Send>,
    /// What is to be reported, once the facts say the same.
    reports: Vec<Report>,
    pub(super) wanted: Wanted,
    /// Whether everything that is wanted was told. Before that, what is there and was not told of is left alone.
    pub(super) is_told_all: bool,
    pub(super) there: There,
    pub(super) knowledge: Knowledge,
    pub(super) look: Look,
    pub(super) tasks: Tasks,
    /// The agents whose endpoint is wanted and not known to be there.
    pub(super) missing: BTreeSet<AgentId>,
    pub(super) insisted: BTreeMap<AgentId, Insistence>,
    /// What was told of agents that the relay refuses.
    pub(super) refused: BTreeMap<AgentId, String>,
    /// What is wrong, from the first failure until everything that failed has succeeded.
    pub(super) outage: Option<String>,
    /// How changes are made: all at once until the backend says that it cannot.
    pub(super) how: How,
    /// How often what was asked for.
    pub(super) tally: Tally,
}

/// What is known of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// It was never listed.
    Nothing,
    /// Something happened of which nobody knows what came.
    Doubtful,
    /// It was listed, and everything since then was answered.
    Certain,
}

/// The next look at what is there.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// When; `None` where there is no need for one.
    pub due: Option<Instant>,
    /// How often it failed in a row.
    pub tries: u32,
    /// Whether something came to be in doubt meanwhile.
    pub doubted: bool,
}

impl Conversation {
    pub fn new(relay: Arc<dyn Relay>, limits: Limits, report: Box<dyn Fn(Report) + Send>, shared: Arc<Shared>) -> Self {
        Self {
            calls: Calls::new(relay),
            limits,
            shared,
            report,
            reports: Vec::new(),
            wanted: Wanted::default(),
            is_told_all: false,
            there: There::default(),
            knowledge: Knowledge::Nothing,
            look: Look::default(),
            tasks: Tasks::default(),
            missing: BTreeSet::new(),
            insisted: BTreeMap::new(),
            refused: BTreeMap::new(),
            outage: None,
            how: How::Batch,
            tally: Tally::default(),
        }
    }

    /// Goes on until the desk is dropped.
    pub fn run(mut self, bell: &Receiver<()>) {
        let answers = self.calls.answers();
        loop {
            let told = self.shared.hear();
            if told.stop {
                return;
            }
            let now = monotonic();
            self.hear(told, now);
            self.give_up_waiting(now);
            self.tasks.wake(now);
            self.start(now);
            self.end_outage();
            self.publish();
            for report in self.reports.drain(..) {
                (self.report)(report);
            }
            self.shared.note(self.is_tried());
            let timer = self.next_time().map_or_else(never, at);
            select! {
                // Gone without a word: the desk is.
                recv(bell) -> stroke => if stroke.is_err() { return },
                recv(answers) -> answer => if let Some(returned) = answer.ok().and_then(|one| self.calls.returned(one)) {
                    self.answered(returned, monotonic());
                },
                recv(timer) -> _ => {}
            }
        }
    }

    /// Asks for what there is to ask for.
    fn start(&mut self, now: Instant) {
        if self.calls.is_cut_off() && (self.look.due.is_some() || self.tasks.has_ready()) {
            self.cut_off();
        }
        if self.may_look(now) {
            self.look = Look { due: None, tries: self.look.tries, doubted: false };
            if let Err(error) = self.calls.start(Ask::List, now, self.limits.call_within) {
                self.not_listed(&no_thread(&error), now);
            }
        }
        if self.knowledge != Knowledge::Certain {
            return;
        }
        match self.how {
            How::Batch => self.start_batch(now),
            How::Single => self.start_singles(now),
        }
    }

    fn start_batch(&mut self, now: Instant) {
        // A backend that swallowed several batches is not given more before one of them is back.
        if self.calls.is_making_batch() || self.calls.spares() || !self.calls.has_room() {
            return;
        }
        let ready = self.tasks.all_ready();
        let plan = self.wanted.plan(&self.there, &ready);
        let (targets, changes): (Vec<Target>, Vec<Change>) =
            plan.into_iter().map(|(target, change)| (target.clone(), change)).unzip();
        let planned: BTreeSet<&Target> = targets.iter().collect();
        for target in ready.iter().filter(|target| !planned.contains(target)) {
            self.rest(target);
        }
        if !changes.is_empty() {
            self.ask(changes, targets, How::Batch, now);
        }
    }

    fn start_singles(&mut self, now: Instant) {
        while self.calls.has_room()
            && let Some(target) = self.tasks.next()
        {
            let first = self.wanted.plan(&self.there, [&target]).into_iter().next();
            match first {
                None => self.rest(&target),
                Some(_) if self.calls.spares() && self.calls.is_out(&target) => {
                    self.tasks.sleep(&target, now + self.limits.retry_at_most);
                }
                Some((_, change)) => self.ask(vec![change], vec![target.clone()], How::Single, now),
            }
        }
    }

    fn ask(&mut self, changes: Vec<Change>, targets: Vec<Target>, how: How, now: Instant) {
        for target in &targets {
            self.tasks.asked(target);
        }
        let asked = targets.clone();
        if let Err(error) = self.calls.start(Ask::Changes { changes, targets, how }, now, self.limits.call_within) {
            let error = no_thread(&error);
            for target in asked {
                self.failed(&target, &error, now);
            }
        }
    }

    /// There is nothing to ask for about this target now: it is done, or it is impossible, or it waits.
    fn rest(&mut self, target: &Target) {
        if let Target::Agent(id) = target
            && let Some(Err(error)) = self.wanted.namespace(id).map(|namespace| Subject::of_agent(namespace, id))
        {
            return self.refuse(target, &RelayError::Rejected(format!("its namespace makes no subject: {error}")));
        }
        if self.wanted.changes(&self.there, target).is_empty() {
            return self.settle(target);
        }
        let namespace = match target {
            Target::Rule(rule) => rule.namespace().map(str::to_owned),
            Target::Agent(id) => self.wanted.namespace(id).map(ToString::to_string),
        };
        self.tasks.block(target, &namespace.unwrap_or_default());
    }

    pub(super) fn pending(&self) -> u64 {
        let pending = match self.knowledge {
            Knowledge::Nothing => self.wanted.len(),
            Knowledge::Doubtful | Knowledge::Certain => self.missing.len(),
        };
        u64::try_from(pending).unwrap_or(u64::MAX)
    }

    pub(super) fn tell(&mut self, report: Report) {
        self.reports.push(report);
    }

    fn may_look(&self, now: Instant) -> bool {
        self.look.due.is_some_and(|due| due <= now) && self.can_look()
    }

    /// Whether a look could be had. Listings that hang take half of the threads at most, like everything else.
    fn can_look(&self) -> bool {
        self.calls.has_room() && !self.calls.is_listing() && !(self.calls.spares() && self.calls.left_a_listing())
    }

    /// When something is to be done that nobody rings for.
    fn next_time(&self) -> Option<Instant> {
        let look = self.look.due.filter(|_| self.can_look());
        let answer = self.insisted.values().map(|insistence| insistence.until).min();
        [look, answer, self.calls.next_deadline(), self.tasks.next_wake()].into_iter().flatten().min()
    }

    fn publish(&self) {
        let refused = self.refused.iter().next().map(|(id, why)| format!("agent {id}: {why}"));
        self.shared.publish(self.pending(), self.outage.as_deref().or(refused.as_deref()), self.tally);
    }

    /// Whether everything that was heard was tried once. What cannot be asked, since calls never came back, was tried as
    /// far as it goes.
    fn is_tried(&self) -> Tried {
        let asked = self.knowledge != Knowledge::Certain || !self.tasks.has_ready() || self.calls.left_behind() > 0;
        if asked && !self.calls.is_waiting() { Tried::All } else { Tried::Some }
    }
}

fn no_thread(error: &std::io::Error) -> RelayError {
    RelayError::Unavailable(format!("there is no thread for a call: {error}"))
}
