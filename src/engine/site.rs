//! What is at one place: looked at by several threads at once, so it only borrows what it looks with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::holds::Holds;
use super::memory::Memory;
use crate::decide::{Checkout, Found, Probe, ProjectDir, Root, RootFound, Site};
use crate::disk::{self, Kept, MANIFEST, Sight, Tree, stat};

/// What a place is looked at with.
pub struct Eyes<'a> {
    /// The configured roots.
    pub roots: &'a [Arc<Path>],
    /// Which directories belong to a scan.
    pub kept: &'a Kept,
    /// The registry.
    pub memory: &'a Memory,
    /// The directories, as they were just seen.
    pub trees: &'a BTreeMap<Arc<Path>, Tree>,
    /// Where somebody is just registering or unregistering.
    pub holds: &'a Holds,
}

impl Eyes<'_> {
    /// What is at one project.
    pub fn site(&self, project: &Path, roots: &BTreeMap<Arc<Path>, Root>) -> Site {
        let root = self.root_of(project);
        let (denied, held) = (self.memory.denied(project).is_some(), self.holds.is_held(project));
        let is_there = |root: &Arc<Path>| matches!(roots.get(root), Some(Root { found: RootFound::Directory(_), .. }));
        let sight = match &root {
            // Nothing is decided from what lies outside of every root, or in a root that is not there.
            None => Sight { probe: Probe::Absent(ProjectDir::Gone), identity: None },
            Some(root) if !is_there(root) => Sight { probe: Probe::Absent(ProjectDir::Gone), identity: None },
            Some(root) => self.as_recorded(project, root).unwrap_or_else(|| disk::probe(project, Some(root.clone()))),
        };
        let Sight { probe, identity } = sight;
        Site { root, denied, held, probe, identity, checkout: Checkout::Main, standing: Duration::ZERO }
    }

    /// Whether the manifest is certainly the one that was read into the record of this place.
    fn as_recorded(&self, project: &Path, root: &Arc<Path>) -> Option<Sight> {
        let record = self.memory.at(project)?;
        let observation = record.observation?;
        if record.scan_root.as_ref() != Some(root) {
            return None;
        }
        // The tree vouches for the directories on the way: none of them became a link.
        let identity = self.trees.get(root)?.project_identity(project)?;
        let fingerprint = stat::regular_file(&project.join(MANIFEST))?;
        observation
            .vouches_for(&fingerprint)
            .then(|| Sight { probe: Probe::Present(Found::AsRecorded(record.id.clone())), identity: Some(identity) })
    }

    /// The deepest configured root that a walk comes to the project from.
    fn root_of(&self, project: &Path) -> Option<Arc<Path>> {
        deepest(self.roots, project).filter(|root| self.kept.reaches(root, project))
    }
}

/// The deepest of some roots that a path is under.
pub fn deepest(roots: &[Arc<Path>], path: &Path) -> Option<Arc<Path>> {
    roots.iter().filter(|root| path.starts_with(root)).max_by_key(|root| root.components().count()).cloned()
}
