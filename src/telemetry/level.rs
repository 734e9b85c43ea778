//! How much is logged, and how it is written.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;

/// The least of what is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Operations that failed.
    Error,
    /// Problems, which need a person.
    Warn,
    /// One line an action.
    Info,
    /// Passes that change nothing, and idle sweeps too.
    Debug,
    /// Every single thing.
    Trace,
}

impl Level {
    /// How the levels are written.
    pub const NAMES: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    pub(super) fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl From<LevelFilter> for Level {
    fn from(filter: LevelFilter) -> Self {
        match filter.into_level() {
            // Nothing is ever filtered whole.
            None | Some(tracing::Level::ERROR) => Self::Error,
            Some(tracing::Level::WARN) => Self::Warn,
            Some(tracing::Level::INFO) => Self::Info,
            Some(tracing::Level::DEBUG) => Self::Debug,
            Some(tracing::Level::TRACE) => Self::Trace,
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            other => Err(format!("`{other}` is none of {}", Self::NAMES.join(", "))),
        }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
    /// The journal's own protocol, with fields.
    Journald,
}

impl Format {
    /// How the formats are written.
    pub const NAMES: [&str; 3] = ["text", "json", "journald"];
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "journald" => Ok(Self::Journald),
            other => Err(format!("`{other}` is none of {}", Self::NAMES.join(", "))),
        }
    }
}
