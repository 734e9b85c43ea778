//! What is wanted of a relay, and what is to be done about the difference to what is there: pure.
//!
//! The order is the whole of it. Rules are put before endpoints, so that nobody is reached by whom they should not be;
//! an agent's new endpoint is there before the old one is retired, so that there is always one; a namespace's rules go
//! last, after its last endpoint.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::rule::{Pair, Rule};
use super::subject::Subject;
use super::there::There;
use super::{Change, Endpoint};
use crate::agent::{AgentId, Namespace};

/// What should be there: an endpoint for each agent, the rules of their namespaces, and the rules of the pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    endpoints: BTreeMap<AgentId, Namespace>,
    /// How many agents there are in each namespace.
    agents: BTreeMap<Namespace, usize>,
    pair_rules: BTreeSet<Rule>,
    /// All rules: those of the namespaces and those of the pairs.
    rules: BTreeSet<Rule>,
}

/// What can differ on its own, and is tried again on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One rule.
    Rule(Rule),
    /// All endpoints of one agent.
    Agent(AgentId),
}

impl Wanted {
    /// What is wanted for these agents and pairs.
    #[must_use]
    pub fn of(endpoints: Vec<(AgentId, Namespace)>, pairs: &[Pair]) -> Self {
        let mut wanted = Self::default();
        wanted.set_pairs(pairs);
        let endpoints: BTreeMap<AgentId, Namespace> = endpoints.into_iter().collect();
        for namespace in endpoints.values() {
            wanted.count_in(namespace);
        }
        wanted.endpoints = endpoints;
        wanted
    }

    /// Sets in which namespace an agent is wanted; `None` if it is not wanted any more.
    pub fn set(&mut self, id: AgentId, namespace: Option<Namespace>) {
        // The new one first: rules that stay are not taken away in between.
        if let Some(namespace) = &namespace {
            self.count_in(namespace);
        }
        let before = match namespace {
            Some(namespace) => self.endpoints.insert(id, namespace),
            None => self.endpoints.remove(&id),
        };
        if let Some(before) = before {
            self.count_out(&before);
        }
    }

    /// Sets the pairs. One whose namespace is no token allows and denies nothing, since nobody can be in it.
    pub fn set_pairs(&mut self, pairs: &[Pair]) {
        for rule in std::mem::take(&mut self.pair_rules) {
            self.rules.remove(&rule);
        }
        self.pair_rules = pairs.iter().filter_map(|pair| pair.rule().ok()).collect();
        self.rules.extend(self.pair_rules.iter().cloned());
    }

    /// The namespace in which an agent is wanted.
    #[must_use]
    pub fn namespace(&self, id: &AgentId) -> Option<&Namespace> {
        self.endpoints.get(id)
    }

