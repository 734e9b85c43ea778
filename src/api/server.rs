//! Serves the API within bounds: how many clients there are, how long each may take to ask and to take its answer, and how
//! much it may send. Whatever a client does or leaves undone, nobody waits for it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use http_body_util::{BodyExt, Collected, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use super::answer::{Looks, bad_request};
use super::feed::Feed;
use super::lease::Lease;
use super::problem::Problem;
use super::routes::{at_socket, at_tcp};
use super::session::{Door, guard, is_open};
use super::socket::Socket;
use super::tcp::Tcp;
use crate::engine::MeshCore;
use crate::telemetry::{Log, Metrics};

/// The largest request. A list of roots has some hundred bytes; what is larger is a mistake.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The largest request for what anybody may ask for: the code of a link has 64 bytes.
const MAX_OPEN_BODY_BYTES: usize = 4 * 1024;

/// The largest head of a request. The longest path that there is has 4 KiB, 12 KiB percent-encoded.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// What an answer may have to be small: the kernel takes it off our hands, whether somebody reads it or not.
const SMALL: u64 = 64 * 1024;

/// How long a client may take to send its request's head, and then its body. On one machine that is a millisecond.
const TIME_TO_ASK: Duration = Duration::from_secs(5);

/// How long a client may take nothing at all of what it is sent.
const TIME_TO_TAKE: Duration = Duration::from_secs(10);

/// How long it may take for a whole answer: megabytes, on one machine.
const TIME_TO_TAKE_ALL: Duration = Duration::from_secs(30);

/// How long an answer may take: as long as the longest pass, that over a cold disk with a million files.
const LONGEST_ANSWER: Duration = Duration::from_mins(15);

/// How many connections there are at once, at the socket and at the address each. Each takes some 30 kB. A further one takes
/// the place of the one that has said nothing for the longest time; if all have asked, it is turned away.
const MAX_CONNECTIONS: usize = 2_048;

/// How many of them listen to events: half, so that however many do, everybody else still has room.
const MAX_READERS_SHARE: usize = 2;

/// How many requests are answered at once, at the socket and at the address each: each may hold one thread, and an answer of
/// some megabytes. Others wait.
const MAX_REQUESTS: usize = 32;

/// How long they wait.
const TIME_TO_WAIT: Duration = Duration::from_secs(10);

/// How long somebody who is cut off may take to be gone: a moment of this thread.
const TIME_TO_END: Duration = Duration::from_millis(100);

/// What somebody gets for whom there is no room.
const TURNED_AWAY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What the routes answer from.
#[derive(Clone)]
pub struct Api {
    /// The engine.
    pub core: MeshCore,
    /// The metrics.
    pub metrics: Metrics,
    /// The registry's file, to be read beside the engine.
    pub registry: PathBuf,
    /// The state directory, where the relay that is built in has its mail; none where there is no relay.
    pub mail: Option<PathBuf>,
    /// The log, whose level may be changed.
    pub log: Log,
    /// What happens.
    pub feed: Feed,
    /// The places at which the registry is looked at.
    pub looks: Looks,
    /// The places at which requests are answered.
    pub places: Places,
    /// Who may come in at the loopback address; none where there is no such address.
    pub door: Option<Arc<Door>>,
}

/// The places at which requests are answered: at the socket, and at the address. Whoever holds all of one takes none of the
/// other.
#[derive(Debug, Clone)]
pub struct Places {
    socket: Arc<Semaphore>,
    tcp: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(MAX_REQUESTS));
        Self { socket: places(), tcp: places() }
    }
}

impl Places {
    /// Lets nobody begin any more, and waits until everybody has an answer, but no longer than that. Says whether they have.
    /// Who listens to events is not waited for.
    pub async fn close(&self, within: Duration) -> bool {
        let both = async { tokio::join!(emptied(&self.socket), emptied(&self.tcp)) };
        let is_empty = tokio::time::timeout(within, both).await.is_ok();
        self.socket.close();
        self.tcp.close();
        is_empty
    }
}

/// Waits until every place is free, and closes them then.
async fn emptied(places: &Semaphore) {
    let all = places.acquire_many(u32::try_from(MAX_REQUESTS).unwrap_or(u32::MAX)).await;
    places.close();
    drop(all);
}

/// Serves `socket`, and the loopback address if there is one, until it is aborted.
pub async fn serve(socket: Socket, tcp: Option<Tcp>, api: Api) -> Infallible {
    let within = |routes: Router, places: &Arc<Semaphore>| routes.layer(from_fn_with_state(places.clone(), bounded));
    let (places, most) = (api.places.clone(), connections());
    let at_tcp = async {
        match (tcp, api.door.clone()) {
            (Some(tcp), Some(door)) => {
                // Who may ask is looked at before a body is taken in.
                let guarded = from_fn_with_state(door.clone(), guard);
                let routes = within(at_tcp(api.clone(), door), &places.tcp).layer(guarded);
                accept(|| tcp.accept(), routes, most).await
            }
            _ => std::future::pending().await,
        }
    };
    let at_socket = accept(|| socket.accept(), within(at_socket(api.clone()), &places.socket), most);
    tokio::select! {
        never = at_socket => never,
        never = at_tcp => never,
    }
}

/// How many connections one address may have: fewer where few files may be open.
fn connections() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    MAX_CONNECTIONS.min(files / 4).max(1)
}

