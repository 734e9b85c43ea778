//! The agents: who is there, how they are and why; registering, changing and letting go.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{
    Answer, Looking, agent_id, ask, bad_request, blocking, look_around, parsed, parsed_or_default, place, read,
};
use super::problem::Problem;
use super::server::Api;
use super::wire_registration::{HeartbeatRequest, PathRequest};
use crate::agent::{AgentId, Runtime};
use crate::clock::{Clock, SystemClock};
use crate::engine::{Denying, Outside, Strictness, Target};
use crate::registration::{Existing, Fate, Register, Unregister};
use crate::registry::{Filter, Status};
use crate::report::{AgentReport, Case, HealthReport, Story, Times, WirePath, shown_and_hex};

/// What a heartbeat without a word is called.
const HEARTBEAT: &str = "heartbeat";

/// Which agents are wanted: those that fit every part that is given.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Those with this runtime.
    runtime: Option<String>,
    /// Those with this capability.
    capability: Option<String>,
    /// Those of this namespace.
    namespace: Option<String>,
    /// Those in this state: `active`, `inactive`, `stale` or `unreachable`.
    status: Option<String>,
}

/// The agents that are recorded. Written one after the other, since all of them at once take eight times the answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes the answer")]
pub(super) struct Agents {
    agents: Vec<AgentReport>,
}

/// A project that is to be an agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RegisterRequest {
    /// The project's directory.
    path: WirePath,
    /// What its manifest is to say: `name` and `runtime` at least.
    #[schema(value_type = Object)]
    overrides: Map<String, Value>,
    /// Whether a manifest that is there goes, and the agent with it.
    #[serde(default)]
    replace: bool,
    /// Whether a project that is under no scan root is registered, too.
    #[serde(default)]
    outside: bool,
    /// Whether it is registered although the relay fails.
    #[serde(default)]
    allow_pending: bool,
}

/// How an agent is let go.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct LetGo {
    /// Whether its manifest stays, and its path is denied.
    #[serde(default)]
    keep_manifest: bool,
    /// Whether it goes although the relay fails.
    #[serde(default)]
    allow_pending: bool,
}

/// Who went.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Gone {
    id: String,
    project_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_path_hex: Option<String>,
    /// `deleted`, `absent`, `kept` or `left`.
    manifest: &'static str,
    /// Why it was left.
    why: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, register))
        .routes(routes!(show, update, unregister))
        .routes(routes!(health))
        .routes(routes!(explain))
        .routes(routes!(heartbeat))
        .routes(routes!(relocate))
}

/// The id that a route names.
type Id = Result<Path<String>, PathRejection>;

fn id_of(id: Id) -> Result<AgentId, Problem> {
    agent_id(&id.map_err(|rejection| bad_request(rejection.body_text()))?)
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|rejection| bad_request(rejection.body_text()))
}

/// The agents that are recorded.
#[utoipa::path(get, path = "/api/mesh/agents", tag = "agents", params(Wanted), responses(
    (status = 200, body = Agents),
    (status = 400, description = "There is no such runtime, status or filter", body = Problem),
))]
async fn list(State(api): State<Api>, wanted: Result<Query<Wanted>, QueryRejection>) -> Result<Response, Problem> {
    let wanted = query(wanted)?;
    let no_such = |what: &str, name: &str| bad_request(format!("`{name}` is no {what}"));
    let runtime = wanted.runtime.as_deref();
    let status = wanted.status.as_deref();
    let filter = Filter {
        runtime: runtime.map(|name| Runtime::from_name(name).ok_or_else(|| no_such("runtime", name))).transpose()?,
        capability: wanted.capability.clone(),
        namespace: wanted.namespace.clone(),
        status: status.map(|name| Status::from_name(name).ok_or_else(|| no_such("status", name))).transpose()?,
    };
    let agents = read(api, move |looking| {
        let (mut json, reach) = (Vec::from(br#"{"agents":["#), looking.reach()?);
        looking.registry.visit(&filter, &looking.now, |record| {
            if json.last() != Some(&b'[') {
                json.push(b',');
            }
            // Writing into memory does not fail.
            let _ = serde_json::to_writer(&mut json, &AgentReport::of(&record, &reach, &looking.now));
        })?;
        json.extend(b"]}");
        Ok(json)
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], agents.await?).into_response())
}

/// One agent.
#[utoipa::path(get, path = "/api/mesh/agents/{id}", tag = "agents", params(("id" = String, Path)), responses(
    (status = 200, body = AgentReport),
    (status = "4XX", description = "There is no such agent", body = Problem),
))]
async fn show(State(api): State<Api>, id: Id) -> Answer<AgentReport> {
    let id = id_of(id)?;
    read(api, move |looking| agent(looking, &id)).await.map(Json)
}

