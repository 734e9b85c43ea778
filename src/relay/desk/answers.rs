//! What the relay answered, or did not, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::calls::{Answer, Ask, How, MAX_CALLS, Order, Returned};
use super::conversation::{Conversation, Knowledge};
use super::{Limits, Report};
use crate::agent::AgentId;
use crate::relay::{Change, Operation, Present, RelayError, Target, There};

impl Conversation {
    /// A call came back.
    pub(super) fn answered(&mut self, returned: Returned, now: Instant) {
        let Returned { ask, answer, late, order } = returned;
        match (&*ask, answer) {
            // It was counted as failed, and whoever waited for it has another answer by now.
            (Ask::List, _) if late => {}
            (Ask::List, Answer::Listed(Ok(present))) => self.listed(present, now),
            (Ask::List, Answer::Listed(Err(error))) => self.not_listed(&error, now),
            (Ask::List, Answer::Changed(_) | Answer::OneByOne) => self.not_listed(&broke_off(), now),
            (Ask::Changes { targets, .. }, Answer::OneByOne) => {
                self.how = How::Single;
                for target in targets {
                    self.tasks.again(target);
                }
            }
            // What it did, it may have done after the last look.
            (Ask::Changes { .. }, Answer::Changed(_) | Answer::Listed(_)) if late => {
                self.tasks.touch_all();
                self.doubt(now);
            }
            (Ask::Changes { .. }, Answer::Listed(_)) => self.doubt(now),
            (Ask::Changes { changes, targets, .. }, Answer::Changed(results)) => {
                self.changed(changes, targets, (results, order), now);
            }
        }
    }

    /// Leaves behind what did not come back in time, and answers those who waited long enough.
    pub(super) fn give_up_waiting(&mut self, now: Instant) {
        for ask in self.calls.leave_behind(now) {
            let error = RelayError::Ambiguous(format!("no answer within {:?}", self.limits.call_within));
            match &*ask {
                Ask::List => self.not_listed(&error, now),
                Ask::Changes { changes, targets, .. } => {
                    let unknown = (vec![Err(error); changes.len()], Order::Unknown);
                    self.changed(changes, targets, unknown, now);
                }
            }
        }
        let late = self.insisted.iter().filter(|(_, insistence)| insistence.until <= now);
        let late: Vec<AgentId> = late.map(|(id, _)| id.clone()).collect();
        for id in late {
            let last = self.tasks.error(&Target::Agent(id.clone())).map(ToString::to_string);
            let why = last.unwrap_or_else(|| "its turn did not come in time".to_owned());
            self.answer_undone(&id, &RelayError::Unavailable(why));
        }
    }

    fn listed(&mut self, present: Present, now: Instant) {
        self.tally.count(Operation::List, None);
        self.there = There::of(present);
        self.calls.listed();
        self.look.tries = 0;
        self.tasks.unblock_all();
        if self.look.doubted {
            self.look.due = Some(now);
            self.knowledge = Knowledge::Doubtful;
        } else {
            self.knowledge = Knowledge::Certain;
        }
        self.compare();
    }

    pub(super) fn not_listed(&mut self, error: &RelayError, now: Instant) {
        self.tally.count(Operation::List, Some(error));
        self.look.tries = self.look.tries.saturating_add(1);
        // Whatever it says: a look asks for nothing that could be refused for good.
        self.look.due = self.look.due.or(Some(now + self.backoff(self.look.tries)));
        self.failing(error);
        if self.knowledge == Knowledge::Certain {
            // What was known before is not less certain for it.
            self.compare();
        } else {
            self.answer_all(error);
        }
    }

    fn changed(
        &mut self,
        changes: &[Change],
        targets: &[Target],
        (results, order): (Vec<Result<(), RelayError>>, Order),
        now: Instant,
    ) {
        let results = results.into_iter().chain(std::iter::repeat_with(|| Err(broke_off())));
        let mut failed: BTreeMap<&Target, (&Change, RelayError)> = BTreeMap::new();
        let mut namespaces = BTreeSet::new();
        for ((change, target), result) in changes.iter().zip(targets).zip(results) {
            self.tally.count(Operation::of(change), result.as_ref().err());
            match result {
                Ok(()) => {
                    // Otherwise the list counts. What it does not show is asked for again, and changes nothing if it was
                    // done.
                    if order == Order::After {
                        self.there.apply(change);
                    }
                    namespaces.extend(namespace(change));
                }
                Err(error) => drop(failed.entry(target).or_insert((change, error))),
            }
        }
        for target in targets.iter().collect::<BTreeSet<_>>() {
            match failed.remove(target) {
                Some((_, error @ RelayError::Ambiguous(_))) => {
                    self.failed(target, &error, now);
                    self.doubt(now);
                }
                // Something else is wanted by now.
                Some((change, _)) if !self.wanted.changes(&self.there, target).contains(change) => {
                    self.tasks.progressed(target);
                }
                Some((_, error @ RelayError::Unavailable(_))) => self.failed(target, &error, now),
                Some((_, error @ RelayError::Rejected(_))) => self.refuse(target, &error),
                // The list may be from before it, and something else be wanted by now: it is looked at anew.
                None if order == Order::Unknown => {
                    self.tasks.again(target);
                    self.doubt(now);
                }
                None if self.wanted.changes(&self.there, target).is_empty() => self.settle(target),
                None => self.tasks.progressed(target),
            }
            if let Target::Agent(id) = target {
                self.count_missing(id);
            }
        }
        for namespace in namespaces {
            self.tasks.unblock(namespace);
        }
    }

