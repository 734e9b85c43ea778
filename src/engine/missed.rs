//! Homes that their agents are missed at: looked at twice, because a scan root may go away in the middle of a look.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::pass::Engine;
use crate::agent::AgentId;
use crate::decide::{Probe, RootFound, View};
use crate::disk::parallel::in_parallel;
use crate::disk::{Held, Sight};

impl Engine {
    /// Looks a second time at every home that its agent is missed at, through its root, which is held open and is still the
    /// directory that it was: so that no agent is given away because its root went. A root that is another by now, or is
    /// not there, counts as away, and nothing that was seen in it counts. Returns what is to be looked at for that.
    pub(super) fn look_twice(
        &mut self,
        view: &mut View,
        brought_in: &mut HashSet<AgentId>,
        missed: &mut HashSet<PathBuf>,
    ) -> HashSet<PathBuf> {
        let mut open = HashSet::new();
        for (root, homes) in newly_missed(view, missed) {
            let Some(RootFound::Directory(identity)) = view.roots.get(&root).map(|root| &root.found) else { continue };
            let sights = match Held::open(&root, identity.directory) {
                Ok(Some(held)) => in_parallel(&homes, |home| held.probe(home, Some(root.clone()))),
                Ok(None) => {
                    open.extend(self.give_up_root(view, &root));
                    continue;
                }
                // It could not be looked at: nothing is known of those that are missed.
                Err(errno) => homes.iter().map(|_| Sight::of_hidden_root(errno)).collect(),
            };
            for (home, Sight { probe, identity }) in homes.into_iter().zip(sights) {
                let Some(mut site) = view.sites.remove(&home) else { continue };
                (site.probe, site.identity) = (probe, identity);
                self.bring_in(&home, &site, view, &mut open, brought_in);
                view.sites.insert(home, site);
            }
        }
        open.retain(|project| !view.sites.contains_key(project));
        open
    }

    /// Takes note that a root went while it was looked at. Returns where to look again: wherever an agent of its is recorded.
    fn give_up_root(&mut self, view: &mut View, path: &Arc<Path>) -> HashSet<PathBuf> {
        // The next look takes what it finds for news, and has to come although nothing may tell of it.
        self.found.remove(path);
        self.failed = true;
        if let Some(root) = view.roots.get_mut(path) {
            root.found = RootFound::Nothing("it went while it was looked at".to_owned());
        }
        let is_its = |site: &crate::decide::Site| site.root.as_ref() == Some(path);
        let mut open: HashSet<PathBuf> = self.memory.places(path).map(Path::to_path_buf).collect();
        open.extend(view.sites.iter().filter(|(_, site)| is_its(site)).map(|(project, _)| project.clone()));
        view.sites.retain(|_, site| !is_its(site));
        open
    }
}

/// The homes at which an agent is missed for the first time, by root. One that could not be looked at is no home that is
/// missed, and what is missed in a root that is not there is not looked for.
fn newly_missed(view: &View, missed: &mut HashSet<PathBuf>) -> BTreeMap<Arc<Path>, Vec<PathBuf>> {
    let mut by_root: BTreeMap<Arc<Path>, Vec<PathBuf>> = BTreeMap::new();
    for record in view.recorded.values() {
        let Some(site) = view.sites.get(&record.project) else { continue };
        let Some(root) = &site.root else { continue };
        let is_missed = !site.probe.carries(&record.id) && !matches!(site.probe, Probe::Unreadable(_));
        let is_there = view.roots.get(root).is_some_and(|root| matches!(root.found, RootFound::Directory(_)));
        if is_missed && is_there && missed.insert(record.project.clone()) {
            by_root.entry(root.clone()).or_default().push(record.project.clone());
        }
    }
    by_root
}
