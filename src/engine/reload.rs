//! What a reload changes, and what a mount does: nothing is forgotten that is as it was, or everything would be watched
//! anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Reconfigure;
use super::pass::{Engine, configure};
use crate::registry::RegistryError;

impl Engine {
    /// Takes other settings. A sweep finds what belongs to a scan from now on.
    ///
    /// # Errors
    /// The registry could not be written.
    pub fn reconfigure(&mut self, settings: Reconfigure) -> Result<(), RegistryError> {
        let Reconfigure { roots, kept, policy, poll_interval, watch_budget } = settings;
        configure(&mut self.registry, &roots)?;
        self.kept = kept;
        self.policy = policy;
        self.poll_interval = poll_interval;
        let before = self.roots.clone();
        self.set_roots(&roots);
        for root in before.iter().filter(|root| !self.roots.contains(root)) {
            self.forget_root(root);
        }
        let new: Vec<Arc<Path>> = self.roots.iter().filter(|root| !before.contains(root)).cloned().collect();
        for (root, tree) in &mut self.trees {
            // What is below a deeper root is that one's.
            for deeper in new.iter().filter(|new| *new != root && new.starts_with(root)) {
                tree.forget_below(deeper);
            }
            tree.keep(&self.kept);
            self.watches.forget(tree.take_gone());
        }
        // Perhaps a person raised the system's limits too.
        self.watches.set_budget(watch_budget);
        Ok(())
    }

    /// Takes note that something was mounted or unmounted at some directories: nothing at or below them is as it was, nor
    /// watched. A sweep sees what is there now.
    pub fn remounted(&mut self, directories: &BTreeSet<PathBuf>) {
        self.read_mounts();
        for root in self.roots.clone() {
            for directory in directories {
                if root.starts_with(directory) {
                    self.found.remove(&root);
                } else if directory.starts_with(&*root) {
                    self.tree(&root).forget_below(directory);
                }
            }
        }
    }

    /// Forgets all that is known below a root that is one no more.
    pub(super) fn forget_root(&mut self, root: &Path) {
        if let Some(mut tree) = self.trees.remove(root) {
            tree.clear();
            self.watches.forget(tree.take_gone());
        }
        self.found.remove(root);
    }
}
