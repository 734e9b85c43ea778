//! What the registry holds of an agent, as far as deciding needs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{AgentId, Digest, DirIdentity, Moment, Observation};

/// A registry row, reduced to what a decision looks at; the whole row stays in SQLite.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The agent's id.
    pub id: AgentId,
    /// Where its manifest is, or was when it was last there.
    pub project: PathBuf,
    /// The scan root it is recorded under; `None` in a row from an older registry.
    pub scan_root: Option<Arc<Path>>,
    /// The digest of the row's columns as they are now; differs from what was written if somebody edited them.
    pub digest: Digest,
    /// Which directory the project was when its manifest was last seen there.
    pub home: Option<DirIdentity>,
    /// The manifest's fingerprint when it was read into this row. `None` where it is unknown or the row no longer
    /// holds what was read.
    pub observation: Option<Observation>,
    /// Set while the agent is unreachable.
    pub unreachable: Option<Unreachable>,
}

/// That an agent is unreachable, since when, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// When it became unreachable: milliseconds since 1970. Re-marking never moves it.
    pub since_ms: i64,
    /// Why.
    pub reason: Reason,
    /// How much of the grace period is spent.
    pub clock: GraceClock,
}

/// Why an agent is unreachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its manifest is demonstrably gone.
    ManifestGone,
    /// Its project carries another agent's manifest, which is refused there.
    OtherManifest,
    /// Its manifest is gone, its project is there, and another project claims its id.
    Contested,
    /// Its scan root is offline, or what was mounted between that and the project is not mounted.
    RootOffline,
    /// It is under no configured scan root any more.
    OutOfScope,
}

impl Reason {
    /// The reason's name in SQL, JSON and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ManifestGone => "manifest_gone",
            Self::OtherManifest => "other_manifest",
            Self::Contested => "contested",
            Self::RootOffline => "root_offline",
            Self::OutOfScope => "out_of_scope",
        }
    }

    /// The reason that has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::ManifestGone, Self::OtherManifest, Self::Contested, Self::RootOffline, Self::OutOfScope]
            .into_iter()
            .find(|reason| reason.as_str() == name)
    }
}

/// The time an agent has been unreachable while its absence was certain.
///
/// It stands still while the agent cannot be looked for, and it is carried over to a new boot by the first pass there: so the
/// first pass after a boot, before drives are mounted, never completes a grace period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraceClock {
    /// What had run up before `running_since`.
    pub spent: Duration,
    /// Since when it runs; `None` while it stands still.
    pub running_since: Option<Moment>,
}

impl GraceClock {
    /// A clock that starts now.
    #[must_use]
    pub fn started(now: &Moment) -> Self {
        Self { spent: Duration::ZERO, running_since: Some(now.clone()) }
    }

    /// A clock that has not run yet and stands still.
    #[must_use]
    pub fn stopped() -> Self {
        Self { spent: Duration::ZERO, running_since: None }
    }

    /// What has run up until `now`.
    #[must_use]
    pub fn elapsed(&self, now: &Moment) -> Duration {
        let running = self.running_since.as_ref().map_or(Duration::ZERO, |since| now.since(since));
        self.spent.saturating_add(running)
    }

    /// The same clock, running in the boot of `now`; unchanged if it is that already.
    #[must_use]
    pub fn run(&self, now: &Moment) -> Self {
        match &self.running_since {
            Some(since) if since.boot == now.boot => self.clone(),
            _ => Self { spent: self.elapsed(now), running_since: Some(now.clone()) },
        }
    }

    /// The same clock, standing still; unchanged if it is that already.
    #[must_use]
    pub fn stop(&self, now: &Moment) -> Self {
        Self { spent: self.elapsed(now), running_since: None }
    }
}
