//! What goes over the control socket: JSON, its keys in camelCase, times in ISO 8601, paths as strings.
//!
//! A path that is not UTF-8 has no string of its own: it goes as [`WirePath::Hex`].

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::agent::moment::iso;
use crate::engine::{Facts, ReconcileResult, RelayState, RootFacts};

/// `POST /api/mesh/reconcile`: the roots to look at; everything where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReconcileRequest {
    /// Which directories, with all that is below them.
    #[serde(default)]
    pub roots: Vec<WirePath>,
}

/// `POST /api/mesh/roots/accept`: the root whose present directory is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptRoot {
    /// Which root.
    pub root: WirePath,
}

/// A path: a string, or `{"hex": "2f61ff"}` where it is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WirePath {
    /// UTF-8.
    Text(String),
    /// Any bytes.
    Hex {
        /// Two hexadecimal digits a byte.
        hex: String,
    },
}

impl WirePath {
    /// How `path` goes over the wire.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Hex { hex: hex(path) },
        }
    }

    /// The absolute path that this is, or a sentence that says why it is none.
    pub fn to_path(&self) -> Result<PathBuf, String> {
        let path = match self {
            Self::Text(text) => PathBuf::from(text),
            Self::Hex { hex } => from_hex(hex).ok_or("not hexadecimal")?,
        };
        if path.is_absolute() { Ok(path) } else { Err("not an absolute path".to_owned()) }
    }
}

/// The bytes of `path`, two hexadecimal digits each.
#[must_use]
pub fn hex(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn from_hex(hex: &str) -> Option<PathBuf> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
    Some(PathBuf::from(OsString::from_vec(bytes?)))
}

/// `GET /api/mesh/status`: what only the daemon knows; the rest is in the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonFacts {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Whether every root that is online is watched and was swept once.
    pub ready: bool,
    /// When it was started.
    pub started_at: String,
    /// The last pass over everything.
    pub last_sweep: Option<LastSweep>,
    /// Changes that a sweep found and no event had announced.
    pub missed_events: u64,
    /// Directories that are watched.
    pub watches: u64,
    /// Directories that should be watched: those that are, and the cold ones.
    pub watches_needed: u64,
    /// The most watches that are used.
    pub watch_budget: u64,
    /// Directories that should be watched and are not: they are polled.
    pub cold_directories: u64,
    /// What is not as it should be and does not mend by itself: a sentence each.
    pub degraded: Vec<String>,
    /// What is heard of each scan root; none while the engine is busy.
    #[serde(default)]
    pub roots: Vec<RootHeard>,
    /// Why the registry cannot be written at the moment, if so.
    pub registry_error: Option<String>,
    /// How the relay stands; none where there is none.
    #[serde(default)]
    pub relay: Option<RelayState>,
    /// Milliseconds for which an unreachable agent is kept.
    pub grace_period_ms: u64,
    /// Milliseconds for which a contested id waits.
    pub relocate_after_ms: u64,
}

/// What is heard of a scan root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootHeard {
    /// Which one.
    pub path: WirePath,
    /// Directories below it that are watched.
    pub watches: u64,
    /// Directories below it that should be watched and are not: they are polled.
    pub cold_directories: u64,
    /// Directories below it whose file system announces not all that happens: they are polled too.
    pub quiet_directories: u64,
    /// When it was last swept while it was there.
    pub last_sweep: Option<String>,
}

impl RootHeard {
    fn of(facts: &RootFacts) -> Self {
        Self {
            path: WirePath::of(&facts.path),
            watches: facts.heard.watches,
            cold_directories: facts.heard.cold,
            quiet_directories: facts.heard.quiet,
            last_sweep: facts.swept_at_ms.map(iso),
        }
    }
}

/// The last pass over everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSweep {
    /// When it ended.
    pub at: String,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// What it did.
    pub result: ReconcileResult,
}

impl DaemonFacts {
    /// The facts of this process's engine.
    #[must_use]
    pub fn of(facts: Facts, roots: &[RootFacts]) -> Self {
        Self {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: facts.ready,
            started_at: iso(facts.started_at_ms),
            last_sweep: facts.last_sweep.map(|sweep| LastSweep {
                at: iso(sweep.at_ms),
                took_ms: sweep.took_ms,
                result: sweep.result,
            }),
            missed_events: facts.missed_events,
            watches: facts.watches,
            watches_needed: facts.watches.saturating_add(facts.cold),
            watch_budget: facts.watch_budget,
            cold_directories: facts.cold,
            degraded: facts.degraded,
            roots: roots.iter().map(RootHeard::of).collect(),
            registry_error: facts.registry_error,
            relay: facts.relay,
            grace_period_ms: facts.grace_period_ms,
            relocate_after_ms: facts.relocate_after_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_path_goes_over_the_wire_and_back_whatever_its_bytes() {
        for bytes in [b"/a/\xe9\xa0\x85".as_slice(), b"/a\xff/b"] {
            let path = Path::new(OsStr::from_bytes(bytes));
            let json = serde_json::to_string(&WirePath::of(path)).unwrap();
            assert_eq!(serde_json::from_str::<WirePath>(&json).unwrap().to_path().unwrap(), path);
        }
    }

    #[test]
    fn what_is_no_absolute_path_is_refused() {
        for bad in ["\"a\"", "{\"hex\":\"2f6\"}", "{\"hex\":\"zz\"}", "{\"hex\":\"61\"}", "{\"hex\":\"é\"}"] {
            assert!(serde_json::from_str::<WirePath>(bad).unwrap().to_path().is_err(), "{bad}");
        }
    }
}
