//! The routes by which a command registers, updates and unregisters: it writes the file itself, with its own user's rights,
//! and asks for each step of the engine's part. They are for `meshd` itself and served at the socket only.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::post;

use super::answer::{Answer, ask, parsed, senseless};
use super::server::Api;
use super::wire_import::ImportRequest;
use super::wire_registration::{
    AllowAnswer, HoldAnswer, HoldRequest, PathRequest, RecordAnswer, RecordRequest, RetireAnswer, RetireRequest,
};
use crate::engine::{ReconcileResult, Token};
use crate::registry::Taken;
use crate::report::WirePath;

/// All of them.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/mesh/holds", post(hold))
        .route("/api/mesh/holds/{token}/record", post(record))
        .route("/api/mesh/holds/{token}/retire", post(retire))
        .route("/api/mesh/holds/{token}/undo", post(undo))
        .route("/api/mesh/holds/{token}/end", post(end))
        .route("/api/mesh/allow", post(allow))
        .route("/api/mesh/import", post(import))
}

async fn hold(State(api): State<Api>, body: Bytes) -> Answer<HoldAnswer> {
    let intent = parsed::<HoldRequest>(&body)?.to_intent().map_err(senseless)?;
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

async fn allow(State(api): State<Api>, body: Bytes) -> Answer<AllowAnswer> {
    let path = parsed::<PathRequest>(&body)?.path.to_path().map_err(senseless)?;
    ask(api.core, move |core| Ok(AllowAnswer { was_denied: core.allow(path)? })).await
}

async fn import(State(api): State<Api>, body: Bytes) -> Answer<Taken> {
    let imported = parsed::<ImportRequest>(&body)?.to_imported().map_err(senseless)?;
    ask(api.core, move |core| core.import(imported)).await
}
