//! The directories above the scan roots: they tell of a root's going and coming, however far above it that happens.
//!
//! They have an instance of their own, because one of them may be a directory of another root at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backend::{Added, Door, Instance, Kind};
use super::budget::Refused;

/// Watches what is above the roots.
#[derive(Debug, Default)]
pub struct Parents {
    instance: Option<Instance>,
    watched: BTreeSet<PathBuf>,
    cold: BTreeMap<PathBuf, Added>,
}

impl Parents {
    /// How many are watched.
    pub fn watched(&self) -> usize {
        self.watched.len()
    }

    /// How many should be and are not.
    pub fn cold(&self) -> usize {
        self.cold.len()
    }

    /// How many of those are not because there is no watch left.
    pub fn short(&self) -> usize {
        self.cold.values().filter(|why| **why == Added::LimitReached).count()
    }

    /// Whether they lost notifications.
    pub fn is_deaf(&self) -> bool {
        self.instance.as_ref().is_some_and(Instance::is_deaf)
    }

    /// Begins anew: nothing that was watched is heard of any more.
    pub fn start_over(&mut self) {
        *self = Self::default();
    }

    /// Watches every directory above a root, `most` of them, the nearest first. Those that are watched already are
    /// watched anew: another directory may be there by now. Says what the system has none left of, if so.
    pub fn watch(&mut self, roots: &[Arc<Path>], most: usize, door: &Door) -> Option<Refused> {
        let above = || -> BTreeSet<PathBuf> {
            let above = roots.iter().flat_map(|root| root.ancestors().skip(1));
            above.filter(|directory| directory.is_dir()).map(Path::to_path_buf).collect()
        };
        self.cold.clear();
        let mut refused = None;
        let mut wanted = above();
        if self.instance.is_none() && !wanted.is_empty() {
            self.instance = Instance::new(Kind::Parent, door).ok();
        }
        let mut anew = wanted.clone();
        // What was made in a directory before it was watched is announced by nothing: looked at until nothing is new.
        while !anew.is_empty() {
            // The longest paths are the nearest to the roots.
            let mut batch: Vec<(PathBuf, bool)> =
                anew.iter().map(|path| (path.clone(), self.watched.contains(path))).collect();
            batch.sort_by_key(|(path, _)| std::cmp::Reverse(path.components().count()));
            let room = most.saturating_sub(self.watched.difference(&anew).count());
            let over = batch.split_off(batch.len().min(room));
            self.take_off(over.iter().filter(|(_, is_watched)| *is_watched).map(|(path, _)| path.clone()).collect());
            self.cold.extend(over.into_iter().map(|(path, _)| (path, Added::LimitReached)));
            let (added, lacking) = match &mut self.instance {
                Some(instance) => (instance.watch(&batch), Refused::Watch),
                None => (vec![Added::LimitReached; batch.len()], Refused::Instance),
            };
            for ((path, _), added) in batch.into_iter().zip(added) {
                self.watched.remove(&path);
                match added {
                    Added::Watched => drop(self.watched.insert(path)),
                    Added::NotThere => {}
                    Added::LimitReached | Added::Refused => {
                        self.cold.insert(path, added);
                        if added == Added::LimitReached {
                            refused = Some(lacking);
                        }
                    }
                }
            }
            let now = above();
            anew = now.difference(&wanted).cloned().collect();
            wanted = now;
        }
        self.take_off(self.watched.difference(&wanted).cloned().collect());
        refused
    }

    fn take_off(&mut self, directories: Vec<PathBuf>) {
        for directory in &directories {
            self.watched.remove(directory);
        }
        if let (Some(instance), false) = (&mut self.instance, directories.is_empty()) {
            instance.unwatch(directories);
        }
    }
}
