//! The event that tells of an action: one for every change to a row, none for what changes nothing about an agent.

use std::path::Path;

use serde_json::{Map, Value};

use super::Outcome;
use crate::agent::{Agent, Shown};
use crate::decide::{Action, Problem, ProblemKind, RootState};
use crate::registry::{Event, EventName};

/// The most characters of a name that an event says. A manifest may have a hundred thousand, and events are many.
const LONGEST_NAME: usize = 200;

/// The event that tells of an action.
#[must_use]
pub fn event(action: &Action) -> Option<Event> {
    Some(match action {
        Action::SetRoot { root, state, .. } => {
            let name = match state {
                RootState::Online => EventName::RootOnline,
                RootState::Degraded(_) => EventName::RootDegraded,
                RootState::Offline(_) => EventName::RootOffline,
            };
            let detail = if state.why().is_empty() { Map::new() } else { detail([("why", state.why().into())]) };
            Event { name, agent: None, project: None, scan_root: Some(root.to_path_buf()), detail }
        }
        Action::Remove { id, project, scan_root, cause } => Event {
            name: EventName::AgentRemoved,
            agent: Some(id.clone()),
            project: Some(project.clone()),
            scan_root: scan_root.as_deref().map(Path::to_path_buf),
            detail: detail([("cause", cause.as_str().into())]),
        },
        Action::Relocate { agent, from, .. } => {
            of_agent(EventName::AgentRelocated, agent, [("from", Shown::path(from).to_string().into())])
        }
        Action::Upsert { agent, .. } => of_agent(EventName::AgentRegistered, agent, said_of(agent)),
        Action::Sync { agent, .. } => of_agent(EventName::AgentSynced, agent, said_of(agent)),
        Action::MarkUnreachable { id, project, scan_root, reason, .. } => Event {
            name: EventName::AgentUnreachable,
            agent: Some(id.clone()),
            project: Some(project.clone()),
            scan_root: scan_root.as_deref().map(Path::to_path_buf),
            detail: detail([("reason", reason.as_str().into())]),
        },
        Action::MarkReachable { id, project, scan_root } => Event {
            name: EventName::AgentReachable,
            agent: Some(id.clone()),
            project: Some(project.clone()),
            scan_root: scan_root.as_deref().map(Path::to_path_buf),
            detail: Map::new(),
        },
        Action::Raise(problem) => raised(problem),
        Action::NoteMount { .. }
        | Action::ForgetMount { .. }
        | Action::CarryClock { .. }
        | Action::Restate(_)
        | Action::Clear(_) => return None,
    })
}

/// The event that tells of a sweep, if it changed something.
pub fn sweep_completed(outcome: &Outcome) -> Option<Event> {
    if outcome.events.is_empty() {
        return None;
    }
    let facts = [("changes", outcome.events.len().into()), ("failed", outcome.failed.len().into())];
    let (agent, project, scan_root) = (None, None, None);
    Some(Event { name: EventName::SweepCompleted, agent, project, scan_root, detail: detail(facts) })
}

fn raised(problem: &Problem) -> Event {
    let name = match problem.kind {
        ProblemKind::Unreadable => EventName::ManifestUnreadable,
        // A contested id is one that two projects claim, too: the problem's kind tells them apart.
        ProblemKind::DuplicateId | ProblemKind::Contested => EventName::ManifestDuplicateId,
    };
    Event {
        name,
        agent: problem.id.clone(),
        project: Some(problem.project.clone()),
        scan_root: None,
        detail: detail([("problem", problem.kind.as_str().into()), ("why", problem.detail.clone().into())]),
    }
}

/// What an event says of an agent's manifest.
fn said_of(agent: &Agent) -> [(&'static str, Value); 2] {
    let name: String = agent.manifest.name.chars().take(LONGEST_NAME).collect();
    [("name", name.into()), ("namespace", agent.namespace.as_str().into())]
}

fn of_agent<const N: usize>(name: EventName, agent: &Agent, facts: [(&str, Value); N]) -> Event {
    Event {
        name,
        agent: Some(agent.id().clone()),
        project: Some(agent.project.clone()),
        scan_root: agent.scan_root.as_deref().map(Path::to_path_buf),
        detail: detail(facts),
    }
}

fn detail<const N: usize>(facts: [(&str, Value); N]) -> Map<String, Value> {
    facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