    /// How many endpoints are wanted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Whether no endpoint is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// The agents whose endpoints are wanted.
    pub fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.endpoints.keys()
    }

    /// The rules that are wanted.
    #[must_use]
    pub fn rules(&self) -> &BTreeSet<Rule> {
        &self.rules
    }

    /// Everything that is to be done, in the order in which it is to be done.
    #[must_use]
    pub fn diff(&self, there: &There) -> Vec<Change> {
        self.plan(there, &self.differing(there)).into_iter().map(|(_, change)| change).collect()
    }

    /// What differs.
    #[must_use]
    pub fn differing(&self, there: &There) -> BTreeSet<Target> {
        let mut differing: BTreeSet<Target> =
            self.rules.symmetric_difference(there.rules()).cloned().map(Target::Rule).collect();
        let mut agent = |id: &AgentId| differing.insert(Target::Agent(id.clone()));
        // Both are in the order of their ids.
        let mut held = there.agents().peekable();
        for (id, namespace) in &self.endpoints {
            while let Some((other, _)) = held.next_if(|(other, _)| *other < id) {
                agent(other);
            }
            let subjects = held.next_if(|(other, _)| *other == id).map_or(&[][..], |(_, subjects)| subjects);
            let right = |subject: &Subject| subject.is_of(namespace, id) && !there.is_broken(subject);
            if !matches!(subjects, [only] if right(only)) {
                agent(id);
            }
        }
        for (id, _) in held {
            agent(id);
        }
        differing
    }

    /// What is to be done about these, in the order in which it is to be done. What must wait for something that is
    /// neither there nor among these is left out.
    #[must_use]
    pub fn plan<'t>(&self, there: &There, targets: impl IntoIterator<Item = &'t Target>) -> Vec<(&'t Target, Change)> {
        let mut changes: Vec<(&Target, Change)> = Vec::new();
        for target in targets {
            changes.extend(self.changes(there, target).into_iter().map(|change| (target, change)));
        }
        changes.sort_by_key(|(_, change)| place(change));
        let mut ahead = Ahead::of(there);
        changes.retain(|(_, change)| ahead.takes(change));
        changes
    }

    /// What is to be done about one target, in order, whether something else must come before or not.
    #[must_use]
    pub fn changes(&self, there: &There, target: &Target) -> Vec<Change> {
        match target {
            Target::Rule(rule) => match (self.rules.contains(rule), there.rules().contains(rule)) {
                (true, false) => vec![Change::PutRule(rule.clone())],
                (false, true) => vec![Change::RemoveRule(rule.clone())],
                (true, true) | (false, false) => Vec::new(),
            },
            Target::Agent(id) => self.changes_of_agent(there, id),
        }
    }

    fn changes_of_agent(&self, there: &There, id: &AgentId) -> Vec<Change> {
        let subject = match self.namespace(id).map(|namespace| Subject::of_agent(namespace, id)) {
            // There is no place for it, so it stays where it is.
            Some(Err(_)) => return Vec::new(),
            Some(Ok(subject)) => Some(subject),
            None => None,
        };
        let mut changes = Vec::new();
        if let Some(subject) = &subject
            && !there.has(id, subject)
        {
            changes.push(Change::EnsureEndpoint(Endpoint { subject: subject.clone(), agent: id.clone() }));
        }
        let others = there.subjects(id).iter().filter(|other| Some(*other) != subject.as_ref());
        changes.extend(others.map(|other| {
            let (subject, successor) = (other.clone(), subject.clone());
            Change::RetireEndpoint { subject, successor }
        }));
        changes
    }

    fn count_in(&mut self, namespace: &Namespace) {
        if let Some(count) = self.agents.get_mut(namespace) {
            *count = count.saturating_add(1);
            return;
        }
        self.agents.insert(namespace.clone(), 1);
        self.rules.extend(Rule::of_namespace(namespace).into_iter().flatten());
    }

    fn count_out(&mut self, namespace: &Namespace) {
        let Some(count) = self.agents.get_mut(namespace) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.agents.remove(namespace);
            for rule in Rule::of_namespace(namespace).into_iter().flatten() {
                self.rules.remove(&rule);
            }
        }
    }
}

/// When a kind of change comes.
fn place(change: &Change) -> u8 {
    match change {
        Change::PutRule(_) => 0,
        Change::EnsureEndpoint(_) => 1,
        Change::RetireEndpoint { .. } => 2,
        Change::RemoveRule(_) => 3,
    }
}

/// What is there, and what will be once the changes that were taken are made.
struct Ahead<'a> {
    there: &'a There,
    put: HashSet<Rule>,
    ensured: HashSet<Subject>,
    /// How many endpoints go from each namespace.
    retired: HashMap<String, usize>,
    /// Whether both rules of a namespace are there or are put.
    ruled: HashMap<String, bool>,
}

impl<'a> Ahead<'a> {
    fn of(there: &'a There) -> Self {
        let (put, ensured) = (HashSet::new(), HashSet::new());
        Self { there, put, ensured, retired: HashMap::new(), ruled: HashMap::new() }
    }

    /// Takes a change if what it needs is there or is made before it.
    fn takes(&mut self, change: &Change) -> bool {
        match change {
            Change::PutRule(rule) => self.put.insert(rule.clone()),
            Change::EnsureEndpoint(endpoint) => {
                let ready = endpoint.subject.agent().is_some_and(|(namespace, _)| self.is_ruled(namespace));
                if ready {
                    self.ensured.insert(endpoint.subject.clone());
                }
                ready
            }
            Change::RetireEndpoint { subject, successor } => {
                let ready = successor.as_ref().is_none_or(|successor| {
                    self.ensured.contains(successor)
                        || successor
                            .agent()
                            .and_then(|(_, id)| id.parse().ok())
                            .is_some_and(|id| self.there.has(&id, successor))
                });
                if let Some((namespace, _)) = subject.agent().filter(|_| ready) {
                    let retired = self.retired.entry(namespace.to_owned()).or_default();
                    *retired = retired.saturating_add(1);
                }
                ready
            }
            Change::RemoveRule(rule) => rule.namespace().is_none_or(|namespace| {
                let retired = self.retired.get(namespace).copied().unwrap_or(0);
                self.there.endpoints_in(namespace) <= retired
            }),
        }
    }

    fn is_ruled(&mut self, namespace: &str) -> bool {
        if let Some(ruled) = self.ruled.get(namespace) {
            return *ruled;
        }
        let rules = Rule::of_namespace(&Namespace::as_recorded(namespace.to_owned()));
        let stands = |rule: &Rule| self.there.rules().contains(rule) || self.put.contains(rule);
        let both = rules.is_ok_and(|rules| rules.iter().all(stands));
        self.ruled.insert(namespace.to_owned(), both);
        both
    }
}
