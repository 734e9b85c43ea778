//! The routes and what each answers. Whatever may take long runs on a thread that may block.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::server::Api;
use super::wire::{AcceptRoot, DaemonFacts, ReconcileRequest};
use super::{log_level, metrics, registration};
use crate::engine::{EngineError, MeshCore, ReconcileResult};
use crate::registration::StepError;
use crate::scope::Scope;

/// How long a busy engine is waited for, for what only it knows: the rest of the status is said in any case.
const TIME_TO_COUNT: Duration = Duration::from_secs(1);

/// All routes.
pub(super) fn router(api: Api) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/api/mesh/status", get(status))
        .route("/api/mesh/reconcile", post(reconcile))
        .route("/api/mesh/roots/accept", post(accept_root))
        .merge(log_level::routes())
        .merge(registration::routes())
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this route has another"))
        .fallback(async |uri: Uri| Problem::new(StatusCode::NOT_FOUND, format!("there is no {}", uri.path())))
        .with_state(api)
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(api): State<Api>) -> Response {
    if api.core.facts().ready {
        "ready\n".into_response()
    } else {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not every root is watched and swept yet").into_response()
    }
}

async fn status(State(api): State<Api>) -> Json<DaemonFacts> {
    let core = api.core.clone();
    let roots = tokio::task::spawn_blocking(move || core.roots_heard(TIME_TO_COUNT)).await;
    Json(DaemonFacts::of(api.core.facts(), &roots.ok().flatten().unwrap_or_default()))
}

async fn reconcile(State(api): State<Api>, body: Bytes) -> Result<Json<ReconcileResult>, Problem> {
    // No body is the plainest way to ask for a pass over everything: `curl -X POST`.
    let request = if body.is_empty() { ReconcileRequest::default() } else { parsed::<ReconcileRequest>(&body)? };
    let mut scope = if request.roots.is_empty() { Scope::everything() } else { Scope::nothing() };
    for root in &request.roots {
        scope.merge(Scope::below(root.to_path().map_err(bad_request)?));
    }
    ask(api.core, move |core| core.reconcile(scope)).await
}

async fn accept_root(State(api): State<Api>, body: Bytes) -> Result<Json<ReconcileResult>, Problem> {
    let root = parsed::<AcceptRoot>(&body)?.root.to_path().map_err(bad_request)?;
    ask(api.core, move |core| core.accept_root(root)).await
}

pub(super) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| bad_request(error.to_string()))
}

/// Asks the engine, which answers when its pass is done.
pub(super) async fn ask<T: Send + 'static>(
    core: MeshCore,
    question: impl FnOnce(&MeshCore) -> Result<T, EngineError> + Send + 'static,
) -> Result<Json<T>, Problem> {
    match tokio::task::spawn_blocking(move || question(&core)).await {
        Ok(Ok(answer)) => Ok(Json(answer)),
        Ok(Err(error @ EngineError::NotUnderARoot(_))) => Err(bad_request(error.to_string())),
        Ok(Err(error)) => Err(StepError::from(error).into()),
        Err(error) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

pub(super) fn bad_request(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
