//! Projects and paths: what looks like an agent, what is denied, and a look at one project.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Answer, ask, bad_request, parsed, parsed_or_default, place, read, senseless, walk};
use super::problem::Problem;
use super::server::Api;
use super::wire_registration::{DenyRequest, PathRequest};
use crate::config::{canonical, homes};
use crate::disk::candidates;
use crate::engine::Verdict;
use crate::report::{CandidateReport, DenialReport, WirePath};

/// The deepest that may be asked for; the configuration's own limit.
const DEEPEST: usize = 64;

/// Where to look for projects.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DiscoverRequest {
    /// Under which directories; under the scan roots where there are none.
    #[serde(default)]
    roots: Vec<WirePath>,
    /// How many directories below them; as deep as a scan where nothing is said.
    max_depth: Option<usize>,
}

/// Directories that look like agent projects and have no manifest.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Candidates {
    candidates: Vec<CandidateReport>,
}

/// The denied paths.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Denied {
    denied: Vec<DenialReport>,
}

const DENIED: &str = "/api/mesh/denied/";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(discover))
        .routes(routes!(deny))
        .routes(routes!(denied))
        .routes(routes!(undeny))
        .routes(routes!(sync))
}

/// Directories that look like agent projects and have no manifest.
#[utoipa::path(post, path = "/api/mesh/discover", tag = "projects", request_body = Option<DiscoverRequest>, responses(
    (status = 200, body = Candidates),
    (status = "4XX", description = "This is not understood, or makes no sense", body = Problem),
    (status = 503, body = Problem),
))]
async fn discover(State(api): State<Api>, body: Bytes) -> Answer<Candidates> {
    let request = parsed_or_default::<DiscoverRequest>(&body)?;
    if request.max_depth.is_some_and(|depth| depth > DEEPEST) {
        return Err(senseless(format!("deeper than {DEEPEST}")));
    }
    let named: Result<Vec<PathBuf>, String> = request.roots.iter().map(WirePath::to_path).collect();
    let named = named.map_err(senseless)?;
    let found = walk(api, move |looking| {
        let (roots, kept) = looking.api.core.scanned()?;
        let kept = match request.max_depth {
            Some(depth) => kept.to_depth(depth),
            None => kept,
        };
        let roots = if named.is_empty() { roots } else { named.iter().map(|root| canonical(root)).collect() };
        let roots: Vec<Arc<std::path::Path>> = roots.into_iter().map(Arc::from).collect();
        let (homes, denied) = (homes(), looking.registry.denials()?);
        let except = |path: &std::path::Path| homes.contains(path) || denied.iter().any(|up| path.starts_with(up));
        Ok(candidates(&roots, &kept, except, &mut |_| {}).iter().map(CandidateReport::from).collect())
    });
    found.await.map(|candidates| Json(Candidates { candidates }))
}

/// Never registers a path, nor anything below it.
#[utoipa::path(post, path = "/api/mesh/deny", tag = "projects", request_body = DenyRequest, responses(
    (status = 200, description = "It is denied from now on"),
    (status = "4XX", description = "This is not understood, or makes no sense", body = Problem),
    (status = 503, body = Problem),
))]
async fn deny(State(api): State<Api>, body: Bytes) -> Answer<()> {
    let DenyRequest { path, reason, denier } = parsed(&body)?;
    let path = place(path).await?;
    ask(api.core, move |core| core.deny(path, reason, denier)).await
}

/// The denied paths.
#[utoipa::path(get, path = "/api/mesh/denied", tag = "projects", responses((status = 200, body = Denied)))]
async fn denied(State(api): State<Api>) -> Answer<Denied> {
    let denied =
        read(api, |looking| Ok(looking.registry.list_denials()?.into_iter().map(DenialReport::from).collect()));
    denied.await.map(|denied| Json(Denied { denied }))
}

/// Takes a denial back.
#[utoipa::path(delete, path = "/api/mesh/denied/{path}", tag = "projects",
    params(("path" = String, Path, description = "The path, percent-encoded")), responses(
    (status = 204, description = "It is not denied any more"),
    (status = "4XX", description = "It is not denied itself", body = Problem),
    (status = 503, body = Problem),
))]
async fn undeny(State(api): State<Api>, uri: Uri) -> Result<StatusCode, Problem> {
    // As it came: what is percent-encoded may be any bytes, and not only UTF-8.
    let encoded = uri.path().strip_prefix(DENIED).unwrap_or_default();
    let path = PathBuf::from(OsString::from_vec(percent_decode_str(encoded).collect()));
    if !path.is_absolute() {
        return Err(bad_request("not an absolute path, percent-encoded".to_owned()));
    }
    let shown = crate::agent::Shown::path(&path).to_string();
    // As it stands in the list of the denied, or as it was given when it was denied.
    let Json(was_denied) =
        ask(api.core, move |core| Ok(core.allow(path.clone())? || core.allow(canonical(&path))?)).await?;
    if was_denied {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(StatusCode::NOT_FOUND, format!("{shown} is not denied itself")))
    }
}

/// One pass over a project, and what came of it.
#[utoipa::path(post, path = "/api/mesh/sync", tag = "projects", request_body = PathRequest, responses(
    (status = 200, description = "What is there now", body = Object),
    (status = "4XX", description = "This is not understood, or makes no sense", body = Problem),
    (status = 503, body = Problem),
))]
async fn sync(State(api): State<Api>, body: Bytes) -> Answer<Verdict> {
    let path = place(parsed::<PathRequest>(&body)?.path).await?;
    ask(api.core, move |core| core.sync_from_disk(path)).await
}
