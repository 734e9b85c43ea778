//! Writing what was read from a DorkOS database: only what says more than the registry knows.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::import::Imported;
use super::rows::{self, PathValue};
use super::{Batch, RegistryError};
use crate::agent::moment::wall_ms;
use crate::agent::{Moment, Namespace};

/// What was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// Agents that are known to have been seen later than before.
    pub health: u64,
    /// Agents that are known to have been registered earlier than before.
    pub registered_at: u64,
    /// Paths that were not denied before.
    pub denials: u64,
    /// Pairs of namespaces that were not ruled before.
    pub rules: u64,
    /// The ids of agents that are recorded there and not here.
    pub unknown_agents: Vec<String>,
}

impl Taken {
    /// Adds what another part of the same database came to.
    pub fn add(&mut self, more: Self) {
        self.health = self.health.saturating_add(more.health);
        self.registered_at = self.registered_at.saturating_add(more.registered_at);
        self.denials = self.denials.saturating_add(more.denials);
        self.rules = self.rules.saturating_add(more.rules);
        self.unknown_agents.extend(more.unknown_agents);
    }
}

impl Batch<'_> {
    /// Takes over when agents were last seen, if that is later than what is recorded and not later than `now`; when they
    /// were registered, if that is earlier; denials of paths that are not denied; and rules between namespaces of which
    /// nobody said anything here.
    ///
    /// It can be done again: what was taken is not taken twice.
    pub fn import(&mut self, imported: &Imported, now: &Moment) -> Result<Taken, RegistryError> {
        const KNOWN: &str = "SELECT last_seen_at, registered_at FROM agents WHERE id = ?1";
        const SEEN: &str = "UPDATE agents SET last_seen_at = ?2, last_seen_event = ?3, updated_at = ?4 WHERE id = ?1";
        const REGISTERED: &str = "UPDATE agents SET registered_at = ?2, updated_at = ?3 WHERE id = ?1";
        const DENY: &str = "INSERT INTO agent_denials (id, path, reason, denier, created_at) \
            VALUES (lower(hex(randomblob(16))), ?1, ?2, ?3, ?4) ON CONFLICT (path) DO NOTHING";
        const ALLOW: &str = "INSERT INTO access_pairs (from_namespace, to_namespace, action, created_at) \
            VALUES (?1, ?2, 'allow', ?3) ON CONFLICT DO NOTHING";
        let mut taken = Taken::default();
        for agent in &imported.agents {
            let id = agent.id.as_str();
            let known =
                self.first(KNOWN, [id], |row| Ok((rows::optional_text(row, 0)?, rows::optional_text(row, 1)?)))?;
            let Some((seen, registered)) = known else {
                taken.unknown_agents.push(id.to_owned());
                continue;
            };
            let ms = |time: &Option<String>| time.as_deref().and_then(wall_ms);
            let is_news = |at_ms: i64| at_ms <= now.wall_ms && ms(&seen).is_none_or(|known_ms| known_ms < at_ms);
            if ms(&agent.last_seen_at).is_some_and(is_news) {
                self.write(SEEN, params![id, agent.last_seen_at, agent.last_seen_event, now.to_iso()])?;
                taken.health = taken.health.saturating_add(1);
            }
            let is_earlier = |at_ms: i64| ms(&registered).is_none_or(|known_ms| at_ms < known_ms);
            if ms(&agent.registered_at).is_some_and(is_earlier) {
                self.write(REGISTERED, params![id, agent.registered_at, now.to_iso()])?;
                taken.registered_at = taken.registered_at.saturating_add(1);
            }
        }
        for denial in &imported.denials {
            let since = if denial.created_at.is_empty() { now.to_iso() } else { denial.created_at.clone() };
            let written =
                self.write(DENY, params![PathValue::of(&denial.path), denial.reason, denial.denier, since])?;
            taken.denials = taken.denials.saturating_add(written as u64);
        }
        for (from, to, _) in &imported.rules {
            let namespaces = (Namespace::normalise(from.as_bytes()), Namespace::normalise(to.as_bytes()));
            let (Some(from), Some(to)) = namespaces else { continue };
            if from != to {
                let written = self.write(ALLOW, params![from.as_str(), to.as_str(), now.to_iso()])?;
                taken.rules = taken.rules.saturating_add(written as u64);
            }
        }
        Ok(taken)
    }
}
