//! What meshd tells: its log, and its metrics.
//!
//! Strings that come from files go through [`crate::agent::Shown`] before they come in here.

mod journal;
mod level;
mod lines;
mod log;
mod metrics;
mod snapshot;
mod tell;

pub use level::{Format, Level};
pub use lines::Writing;
pub use log::{Log, LogError};
pub use metrics::{CONTENT_TYPE, EventLabels, Metrics};
pub use snapshot::{RelaySnapshot, Snapshot};
pub use tell::Telemetry;
