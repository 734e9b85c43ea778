//! Which scan roots are online, what of them cannot be looked at, and how far what was not found there can be trusted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Action, Doubt, MountSeen, Reach, Root, RootFound, RootState, Site, View};
use crate::agent::{Reason, RootIdentity, Shown};

/// The state of every configured root, as this pass found it.
pub struct Roots<'a> {
    view: &'a View,
    states: BTreeMap<&'a Path, RootState>,
    /// Of each root, where something was mounted that is not there, while agents are waited for.
    lost: BTreeMap<&'a Path, Vec<&'a Path>>,
}

impl<'a> Roots<'a> {
    /// Decides the states.
    pub fn decide(view: &'a View) -> Self {
        let mut roots = Self { view, states: BTreeMap::new(), lost: BTreeMap::new() };
        for (path, root) in &view.roots {
            let lost = root.mounts.iter().filter(|mount| is_lost(view, root, mount));
            let lost: Vec<&Path> = lost.map(|mount| mount.point.as_path()).collect();
            roots.states.insert(path, state(view, path, root, &lost));
            roots.lost.insert(path, lost);
        }
        roots
    }

    /// Whether the root is offline. A root that is not configured is neither.
    pub fn is_offline(&self, root: &Path) -> bool {
        matches!(self.states.get(root), Some(RootState::Offline(_)))
    }

    /// Whether what is recorded at `project` cannot be looked for: the root is offline, or what was mounted on the way is
    /// not there.
    pub fn is_away(&self, root: &Path, project: &Path) -> bool {
        let is_below = |lost: &Vec<&Path>| lost.iter().any(|point| project.starts_with(point));
        self.is_offline(root) || self.lost.get(root).is_some_and(is_below)
    }

    /// Whether something that was not found at `project` may be there all the same, because a listing failed.
    pub fn in_doubt(&self, root: &Path, project: &Path) -> bool {
        self.view.roots.get(root).is_some_and(|root| {
            root.unlisted.iter().any(|unlisted| match unlisted.doubt {
                Doubt::Root => true,
                Doubt::Below => project.starts_with(&unlisted.directory),
            })
        })
    }

    /// What of this is new.
    pub fn changes(&self) -> impl Iterator<Item = Action> + '_ {
        let roots = self.view.roots.iter().filter_map(|(path, root)| {
            let state = self.states.get(path.as_ref())?;
            let identity = match (state, &root.found) {
                (RootState::Offline(_), _) | (_, RootFound::Nothing(_)) => None,
                (_, RootFound::Directory(identity)) => {
                    Some(*identity).filter(|identity| identity.is_new_to(root.known.as_ref()))
                }
            };
            let changed = identity.is_some() || root.state.as_ref() != Some(state);
            changed.then(|| Action::SetRoot { root: path.clone(), state: state.clone(), identity })
        });
        let online = self.view.roots.iter().filter(|(path, _)| !self.is_offline(path));
        let mounts =
            online.flat_map(|(path, root)| root.mounts.iter().filter_map(|mount| self.mount_change(path, mount)));
        roots.chain(mounts)
    }

    /// A mount is noted with the agents below it, in the same pass. It is forgotten where nobody is below it any more, or
    /// where nothing of what was mounted there is missed.
    fn mount_change(&self, root: &Path, mount: &MountSeen) -> Option<Action> {
        let MountSeen { point, is_known, is_mounted, has_agents } = mount;
        let is_lost = || self.lost.get(root).is_some_and(|lost| lost.contains(&point.as_path()));
        match (is_known, is_mounted) {
            (false, true) if *has_agents => Some(Action::NoteMount { point: point.clone() }),
            (true, true) if !has_agents && self.view.reach == Reach::Everything => {
                Some(Action::ForgetMount { point: point.clone() })
            }
            (true, false) if !is_lost() => Some(Action::ForgetMount { point: point.clone() }),
            (true | false, true | false) => None,
        }
    }
}

fn state(view: &View, path: &Arc<Path>, root: &Root, lost: &[&Path]) -> RootState {
    match &root.found {
        RootFound::Nothing(why) => RootState::Offline(why.clone()),
        RootFound::Directory(identity) if !recognised(view, path, root, *identity) => {
            RootState::Offline(RootState::REPLACED.to_owned())
        }
        RootFound::Directory(_) => {
            let unlisted = root.unlisted.first().map(|first| {
                let others = and_more(root.unlisted.len());
                format!("cannot list {}: {}{others}", first.directory.display(), first.why)
            });
            let lost = lost.first().map(|first| {
                format!("what was mounted at {} is not there{}", Shown::path(first), and_more(lost.len()))
            });
            let why: Vec<String> = unlisted.into_iter().chain(lost).collect();
            if why.is_empty() { RootState::Online } else { RootState::Degraded(why.join("; ")) }
        }
    }
}

/// That there are others beside the first of so many.
fn and_more(count: usize) -> String {
    if count > 1 { format!(", and {} more", count - 1) } else { String::new() }
}

/// Whether what was mounted somewhere is missed: it is not there, and neither are all of its agents. A pass over a part of
/// the world sees only some of them, and takes it for missed.
///
/// Where all of them are at home there is nothing to lose: somebody copied the drive into its mount point.
fn is_lost(view: &View, root: &Root, mount: &MountSeen) -> bool {
    if !mount.is_known || mount.is_mounted || root.accepted {
        return false;
    }
    let mut recorded = view.recorded.values().filter(|record| record.project.starts_with(&mount.point));
    let is_at_home = |id, project| view.sites.get(project).is_some_and(|site: &Site| site.probe.carries(id));
    view.reach == Reach::Part || recorded.any(|record| !is_at_home(&record.id, &record.project))
}

/// Whether the directory at the root's path is the root: the same directory as before, one that a person accepted, or
/// one in which a recorded agent is. Where no agent is recorded there is nothing to lose.
///
/// While a root is offline only the agents that went offline with it prove that it is back. One that was registered
/// there meanwhile does not: a clone made in the empty mount point of an unplugged drive would else start the grace
/// clocks of everything on the drive.
fn recognised(view: &View, path: &Arc<Path>, root: &Root, identity: RootIdentity) -> bool {
    if root.accepted || root.known.is_none_or(|known| known.is(&identity)) {
        return true;
    }
    let offline = matches!(root.state, Some(RootState::Offline(_)));
    let mut recorded = view.recorded.values().filter(|record| record.scan_root.as_ref() == Some(path)).peekable();
    let nothing_to_lose = recorded.peek().is_none();
    nothing_to_lose
        || recorded
            .filter(|record| {
                !offline || record.unreachable.as_ref().is_some_and(|mark| mark.reason == Reason::RootOffline)
            })
            .any(|record| view.sites.get(&record.project).is_some_and(|site| site.probe.carries(&record.id)))
}