fn agent(looking: &Looking<'_>, id: &AgentId) -> Result<AgentReport, Problem> {
    Ok(AgentReport::of(&looking.record(id)?, &looking.reach()?, &looking.now))
}

/// How an agent is.
#[utoipa::path(get, path = "/api/mesh/agents/{id}/health", tag = "agents", params(("id" = String, Path)), responses(
    (status = 200, body = HealthReport),
    (status = "4XX", description = "There is no such agent", body = Problem),
))]
async fn health(State(api): State<Api>, id: Id) -> Answer<HealthReport> {
    let id = id_of(id)?;
    let report = read(api, move |looking| Ok(HealthReport::of(&looking.record(&id)?, &looking.reach()?, &looking.now)));
    report.await.map(Json)
}

/// Why an agent is as it is.
#[utoipa::path(get, path = "/api/mesh/agents/{id}/explain", tag = "agents", params(("id" = String, Path)), responses(
    (status = 200, body = Story),
    (status = "4XX", description = "There is no such agent", body = Problem),
))]
async fn explain(State(api): State<Api>, id: Id) -> Answer<Story> {
    let id = id_of(id)?;
    let story = look_around(api, move |looking| {
        let record = looking.record(&id)?;
        let ((roots, kept), facts) = (looking.api.core.scanned()?, looking.api.core.facts());
        let times = Times {
            grace_period: Duration::from_millis(facts.grace_period_ms),
            relocate_after: Duration::from_millis(facts.relocate_after_ms),
        };
        let project = record.project();
        Ok(Case::look(&looking.registry, Some(&record), &project, &roots, kept)?.story(&looking.now, times)?)
    });
    story.await.map(Json)
}

/// Makes an agent of a project: writes its manifest, records it and lets others reach it; all of it or nothing.
///
/// The daemon writes the manifest, with its own rights. Where it may not, `meshd register` writes it with yours.
#[utoipa::path(post, path = "/api/mesh/agents", tag = "agents", request_body = RegisterRequest, responses(
    (status = 201, description = "It is registered", body = AgentReport),
    (status = "4XX", description = "It is denied, has a manifest already, or makes no sense", body = Problem),
    (status = 503, description = "Registry, relay or file system fail", body = Problem),
))]
async fn register(State(api): State<Api>, body: Bytes) -> Result<Response, Problem> {
    let mut request = parsed::<RegisterRequest>(&body)?;
    let path = place(request.path).await?;
    let by = request.overrides.remove("registeredBy");
    let registered_by = by.as_ref().and_then(Value::as_str).unwrap_or("meshd").to_owned();
    let register = Register {
        registered_by,
        existing: if request.replace { Existing::Replace } else { Existing::Refuse },
        outside: if request.outside { Outside::Accept } else { Outside::Refuse },
        strictness: strictness(request.allow_pending),
        ..Register::new(request.overrides)
    };
    let core = api.core.clone();
    let registered = blocking(move || Ok(core.register(&path, &register, &SystemClock::new().now())?)).await?;
    let id = registered.id().clone();
    let place = format!("/api/mesh/agents/{id}");
    let report = read(api, move |looking| agent(looking, &id)).await?;
    let mut answer = (StatusCode::CREATED, Json(report)).into_response();
    answer.headers_mut().extend(HeaderValue::from_str(&place).ok().map(|place| (header::LOCATION, place)));
    Ok(answer)
}

