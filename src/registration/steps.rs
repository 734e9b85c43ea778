//! The engine's part of a registration, step by step, wherever the engine is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::AgentId;
use crate::clock::monotonic;
use crate::engine::{Begun, Denying, EngineError, Intent, MeshCore, Refusal, Strictness, Token};

/// Between `begin` and `end` nobody else decides anything about the project.
pub trait Steps {
    /// Holds a project.
    fn begin(&self, intent: &Intent) -> Result<Begun, StepError>;
    /// Records what is there now. Returns the scan root that it is under. On failure the registry is as it was.
    fn commit(&self, token: Token, id: &AgentId, strictness: Strictness) -> Result<Option<PathBuf>, StepError>;
    /// Removes endpoint and row of the agent that is recorded there. On failure both are as they were.
    fn retire(&self, token: Token, denying: &Denying, strictness: Strictness) -> Result<AgentId, StepError>;
    /// Puts the registry back as it was.
    fn undo(&self, token: Token) -> Result<(), StepError>;
    /// Lets the project go and passes over it.
    fn end(&self, token: Token) -> Result<(), StepError>;
}

/// A step that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct StepError {
    /// What can be done about it.
    pub kind: StepErrorKind,
    /// A sentence for a person.
    pub detail: String,
}

/// What can be done about a step that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepErrorKind {
    /// Somebody else is at it: try again in a moment.
    Busy,
    /// A person denied it.
    Denied,
    /// There is no such agent.
    Unknown,
    /// What is there is in the way.
    Conflict,
    /// It makes no sense like this.
    Invalid,
    /// Registry, relay or scan root fail: try again later.
    Unavailable,
}

/// How long somebody else's registration of the same project is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether it is over.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// Holds a project, as soon as nobody else does. `look` sees each time whether it is still worth it.
pub(super) fn hold<E: From<StepError>>(
    steps: &impl Steps,
    intent: &Intent,
    mut look: impl FnMut() -> Result<(), E>,
) -> Result<Begun, E> {
    let begun = monotonic();
    loop {
        look()?;
        match steps.begin(intent) {
            Err(error) if error.kind == StepErrorKind::Busy && begun.elapsed() < PATIENCE => {
                std::thread::sleep(TRY_AGAIN);
            }
            answer => return Ok(answer?),
        }
    }
}

/// Lets a project go. That it could not be is no failure of what was done: the hold ends by itself.
pub(super) fn let_go(steps: &impl Steps, token: Token) {
    if let Err(error) = steps.end(token) {
        tracing::warn!("the registration is done, but the engine did not hear of it: {error}");
    }
}

impl Steps for MeshCore {
    fn begin(&self, intent: &Intent) -> Result<Begun, StepError> {
        Ok(self.hold(intent.clone())?)
    }

    fn commit(&self, token: Token, id: &AgentId, strictness: Strictness) -> Result<Option<PathBuf>, StepError> {
        let agent = self.record_held(token, id.clone(), strictness)?;
        Ok(agent.scan_root.as_deref().map(Path::to_path_buf))
    }

    fn retire(&self, token: Token, denying: &Denying, strictness: Strictness) -> Result<AgentId, StepError> {
        Ok(self.retire_held(token, denying.clone(), strictness)?)
    }

    fn undo(&self, token: Token) -> Result<(), StepError> {
        Ok(self.undo_held(token)?)
    }

    fn end(&self, token: Token) -> Result<(), StepError> {
        self.let_go(token)?;
        Ok(())
    }
}

impl From<EngineError> for StepError {
    fn from(error: EngineError) -> Self {
        let kind = match &error {
            EngineError::Stopped | EngineError::Registry(_) => StepErrorKind::Unavailable,
            EngineError::NotUnderARoot(_) => StepErrorKind::Invalid,
            EngineError::Refused(refusal) => match refusal {
                Refusal::Busy(_) => StepErrorKind::Busy,
                Refusal::Denied(_) => StepErrorKind::Denied,
                Refusal::NoSuchAgent(_) => StepErrorKind::Unknown,
                Refusal::Over | Refusal::NotRecorded { .. } => StepErrorKind::Conflict,
                Refusal::Outside(_)
                | Refusal::Excluded(_)
                | Refusal::Missing(_)
                | Refusal::NotADirectory(_)
                | Refusal::Pointless(_) => StepErrorKind::Invalid,
                Refusal::RootOffline(_) | Refusal::Relay(_) => StepErrorKind::Unavailable,
            },
        };
        Self { kind, detail: error.to_string() }
    }
}
