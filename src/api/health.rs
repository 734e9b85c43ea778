//! Whether the daemon lives, and whether it does its work.

use axum::extract::State;
use axum::http::StatusCode;

use super::answer::read;
use super::problem::Problem;
use super::server::Api;
use crate::report::roots;

/// Whether the daemon lives.
#[utoipa::path(get, path = "/healthz", tag = "watching", responses((status = 200, description = "It does", body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether every root is there, watched and swept, and the daemon does all of its work. Of manifests that need a person
/// `/api/mesh/problems` tells.
#[utoipa::path(get, path = "/readyz", tag = "watching", responses(
    (status = 200, description = "It is", body = String),
    (status = 503, description = "It is not, with `reasons`", body = Problem),
))]
pub(super) async fn readyz(State(api): State<Api>) -> Result<&'static str, Problem> {
    let facts = api.core.facts();
    let mut reasons = Vec::new();
    if !facts.ready {
        reasons.push("not every scan root is watched and swept yet".to_owned());
    }
    reasons.extend(facts.degraded);
    reasons.extend(facts.registry_error.map(|error| format!("the registry cannot be written: {error}")));
    reasons.extend(api.door.as_ref().and_then(|door| door.closed()));
    reasons.extend(facts.relay.and_then(|relay| relay.error).map(|error| format!("the relay fails: {error}")));
    match read(api, |looking| Ok(roots(&looking.registry, None)?)).await {
        Ok(roots) => reasons.extend(roots.iter().filter(|root| root.is_offline() || root.is_degraded()).map(|root| {
            let why = root.why.as_deref().unwrap_or("it is not there");
            format!("the scan root {} is {}: {why}", root.path, root.state)
        })),
        Err(problem) => reasons.push(problem.detail),
    }
    if reasons.is_empty() {
        return Ok("ready\n");
    }
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, reasons.join("; "));
    Err(Problem { reasons, ..problem })
}