    /// What is there is not known any more.
    fn doubt(&mut self, now: Instant) {
        if self.knowledge == Knowledge::Certain {
            self.knowledge = Knowledge::Doubtful;
        }
        self.look.doubted |= self.calls.is_listing();
        self.look.due.get_or_insert(now);
    }

    /// What is wanted for this target is there.
    pub(super) fn settle(&mut self, target: &Target) {
        self.tasks.done(target);
        if let Target::Agent(id) = target {
            self.refused.remove(id);
            self.count_missing(id);
            self.answer(id, &Ok(()));
        }
    }

    /// It failed, and is tried again.
    pub(super) fn failed(&mut self, target: &Target, error: &RelayError, now: Instant) {
        let limits = self.limits.clone();
        self.tasks.failed(target, error.clone(), |tries| now + backoff(&limits, tries));
        self.failing(error);
        // What became of it is looked at first.
        if !matches!(error, RelayError::Ambiguous(_)) {
            self.answer_about(target, error);
        }
    }

    /// It failed for good.
    pub(super) fn refuse(&mut self, target: &Target, error: &RelayError) {
        self.tasks.refused(target, error.clone());
        match target {
            Target::Rule(_) => self.failing(error),
            Target::Agent(id) => {
                let why = error.to_string();
                if self.refused.get(id) != Some(&why) {
                    self.refused.insert(id.clone(), why.clone());
                    self.tell(Report::Rejected { id: id.clone(), why });
                }
            }
        }
        self.answer_about(target, error);
    }

    /// Every thread is left behind.
    pub(super) fn cut_off(&mut self) {
        let error = RelayError::Unavailable(format!("{MAX_CALLS} calls were made that never came back"));
        self.failing(&error);
        self.answer_all(&error);
    }

    /// Something failed: told if nothing else did.
    fn failing(&mut self, error: &RelayError) {
        let why = error.to_string();
        if self.outage.replace(why.clone()).is_none() {
            self.tell(Report::Failing { why, pending: self.pending() });
        }
    }

    /// Tells it once everything that failed has succeeded.
    pub(super) fn end_outage(&mut self) {
        let known = self.knowledge == Knowledge::Certain && self.look.tries == 0;
        // Not as soon as it answers again: what waited meanwhile may fail yet.
        let at_rest = !self.tasks.is_failing() && !self.tasks.has_ready() && !self.calls.is_waiting();
        if known && at_rest && !self.calls.is_cut_off() && self.outage.take().is_some() {
            self.tell(Report::Recovered);
        }
    }

    /// Answers those who wait for this target: an agent, or for a rule all agents of its namespace.
    fn answer_about(&mut self, target: &Target, error: &RelayError) {
        let waiting: Vec<AgentId> = match target {
            Target::Agent(id) => vec![id.clone()],
            Target::Rule(rule) => {
                let of_rule = |id: &&AgentId| {
                    self.wanted.namespace(id).is_some_and(|namespace| rule.namespace() == Some(namespace.as_str()))
                };
                self.insisted.keys().filter(of_rule).cloned().collect()
            }
        };
        for id in waiting {
            self.answer(&id, &Err(error.clone()));
        }
    }

    fn answer_all(&mut self, error: &RelayError) {
        let waiting: Vec<AgentId> = self.insisted.keys().cloned().collect();
        for id in waiting {
            self.answer_undone(&id, error);
        }
    }

    /// Answers that nothing more was asked for about this agent, and why. Whether something was done is in doubt only if
    /// it was asked for before.
    fn answer_undone(&mut self, id: &AgentId, error: &RelayError) {
        let target = Target::Agent(id.clone());
        let doubtful =
            self.calls.is_out(&target) || matches!(self.tasks.error(&target), Some(RelayError::Ambiguous(_)));
        let error = match error {
            _ if doubtful => RelayError::Ambiguous("it did not answer in time".to_owned()),
            RelayError::Ambiguous(why) => RelayError::Unavailable(why.clone()),
            RelayError::Unavailable(_) | RelayError::Rejected(_) => error.clone(),
        };
        self.answer(id, &Err(error));
    }

    fn answer(&mut self, id: &AgentId, result: &Result<(), RelayError>) {
        let Some(insistence) = self.insisted.remove(id) else { return };
        for _ in 0..insistence.answers {
            self.tell(Report::Insisted { id: id.clone(), result: result.clone() });
        }
    }

    fn backoff(&self, tries: u32) -> Duration {
        backoff(&self.limits, tries)
    }
}

/// Twice as long each time, from the first failure on.
fn backoff(limits: &Limits, tries: u32) -> Duration {
    // Beyond this many doublings every limit is reached.
    let doubled = 1_u32 << tries.saturating_sub(1).min(20);
    limits.retry_after.saturating_mul(doubled).min(limits.retry_at_most)
}

/// The namespace in which a change may make room for others.
fn namespace(change: &Change) -> Option<&str> {
    match change {
        Change::PutRule(rule) | Change::RemoveRule(rule) => rule.namespace(),
        Change::EnsureEndpoint(endpoint) => endpoint.subject.agent().map(|(namespace, _)| namespace),
        Change::RetireEndpoint { subject, .. } => subject.agent().map(|(namespace, _)| namespace),
    }
}

/// A call ended without an answer.
fn broke_off() -> RelayError {
    RelayError::Ambiguous("the call broke off".to_owned())
}
