//! A command asks the daemon: one request, one answer, within a deadline.
//!
//! That no daemon is there is an answer of its own, since most commands then do the work themselves.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::problem::Problem;
use super::wire::{AcceptRoot, ReconcileRequest};
use crate::agent::Shown;
use crate::engine::ReconcileResult;
use crate::registration::StepError;
use crate::report::{DaemonFacts, WirePath};

/// How long the daemon may take to say something that it knows.
pub(super) const FACTS_WITHIN: Duration = Duration::from_secs(2);

/// How long it may take to reconcile: the server's own limit on one connection.
pub(super) const PASS_WITHIN: Duration = Duration::from_mins(15);

/// How soon a daemon is asked again that has no room for another connection.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// The largest answer that is taken in.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// The daemon at one socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    state_dir: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens at the socket.
    #[error("no daemon answers at {}", Shown::path(.0))]
    NoDaemon(PathBuf),
    /// The daemon did not answer in time.
    #[error("the daemon did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The daemon answered that it cannot.
    #[error("the daemon says: {}", Shown::text(.0))]
    Refused(String),
    /// The daemon refused a step of a registration.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The connection failed, or what came over it is no answer.
    #[error("talking with the daemon failed: {0}")]
    Broken(String),
}

impl Client {
    /// The daemon that listens at `socket`, whether there is one or not; if nobody does, the one that writes the registry
    /// in `state_dir`, wherever that says it listens.
    #[must_use]
    pub fn new(socket: &Path, state_dir: &Path) -> Self {
        Self { socket: socket.to_owned(), state_dir: state_dir.to_owned() }
    }

    /// What the daemon knows about itself.
    pub fn facts(&self) -> Result<DaemonFacts, ClientError> {
        self.ask::<(), _>(Method::GET, "/api/mesh/daemon", None, FACTS_WITHIN)
    }

    /// Has it make one pass over `roots`; over everything where there are none.
    pub fn reconcile(&self, roots: &[PathBuf]) -> Result<ReconcileResult, ClientError> {
        let request = ReconcileRequest { roots: roots.iter().map(|root| WirePath::of(root)).collect() };
        self.ask(Method::POST, "/api/mesh/reconcile", Some(&request), PASS_WITHIN)
    }

    /// Says that what is at `root` now is meant.
    pub fn accept_root(&self, root: &Path) -> Result<ReconcileResult, ClientError> {
        let request = AcceptRoot { root: WirePath::of(root) };
        self.ask(Method::POST, "/api/mesh/roots/accept", Some(&request), PASS_WITHIN)
    }

    pub(super) fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
        question: Option<&Q>,
        within: Duration,
    ) -> Result<A, ClientError> {
        let body = question.map(serde_json::to_vec).transpose().map_err(broken)?.unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
        let (status, answer) = runtime.block_on(async {
            let exchange = self.exchange(method, route, body);
            tokio::time::timeout(within, exchange).await.map_err(|_| ClientError::TimedOut(within))?
        })?;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(broken);
        }
        Err(match serde_json::from_slice::<Problem>(&answer) {
            Ok(Problem { kind: Some(kind), detail, .. }) => StepError { kind, detail }.into(),
            Ok(problem) => ClientError::Refused(problem.detail),
            Err(_) => ClientError::Refused(status.to_string()),
        })
    }

    async fn exchange(&self, method: Method, route: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = Request::builder()
            .method(method)
            .uri(route)
            .header(HOST, "meshd")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(broken)?;
        let driving = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(broken)?;
        driving.abort();
        Ok((status, answer.to_bytes()))
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        match connect(&self.socket).await.map_err(|error| self.unconnected(&error)) {
            Err(ClientError::NoDaemon(socket)) => {
                let said = crate::lock::socket(&self.state_dir).ok_or(ClientError::NoDaemon(socket))?;
                connect(&said).await.map_err(|error| self.unconnected(&error))
            }
            stream => stream,
        }
    }

    fn unconnected(&self, error: &std::io::Error) -> ClientError {
        // A path too long for a socket (`InvalidInput`) is one at which nobody can listen.
        let nobody =
            [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::ConnectionRefused, ErrorKind::InvalidInput];
        if nobody.contains(&error.kind()) {
            ClientError::NoDaemon(self.socket.clone())
        } else {
            ClientError::Broken(format!("{}: {error}", Shown::path(&self.socket)))
        }
    }
}

/// Connects as soon as there is room among those that wait to be taken in.
async fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    loop {
        match UnixStream::connect(socket).await {
            Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::time::sleep(ASK_AGAIN).await,
            stream => return stream,
        }
    }
}

fn broken(error: impl std::fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}
