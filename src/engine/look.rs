//! Looking: disk and memory become a view that is closed over ids and homes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::pass::Engine;
use super::site::{Eyes, deepest};
use crate::agent::{AgentId, Moment};
use crate::decide::{Checkout, Doubt, Probe, Reach, Root, RootFound, Site, UnreadableKind, View};
use crate::disk::parallel::in_parallel;
use crate::disk::{Trust, Walk, stat};
use crate::scope::Scope;

/// A finding that may pass by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubtful {
    /// A manifest that does not parse: somebody may be just writing it.
    Torn,
    /// A manifest that is missing from its agent's home: an editor may be about to put it back.
    Missing,
    /// Another id at an agent's home: it may be half of a swap.
    AnotherId,
}

/// What is looked at.
#[derive(Debug)]
pub struct Places {
    /// Where directories are looked at too.
    pub scope: Scope,
    /// Projects whose directories a survey has just looked at.
    pub surveyed: Vec<PathBuf>,
    /// How much of the world this counts for.
    pub reach: Reach,
}

impl From<Scope> for Places {
    fn from(scope: Scope) -> Self {
        Self { scope, surveyed: Vec::new(), reach: Reach::Part }
    }
}

impl Engine {
    /// Looks at some places, and at whatever those bring in.
    pub(super) fn look(&mut self, places: Places, now: &Moment) -> View {
        let Places { mut scope, surveyed, reach } = places;
        let is_above = |directory: &Path| self.roots.iter().any(|root| root.starts_with(directory));
        if scope.directories().any(is_above) {
            // The directories above the roots may be others by now. Watched first, then looked at.
            self.watches.set_roots(&self.roots);
        }
        let found = self.look_at_roots(&mut scope, stat::root_again);
        self.refresh(&scope, &found);
        for tree in self.trees.values_mut() {
            self.watches.forget(tree.take_gone());
        }
        let mut view = View {
            reach,
            roots: self.view_roots(found),
            accepted: std::mem::take(&mut self.accepted_claims),
            ..View::default()
        };
        let mut open = self.projects_in(&scope);
        open.extend(surveyed);
        for (path, root) in &view.roots {
            // Whether it is the root at all is told by its agents: all of them, or none would look like nothing to lose.
            if root.known.is_some_and(|known| !matches!(&root.found, RootFound::Directory(found) if known.is(found))) {
                open.extend(self.memory.places(path).map(Path::to_path_buf));
            }
        }
        open.extend(self.see_mounts(&mut view));
        let (mut brought_in, mut missed) = (HashSet::new(), HashSet::new());
        while !open.is_empty() {
            self.close(&mut view, open, &mut brought_in);
            open = self.look_twice(&mut view, &mut brought_in, &mut missed);
            if open.is_empty() && self.misses_below_mounts(&view) && self.read_mounts() {
                open = self.see_mounts(&mut view).into_iter().collect();
            }
        }
        self.failed |= did_the_system_fail(&view);
        self.settle_doubts(&mut view, now);
        tell_worktrees_apart(&mut view);
        view
    }

    /// Looks at places, and at all that they bring in, until nothing new comes in.
    fn close(&self, view: &mut View, mut open: HashSet<PathBuf>, brought_in: &mut HashSet<AgentId>) {
        open.retain(|project| !view.sites.contains_key(project));
        while !open.is_empty() {
            let looked_at: Vec<PathBuf> = std::mem::take(&mut open).into_iter().collect();
            let eyes = Eyes {
                roots: &self.roots,
                kept: &self.kept,
                memory: &self.memory,
                trees: &self.trees,
                holds: &self.holds,
            };
            let sites = in_parallel(&looked_at, |project| eyes.site(project, &view.roots));
            let places = looked_at.into_iter().zip(sites);
            for (project, site) in places {
                self.bring_in(&project, &site, view, &mut open, brought_in);
                view.sites.insert(project, site);
            }
            open.retain(|project| !view.sites.contains_key(project));
        }
    }

    /// Finds out what is at the roots' paths. A root at which something else is than at the last look is looked at whole,
    /// however narrow the scope.
    pub(super) fn look_at_roots(
        &mut self,
        scope: &mut Scope,
        look: impl Fn(&Path, Option<&RootFound>) -> RootFound,
    ) -> BTreeMap<Arc<Path>, RootFound> {
        let mut found = BTreeMap::new();
        for root in self.roots.clone() {
            let now = look(&root, self.found.get(&root));
            let before = self.found.insert(root.clone(), now.clone());
            if before.as_ref() != Some(&now) {
                self.tree(&root).clear();
                scope.merge(Scope::below(root.to_path_buf()));
            }
            found.insert(root, now);
        }
        found
    }

    fn refresh(&mut self, scope: &Scope, found: &BTreeMap<Arc<Path>, RootFound>) {
        let roots = self.roots.clone();
        let there = |root: &Arc<Path>| matches!(found.get(root), Some(RootFound::Directory(_)));
        for root in roots.iter().filter(|root| there(root)) {
            let Some(tree) = self.trees.get_mut(root) else { continue };
            let walk = &mut Walk { kept: &self.kept, roots: &roots, watches: self.watches.as_mut() };
            for directory in scope.directories() {
                if root.starts_with(directory) {
                    // Where a root is another directory than before, its tree was cleared already.
                    tree.refresh(root, Trust::Times, walk);
                } else if deepest(&roots, directory).as_ref() == Some(root) {
                    tree.refresh(directory, Trust::Nothing, walk);
                }
            }
            for project in scope.projects().filter(|project| deepest(&roots, project).as_ref() == Some(root)) {
                if tree.knows(project) {
                    tree.refresh_project(project, walk);
                } else {
                    tree.refresh(project, Trust::Times, walk);
                }
            }
        }
    }

