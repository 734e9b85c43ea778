//! `GET /api/mesh/events`: what happens, as server-sent events, for as long as somebody listens.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, State, rejection::QueryRejection};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame};
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc};
use utoipa::IntoParams;

use super::answer::{bad_request, read};
use super::feed::{Past, past, resync};
use super::lease::Lease;
use super::problem::Problem;
use super::server::Api;

/// How often something is said where nothing happens, so that both sides notice when the other one is gone.
const SAY_SOMETHING: Duration = Duration::from_secs(15);

/// Frames that wait for one reader, beside what the kernel takes.
const WAITING: usize = 16;

/// Where to begin.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Resume {
    /// After the event with this number. `Last-Event-ID` says the same; without either, from now on.
    after: Option<u64>,
}

/// What happens: server-sent events with the numbers and names of `meshd events`.
///
/// `resync` says that what came after the number that was given is not known any more: everything is to be loaded anew. A
/// comment comes every 15 s. Who reads too slowly is cut off, and may go on where it was.
#[utoipa::path(get, path = "/api/mesh/events", tag = "watching",
    params(Resume, ("Last-Event-ID" = Option<u64>, Header, description = "After the event with this number")), responses(
    (status = 200, description = "Events, without end", content_type = "text/event-stream", body = String),
    (status = 400, description = "That is no number", body = Problem),
    (status = 503, description = "The registry cannot be read, or too many listen", body = Problem),
))]
pub(super) async fn events(
    State(api): State<Api>,
    Extension(lease): Extension<Lease>,
    resume: Result<Query<Resume>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(resume) = resume.map_err(|rejection| bad_request(rejection.body_text()))?;
    let after = match headers.get("last-event-id") {
        Some(last) => {
            let number = last.to_str().ok().and_then(|last| last.trim().parse().ok());
            Some(number.ok_or_else(|| bad_request("`Last-Event-ID` is no number".to_owned()))?)
        }
        None => resume.after,
    };
    // Listened to first and read then: what happens in between comes twice, and is told once.
    let live = api.feed.listen();
    // Where it cannot be read, that is said instead of a stream without anything.
    let last = read(api.clone(), |looking| Ok(looking.registry.last_seq()?)).await?;
    let after = after.unwrap_or(last);
    let (sender, receiver) = mpsc::channel(WAITING);
    if !lease.is_endless() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many listen to events already"));
    }
    tokio::spawn(stream(api, after, live, sender));
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::new(Frames(receiver))).into_response())
}

/// Sends what is past and then what happens, until the reader is gone or too slow.
async fn stream(
    api: Api,
    mut after: u64,
    mut live: broadcast::Receiver<super::feed::Told>,
    reader: mpsc::Sender<Bytes>,
) {
    // At once, so that the reader knows that it is heard.
    let send = async |frame: Bytes| reader.send(frame).await.is_ok();
    if !send(Bytes::from_static(b": events\n\n")).await {
        return;
    }
    loop {
        let past = read(api.clone(), move |looking| Ok(past(&looking.registry, after)?)).await;
        match past {
            Ok(Past::Events(events)) if events.is_empty() => break,
            Ok(Past::Events(events)) => {
                for told in events {
                    after = told.seq;
                    if !send(told.frame).await {
                        return;
                    }
                }
            }
            Ok(Past::Gone(last)) => {
                after = last;
                if !send(resync(last).frame).await {
                    return;
                }
            }
            Err(_) => return,
        }
    }
    loop {
        let frame = tokio::select! {
            told = live.recv() => match told {
                // A registry that was rebuilt counts anew.
                Ok(told) if told.seq > after || told.is_resync => {
                    after = told.seq;
                    told.frame
                }
                Ok(_) => continue,
                // Too slow, or the daemon ends.
                Err(_) => return,
            },
            () = tokio::time::sleep(SAY_SOMETHING) => Bytes::from_static(b":\n\n"),
            () = reader.closed() => return,
        };
        if !send(frame).await {
            return;
        }
    }
}

/// What waits for a reader, as the body of its answer.
struct Frames(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(|frame| Ok(Frame::data(frame))))
    }
}
