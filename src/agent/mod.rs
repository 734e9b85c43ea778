//! The nouns: what a manifest says, and what is derived from it and from where it lies.
//!
//! Nothing in here does I/O or reads a clock, and nothing in here imports another room.

pub mod columns;
pub mod edit;
pub mod id;
pub mod manifest;
pub mod moment;
pub mod namespace;
pub mod recorded;
pub mod seen;
pub mod shown;

use std::path::PathBuf;
use std::sync::Arc;

pub use columns::{Columns, Digest};
pub use edit::EditError;
pub use id::AgentId;
pub use manifest::{Manifest, Runtime};
pub use moment::{BootId, Moment};
pub use namespace::Namespace;
pub use recorded::{GraceClock, Reason, Recorded, Unreachable};
pub use seen::{DirIdentity, Fingerprint, Observation, RootIdentity, Sighting};
pub use shown::Shown;

/// What should be recorded of an agent: its manifest, and what follows from where that lies.
///
/// Two equal agents need no write: this `PartialEq` (and the digest of [`Columns`], which stands in for it) is what
/// "in sync" means, so a new field of the manifest is compared without anyone adding it to a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// What the file says.
    pub manifest: Manifest,
    /// The directory that holds `.dork/`: absolute, without symbolic links.
    pub project: PathBuf,
    /// The deepest configured scan root that the project is under; `None` when that is not known.
    pub scan_root: Option<Arc<std::path::Path>>,
    /// The group that the agent belongs to.
    pub namespace: Namespace,
}

impl Agent {
    /// The agent that `manifest`, found at `project` below `scan_root`, describes.
    #[must_use]
    pub fn derive(manifest: Manifest, project: PathBuf, scan_root: Option<Arc<std::path::Path>>) -> Self {
        let namespace = Namespace::derive(manifest.namespace.as_deref(), scan_root.as_deref(), &project);
        Self { manifest, project, scan_root, namespace }
    }

    /// The agent's id.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        &self.manifest.id
    }
}
