//! What is shown of an agent, an event, a root: text that is harmless on a terminal, made once when it is read.

use std::path::PathBuf;

use crate::agent::moment::wall_ms;
use crate::agent::{Moment, Shown};
use crate::decide::RootState;
use crate::registry::{Record, RootRow, Status, StoredEvent};
use crate::report::EventReport;

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentLine {
    pub id: String,
    pub name: String,
    pub namespace: String,
    pub runtime: String,
    /// Where its project is, for people.
    pub path: String,
    /// Where its project is.
    pub project: PathBuf,
    pub status: Status,
    /// Whether its row cannot be read as an agent.
    pub is_damaged: bool,
    /// Since when it is so: last seen, or unreachable since; milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// All of it in lower case, for the filter.
    found_by: String,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLine {
    pub seq: u64,
    pub at_ms: Option<i64>,
    pub at: String,
    pub name: &'static str,
    /// What it is about, and what else there is to say.
    pub about: String,
    found_by: String,
}

/// A scan root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootLine {
    pub path: String,
    pub state: &'static str,
    pub why: String,
    pub agents: u64,
}

impl AgentLine {
    pub fn of(record: &Record, now: &Moment) -> Self {
        let columns = &record.columns;
        let shown = |text: &str| Shown::text(text).to_string();
        let project = record.project();
        let since_ms = match &record.unreachable {
            Some(unreachable) => Some(unreachable.since_ms),
            None => record.last_seen_at.as_deref().and_then(wall_ms),
        };
        let mut line = Self {
            id: shown(&columns.id),
            name: shown(columns.display_name.as_ref().unwrap_or(&columns.name)),
            namespace: shown(&columns.namespace),
            runtime: shown(&columns.runtime),
            path: Shown::path(&project).to_string(),
            project,
            status: record.health(now),
            is_damaged: record.agent.is_err(),
            since_ms,
            found_by: String::new(),
        };
        // A separator that nobody types keeps two fields from being found as one.
        let fields = [&line.id, &line.name, &line.namespace, &line.runtime, &line.path].map(String::as_str);
        line.found_by = fields.join("\n").to_lowercase();
        line
    }

    /// Whether it has this text, in lower case, in anything that is shown of it.
    pub fn has(&self, text: &str) -> bool {
        self.found_by.contains(text)
    }
}

impl EventLine {
    pub fn of(event: StoredEvent) -> Self {
        let EventReport { seq, at, event: name, agent_id, project_path, scan_root, detail, .. } = event.into();
        // A project lies below its root: saying both would say nothing more.
        let place = project_path.or(scan_root);
        let mut about: Vec<String> = place.into_iter().collect();
        about.extend(detail.iter().map(|(key, value)| match value.as_str() {
            Some(text) => format!("{key}={text}"),
            None => format!("{key}={value}"),
        }));
        // Last: an id is long, and says less than a place.
        about.extend(agent_id);
        let about = Shown::text(&about.join(" ")).to_string();
        let found_by = format!("{name}\n{about}").to_lowercase();
        Self { seq, at_ms: wall_ms(&at), at: Shown::text(&at).to_string(), name, about, found_by }
    }

    /// Whether it has this text, in lower case.
    pub fn has(&self, text: &str) -> bool {
        self.found_by.contains(text)
    }
}

impl RootLine {
    pub fn of(root: &RootRow, agents: u64) -> Self {
        let state = root.state.as_ref();
        Self {
            path: Shown::path(&root.path).to_string(),
            state: state.map_or("new", RootState::as_str),
            why: Shown::text(state.map_or("", RootState::why)).to_string(),
            agents,
        }
    }

    pub fn is_well(&self) -> bool {
        self.state == "online"
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An agent with a number, as the registry would have it.
    pub fn agent(number: usize, status: Status) -> AgentLine {
        let mut line = AgentLine {
            id: format!("01KKSXHD38RR8BEAEDRQ5{number:05}"),
            name: format!("agent-{number}"),
            namespace: format!("team-{}", number % 3),
            runtime: "claude-code".to_owned(),
            path: format!("/home/ann/projects/team-{}/agent-{number}", number % 3),
            project: PathBuf::from(format!("/home/ann/projects/team-{}/agent-{number}", number % 3)),
            status,
            is_damaged: false,
            since_ms: Some(0),
            found_by: String::new(),
        };
        line.found_by = format!("{}\n{}\n{}\n{}", line.id, line.name, line.namespace, line.path).to_lowercase();
        line
    }

    /// An event with a number.
    pub fn event(seq: u64) -> EventLine {
        let about = format!("agent-{seq} /home/ann/projects/agent-{seq}");
        let found_by = format!("agent.synced\n{about}");
        let at = "2026-11-26T01:02:03.456Z".to_owned();
        EventLine { seq, at_ms: Some(0), at, name: "agent.synced", about, found_by }
    }
}
