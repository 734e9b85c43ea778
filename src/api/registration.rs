//! The routes by which a command registers, updates and unregisters: it writes the file itself, and asks for each step of
//! the engine's part. And those by which a person says something about an agent, a path or a namespace.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{post, put};
use axum::{Json, Router};

use super::handlers::{ask, bad_request, parsed};
use super::problem::Problem;
use super::server::Api;
use super::wire_import::ImportRequest;
use super::wire_registration::{
    AccessRequest, AllowAnswer, DenyRequest, HeartbeatRequest, HoldAnswer, HoldRequest, PathRequest, RecordAnswer,
    RecordRequest, RetireAnswer, RetireRequest,
};
use crate::agent::AgentId;
use crate::engine::{ReconcileResult, Token, Verdict};
use crate::registry::Taken;
use crate::report::WirePath;

/// What a heartbeat without a word is called.
const HEARTBEAT: &str = "heartbeat";

/// All of them.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/mesh/holds", post(hold))
        .route("/api/mesh/holds/{token}/record", post(record))
        .route("/api/mesh/holds/{token}/retire", post(retire))
        .route("/api/mesh/holds/{token}/undo", post(undo))
        .route("/api/mesh/holds/{token}/end", post(end))
        .route("/api/mesh/agents/{id}/heartbeat", post(heartbeat))
        .route("/api/mesh/agents/{id}/relocate", post(relocate))
        .route("/api/mesh/sync", post(sync))
        .route("/api/mesh/deny", post(deny))
        .route("/api/mesh/allow", post(allow))
        .route("/api/mesh/topology/access", put(access))
        .route("/api/mesh/import", post(import))
}

type Answer<T> = Result<Json<T>, Problem>;

async fn hold(State(api): State<Api>, body: Bytes) -> Answer<HoldAnswer> {
    let intent = parsed::<HoldRequest>(&body)?.to_intent().map_err(bad_request)?;
    ask(api.core, move |core| core.hold(intent).map(|begun| HoldAnswer::of(&begun))).await
}

async fn record(State(api): State<Api>, Path(token): Path<Token>, body: Bytes) -> Answer<RecordAnswer> {
    let request = parsed::<RecordRequest>(&body)?;
    ask(api.core, move |core| {
        let agent = core.record_held(token, request.id, request.strictness)?;
        Ok(RecordAnswer { scan_root: agent.scan_root.as_deref().map(WirePath::of) })
    })
    .await
}

async fn retire(State(api): State<Api>, Path(token): Path<Token>, body: Bytes) -> Answer<RetireAnswer> {
    let request = parsed::<RetireRequest>(&body)?;
    ask(api.core, move |core| {
        let id = core.retire_held(token, request.denying.into(), request.strictness)?;
        Ok(RetireAnswer { id })
    })
    .await
}

async fn undo(State(api): State<Api>, Path(token): Path<Token>) -> Answer<()> {
    ask(api.core, move |core| core.undo_held(token)).await
}

async fn end(State(api): State<Api>, Path(token): Path<Token>) -> Answer<ReconcileResult> {
    ask(api.core, move |core| core.let_go(token)).await
}

async fn heartbeat(State(api): State<Api>, Path(id): Path<AgentId>, body: Bytes) -> Answer<()> {
    let request = if body.is_empty() { HeartbeatRequest::default() } else { parsed(&body)? };
    let event = request.event.unwrap_or_else(|| HEARTBEAT.to_owned());
    ask(api.core, move |core| core.heartbeat(id, event)).await
}

async fn relocate(State(api): State<Api>, Path(id): Path<AgentId>, body: Bytes) -> Answer<()> {
    let path = parsed::<PathRequest>(&body)?.path.to_path().map_err(bad_request)?;
    ask(api.core, move |core| core.relocate(id, path)).await
}

async fn sync(State(api): State<Api>, body: Bytes) -> Answer<Verdict> {
    let path = parsed::<PathRequest>(&body)?.path.to_path().map_err(bad_request)?;
    ask(api.core, move |core| core.sync_from_disk(path)).await
}

async fn deny(State(api): State<Api>, body: Bytes) -> Answer<()> {
    let DenyRequest { path, reason, denier } = parsed(&body)?;
    let path = path.to_path().map_err(bad_request)?;
    ask(api.core, move |core| core.deny(path, reason, denier)).await
}

async fn allow(State(api): State<Api>, body: Bytes) -> Answer<AllowAnswer> {
    let path = parsed::<PathRequest>(&body)?.path.to_path().map_err(bad_request)?;
    ask(api.core, move |core| Ok(AllowAnswer { was_denied: core.allow(path)? })).await
}

async fn import(State(api): State<Api>, body: Bytes) -> Answer<Taken> {
    let imported = parsed::<ImportRequest>(&body)?.to_imported().map_err(bad_request)?;
    ask(api.core, move |core| core.import(imported)).await
}

async fn access(State(api): State<Api>, body: Bytes) -> Answer<()> {
    let pair = parsed::<AccessRequest>(&body)?.to_pair().map_err(bad_request)?;
    ask(api.core, move |core| core.set_access(pair)).await
}
