//! Who may come in at the loopback address: whoever has the token that lies in the state directory, readable by its user
//! only. Anybody on the machine can connect, and so can any page in a browser.
//!
//! There are no cookies: a browser sends those of one port to all ports of a host. A page that was opened with a link of
//! `meshd open` exchanges the code in it, once, for the token.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hyper::Method;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::parsed;
use super::client::{Client, ClientError, FACTS_WITHIN};
use super::problem::Problem;
use super::server::Api;
use crate::agent::Shown;
use crate::clock::monotonic;

/// How long a link can be used.
const LINK_HOLDS: Duration = Duration::from_mins(1);

/// Links that are open at once; an older one is void then.
const MAX_LINKS: usize = 16;

/// Bytes of chance in a token and in a code.
const CHANCE: usize = 32;

/// The file with the token, in the state directory.
const TOKEN: &str = "http.token";

/// Who may come in.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    token: String,
    codes: Mutex<Vec<(String, Instant)>>,
    /// Why nobody can come in at the moment.
    closed: Mutex<Option<String>>,
}

/// A link to the page.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    url: String,
}

/// The code of a link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Code {
    code: String,
}

/// What the code is exchanged for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// To be sent with every request: `Authorization: Bearer …`.
    token: String,
}

impl Door {
    /// The door at this address, with the token in `state_dir`, which is made if there is none.
    ///
    /// # Errors
    /// The token cannot be read or written, or others may read it.
    pub fn new(address: SocketAddr, state_dir: &Path) -> std::io::Result<Self> {
        Ok(Self { address, token: token(&state_dir.join(TOKEN))?, codes: Mutex::default(), closed: Mutex::default() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why nobody can come in at the moment, if so.
    pub(super) fn closed(&self) -> Option<String> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says why nobody can come in from now on, or that everybody can; returns what was said before.
    pub(super) fn close(&self, why: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.closed.lock().unwrap_or_else(PoisonError::into_inner), why)
    }

    /// A link that lets one page in, once.
    fn link(&self) -> std::io::Result<Link> {
        let (code, now) = (chance()?, monotonic());
        let url = format!("http://{}/#code={code}", self.address);
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|(_, made)| now.duration_since(*made) < LINK_HOLDS);
        if codes.len() >= MAX_LINKS {
            codes.remove(0);
        }
        codes.push((code, now));
        Ok(Link { url })
    }

    /// Takes a code, if it is one.
    fn take(&self, code: &str) -> bool {
        let now = monotonic();
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|(_, made)| now.duration_since(*made) < LINK_HOLDS);
        let before = codes.len();
        codes.retain(|(known, _)| !is_same(known, code));
        codes.len() < before
    }

    /// Why a request may not come in, if so.
    fn refuses(&self, request: &Request) -> Option<Problem> {
        let refused = |detail: &str| Some(Problem::new(StatusCode::FORBIDDEN, detail));
        let headers = request.headers();
        // A name that somebody else's server gave this address (DNS rebinding) is not ours.
        if !only(headers, &header::HOST).is_some_and(|host| self.is_ours(host)) {
            return refused("`Host` must be the address that is served");
        }
        if headers.contains_key(header::ORIGIN) {
            let origin = only(headers, &header::ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
            if !origin.is_some_and(|origin| self.is_ours(origin)) {
                return refused("another page may not ask");
            }
        }
        if is_open(request) || self.has_token(headers) {
            return None;
        }
        let detail = if headers.contains_key(header::AUTHORIZATION) {
            "this is not the token that is in `http.token` of the state directory"
        } else {
            "the token is needed: `Authorization: Bearer …`, or `meshd open`"
        };
        Some(Problem::new(StatusCode::UNAUTHORIZED, detail))
    }

    fn is_ours(&self, host: &str) -> bool {
        host == self.address.to_string() || host == format!("localhost:{}", self.address.port())
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let bearer = only(headers, &header::AUTHORIZATION).and_then(|value| value.split_once(' '));
        bearer.is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && is_same(token, &self.token))
    }
}

/// The one value of a header; none if there are more.
fn only<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.to_str().ok()).flatten()
}

/// What is served to whoever asks: the page, which knows nothing yet, whether the daemon lives, and the exchange of a code.
pub(super) fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    let is_look = request.method() == Method::GET || request.method() == Method::HEAD;
    (is_look && (path == "/" || path.starts_with("/page/") || path == "/healthz"))
        || (request.method() == Method::POST && path == "/api/mesh/session")
}

/// Lets in who may come in.
pub(super) async fn guard(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let Some(problem) = door.refuses(&request) else { return next.run(request).await };
    let is_unknown = problem.status == StatusCode::UNAUTHORIZED.as_u16();
    let mut answer = problem.into_response();
    if is_unknown {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

/// Exchanges the code of a link, once, for the token.
#[utoipa::path(post, path = "/api/mesh/session", tag = "page", request_body = Code, responses(
    (status = 200, body = Session),
    (status = "4XX", description = "It is used up, or was never one", body = Problem),
))]
pub(super) async fn session(Extension(door): Extension<Arc<Door>>, body: Bytes) -> Result<Json<Session>, Problem> {
    let Code { code } = parsed(&body)?;
    if door.take(&code) {
        return Ok(Json(Session { token: door.token.clone() }));
    }
    Err(Problem::new(StatusCode::UNAUTHORIZED, "this link is used up: `meshd open` prints another one"))
}

/// Where a link is made: at the socket only.
pub(super) const LINK: &str = "/api/mesh/link";

