//! How everything is: status, roots, problems, sweeps, namespaces; and a pass that is asked for.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Answer, ask, blocking, parsed, parsed_or_default, place, read, senseless};
use super::problem::Problem;
use super::server::Api;
use super::wire::{AcceptRoot, ReconcileRequest};
use super::wire_registration::AccessRequest;
use crate::engine::ReconcileResult;
use crate::report::{
    DaemonFacts, DaemonState, LastSweep, ProblemReport, RootReport, StatusReport, TopologyReport, roots,
};
use crate::scope::Scope;

/// How long a busy engine is waited for, for what only it knows: the rest is said in any case.
const TIME_TO_COUNT: Duration = Duration::from_secs(1);

/// The scan roots.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Roots {
    roots: Vec<RootReport>,
}

/// What needs a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problems {
    problems: Vec<ProblemReport>,
}

/// The last sweeps, the oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct Sweeps {
    sweeps: Vec<LastSweep>,
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(daemon))
        .routes(routes!(list_roots))
        .routes(routes!(accept_root))
        .routes(routes!(problems))
        .routes(routes!(sweeps))
        .routes(routes!(topology))
        .routes(routes!(access))
        .routes(routes!(reconcile))
}

fn facts(api: &Api) -> DaemonFacts {
    let mut facts = DaemonFacts::of(api.core.facts(), &api.core.roots_heard(TIME_TO_COUNT).unwrap_or_default());
    facts.http_error = api.door.as_ref().and_then(|door| door.closed());
    facts
}

/// How the agents, the scan roots and the daemon are.
#[utoipa::path(get, path = "/api/mesh/status", tag = "watching", responses((status = 200, body = StatusReport)))]
async fn status(State(api): State<Api>) -> Answer<StatusReport> {
    // Asked for first: a busy engine is waited for, and that is nothing to look at the registry for.
    let asked = api.clone();
    let facts = blocking(move || Ok(facts(&asked))).await?;
    let report = read(api, move |looking| {
        let daemon = DaemonState { running: Some(true), error: None, facts: Some(facts) };
        Ok(StatusReport::of(Some(&looking.registry), &looking.api.registry, daemon, &looking.now)?)
    });
    report.await.map(Json)
}

/// What only the daemon knows of itself.
#[utoipa::path(get, path = "/api/mesh/daemon", tag = "watching", responses((status = 200, body = DaemonFacts)))]
async fn daemon(State(api): State<Api>) -> Answer<DaemonFacts> {
    blocking(move || Ok(facts(&api))).await.map(Json)
}

/// The scan roots and their states.
#[utoipa::path(get, path = "/api/mesh/roots", tag = "roots", responses((status = 200, body = Roots)))]
async fn list_roots(State(api): State<Api>) -> Answer<Roots> {
    let asked = api.clone();
    let facts = blocking(move || Ok(facts(&asked))).await?;
    let roots = read(api, move |looking| Ok(roots(&looking.registry, Some(&facts))?));
    roots.await.map(|roots| Json(Roots { roots }))
}

/// Says that what is at a root now is meant, although it is another directory than before.
#[utoipa::path(post, path = "/api/mesh/roots/accept", tag = "roots", request_body = AcceptRoot, responses(
    (status = 200, body = ReconcileResult),
    (status = "4XX", description = "It is no scan root, or this is not understood", body = Problem),
    (status = 503, body = Problem),
))]
async fn accept_root(State(api): State<Api>, body: Bytes) -> Answer<ReconcileResult> {
    let root = place(parsed::<AcceptRoot>(&body)?.root).await?;
    ask(api.core, move |core| core.accept_root(root)).await
}

/// What needs a person, and what that person can do.
#[utoipa::path(get, path = "/api/mesh/problems", tag = "watching", responses((status = 200, body = Problems)))]
async fn problems(State(api): State<Api>) -> Answer<Problems> {
    let problems = read(api, |looking| Ok(ProblemReport::all(&looking.registry.problems()?)));
    problems.await.map(|problems| Json(Problems { problems }))
}

/// The last sweeps, the oldest first; sixty at most.
#[utoipa::path(get, path = "/api/mesh/sweeps", tag = "watching", responses((status = 200, body = Sweeps)))]
async fn sweeps(State(api): State<Api>) -> Json<Sweeps> {
    Json(Sweeps { sweeps: api.core.last_sweeps().into_iter().map(LastSweep::from).collect() })
}

/// The namespaces, their agents, and who may reach whom.
#[utoipa::path(get, path = "/api/mesh/topology", tag = "namespaces", responses((status = 200, body = TopologyReport)))]
async fn topology(State(api): State<Api>) -> Answer<TopologyReport> {
    read(api, |looking| Ok(TopologyReport::of(&looking.registry, &looking.now)?)).await.map(Json)
}

/// Says whether agents of one namespace may send to those of another; one direction.
#[utoipa::path(put, path = "/api/mesh/topology/access", tag = "namespaces", request_body = AccessRequest, responses(
    (status = 200, description = "It holds from now on"),
    (status = "4XX", description = "This is not understood, or makes no sense", body = Problem),
    (status = 503, body = Problem),
))]
async fn access(State(api): State<Api>, body: Bytes) -> Answer<()> {
    let pair = parsed::<AccessRequest>(&body)?.to_pair().map_err(senseless)?;
    ask(api.core, move |core| core.set_access(pair)).await
}

/// One pass over some roots, or over everything, which is answered when things have settled.
#[utoipa::path(post, path = "/api/mesh/reconcile", tag = "agents", request_body = Option<ReconcileRequest>, responses(
    (status = 200, body = ReconcileResult),
    (status = "4XX", description = "One of them is no scan root, or this is not understood", body = Problem),
    (status = 503, body = Problem),
))]
async fn reconcile(State(api): State<Api>, body: Bytes) -> Answer<ReconcileResult> {
    // No body is the plainest way to ask for a pass over everything: `curl -X POST`.
    let request = parsed_or_default::<ReconcileRequest>(&body)?;
    let mut scope = if request.roots.is_empty() { Scope::everything() } else { Scope::nothing() };
    for root in request.roots {
        scope.merge(Scope::below(place(root).await?));
    }
    ask(api.core, move |core| core.reconcile(scope)).await
}
