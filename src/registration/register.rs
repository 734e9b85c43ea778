//! Registering: a manifest where there is none, or in the place of one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value};
use ulid::Ulid;

use super::steps::{hold, let_go};
use super::{RegistrationError, Steps};
use crate::agent::edit::{self, EditError};
use crate::agent::{Agent, AgentId, Manifest, Moment};
use crate::disk::write::{self, Placed, Standing};
use crate::engine::{Intent, MeshCore, Outside, Strictness, Token};

/// The keys of a new manifest that nobody else gives.
const GIVEN_BY_US: [&str; 3] = ["id", "registeredAt", "registeredBy"];

/// What is to be registered, and how.
#[derive(Debug, Clone)]
pub struct Register {
    /// The manifest's keys, without its id and its time.
    pub fields: Map<String, Value>,
    /// Who registers it.
    pub registered_by: String,
    /// What if there is a manifest.
    pub existing: Existing,
    /// What if no scan root is above the project.
    pub outside: Outside,
    /// What if the relay fails.
    pub strictness: Strictness,
}

/// What is done about a manifest that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is registered.
    Refuse,
    /// It goes, and the agent with it.
    Replace,
}

impl Register {
    /// A registration of what these keys say, with nothing out of the ordinary.
    #[must_use]
    pub fn new(fields: Map<String, Value>) -> Self {
        Self {
            fields,
            registered_by: "meshd".to_owned(),
            existing: Existing::Refuse,
            outside: Outside::Refuse,
            strictness: Strictness::Strict,
        }
    }
}

impl MeshCore {
    /// Registers the project at `path`, which must be absolute and without links; see [`register`].
    pub fn register(&self, path: &Path, request: &Register, now: &Moment) -> Result<Agent, RegistrationError> {
        register(self, path, request, now)
    }
}

/// Registers a project: writes its manifest, has it recorded, and has its relay endpoint made.
pub fn register(
    steps: &impl Steps,
    project: &Path,
    request: &Register,
    now: &Moment,
) -> Result<Agent, RegistrationError> {
    let text = manifest(request, now)?;
    // What was just written by our own rules is a manifest.
    let unusable = |why| RegistrationError::Unreadable { project: project.to_owned(), why };
    let manifest = Manifest::parse(text.as_bytes()).map_err(unusable)?;
    let intent = Intent::Register { project: project.to_owned(), id: manifest.id.clone(), outside: request.outside };
    let mut standing = Standing::Nothing;
    let begun = hold(steps, &intent, || {
        standing = look(project, request.existing)?;
        Ok::<_, RegistrationError>(())
    })?;
    let placed = write::place(project, text.as_bytes(), &standing).map_err(|error| {
        let is_there = matches!(error, write::WriteError::Exists { .. });
        if is_there { RegistrationError::AlreadyRegistered(project.to_owned()) } else { error.into() }
    });
    let recorded = placed.and_then(|placed| record(steps, begun.token, &manifest.id, request.strictness, placed));
    let_go(steps, begun.token);
    let root = recorded?.map(Arc::from);
    Ok(Agent::derive(manifest, project.to_owned(), root))
}

/// Has what was just placed recorded, and takes it back if that fails.
pub(super) fn record(
    steps: &impl Steps,
    token: Token,
    id: &AgentId,
    strictness: Strictness,
    placed: Placed,
) -> Result<Option<std::path::PathBuf>, RegistrationError> {
    match steps.commit(token, id, strictness) {
        Ok(root) => {
            match placed.keep() {
                // Somebody saved over it in that very moment: theirs is there now, and the next pass goes by it.
                Err(error @ write::WriteError::Changed(_)) => return Err(error.into()),
                // It is done. What is left is tidied up when it ends.
                Err(error) => tracing::debug!("what was replaced is there still: {error}"),
                Ok(()) => {}
            }
            Ok(root)
        }
        Err(cause) => {
            let cause = RegistrationError::from(cause);
            // An engine that said no took its part back; one that did not say anything may have done it all the same.
            if let Err(error) = steps.undo(token) {
                tracing::debug!("the engine did not say that it took its part back: {error}");
            }
            match placed.take_back() {
                Ok(()) => Err(cause),
                Err(error) => Err(RegistrationError::Left { cause: Box::new(cause), left: error.to_string() }),
            }
        }
    }
}

/// What is in the manifest's place, if it may be replaced.
fn look(project: &Path, existing: Existing) -> Result<Standing, RegistrationError> {
    match (write::standing(project), existing) {
        (Ok(Standing::Nothing), _) => Ok(Standing::Nothing),
        (Ok(standing @ Standing::File { .. }), Existing::Replace) => Ok(standing),
        (Ok(Standing::File { .. }) | Err(write::WriteError::NotAManifest { .. }), Existing::Refuse) => {
            Err(RegistrationError::AlreadyRegistered(project.to_owned()))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// The text of a new manifest, with an id that nobody has.
fn manifest(request: &Register, now: &Moment) -> Result<String, RegistrationError> {
    let since_1970 = Duration::from_millis(u64::try_from(now.wall_ms).unwrap_or(0));
    let id = Ulid::from_datetime(UNIX_EPOCH + since_1970).to_string();
    if let Some(key) = GIVEN_BY_US.into_iter().find(|key| request.fields.contains_key(*key)) {
        return Err(EditError::Fixed(key).into());
    }
    let mut fields = Map::new();
    fields.insert("id".to_owned(), id.into());
    fields.extend(request.fields.clone());
    fields.insert("registeredAt".to_owned(), now.to_iso().into());
    fields.insert("registeredBy".to_owned(), request.registered_by.clone().into());
    Ok(edit::create(&fields)?)
}
