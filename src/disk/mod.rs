//! Looking at disk: one project's manifest, or all the directories below a scan root. And writing that manifest.
//!
//! Nothing in here follows a symbolic link, blocks on what a project put in its place, or reads more than a manifest may
//! have. It answers in the types of [`crate::decide`], which owns what a look can find.

pub mod discover;
pub mod kept;
pub mod listing;
pub mod mounts;
mod open;
pub mod parallel;
pub mod path_map;
pub mod probe;
pub mod stat;
pub mod tree;
pub mod watches;
pub mod write;

pub use discover::{Candidate, candidates};
pub use kept::Kept;
pub use path_map::PathMap;
pub use probe::{Held, Sight, probe};
pub use tree::{Cursor, Round, Tree, Trust, Walk};
pub use watches::{Heard, Target, Tidied, Unwatched, Watches};

/// The directory of a project that holds its manifest.
pub const DORK: &str = ".dork";

/// The manifest, seen from its project.
pub const MANIFEST: &str = ".dork/agent.json";
