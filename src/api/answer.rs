//! How a route comes to its answer: what it was asked, read; the engine asked, or the registry looked at, on a thread that
//! may block.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;
use super::server::Api;
use crate::agent::{AgentId, Moment};
use crate::clock::{Clock, SystemClock};
use crate::config::canonical;
use crate::engine::{EngineError, MeshCore};
use crate::registration::StepError;
use crate::registry::{Reader, Record, RegistryError};
use crate::report::{Reach, WirePath};

/// What a route answers.
pub(super) type Answer<T> = Result<Json<T>, Problem>;

/// The body as what is wanted: 400 if it is no JSON, 422 if it is another thing.
pub(super) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // All of it first: what is no JSON at its end must not be called senseless for how it begins.
    let text = std::str::from_utf8(body).map_err(|error| bad_request(error.to_string()))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| bad_request(error.to_string()))?;
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let at = error.path().to_string();
        let (inner, at) = (error.into_inner(), if at == "." { String::new() } else { format!("`{at}`: ") });
        senseless(format!("{at}{inner}"))
    })
}

/// The body as what is wanted, where it may also be left out or be `null`.
pub(super) fn parsed_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() { Ok(T::default()) } else { Ok(parsed::<Option<T>>(body)?.unwrap_or_default()) }
}

/// The one spelling of a path that was given: as commands have it, so that both mean the same place.
pub(super) async fn place(path: WirePath) -> Result<PathBuf, Problem> {
    // It is looked for links on the way.
    blocking(move || path.to_path().map(|path| canonical(&path)).map_err(senseless)).await
}

/// That what was asked is not understood.
pub(super) fn bad_request(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// That what was asked is understood, and makes no sense.
pub(super) fn senseless(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

/// The id in a path. What cannot be one is nobody's.
pub(super) fn agent_id(text: &str) -> Result<AgentId, Problem> {
    text.parse().map_err(|_| unknown(text))
}

/// That there is no such agent.
pub(super) fn unknown(id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("no agent is recorded as `{id}`"))
}

/// Asks the engine, which answers when its pass is done.
pub(super) async fn ask<T: Send + 'static>(
    core: MeshCore,
    question: impl FnOnce(&MeshCore) -> Result<T, EngineError> + Send + 'static,
) -> Answer<T> {
    blocking(move || question(&core).map_err(Problem::from)).await.map(Json)
}

/// How many look at the registry at once: each takes a processor, and changes are to be seen meanwhile.
const LOOKS: usize = 4;

/// How many look through trees at once: each takes all processors, and may take minutes.
const WALKS: usize = 2;

/// The places at which the registry and trees are looked at.
#[derive(Debug, Clone)]
pub struct Looks {
    registry: Arc<Semaphore>,
    trees: Arc<Semaphore>,
}

impl Default for Looks {
    fn default() -> Self {
        Self { registry: Arc::new(Semaphore::new(LOOKS)), trees: Arc::new(Semaphore::new(WALKS)) }
    }
}

/// Looks at the registry through a connection of its own.
pub(super) async fn read<T: Send + 'static>(
    api: Api,
    look: impl FnOnce(&Looking) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let place = Arc::clone(&api.looks.registry).acquire_owned().await;
    look_from(place.ok(), api, look).await
}

/// Looks through trees, too. Where enough do that already, it is refused: who waits may wait for minutes.
pub(super) async fn walk<T: Send + 'static>(
    api: Api,
    look: impl FnOnce(&Looking) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let full = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "others look through trees already: try again");
    let place = Arc::clone(&api.looks.trees).try_acquire_owned().map_err(full)?;
    look_from(Some(place), api, look).await
}

/// Looks at the registry, and perhaps at some directories: that may take any time, and takes nobody's place.
pub(super) async fn look_around<T: Send + 'static>(
    api: Api,
    look: impl FnOnce(&Looking) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    look_from(None, api, look).await
}

async fn look_from<T: Send + 'static>(
    place: Option<OwnedSemaphorePermit>,
    api: Api,
    look: impl FnOnce(&Looking) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    blocking(move || {
        // Until the look is over: nobody may be left who wants to know.
        let _place = place;
        let registry = Reader::beside(&api.registry).map_err(Problem::from);
        let now = SystemClock::new().now();
        let looked = registry.and_then(|registry| look(&Looking { registry, now, api: &api }));
        if looked.as_ref().is_err_and(|problem| problem.status == StatusCode::SERVICE_UNAVAILABLE) {
            // Perhaps it is damaged. The engine sees that when it looks, and mends it.
            api.core.doubt();
        }
        looked
    })
    .await
}

/// Does what may take long on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())))
}

/// The registry as it is looked at for one answer.
pub(super) struct Looking<'a> {
    pub registry: Reader,
    pub now: Moment,
    pub api: &'a Api,
}

impl Looking<'_> {
    /// The record of an agent.
    pub fn record(&self, id: &AgentId) -> Result<Record, Problem> {
        self.registry.get(id)?.ok_or_else(|| unknown(id.as_str()))
    }

    /// What the relay has.
    pub fn reach(&self) -> Result<Reach, Problem> {
        match &self.api.mail {
            None => Ok(Reach::NoRelay),
            Some(state_dir) => {
                let reach = Reach::look(state_dir)
                    .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
                if matches!(reach, Reach::Unknown) {
                    self.api.core.doubt();
                }
                Ok(reach)
            }
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("the registry cannot be read: {error}"))
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        if matches!(error, EngineError::NotUnderARoot(_)) {
            return senseless(error.to_string());
        }
        StepError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::ReconcileRequest;
    use super::*;

    fn status(body: &str) -> Option<u16> {
        parsed::<ReconcileRequest>(body.as_bytes()).err().map(|problem| problem.status)
    }

    #[test]
    fn what_is_no_json_and_what_is_another_thing_are_told_apart() {
        for none in ["", "{", "{]", "1 x", "{\"x\": }", "{} {}", "\u{1}", "nul", "{\"roots\": [\"/a\",]}"] {
            assert_eq!(status(none), Some(400), "{none}");
        }
        for other in ["[1]", "null", "1", "{\"roots\": 1}", "{\"root\": []}", "{\"roots\": [{\"x\": 1}]}"] {
            assert_eq!(status(other), Some(422), "{other}");
        }
        assert_eq!(status("{}"), None);
        assert!(parsed::<ReconcileRequest>(b"{\"roots\": [\"\xff\"]}").is_err_and(|problem| problem.status == 400));
    }

    #[test]
    fn a_body_that_may_be_left_out_may_be_null() {
        for body in ["", "null", "{}", " null "] {
            assert_eq!(parsed_or_default::<ReconcileRequest>(body.as_bytes()).unwrap(), ReconcileRequest::default());
        }
        assert!(parsed_or_default::<ReconcileRequest>(b"1").is_err());
    }
}
