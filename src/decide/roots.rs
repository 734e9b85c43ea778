//! Which scan roots are online, and how far what was not found there can be trusted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Action, Doubt, Root, RootFound, RootState, View};
use crate::agent::{DirIdentity, Reason};

/// The state of every configured root, as this pass found it.
pub struct Roots<'a> {
    view: &'a View,
    states: BTreeMap<&'a Path, RootState>,
}

impl<'a> Roots<'a> {
    /// Decides the states.
    pub fn decide(view: &'a View) -> Self {
        let states = view.roots.iter().map(|(path, root)| (path.as_ref(), state(view, path, root))).collect();
        Self { view, states }
    }

    /// Whether the root is offline. A root that is not configured is neither.
    pub fn is_offline(&self, root: &Path) -> bool {
        matches!(self.states.get(root), Some(RootState::Offline(_)))
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
        self.view.roots.iter().filter_map(|(path, root)| {
            let state = self.states.get(path.as_ref())?;
            let identity = match (state, &root.found) {
                (RootState::Offline(_), _) | (_, RootFound::Nothing(_)) => None,
                (_, RootFound::Directory(identity)) => Some(*identity).filter(|_| root.known != Some(*identity)),
            };
            let changed = identity.is_some() || root.state.as_ref() != Some(state);
            changed.then(|| Action::SetRoot { root: path.clone(), state: state.clone(), identity })
        })
    }
}

fn state(view: &View, path: &Arc<Path>, root: &Root) -> RootState {
    match &root.found {
        RootFound::Nothing(why) => RootState::Offline(why.clone()),
        RootFound::Directory(identity) if !recognised(view, path, root, *identity) => RootState::Offline(
            "another directory than before is there, and none of its agents: if it is meant, accept it".to_owned(),
        ),
        RootFound::Directory(_) => match root.unlisted.first() {
            Some(first) => {
                let others = match root.unlisted.len() {
                    1 => String::new(),
                    count => format!(", and {} more", count - 1),
                };
                RootState::Degraded(format!("cannot list {}: {}{others}", first.directory.display(), first.why))
            }
            None => RootState::Online,
        },
    }
}

/// Whether the directory at the root's path is the root: the same directory as before, one that a person accepted, or
/// one in which a recorded agent is. Where no agent is recorded there is nothing to lose.
///
/// While a root is offline only the agents that went offline with it prove that it is back. One that was registered
/// there meanwhile does not: a clone made in the empty mount point of an unplugged drive would else start the grace
/// clocks of everything on the drive.
fn recognised(view: &View, path: &Arc<Path>, root: &Root, identity: DirIdentity) -> bool {
    if root.accepted || root.known.is_none_or(|known| known == identity) {
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
