//! A scan root: its state, how many agents are recorded under it, and what the daemon hears of it.

use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use super::{DaemonFacts, RootHeard, WirePath, paste, shown_and_hex};
use crate::decide::RootState;
use crate::registry::{Reader, RegistryError, RootRow};

/// A configured scan root.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootReport {
    /// The root.
    pub path: String,
    /// Its bytes in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// `online`, `degraded`, `offline`, or `new` if it was not looked at yet.
    pub state: &'static str,
    /// Why it is not online.
    pub why: Option<String>,
    /// What a person can do about it, where it is not online.
    pub remedy: Option<String>,
    /// Since when it is in this state: ISO 8601 in UTC.
    pub since: Option<String>,
    /// How many agents are recorded under it.
    pub agents: u64,
    /// Directories below it that are watched; `null` if that is not known.
    pub watches: Option<u64>,
    /// Directories below it that should be watched and are polled.
    pub cold_directories: Option<u64>,
    /// Directories below it whose file system announces not all that happens: they are polled too.
    pub quiet_directories: Option<u64>,
    /// When it was last swept while it was there.
    pub last_sweep: Option<String>,
}

/// The configured scan roots.
///
/// # Errors
/// The registry cannot be read.
pub fn roots(registry: &Reader, daemon: Option<&DaemonFacts>) -> Result<Vec<RootReport>, RegistryError> {
    let agents = registry.agents_by_root()?;
    let configured = registry.roots()?.into_iter().filter(|root| root.configured);
    Ok(configured
        .map(|root| {
            let path = WirePath::of(&root.path);
            let heard = daemon.and_then(|daemon| daemon.roots.iter().find(|heard| heard.path == path));
            RootReport::of(&root, agents.get(&root.path).copied().unwrap_or(0), heard)
        })
        .collect())
}

impl RootReport {
    fn of(root: &RootRow, agents: u64, heard: Option<&RootHeard>) -> Self {
        let (path, path_hex) = shown_and_hex(&root.path);
        let state = root.state.as_ref();
        Self {
            path,
            path_hex,
            state: state.map_or("new", RootState::as_str),
            why: state.map(RootState::why).filter(|why| !why.is_empty()).map(str::to_owned),
            remedy: state.and_then(RootRemedy::of).map(|remedy| remedy.put(&root.path)),
            since: root.since.clone(),
            agents,
            watches: heard.map(|heard| heard.watches),
            cold_directories: heard.map(|heard| heard.cold_directories),
            quiet_directories: heard.map(|heard| heard.quiet_directories),
            last_sweep: heard.and_then(|heard| heard.last_sweep.clone()),
        }
    }

    /// Whether nothing is known of what is under it.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.state == "offline"
    }

    /// Whether a part of what is under it is not known.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.state == "degraded"
    }
}

/// What a person can do about a root that is not online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootRemedy {
    /// In a sentence; where a command belongs to it, it ends with what that is for.
    pub to_do: &'static str,
    /// Whether saying that what is there now is meant is a way out: `meshd roots accept`.
    pub is_accepted: bool,
}

impl RootRemedy {
    /// What can be done about this state; nothing is to be about a root that is online.
    #[must_use]
    pub fn of(state: &RootState) -> Option<Self> {
        match state {
            RootState::Online => None,
            RootState::Offline(why) if why == RootState::REPLACED => {
                Some(Self { to_do: "if what is there now is meant", is_accepted: true })
            }
            RootState::Offline(_) => {
                Some(Self { to_do: "bring it back, or take the root out of the configuration", is_accepted: false })
            }
            RootState::Degraded(_) => Some(Self {
                to_do: "mount what is missing, give the permission, or `exclude` what cannot be listed; if what is not \
                        mounted is meant to be gone",
                is_accepted: true,
            }),
        }
    }

    /// The sentence with its command.
    fn put(self, root: &Path) -> String {
        if self.is_accepted {
            format!("{}: meshd roots accept {}", self.to_do, paste::quoted(root))
        } else {
            self.to_do.to_owned()
        }
    }
}
