//! What meshd tells: its log, and its metrics.
//!
//! Strings that come from files go through [`crate::agent::Shown`] before they come in here.

mod level;
mod log;
mod metrics;
mod tell;

pub use level::{Format, Level};
pub use log::{Log, LogError};
pub use metrics::{EventLabels, Metrics};
pub use tell::Telemetry;
