//! What goes over the control socket where a DorkOS database is taken over: what is wanted of it, in parts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::agent::AgentId;
use crate::registry::{Denial, Imported, ImportedAgent};
use crate::report::WirePath;

/// The most agents, or denials, of one request: some 200 bytes each, far below what a request may have.
const MOST: usize = 1_000;

/// `POST /api/mesh/import`: a part of what a DorkOS database knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportRequest {
    #[serde(default)]
    agents: Vec<WireAgent>,
    #[serde(default)]
    denials: Vec<WireDenial>,
    #[serde(default)]
    rules: Vec<WireRule>,
}

/// When an agent was last seen and registered: ISO 8601 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireAgent {
    id: AgentId,
    last_seen_at: Option<String>,
    last_seen_event: Option<String>,
    registered_at: Option<String>,
}

/// A denied path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireDenial {
    path: WirePath,
    reason: Option<String>,
    denier: Option<String>,
    created_at: String,
}

/// Which namespace may reach which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireRule {
    from: String,
    to: String,
}

impl ImportRequest {
    /// What was read, in as many requests as it takes; one at least.
    pub fn parts_of(imported: &Imported) -> Vec<Self> {
        let agents = imported
            .agents
            .chunks(MOST)
            .map(|agents| Self { agents: agents.iter().map(WireAgent::of).collect(), ..Self::default() });
        let denials = imported
            .denials
            .chunks(MOST)
            .map(|denials| Self { denials: denials.iter().map(WireDenial::of).collect(), ..Self::default() });
        let rules = imported.rules.chunks(MOST).map(|rules| Self {
            rules: rules.iter().map(|(from, to, _)| WireRule { from: from.clone(), to: to.clone() }).collect(),
            ..Self::default()
        });
        let mut parts: Vec<Self> = agents.chain(denials).chain(rules).collect();
        if parts.is_empty() {
            parts.push(Self::default());
        }
        parts
    }

    /// What was read, or a sentence that says why this is no such thing.
    pub fn to_imported(&self) -> Result<Imported, String> {
        let agents = self.agents.iter().map(WireAgent::to_agent).collect();
        let denials = self.denials.iter().map(WireDenial::to_denial).collect::<Result<_, _>>()?;
        let rules = self.rules.iter().map(|rule| (rule.from.clone(), rule.to.clone(), String::new())).collect();
        Ok(Imported { agents, denials, rules, skipped: Vec::new() })
    }
}

impl WireAgent {
    fn of(agent: &ImportedAgent) -> Self {
        let ImportedAgent { id, last_seen_at, last_seen_event, registered_at, .. } = agent.clone();
        Self { id, last_seen_at, last_seen_event, registered_at }
    }

    fn to_agent(&self) -> ImportedAgent {
        let Self { id, last_seen_at, last_seen_event, registered_at } = self.clone();
        let (project_path, name) = (PathBuf::new(), None);
        ImportedAgent { id, project_path, name, last_seen_at, last_seen_event, registered_at }
    }
}

impl WireDenial {
    fn of(denial: &Denial) -> Self {
        let Denial { path, reason, denier, created_at } = denial.clone();
        Self { path: WirePath::of(&path), reason, denier, created_at }
    }

    fn to_denial(&self) -> Result<Denial, String> {
        let Self { path, reason, denier, created_at } = self.clone();
        Ok(Denial { path: path.to_path()?, reason, denier, created_at })
    }
}
