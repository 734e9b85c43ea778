//! What is to be done: data, made by the decision and carried out by `apply`.
//!
//! An action carries everything that is needed to perform it, so that `apply` never chooses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Problem, RootState};
use crate::agent::{Agent, AgentId, GraceClock, Reason, RootIdentity, Sighting};

/// What one pass decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In the order in which they are carried out: roots and what is mounted below them, departures, arrivals, what stays where it is, problems.
    pub actions: Vec<Action>,
    /// Manifests that say what is recorded, and whose fingerprint or directory is another than recorded: worth
    /// remembering, not worth a write of its own.
    pub sightings: Vec<(AgentId, Sighting)>,
    /// Projects to look at again, and in how long: what was found there may pass by itself.
    pub look_again: Vec<(PathBuf, Duration)>,
}

/// One thing to be done to the registry.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A scan root changed its state, or is another directory now.
    SetRoot {
        /// The root.
        root: Arc<Path>,
        /// Its state from now on.
        state: RootState,
        /// The directory that it is from now on; as before if `None`.
        identity: Option<RootIdentity>,
    },
    /// Agents are below a mount point: should nothing be mounted there some day, they cannot be looked for. Not told:
    /// nothing about an agent changed.
    NoteMount {
        /// Where it is.
        point: PathBuf,
    },
    /// What was mounted there is no more to be waited for. Not told either.
    ForgetMount {
        /// Where it was.
        point: PathBuf,
    },
    /// The agent goes: its record, and what hangs on it.
    Remove {
        /// Whose record.
        id: AgentId,
        /// Where it was recorded.
        project: PathBuf,
        /// The scan root it was recorded under.
        scan_root: Option<Arc<Path>>,
        /// Why.
        cause: RemoveCause,
    },
    /// The agent is recorded at another place than before.
    Relocate {
        /// What it is from now on.
        agent: Arc<Agent>,
        /// Where it was.
        from: PathBuf,
        /// What was seen of it there.
        sighting: Sighting,
    },
    /// The agent is recorded for the first time.
    Upsert {
        /// What it is.
        agent: Arc<Agent>,
        /// What was seen of it.
        sighting: Sighting,
    },
    /// The record no longer says what the manifest says.
    Sync {
        /// What it is from now on.
        agent: Arc<Agent>,
        /// What was seen of it.
        sighting: Sighting,
    },
    /// The agent is unreachable, or for another reason than before.
    MarkUnreachable {
        /// Who.
        id: AgentId,
        /// Where it is recorded.
        project: PathBuf,
        /// The scan root it is recorded under.
        scan_root: Option<Arc<Path>>,
        /// Why.
        reason: Reason,
        /// Its grace clock from now on.
        clock: GraceClock,
    },
    /// The grace clock is carried over to this boot. Not told: nothing about the agent changed.
    CarryClock {
        /// Whose.
        id: AgentId,
        /// The clock from now on.
        clock: GraceClock,
    },
    /// The manifest is where it belongs again.
    MarkReachable {
        /// Who.
        id: AgentId,
        /// Where.
        project: PathBuf,
        /// The scan root it is recorded under.
        scan_root: Option<Arc<Path>>,
    },
    /// A problem is new.
    Raise(Problem),
    /// A known problem says something else than before.
    Restate(Problem),
    /// A problem is no more.
    Clear(Problem),
}

impl Action {
    /// The agent whose record it changes; none for what changes no record.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentId> {
        match self {
            Self::Remove { id, .. }
            | Self::MarkUnreachable { id, .. }
            | Self::CarryClock { id, .. }
            | Self::MarkReachable { id, .. } => Some(id),
            Self::Relocate { agent, .. } | Self::Upsert { agent, .. } | Self::Sync { agent, .. } => Some(agent.id()),
            Self::SetRoot { .. }
            | Self::NoteMount { .. }
            | Self::ForgetMount { .. }
            | Self::Raise(_)
            | Self::Restate(_)
            | Self::Clear(_) => None,
        }
    }
}

/// Why a record is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoveCause {
    /// Unreachable for the whole grace period.
    GraceOver,
    /// Another agent arrived at its place, and it is nowhere else.
    Displaced,
    /// A person denied its path.
    Denied,
}

impl RemoveCause {
    /// The cause's name in events and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GraceOver => "grace_over",
            Self::Displaced => "displaced",
            Self::Denied => "denied",
        }
    }
}
