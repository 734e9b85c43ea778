//! The decision: what was found, and what is therefore to be done. Pure: no I/O, no clock, no `Result`.

mod claims;
mod decision;
mod grants;
mod homes;
pub mod plan;
pub mod problem;
mod problems;
mod roots;
pub mod view;

use std::time::Duration;

pub use decision::decide;
pub use plan::{Action, Plan, RemoveCause};
pub use problem::{Problem, ProblemKind};
pub use view::{
    Checkout, Doubt, Found, MountSeen, Probe, ProjectDir, Reach, Root, RootFound, RootState, Site, Unlisted,
    Unreadable, UnreadableKind, View,
};

/// The times that decisions go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long an unreachable agent is kept.
    pub grace_period: Duration,
    /// How long a contested id waits for its project to carry it again.
    pub relocate_after: Duration,
    /// How long a manifest must be missing before its agent is unreachable, so that an editor's delete-and-create is one
    /// edit.
    pub missing_after: Duration,
    /// When a manifest that does not parse is read again, counted from the first time; after the last of these it counts
    /// as unreadable.
    pub read_again_after: [Duration; 4],
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            grace_period: Duration::from_hours(24),
            relocate_after: Duration::from_mins(10),
            missing_after: Duration::from_millis(500),
            read_again_after: [25, 100, 300, 1000].map(Duration::from_millis),
        }
    }
}
