//! What is known to be there of what meshd made at a relay.
//!
//! It is what was listed last, and what was done since. The same subject is never under two agents in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::rule::Rule;
use super::subject::Subject;
use super::{Change, Endpoint, Present};
use crate::agent::AgentId;

/// What is known to be there, of what meshd made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct There {
    /// The subjects under the agent that their text names. Mostly one each.
    endpoints: BTreeMap<AgentId, Vec<Subject>>,
    /// Subjects at which there is something, but not the endpoint that their text names: somebody gave it to another
    /// agent by hand, or only its mail is left.
    broken: BTreeSet<Subject>,
    /// How many endpoints there are in each namespace.
    endpoints_in: HashMap<String, usize>,
    rules: BTreeSet<Rule>,
}

impl There {
    /// What a relay listed.
    #[must_use]
    pub fn of(present: Present) -> Self {
        let mut there = Self { rules: present.rules.into_iter().collect(), ..Self::default() };
        let mut by_agent: Vec<(AgentId, Vec<Subject>)> = Vec::with_capacity(present.endpoints.len());
        for subject in present.leftovers {
            if let Some(agent) = subject.agent().and_then(|(_, id)| id.parse().ok()) {
                there.broken.insert(subject.clone());
                by_agent.push((agent, vec![subject]));
            }
        }
        for Endpoint { subject, agent } in present.endpoints {
            let named = subject.agent().map(|(_, id)| id);
            let is_anothers = named.is_some_and(|id| id != agent.as_str());
            let agent = if is_anothers { named.and_then(|id| id.parse().ok()).unwrap_or(agent) } else { agent };
            if is_anothers {
                there.broken.insert(subject.clone());
            }
            by_agent.push((agent, vec![subject]));
        }
        // Sorted first, so that the map is built in one go: mostly they are listed in the order of their agents.
        by_agent.sort_by(|(one, _), (other, _)| one.cmp(other));
        by_agent.dedup_by(|(later, subjects), (kept, all)| {
            let same = later == kept;
            if same {
                all.append(subjects);
            }
            same
        });
        for (_, subjects) in &mut by_agent {
            if subjects.len() > 1 {
                subjects.sort();
                subjects.dedup();
            }
            for subject in subjects {
                there.count(subject, |count| count.saturating_add(1));
            }
        }
        there.endpoints = by_agent.into_iter().collect();
        there
    }

    /// What is there after this change was made.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::PutRule(rule) => drop(self.rules.insert(rule.clone())),
            Change::RemoveRule(rule) => drop(self.rules.remove(rule)),
            Change::EnsureEndpoint(endpoint) => {
                self.broken.remove(&endpoint.subject);
                let subjects = self.endpoints.entry(endpoint.agent.clone()).or_default();
                if !subjects.contains(&endpoint.subject) {
                    subjects.push(endpoint.subject.clone());
                    self.count(&endpoint.subject, |count| count.saturating_add(1));
                }
            }
            Change::RetireEndpoint { subject, .. } => {
                self.broken.remove(subject);
                if self.forget(subject) {
                    self.count(subject, |count| count.saturating_sub(1));
                }
            }
        }
    }

    /// Whether this endpoint is there, and is this agent's.
    #[must_use]
    pub fn has(&self, id: &AgentId, subject: &Subject) -> bool {
        self.subjects(id).contains(subject) && !self.is_broken(subject)
    }

    /// The agents with the subjects of their endpoints, in the order of their ids.
    pub fn agents(&self) -> impl Iterator<Item = (&AgentId, &Vec<Subject>)> {
        self.endpoints.iter()
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &BTreeSet<Rule> {
        &self.rules
    }

    /// The subjects at which this agent has endpoints.
    #[must_use]
    pub fn subjects(&self, id: &AgentId) -> &[Subject] {
        self.endpoints.get(id).map_or(&[], Vec::as_slice)
    }

    /// Takes a subject out, and says whether it was there.
    fn forget(&mut self, subject: &Subject) -> bool {
        let named: Option<AgentId> = subject.agent().and_then(|(_, id)| id.parse().ok());
        // One that names no agent was made by hand, and only a search finds under whom it is.
        let holder = named.or_else(|| {
            let mut holders = self.endpoints.iter().filter(|(_, subjects)| subjects.contains(subject));
            holders.next().map(|(id, _)| id.clone())
        });
        let Some(holder) = holder else { return false };
        let Some(subjects) = self.endpoints.get_mut(&holder) else { return false };
        let before = subjects.len();
        subjects.retain(|other| other != subject);
        let found = subjects.len() < before;
        if subjects.is_empty() {
            self.endpoints.remove(&holder);
        }
        found
    }

    /// Whether there is something at this subject, but not the endpoint that its text names.
    #[must_use]
    pub fn is_broken(&self, subject: &Subject) -> bool {
        !self.broken.is_empty() && self.broken.contains(subject)
    }

    /// How many endpoints there are in a namespace.
    #[must_use]
    pub fn endpoints_in(&self, namespace: &str) -> usize {
        self.endpoints_in.get(namespace).copied().unwrap_or(0)
    }

    fn count(&mut self, subject: &Subject, step: impl Fn(usize) -> usize) {
        let Some((namespace, _)) = subject.agent() else { return };
        if let Some(count) = self.endpoints_in.get_mut(namespace) {
            *count = step(*count);
        } else {
            self.endpoints_in.insert(namespace.to_owned(), step(0));
        }
        if self.endpoints_in.get(namespace) == Some(&0) {
            self.endpoints_in.remove(namespace);
        }
    }
}
