//! `GET /metrics`: how things stand is read off now, on a thread that may block, and the engine is not asked.
//!
//! Who is there and how is read from the registry through a connection of its own. The engine has no namespaces and no
//! times in memory; and a scrape of ten thousand agents on its thread would be ten milliseconds in which no change is seen.

use std::path::Path;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::server::Api;
use crate::clock::{Clock, SystemClock};
use crate::registry::{Census, FileSizes, Reader, RegistryError};
use crate::telemetry::{CONTENT_TYPE, RelaySnapshot, Snapshot};

/// How long a lock on the registry is waited for. Prometheus itself waits ten seconds; all else is told without the
/// registry.
const LOCK_WITHIN: Duration = Duration::from_secs(1);

/// How things stand, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "watching", responses((status = 200, description = "In its text format", body = String)))]
pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let (engine, registry) = (api.core.clone(), api.registry.clone());
    let census = tokio::task::spawn_blocking(move || {
        // Perhaps it is damaged. The engine sees that when it looks, and mends it.
        census(&registry).inspect_err(|_| engine.doubt())
    });
    let census = match census.await {
        Ok(Ok(census)) => Some(census),
        Ok(Err(error)) => {
            tracing::debug!("the metrics are without agents, roots and problems: {error}");
            None
        }
        Err(error) => {
            tracing::debug!("the metrics are without agents, roots and problems: {error}");
            None
        }
    };
    let text = api.metrics.text(&snapshot(&api, census));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
}

fn census(registry: &Path) -> Result<Census, RegistryError> {
    let reader = Reader::beside(registry)?;
    reader.set_busy_timeout(LOCK_WITHIN)?;
    reader.census(&SystemClock::new().now())
}

fn snapshot(api: &Api, census: Option<Census>) -> Snapshot {
    let facts = api.core.facts();
    let relay = facts.relay.zip(api.core.relay_tally());
    Snapshot {
        ready: facts.ready,
        started_at_ms: facts.started_at_ms,
        last_sweep_at_ms: facts.last_sweep.map(|sweep| sweep.at_ms),
        next_sweep_at_ms: facts.next_sweep_at_ms,
        watches: facts.watches,
        watch_budget: facts.watch_budget,
        cold_directories: facts.cold,
        watch_shortage: !facts.degraded.is_empty(),
        log_lines_lost: api.log.lost(),
        registry_writable: facts.registry_error.is_none(),
        sizes: FileSizes::of(&api.registry),
        census,
        relay: relay.map(|(state, tally)| RelaySnapshot {
            pending: state.pending,
            failing: state.error.is_some(),
            tally,
        }),
    }
}
