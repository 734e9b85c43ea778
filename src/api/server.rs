//! Serves the control socket, within bounds: each client has so much time to ask, so many bytes, and one request.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;

use super::handlers::router;
use super::problem::Problem;
use super::socket::Socket;
use crate::engine::MeshCore;
use crate::telemetry::{Log, Metrics};

/// The largest request. A list of roots has some hundred bytes; what is larger is a mistake.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How long a client may take to send its request's head, and then its body. On one machine that is a millisecond.
const TIME_TO_ASK: Duration = Duration::from_secs(5);

/// How long one connection may last: as long as the longest pass, that over a cold disk with a million files.
const LONGEST_CONNECTION: Duration = Duration::from_mins(15);

/// How many connections there are at once; further ones wait in the kernel's queue. Each may hold one thread.
const MAX_CONNECTIONS: usize = 32;

/// What the routes answer from.
#[derive(Clone)]
pub struct Api {
    /// The engine.
    pub core: MeshCore,
    /// The metrics.
    pub metrics: Metrics,
    /// The registry's file, to be read beside the engine.
    pub registry: PathBuf,
    /// The log, whose level may be changed.
    pub log: Log,
}

/// Serves `socket` until it is aborted.
pub async fn serve(socket: Socket, api: Api) -> Infallible {
    let routes = router(api).layer(from_fn(bounded));
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // A semaphore that nobody closes hands out a slot sooner or later.
        let slot = Arc::clone(&slots).acquire_owned().await;
        let stream = socket.accept().await;
        let service = TowerToHyperService::new(routes.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(TIME_TO_ASK)
                // One request a connection: an idle client holds no slot.
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            if let Ok(Err(error)) = tokio::time::timeout(LONGEST_CONNECTION, connection).await {
                tracing::debug!(%error, "a connection to the control socket ended badly");
            }
            drop(slot);
        });
    }
}

/// Takes in the whole body first, within its bounds, so that no handler waits for a client.
async fn bounded(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match tokio::time::timeout(TIME_TO_ASK, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => {
            let detail = format!("the request is cut off, or larger than {MAX_BODY_BYTES} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response()
        }
        Err(_) => Problem::new(StatusCode::REQUEST_TIMEOUT, "the request did not come in time").into_response(),
    }
}
