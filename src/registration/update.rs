//! Updating: given keys are merged into the manifest that is there.

use std::path::Path;

use serde_json::{Map, Value};

use super::register::record;
use super::steps::{hold, let_go};
use super::{RegistrationError, Steps};
use crate::agent::{AgentId, Manifest, edit};
use crate::disk::write::{self, Standing};
use crate::engine::{Intent, MeshCore, Strictness, Target, Token};

/// What an update came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// The manifest was written anew.
    Changed,
    /// The manifest said so already.
    Unchanged,
}

impl MeshCore {
    /// Updates the manifest of a recorded agent; see [`update`].
    pub fn update(
        &self,
        target: Target,
        patch: &Map<String, Value>,
        strictness: Strictness,
    ) -> Result<(AgentId, Updated), RegistrationError> {
        update(self, target, patch, strictness)
    }
}

/// Merges `patch` into the manifest of a recorded agent: only the keys that it has; `null` clears one.
pub fn update(
    steps: &impl Steps,
    target: Target,
    patch: &Map<String, Value>,
    strictness: Strictness,
) -> Result<(AgentId, Updated), RegistrationError> {
    let begun = hold(steps, &Intent::Update(target), || Ok::<_, RegistrationError>(()))?;
    let done = match &begun.id {
        Some(id) => merge(steps, begun.token, &begun.project, id, patch, strictness).map(|done| (id.clone(), done)),
        None => Err(RegistrationError::NoManifest(begun.project.clone())),
    };
    let_go(steps, begun.token);
    done
}

fn merge(
    steps: &impl Steps,
    token: Token,
    project: &Path,
    id: &AgentId,
    patch: &Map<String, Value>,
    strictness: Strictness,
) -> Result<Updated, RegistrationError> {
    let standing = write::standing(project)?;
    let Standing::File { bytes, .. } = &standing else {
        return Err(RegistrationError::NoManifest(project.to_owned()));
    };
    let manifest =
        Manifest::parse(bytes).map_err(|why| RegistrationError::Unreadable { project: project.to_owned(), why })?;
    if manifest.id != *id {
        return Err(RegistrationError::OtherId { project: project.to_owned(), id: manifest.id });
    }
    // A manifest is UTF-8: it was just parsed.
    let merged = edit::merge(&String::from_utf8_lossy(bytes), patch)?;
    if Manifest::parse(merged.as_bytes()).is_ok_and(|merged| merged == manifest) {
        return Ok(Updated::Unchanged);
    }
    let placed = write::place(project, merged.as_bytes(), &standing)?;
    record(steps, token, id, strictness, placed)?;
    Ok(Updated::Changed)
}
