//! Unregistering: endpoint, then row, then file, which only goes if it still is this agent's.

use std::path::{Path, PathBuf};

use super::steps::{hold, let_go};
use super::{RegistrationError, Steps};
use crate::agent::{AgentId, Shown};
use crate::disk::MANIFEST;
use crate::disk::write::{self, WriteError};
use crate::engine::{Begun, Denying, Intent, MeshCore, Strictness, Target};

/// How an agent is unregistered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unregister {
    /// What becomes of its path: where it is denied, the manifest stays.
    pub denying: Denying,
    /// What if the relay fails.
    pub strictness: Strictness,
}

/// What was unregistered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unregistered {
    /// Who.
    pub id: AgentId,
    /// Where it was recorded.
    pub project: PathBuf,
    /// What became of its manifest.
    pub manifest: Fate,
}

/// What became of the manifest of an agent that was unregistered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was deleted.
    Deleted,
    /// There was none.
    Absent,
    /// It stays, as was asked for, and its path is denied.
    Kept,
    /// What is there is not certainly this agent's manifest, and was left alone.
    Left(String),
}

impl MeshCore {
    /// Unregisters a recorded agent; see [`unregister`].
    pub fn unregister(&self, target: Target, request: &Unregister) -> Result<Unregistered, RegistrationError> {
        unregister(self, target, request)
    }
}

/// Unregisters a recorded agent.
pub fn unregister(steps: &impl Steps, target: Target, request: &Unregister) -> Result<Unregistered, RegistrationError> {
    let begun = hold(steps, &Intent::Unregister(target), || Ok::<_, RegistrationError>(()))?;
    let done = go(steps, &begun, request);
    let_go(steps, begun.token);
    done
}

fn go(steps: &impl Steps, begun: &Begun, request: &Unregister) -> Result<Unregistered, RegistrationError> {
    let Begun { token, project, root_online, .. } = begun;
    let keeps = matches!(request.denying, Denying::Yes { .. });
    if !keeps && !root_online {
        return Err(RegistrationError::Offline(project.clone()));
    }
    let id = steps.retire(*token, &request.denying, request.strictness)?;
    let fate = if keeps { Ok(Fate::Kept) } else { delete(project, &id) };
    match fate {
        Ok(manifest) => Ok(Unregistered { id, project: project.clone(), manifest }),
        Err(cause) => match steps.undo(*token) {
            Ok(()) => Err(cause.into()),
            Err(error) => {
                let left = format!("the agent is not recorded for now, and its manifest is there still: {error}");
                Err(RegistrationError::Left { cause: Box::new(cause.into()), left })
            }
        },
    }
}

fn delete(project: &Path, id: &AgentId) -> Result<Fate, WriteError> {
    match write::delete(project, id) {
        Ok(deleted) => {
            deleted.keep()?;
            Ok(Fate::Deleted)
        }
        Err(WriteError::Missing { .. } | WriteError::NotADirectory { .. }) => Ok(Fate::Absent),
        // What is in its place: beside it, something would only be in the way.
        Err(WriteError::OtherId { path, found }) => {
            Ok(Fate::Left(format!("{} is agent {found}'s", Shown::path(&path))))
        }
        Err(WriteError::NotAManifest { path, why }) if path.ends_with(MANIFEST) => {
            Ok(Fate::Left(format!("{}: {why}", Shown::path(&path))))
        }
        Err(error) => Err(error),
    }
}
