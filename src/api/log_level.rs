//! `GET` and `PUT /api/mesh/log-level`: how much is logged, while the daemon runs. It lasts until the daemon is started
//! anew or reads its configuration again.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use hyper::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::parsed;
use super::client::{Client, ClientError, FACTS_WITHIN};
use super::problem::Problem;
use super::server::Api;
use crate::telemetry::Level;

const ROUTE: &str = "/api/mesh/log-level";

/// The least of what is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogLevel {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    #[schema(value_type = String)]
    pub level: Level,
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(level, set_level))
}

/// The least of what is logged.
#[utoipa::path(get, path = ROUTE, tag = "watching", responses((status = 200, body = LogLevel)))]
async fn level(State(api): State<Api>) -> Json<LogLevel> {
    Json(LogLevel { level: api.log.level() })
}

/// Logs more or less from now on, until the daemon is started anew or reads its configuration again.
#[utoipa::path(put, path = ROUTE, tag = "watching", request_body = LogLevel, responses(
    (status = 200, body = LogLevel),
    (status = "4XX", description = "There is no such level", body = Problem),
))]
async fn set_level(State(api): State<Api>, body: Bytes) -> Result<Json<LogLevel>, Problem> {
    let LogLevel { level } = parsed(&body)?;
    api.log.set_level(level);
    tracing::info!("the log level is {} until the configuration is read again", level.as_str());
    Ok(Json(LogLevel { level: api.log.level() }))
}

impl Client {
    /// The least of what it logs.
    pub fn log_level(&self) -> Result<Level, ClientError> {
        self.ask::<(), LogLevel>(Method::GET, ROUTE, None, FACTS_WITHIN).map(|answer| answer.level)
    }

    /// Has it log this and what is worse; says the level from now on.
    pub fn set_log_level(&self, level: Level) -> Result<Level, ClientError> {
        self.ask(Method::PUT, ROUTE, Some(&LogLevel { level }), FACTS_WITHIN).map(|answer: LogLevel| answer.level)
    }
}
