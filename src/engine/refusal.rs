//! Why the engine does not do what it was asked for. Nothing is changed then.

use std::path::PathBuf;

use crate::agent::Shown;

/// A request that cannot be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A person denied the path or one above it.
    #[error("{} is denied: `meshd allow` takes that back", Shown::path(.0))]
    Denied(PathBuf),
    /// No scan root is above the project.
    #[error(
        "{} is under no scan root: name the root (`roots` in the configuration, or without a daemon `meshd reconcile ROOT`), \
         or take --outside, which makes it one of its own",
        Shown::path(.0)
    )]
    Outside(PathBuf),
    /// No scan comes to the project.
    #[error("{} is excluded from its scan root, or too many directories below it", Shown::path(.0))]
    Excluded(PathBuf),
    /// The scan root is not there.
    #[error("the scan root {} is offline", Shown::path(.0))]
    RootOffline(PathBuf),
    /// There is nothing at the path.
    #[error("there is no directory {}", Shown::path(.0))]
    Missing(PathBuf),
    /// There is something else at the path.
    #[error("{} is not a directory, or behind a link", Shown::path(.0))]
    NotADirectory(PathBuf),
    /// Somebody else is at it.
    #[error("somebody else is just registering or unregistering {}", Shown::path(.0))]
    Busy(PathBuf),
    /// No such agent is recorded.
    #[error("no agent is recorded as {}", Shown::text(.0))]
    NoSuchAgent(String),
    /// What was begun was given up meanwhile.
    #[error("it took too long, and was given up")]
    Over,
    /// The registry does not hold what was to be recorded.
    #[error("{} was not recorded: {}", Shown::path(project), Shown::text(why))]
    NotRecorded {
        /// The project.
        project: PathBuf,
        /// Why not.
        why: String,
    },
    /// The relay did not do its part.
    #[error("the relay: {}", Shown::text(.0))]
    Relay(String),
    /// The request makes no sense.
    #[error("{0}")]
    Pointless(&'static str),
}