async fn accept<S, F>(next: impl Fn() -> F, routes: Router, most: usize) -> Infallible
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = S>,
{
    let slots = Arc::new(Semaphore::new(most));
    let readers = Arc::new(Semaphore::new((most / MAX_READERS_SHARE).max(1)));
    // Those that have asked nothing yet, the oldest first; among them some that ended or asked since.
    let mut silent = VecDeque::<Weak<Lease>>::new();
    loop {
        let mut stream = next().await;
        if slots.available_permits() == 0
            && let Some(oldest) = oldest_silent(&mut silent)
        {
            oldest.cut_off();
            drop(oldest);
            // It ends as soon as this waits.
            let ended = slots.acquire();
            drop(tokio::time::timeout(TIME_TO_END, ended).await);
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            // What it asks is not read. A handful of bytes has room in the kernel: this does not wait.
            tokio::spawn(async move {
                let _ = tokio::time::timeout(TIME_TO_ASK, stream.write_all(TURNED_AWAY)).await;
            });
            continue;
        };
        let routes = routes.clone();
        let lease = Arc::new(Lease::new(readers.clone()));
        if silent.len() >= 2 * most {
            silent.retain(|lease| lease.upgrade().is_some_and(|lease| lease.is_silent()));
        }
        silent.push_back(Arc::downgrade(&lease));
        tokio::spawn(async move {
            serve_one(stream, routes, &lease).await;
            drop(slot);
        });
    }
}

/// The connection that has said nothing for the longest time.
fn oldest_silent(silent: &mut VecDeque<Weak<Lease>>) -> Option<Arc<Lease>> {
    while let Some(oldest) = silent.pop_front() {
        if let Some(lease) = oldest.upgrade().filter(|lease| lease.is_silent()) {
            return Some(lease);
        }
    }
    None
}

async fn serve_one(stream: impl AsyncRead + AsyncWrite + Send + 'static, routes: Router, lease: &Lease) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TIME_TO_TAKE));
    let (routes, held) = (TowerToHyperService::new(routes), lease.clone());
    let leased = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(held.clone());
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TIME_TO_ASK)
        .max_buf_size(MAX_HEAD_BYTES)
        // One request a connection: an idle client holds no slot.
        .keep_alive(false)
        .serve_connection(TokioIo::new(Box::pin(stream)), leased);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = lease.until_cut_off() => None,
        () = lease.answered() => tokio::time::timeout(TIME_TO_TAKE_ALL, &mut connection).await.ok(),
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// Takes in the whole body first, within its bounds, so that no handler waits for a client; then waits for a place.
async fn bounded(
    State(places): State<Arc<Semaphore>>,
    Extension(lease): Extension<Lease>,
    request: Request,
    next: Next,
) -> Response {
    let answer = taken_in(places, &lease, request, next).await.unwrap_or_else(Problem::into_response);
    if answer.body().size_hint().upper().is_some_and(|size| size <= SMALL) {
        lease.give_back();
    }
    lease.answer();
    told_as_problem(answer)
}

async fn taken_in(places: Arc<Semaphore>, lease: &Lease, request: Request, next: Next) -> Result<Response, Problem> {
    let is_open = is_open(&request);
    // Who needs no token has not asked before everything is there: a stranger holds nobody up.
    if !is_open {
        lease.ask();
    }
    let most = if is_open { MAX_OPEN_BODY_BYTES } else { MAX_BODY_BYTES };
    let (head, body) = request.into_parts();
    let body = body_of(body, most).await?;
    let busy = |detail| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
    let mut place = None;
    if is_open {
        // What anybody may ask for is at hand: it needs no thread.
        lease.ask();
    } else {
        let free = tokio::time::timeout(TIME_TO_WAIT, places.acquire_owned()).await;
        let free = Arc::new(free.map_err(|_| busy("too much is asked at once"))?.map_err(|_| busy("the daemon ends"))?);
        lease.take(free.clone());
        place = Some(free);
    }
    // To its end whether or not the client stays: a thread that works for nobody any more has its place too.
    let answering = tokio::spawn(async move {
        let _place = place;
        next.run(Request::from_parts(head, Body::from(body))).await
    });
    match tokio::time::timeout(LONGEST_ANSWER, answering).await {
        Ok(answer) => answer.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        Err(_) => Err(busy("it takes too long")),
    }
}

/// The whole body, if it comes in time and is not larger than that.
async fn body_of(body: Body, most: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the request is larger than {most} bytes"));
    // Said before anything of it comes, where it is known: who waits to be told to go on need not begin.
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let too_late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the request did not come in time");
    let whole = tokio::time::timeout(TIME_TO_ASK, Limited::new(body, most).collect()).await.map_err(too_late)?;
    whole.map(Collected::to_bytes).map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => too_large(),
        None => bad_request(format!("the request is cut off: {error}")),
    })
}

/// What a library refuses by itself comes as text: every failure is a problem.
fn told_as_problem(answer: Response) -> Response {
    let status = answer.status();
    let is_failure = status.is_client_error() || status.is_server_error();
    let kind = HeaderValue::from_static("application/problem+json");
    if !is_failure || answer.headers().get(header::CONTENT_TYPE) == Some(&kind) {
        return answer;
    }
    Problem::new(status, "the request is not understood").into_response()
}
