//! What the engine says to the relay: who is recorded, in which namespace, and who may reach whom. The relay's own thread
//! brings it about; the engine never waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::EngineError;
use super::pass::Engine;
use super::run::Runner;
use crate::agent::{AgentId, Namespace};
use crate::apply::Outcome;
use crate::decide::Action;
use crate::registry::{Access, Event, EventName, Reader, RegistryError};
use crate::relay::{Desk, Pair, Report, RuleAction};

impl Engine {
    /// Takes the relay that is to follow this registry.
    ///
    /// A registry without a row may be one that was just made anew: before a pass over everything has filled it, the relay
    /// would put away what belongs to everybody.
    pub(super) fn set_relay(&mut self, relay: Arc<Desk>) -> Result<(), RegistryError> {
        self.relay = Some(relay);
        if self.memory.all().next().is_some() {
            self.tell_relay_everything()?;
        }
        Ok(())
    }

    /// Tells the relay what a pass changed.
    pub(super) fn tell_relay(&mut self, outcome: &Outcome) {
        let Some(relay) = &self.relay else { return };
        let mut changes: Vec<_> = outcome.applied.iter().filter_map(endpoint).collect();
        // Most changes are none to the relay, and each word to it wakes a thread.
        changes.retain(|(id, namespace)| self.told_relay.get(id) != namespace.as_ref());
        if !changes.is_empty() {
            note(&mut self.told_relay, &changes);
            relay.want(changes);
        }
    }

    /// Has the relay compared with the registry.
    pub(super) fn verify_relay(&self) {
        if let Some(relay) = &self.relay {
            relay.verify();
        }
    }

    /// Waits until the relay was told everything once, or the time is over.
    pub(super) fn finish_relay(&mut self, within: Duration) {
        if let Some(relay) = self.relay.take() {
            relay.finish(within);
        }
    }

    /// Tells the relay everything anew: somebody else changed the registry.
    pub(super) fn tell_relay_everything(&mut self) -> Result<(), RegistryError> {
        if let Some(relay) = &self.relay {
            let endpoints = self.registry.endpoints()?;
            self.told_relay = endpoints.iter().cloned().collect();
            relay.want_all(endpoints, pairs(&self.registry)?);
            self.relay_knows_all = true;
        }
        Ok(())
    }

    /// Tells the relay how these agents are recorded now, if they are.
    pub(super) fn want_endpoints(&mut self, ids: Vec<AgentId>) -> Result<(), EngineError> {
        let Some(relay) = &self.relay else { return Ok(()) };
        let mut changes = Vec::with_capacity(ids.len());
        for id in ids {
            let namespace = self.registry.get(&id)?.map(|record| Namespace::as_recorded(record.columns.namespace));
            changes.push((id, namespace));
        }
        note(&mut self.told_relay, &changes);
        relay.want(changes);
        Ok(())
    }

    /// Tells the relay who may reach whom.
    pub(super) fn want_pairs(&self) -> Result<(), EngineError> {
        if let Some(relay) = &self.relay {
            relay.want_pairs(pairs(&self.registry)?);
        }
        Ok(())
    }

    /// Has the relay say what becomes of an agent's endpoint. `false` if there is no relay that could.
    pub(super) fn insist(&self, id: &AgentId) -> bool {
        let Some(relay) = &self.relay else { return false };
        relay.insist(id.clone());
        true
    }

    /// Has the relay retire an agent's endpoint, and say so. `false` if there is no relay that could.
    pub(super) fn insist_gone(&mut self, id: &AgentId) -> bool {
        let Some(relay) = &self.relay else { return false };
        self.told_relay.remove(id);
        relay.want(vec![(id.clone(), None)]);
        relay.insist(id.clone());
        true
    }
}

impl Runner {
    /// What the relay's thread has to say.
    pub(super) fn hear_relay(&mut self, report: &Report) {
        let failed = |why: &str| Event::new(EventName::RelayFailed).with("why", why);
        match report {
            Report::Insisted { id, result } => self.insisted(id, result),
            Report::Failing { why, pending } => {
                let event = failed(why).with("pending", &pending.to_string());
                self.engine.record(&event);
            }
            Report::Rejected { id, why } => {
                self.engine.record(&Event { agent: Some(id.clone()), ..failed(why) });
            }
            Report::Recovered => tracing::info!("the relay answers again"),
        }
    }
}

/// Notes what the relay is told.
fn note(told: &mut HashMap<AgentId, Namespace>, changes: &[(AgentId, Option<Namespace>)]) {
    for (id, namespace) in changes {
        match namespace {
            Some(namespace) => drop(told.insert(id.clone(), namespace.clone())),
            None => drop(told.remove(id)),
        }
    }
}

/// What an action makes of an agent's endpoint.
fn endpoint(action: &Action) -> Option<(AgentId, Option<Namespace>)> {
    match action {
        Action::Remove { id, .. } => Some((id.clone(), None)),
        Action::Relocate { agent, .. } | Action::Upsert { agent, .. } | Action::Sync { agent, .. } => {
            Some((agent.id().clone(), Some(agent.namespace.clone())))
        }
        Action::SetRoot { .. }
        | Action::NoteMount { .. }
        | Action::ForgetMount { .. }
        | Action::MarkUnreachable { .. }
        | Action::CarryClock { .. }
        | Action::MarkReachable { .. }
        | Action::Raise(_)
        | Action::Restate(_)
        | Action::Clear(_) => None,
    }
}

fn pairs(registry: &Reader) -> Result<Vec<Pair>, RegistryError> {
    let pairs = registry.access_pairs()?.into_iter().map(|pair| Pair {
        from_namespace: pair.from,
        to_namespace: pair.to,
        action: match pair.access {
            Access::Allow => RuleAction::Allow,
            Access::Deny => RuleAction::Deny,
        },
    });
    Ok(pairs.collect())
}
