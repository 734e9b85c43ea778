//! What the desk was told, and what is to be done for it.

use std::time::Instant;

use super::conversation::{Conversation, Knowledge};
use super::told::{Everything, Insistence, Told};
use crate::agent::AgentId;
use crate::relay::{Rule, Subject, Target, There, Wanted};

impl Conversation {
    /// Takes in what was told.
    pub(super) fn hear(&mut self, told: Told, now: Instant) {
        let something = told.all.is_some() || !told.changed.is_empty() || told.pairs.is_some();
        if let Some(Everything { endpoints, pairs }) = told.all {
            self.wanted = Wanted::of(endpoints, &pairs);
            self.is_told_all = true;
            let wanted = &self.wanted;
            self.refused.retain(|id, _| wanted.namespace(id).is_some());
            // Compared with what is listed now, not with what was known.
            self.look.due = Some(now);
            self.count_all_missing();
        }
        for (id, namespace) in told.changed {
            let before = self.wanted.namespace(&id).cloned();
            // That nothing is wanted is news where not everything was told yet.
            if before == namespace && namespace.is_some() {
                continue;
            }
            self.wanted.set(id.clone(), namespace.clone());
            self.refused.remove(&id);
            for rule in [before, namespace].iter().flatten().flat_map(Rule::of_namespace).flatten() {
                self.touch_if_it_differs(&Target::Rule(rule));
            }
            self.count_missing(&id);
            self.tasks.touch(&Target::Agent(id));
        }
        if let Some(pairs) = told.pairs {
            self.wanted.set_pairs(&pairs);
            self.compare();
        }
        if told.verify {
            self.tasks.touch_all();
        }
        let insists = !told.insisted.is_empty();
        for (id, insistence) in told.insisted {
            self.insist(id, insistence);
        }
        let uncertain = self.knowledge != Knowledge::Certain;
        let at_once = told.verify || (uncertain && (insists || (something && self.look.due.is_none())));
        if at_once {
            self.look.due = Some(now);
        }
    }

    fn insist(&mut self, id: AgentId, insistence: Insistence) {
        let rules = self.wanted.namespace(&id).map(Rule::of_namespace);
        for rule in rules.into_iter().flatten().flatten() {
            let rule = Target::Rule(rule);
            if self.tasks.has(&rule) {
                self.tasks.hurry(&rule);
            }
        }
        self.tasks.hurry(&Target::Agent(id.clone()));
        let known = self.insisted.entry(id).or_insert(Insistence { answers: 0, ..insistence });
        known.answers = known.answers.saturating_add(insistence.answers);
    }

    /// Works out what differs between what is wanted and what is known to be there.
    pub(super) fn compare(&mut self) {
        if self.knowledge != Knowledge::Certain {
            return self.count_all_missing();
        }
        let mut differing = self.wanted.differing(&self.there);
        if !self.is_told_all {
            differing.retain(|target| match target {
                Target::Rule(rule) => self.wanted.rules().contains(rule),
                Target::Agent(id) => self.wanted.namespace(id).is_some() || self.tasks.has(target),
            });
        }
        self.missing.clear();
        for target in &differing {
            if let Target::Agent(id) = target {
                self.count_missing(id);
            }
        }
        for target in self.tasks.settled(&differing) {
            self.settle(&target);
        }
        for target in differing.iter().filter(|target| !self.tasks.has(target)).collect::<Vec<_>>() {
            self.tasks.touch(target);
        }
    }

    fn count_all_missing(&mut self) {
        let (wanted, there) = (&self.wanted, &self.there);
        self.missing = wanted.agents().filter(|id| is_missing(wanted, there, id)).cloned().collect();
    }

    fn touch_if_it_differs(&mut self, target: &Target) {
        if self.tasks.has(target) || !self.wanted.changes(&self.there, target).is_empty() {
            self.tasks.touch(target);
        }
    }

    pub(super) fn count_missing(&mut self, id: &AgentId) {
        if is_missing(&self.wanted, &self.there, id) {
            self.missing.insert(id.clone());
        } else {
            self.missing.remove(id);
        }
    }
}

fn is_missing(wanted: &Wanted, there: &There, id: &AgentId) -> bool {
    wanted.namespace(id).is_some_and(|namespace| {
        let is_it = |subject: &Subject| subject.is_of(namespace, id) && !there.is_broken(subject);
        !there.subjects(id).iter().any(is_it)
    })
}
