//! What is mounted below the roots: read from the mount table now and then, and held against what the registry knows.
//!
//! The table is not read for every narrow pass, which would double its cost: the watcher tells when it changes, a sweep
//! reads it, and so does a pass that misses an agent below a mount, which may have gone a moment ago.

use std::path::{Path, PathBuf};

use super::pass::Engine;
use super::site::deepest;
use crate::agent::Reason;
use crate::decide::{MountSeen, View};

impl Engine {
    /// Reads where something is mounted below a root. Returns whether that is news; it is as before where it cannot be told.
    pub(super) fn read_mounts(&mut self) -> bool {
        let Some(mut points) = self.mount_table.points() else { return false };
        // What is mounted at a root itself is that root.
        points.retain(|point| deepest(&self.roots, point).is_some_and(|root| *root != **point));
        let is_news = points != self.mounted;
        self.mounted = points;
        is_news
    }

    /// Notes at the roots of a view what is mounted below them, and what was. Returns where agents are recorded that went with
    /// a mount and are not said to have: all of them, however narrow the look.
    pub(super) fn see_mounts(&self, view: &mut View) -> Vec<PathBuf> {
        for root in view.roots.values_mut() {
            root.mounts.clear();
        }
        let mut with_it = Vec::new();
        for point in self.mounted.union(self.memory.mounts()) {
            let Some(path) = deepest(&self.roots, point).filter(|root| **root != **point) else { continue };
            let Some(root) = view.roots.get_mut(&path) else { continue };
            let (is_known, is_mounted) = (self.memory.mounts().contains(point), self.mounted.contains(point));
            let has_agents = self.memory.recorded_below(point).next().is_some()
                || self.trees.get(&path).is_some_and(|tree| tree.projects(point).next().is_some());
            if is_known && !is_mounted {
                let is_told = |reason: Reason| reason == Reason::RootOffline;
                let recorded = self.memory.recorded_below(point);
                let news =
                    recorded.filter(|record| !record.unreachable.as_ref().is_some_and(|mark| is_told(mark.reason)));
                with_it.extend(news.map(|record| record.project.clone()));
            }
            if is_known || has_agents {
                root.mounts.push(MountSeen { point: point.clone(), is_known, is_mounted, has_agents });
            }
        }
        with_it
    }

    /// Whether an agent is missed below what was mounted when the table was read last.
    pub(super) fn misses_below_mounts(&self, view: &View) -> bool {
        let is_below = |project: &Path| project.ancestors().any(|above| self.mounted.contains(above));
        !self.mounted.is_empty()
            && view.recorded.values().any(|record| {
                let is_missed = view.sites.get(&record.project).is_none_or(|site| !site.probe.carries(&record.id));
                is_missed && is_below(&record.project)
            })
    }
}