/// Makes a link.
pub(super) async fn link(State(api): State<Api>) -> Result<Response, Problem> {
    let none = "the page is not served: `http = \"127.0.0.1:4848\"` in the configuration, or `meshd run --http`; either \
        takes a restart of the daemon";
    let door = api.door.ok_or_else(|| Problem::new(StatusCode::CONFLICT, none))?;
    if let Some(why) = door.closed() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why));
    }
    let failed = |error: std::io::Error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    Ok(Json(door.link().map_err(failed)?).into_response())
}

impl Client {
    /// A link to the page, which can be used once.
    pub fn link(&self) -> Result<String, ClientError> {
        self.ask::<(), Link>(Method::POST, LINK, None, FACTS_WITHIN).map(|link| link.url)
    }
}

/// The token in this file, which is made if it is not there. Nobody else may be able to read it.
fn token(path: &Path) -> std::io::Result<String> {
    let other = |what: &str| std::io::Error::other(format!("{}: {what}", Shown::path(path)));
    // A pipe that nobody writes to would be waited for.
    let careful = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits();
    let file = match OpenOptions::new().read(true).custom_flags(careful.cast_signed()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return made(path),
        Err(error) => return Err(other(&error.to_string())),
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(other("it is no file: delete it, and a new one is made"));
    }
    if found.mode() & 0o077 != 0 {
        return Err(other("others may read it: delete it, and a new one is made"));
    }
    let mut text = String::new();
    file.take(1_024).read_to_string(&mut text)?;
    let token = text.trim();
    if token.len() < CHANCE || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(other("there is no token in it: delete it, and a new one is made"));
    }
    Ok(token.to_owned())
}

/// A new token, which is in the file as a whole or not at all.
fn made(path: &Path) -> std::io::Result<String> {
    let token = chance()?;
    let new = path.with_extension("new");
    // What is there was left by somebody who was killed at this.
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(format!("{token}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    Ok(token)
}

/// What nobody can guess, in hexadecimal.
fn chance() -> std::io::Result<String> {
    let mut bytes = [0; CHANCE];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

/// Whether two secrets are the same; how long that takes says nothing of where they differ.
fn is_same(one: &str, other: &str) -> bool {
    let differ = one.bytes().zip(other.bytes()).fold(0, |differ, (one, other)| differ | (one ^ other));
    one.len() == other.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> (tempfile::TempDir, Door) {
        let directory = tempfile::tempdir().unwrap();
        let door = Door::new("127.0.0.1:4848".parse().unwrap(), directory.path()).unwrap();
        (directory, door)
    }

    fn refused(door: &Door, method: Method, path: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let request = headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        let request = request.method(method).uri(path).body(axum::body::Body::empty()).unwrap();
        door.refuses(&request).map(|problem| problem.status)
    }

    #[test]
    fn the_token_is_private_and_stays() {
        let (directory, door) = door();
        let file = directory.path().join(TOKEN);
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Door::new(door.address, directory.path()).unwrap().token, door.token);
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(Door::new(door.address, directory.path()).is_err());
    }

    #[test]
    fn whoever_is_killed_while_a_token_is_made_leaves_nothing_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(TOKEN);
        std::fs::write(file.with_extension("new"), "half").unwrap();
        let made = token(&file).unwrap();
        assert_eq!(token(&file).unwrap(), made);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_is_no_token_and_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, link) = (directory.path().join("pipe"), directory.path().join("link"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        assert!(token(&pipe).is_err() && token(&link).is_err());
    }

    #[test]
    fn a_link_lets_one_page_in_once() {
        let (_directory, door) = door();
        let link = door.link().unwrap().url;
        let (_, code) = link.split_once("/#code=").unwrap();
        assert!(!door.take("") && !door.take("other"));
        assert!(door.take(code) && !door.take(code));
        let links: Vec<String> = (0..=MAX_LINKS).map(|_| door.link().unwrap().url).collect();
        let codes: Vec<&str> = links.iter().filter_map(|link| Some(link.split_once("/#code=")?.1)).collect();
        assert!(!door.take(codes[0]) && door.take(codes[1]));
    }

    #[test]
    fn who_has_no_token_or_comes_from_elsewhere_stays_out() {
        let (_directory, door) = door();
        let bearer = format!("Bearer {}", door.token);
        let (host, token) = (("host", "127.0.0.1:4848"), ("authorization", bearer.as_str()));
        let status = "/api/mesh/status";
        assert_eq!(refused(&door, Method::GET, status, &[host, token]), None);
        assert_eq!(refused(&door, Method::GET, status, &[("host", "localhost:4848"), token]), None);
        assert_eq!(refused(&door, Method::GET, status, &[host, token, ("origin", "http://127.0.0.1:4848")]), None);
        assert_eq!(refused(&door, Method::GET, status, &[host]), Some(401));
        assert_eq!(refused(&door, Method::GET, status, &[host, ("authorization", "Bearer x")]), Some(401));
        assert_eq!(refused(&door, Method::GET, status, &[token]), Some(403));
        assert_eq!(refused(&door, Method::GET, status, &[("host", "evil.example:4848"), token]), Some(403));
        assert_eq!(refused(&door, Method::GET, status, &[("host", "127.0.0.1"), token]), Some(403));
        assert_eq!(refused(&door, Method::GET, status, &[host, host, token]), Some(403));
        for origin in ["http://evil.example", "https://127.0.0.1:4848", "null", "http://127.0.0.1:80"] {
            assert_eq!(refused(&door, Method::GET, status, &[host, token, ("origin", origin)]), Some(403), "{origin}");
        }
        for open in ["/", "/page/app.js", "/healthz"] {
            assert_eq!(refused(&door, Method::GET, open, &[host]), None, "{open}");
            assert_eq!(refused(&door, Method::POST, open, &[host]), Some(401), "{open}");
        }
    }
}