/// Changes some keys of an agent's manifest: those that are given; `null` takes one out.
#[utoipa::path(patch, path = "/api/mesh/agents/{id}", tag = "agents", params(("id" = String, Path)),
    request_body(content = Object, description = "Keys of the manifest"), responses(
    (status = 200, body = AgentReport),
    (status = "4XX", description = "There is no such agent, or that would be no manifest", body = Problem),
    (status = 503, description = "Registry, relay or file system fail", body = Problem),
))]
async fn update(State(api): State<Api>, id: Id, body: Bytes) -> Answer<AgentReport> {
    let (id, patch) = (id_of(id)?, parsed::<Map<String, Value>>(&body)?);
    let (core, target) = (api.core.clone(), Target::Agent(id.clone()));
    blocking(move || Ok(core.update(target, &patch, Strictness::Strict)?)).await?;
    read(api, move |looking| agent(looking, &id)).await.map(Json)
}

/// Lets an agent go: nobody reaches it any more, its record goes, and its manifest is deleted.
#[utoipa::path(delete, path = "/api/mesh/agents/{id}", tag = "agents", params(("id" = String, Path), LetGo), responses(
    (status = 200, body = Gone),
    (status = "4XX", description = "There is no such agent, or its scan root is offline", body = Problem),
    (status = 503, description = "Registry, relay or file system fail", body = Problem),
))]
async fn unregister(State(api): State<Api>, id: Id, how: Result<Query<LetGo>, QueryRejection>) -> Answer<Gone> {
    let (id, how) = (id_of(id)?, query(how)?);
    let denying = if how.keep_manifest { Denying::Yes { denier: None } } else { Denying::No };
    let request = Unregister { denying, strictness: strictness(how.allow_pending) };
    let gone = blocking(move || Ok(api.core.unregister(Target::Agent(id), &request)?)).await?;
    let (project_path, project_path_hex) = shown_and_hex(&gone.project);
    let (manifest, why) = match gone.manifest {
        Fate::Deleted => ("deleted", None),
        Fate::Absent => ("absent", None),
        Fate::Kept => ("kept", None),
        Fate::Left(why) => ("left", Some(why)),
    };
    Ok(Json(Gone { id: gone.id.to_string(), project_path, project_path_hex, manifest, why }))
}

/// Says that an agent was heard of.
#[utoipa::path(post, path = "/api/mesh/agents/{id}/heartbeat", tag = "agents", params(("id" = String, Path)),
    request_body = Option<HeartbeatRequest>, responses(
    (status = 200, description = "It is noted"),
    (status = "4XX", description = "There is no such agent, or this is not understood", body = Problem),
    (status = 503, body = Problem),
))]
async fn heartbeat(State(api): State<Api>, id: Id, body: Bytes) -> Answer<()> {
    let request = parsed_or_default::<HeartbeatRequest>(&body)?;
    let (id, event) = (id_of(id)?, request.event.unwrap_or_else(|| HEARTBEAT.to_owned()));
    ask(api.core, move |core| core.heartbeat(id, event)).await
}

/// Says that a contested id belongs to another project.
#[utoipa::path(post, path = "/api/mesh/agents/{id}/relocate", tag = "agents", params(("id" = String, Path)),
    request_body = PathRequest, responses(
    (status = 200, description = "It is recorded there"),
    (status = "4XX", description = "There is no such agent, or it is not contested", body = Problem),
    (status = 503, body = Problem),
))]
async fn relocate(State(api): State<Api>, id: Id, body: Bytes) -> Answer<()> {
    let (id, path) = (id_of(id)?, place(parsed::<PathRequest>(&body)?.path).await?);
    ask(api.core, move |core| core.relocate(id, path)).await
}

fn strictness(allow_pending: bool) -> Strictness {
    if allow_pending { Strictness::AllowPending } else { Strictness::Strict }
}
