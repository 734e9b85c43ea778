//! `GET` and `PUT /api/mesh/log-level`: how much is logged, while the daemon runs. It lasts until the daemon is started
//! anew or reads its configuration again.

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use hyper::Method;
use serde::{Deserialize, Serialize};

use super::client::{Client, ClientError, FACTS_WITHIN};
use super::handlers::parsed;
use super::problem::Problem;
use super::server::Api;
use crate::telemetry::Level;

const ROUTE: &str = "/api/mesh/log-level";

/// The least of what is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogLevel {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Level,
}

pub(super) fn routes() -> Router<Api> {
    Router::new().route(ROUTE, get(level).put(set_level))
}

async fn level(State(api): State<Api>) -> Json<LogLevel> {
    Json(LogLevel { level: api.log.level() })
}

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