    fn view_roots(&mut self, found: BTreeMap<Arc<Path>, RootFound>) -> BTreeMap<Arc<Path>, Root> {
        let roots = found.into_iter().map(|(path, found)| {
            let (known, state) = self.memory.root(&path);
            let unlisted = self.tree(&path).unlisted();
            let found = match unlisted.iter().find(|unlisted| *unlisted.directory == *path) {
                // What the system failed to show is in doubt, as anywhere below the root; it is not away.
                Some(unlisted) if unlisted.doubt != Doubt::Root => {
                    RootFound::Nothing(format!("it cannot be listed: {}", unlisted.why))
                }
                Some(_) | None => found,
            };
            let accepted = self.accepted.remove(&path);
            (path, Root { known, state, found, unlisted, mounts: Vec::new(), accepted })
        });
        roots.collect()
    }

    fn projects_in(&self, scope: &Scope) -> HashSet<PathBuf> {
        let mut open: HashSet<PathBuf> = scope.projects().map(Path::to_path_buf).collect();
        for directory in scope.directories() {
            open.extend(self.memory.places(directory).map(Path::to_path_buf));
            for tree in self.trees.values() {
                open.extend(tree.projects(directory).map(Path::to_path_buf));
            }
        }
        open
    }

    /// What a look at one place brings in: the agent that is recorded there, the one whose manifest is there, those whose id
    /// was claimed there, and the other places that any of them is known at.
    /// Each id is followed once: following it from each of its copies would cost their number squared.
    pub(super) fn bring_in(
        &self,
        project: &Path,
        site: &Site,
        view: &mut View,
        open: &mut HashSet<PathBuf>,
        brought_in: &mut HashSet<AgentId>,
    ) {
        view.problems.extend(self.memory.problems(project).cloned());
        let carried = match &site.probe {
            Probe::Present(found) => Some(found.id()),
            Probe::Absent(_) | Probe::Unreadable(_) => None,
        };
        let recorded = self.memory.at(project).map(|record| &record.id);
        let claimed = self.memory.problems(project).filter_map(|problem| problem.id.as_ref());
        for id in carried.into_iter().chain(recorded).chain(claimed) {
            if !brought_in.insert(id.clone()) {
                continue;
            }
            if let Some(record) = self.memory.get(id) {
                view.recorded.entry(id.clone()).or_insert_with(|| record.clone());
                open.insert(record.project.clone());
            }
            open.extend(self.memory.claims(id).map(Path::to_path_buf));
        }
    }

    /// Says for how long a finding that may pass by itself has been so.
    fn settle_doubts(&mut self, view: &mut View, now: &Moment) {
        for (project, site) in &mut view.sites {
            let home_of = self.memory.at(project).filter(|record| record.unreachable.is_none());
            let doubtful = match &site.probe {
                Probe::Unreadable(unreadable) if unreadable.kind == UnreadableKind::Content => Some(Doubtful::Torn),
                Probe::Unreadable(_) => None,
                Probe::Absent(_) => home_of.map(|_| Doubtful::Missing),
                Probe::Present(found) => home_of.filter(|record| record.id != *found.id()).map(|_| Doubtful::AnotherId),
            };
            if let Some(doubtful) = doubtful {
                let entry = self.doubts.entry(project.clone()).or_insert((doubtful, now.boot_ms));
                if entry.0 != doubtful {
                    // What was in doubt before is over, and this is something else.
                    *entry = (doubtful, now.boot_ms);
                }
                let standing_ms = now.boot_ms.saturating_sub(entry.1);
                site.standing = Duration::from_millis(u64::try_from(standing_ms).unwrap_or(0));
            } else if !self.doubts.is_empty() {
                self.doubts.remove(project);
            }
        }
    }
}

/// Whether something could not be looked at for a reason that passes without anything being announced about it.
fn did_the_system_fail(view: &View) -> bool {
    let is_failure =
        |site: &Site| matches!(&site.probe, Probe::Unreadable(unreadable) if unreadable.kind == UnreadableKind::System);
    view.roots.values().flat_map(|root| &root.unlisted).any(|unlisted| unlisted.doubt == Doubt::Root)
        || view.sites.values().any(is_failure)
}

/// Where an id is claimed more than once, finds out which of the projects are linked worktrees.
fn tell_worktrees_apart(view: &mut View) {
    let mut times: HashMap<AgentId, usize> = HashMap::new();
    let carried = |site: &Site| match &site.probe {
        Probe::Present(found) => Some(found.id().clone()),
        Probe::Absent(_) | Probe::Unreadable(_) => None,
    };
    for id in view.sites.values().filter_map(carried) {
        let count = times.entry(id).or_default();
        *count = count.saturating_add(1);
    }
    for (project, site) in &mut view.sites {
        if carried(site).is_some_and(|id| times.get(&id).is_some_and(|count| *count > 1)) {
            let is_file = stat::regular_file(&project.join(".git")).is_some();
            site.checkout = if is_file { Checkout::Linked } else { Checkout::Main };
        }
    }
}
