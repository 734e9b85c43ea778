//! Why an agent was not registered, updated or unregistered, and what is left of the attempt, if anything is.

use std::path::PathBuf;

use super::StepError;
use crate::agent::edit::EditError;
use crate::agent::{AgentId, Shown};
use crate::disk::write::WriteError;

/// A registration, an update or an unregistration came to nothing. But for [`Left`](Self::Left) everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// There is a manifest already, readable or not.
    #[error("{} is already registered: it has a manifest. --replace writes a new one", Shown::path(.0))]
    AlreadyRegistered(PathBuf),
    /// What was given is no manifest.
    #[error(transparent)]
    Invalid(#[from] EditError),
    /// The engine refused a step, or the registry or the relay failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The file could not be read, written or deleted.
    #[error(transparent)]
    File(#[from] WriteError),
    /// The agent's manifest is not there.
    #[error("{} has no manifest now", Shown::path(.0))]
    NoManifest(PathBuf),
    /// The manifest cannot be read, so nothing can be merged into it.
    #[error("the manifest of {} cannot be used: {}", Shown::path(project), Shown::text(why))]
    Unreadable {
        /// Whose.
        project: PathBuf,
        /// Why.
        why: String,
    },
    /// The project carries another agent's manifest.
    #[error("{} carries the manifest of agent {id} now", Shown::path(project))]
    OtherId {
        /// The project.
        project: PathBuf,
        /// Whose manifest that is.
        id: AgentId,
    },
    /// The scan root is offline, so the manifest cannot be deleted.
    #[error("the scan root of {} is offline: with --keep-manifest the agent goes and its path is denied", Shown::path(.0))]
    Offline(PathBuf),
    /// It failed, and could not be put back as it was.
    #[error("{cause}; and it could not be put back: {left}")]
    Left {
        /// What failed.
        cause: Box<RegistrationError>,
        /// What could not be put back, and what is there now.
        left: String,
    },
}
