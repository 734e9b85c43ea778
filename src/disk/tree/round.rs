//! A sweep over a tree in rounds, each so short that whatever comes in meanwhile hardly waits.
//!
//! What is unchanged costs one `statx` a directory and one a manifest. What a round finds are places that somebody has to
//! look at; it decides nothing.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{Dir, Dork, Tree, Walk};
use crate::agent::DirIdentity;
use crate::clock;
use crate::disk::parallel::in_parallel;
use crate::disk::stat;

/// How many directories one round looks at: about two milliseconds of `statx` on one thread, which is how long a change
/// that comes in meanwhile waits.
const ROUND: usize = 1_024;

/// A directory is listed once in so long whatever its times say: some file systems do not move them.
const LISTED_FOR_NS: i64 = 86_400_000_000_000;

/// How far a sweep over a tree has come.
#[derive(Debug)]
pub struct Cursor {
    rest: Rest,
    /// New directories, not watched and not listed yet: what is nearer to the root comes first.
    fresh: VecDeque<PathBuf>,
}

/// What is still to be looked at.
#[derive(Debug)]
enum Rest {
    /// Everything that is known behind this path, in order.
    Behind(Option<PathBuf>),
    /// These directories, the last one first.
    These(Vec<PathBuf>),
    /// Nothing that is known: only what is new.
    Nothing,
}

/// What one round found.
#[derive(Debug, Default)]
pub struct Round {
    /// Projects that are not certainly as recorded.
    pub places: Vec<PathBuf>,
    /// Directories that are gone with all that was below them, or are others than before.
    pub dropped: Vec<PathBuf>,
    /// Whether the sweep is over.
    pub is_last: bool,
}

/// Says of a project, which is this directory, whether its manifest is certainly the recorded one.
pub type AsRecorded<'a> = dyn Fn(&Path, DirIdentity) -> bool + Sync + 'a;

/// What there is to say of a known directory.
enum Noticed {
    /// It is as it was, but its manifest is not certainly the recorded one.
    Unsure,
    /// Its entries may be others than before.
    Changed,
    /// It is another directory.
    Another,
    /// It cannot be looked at.
    Failed(Errno),
}

impl Cursor {
    /// Over everything.
    #[must_use]
    pub fn everything() -> Self {
        Self { rest: Rest::Behind(None), fresh: VecDeque::new() }
    }

    /// Over these directories, and what is new in them.
    #[must_use]
    pub fn these(directories: Vec<PathBuf>) -> Self {
        Self { rest: Rest::These(directories), fresh: VecDeque::new() }
    }
}

impl Tree {
    /// One round of a sweep.
    pub fn round(&mut self, cursor: &mut Cursor, as_recorded: &AsRecorded, walk: &mut Walk) -> Round {
        let mut round = Round::default();
        if matches!(cursor.rest, Rest::Nothing) {
            // A pass in between may have come by some of them.
            let some: Vec<PathBuf> = (0..ROUND).map_while(|_| cursor.fresh.pop_front()).collect();
            let some: Vec<PathBuf> =
                some.into_iter().filter(|path| !self.dirs.contains(path) || self.unlisted.contains_key(path)).collect();
            let known: Vec<PathBuf> = some.iter().filter(|path| self.dirs.contains(path)).cloned().collect();
            let fresh = self.enter(&some, walk);
            cursor.fresh.extend(fresh);
            self.note_dropped(known, &mut round);
            self.judge(&some, as_recorded, &mut round);
        } else {
            let again = self.look_again(cursor, as_recorded, &mut round);
            let fresh = self.list_all(&again, walk);
            cursor.fresh.extend(fresh);
            self.judge(&again, as_recorded, &mut round);
            self.note_dropped(again, &mut round);
        }
        round.is_last = matches!(cursor.rest, Rest::Nothing) && cursor.fresh.is_empty();
        round
    }

    /// Looks at the next known directories. Returns those to list again.
    fn look_again(&mut self, cursor: &mut Cursor, as_recorded: &AsRecorded, round: &mut Round) -> Vec<PathBuf> {
        let (known, rest) = self.next_known(&mut cursor.rest);
        let now_ns = clock::wall_ns();
        let looks = in_parallel(&known, |(path, dir)| look(path, dir, now_ns, as_recorded));
        let noticed = known.iter().zip(looks).filter_map(|((path, _), now)| Some((path.to_path_buf(), now?)));
        let noticed: Vec<(PathBuf, Noticed)> = noticed.collect();
        let is_everything = matches!(cursor.rest, Rest::Behind(_));
        cursor.rest = rest;
        let (mut again, mut others) = (Vec::new(), Vec::new());
        for (path, noticed) in noticed {
            match noticed {
                Noticed::Unsure => round.places.push(path),
                Noticed::Changed => again.push(path),
                Noticed::Another => {
                    self.drop_below(&path);
                    round.dropped.push(path.clone());
                    others.push(path);
                }
                Noticed::Failed(Errno::NOENT | Errno::NOTDIR) => {
                    self.drop_below(&path);
                    round.dropped.push(path);
                }
                Noticed::Failed(errno) => drop(self.unlisted.insert(path, errno)),
            }
        }
        // What lay below a directory that is another one now, or a link, was dropped with it: it is found again from
        // there, or not at all.
        again.retain(|path| self.dirs.contains(path));
        others.retain(|path| *path == *self.root || path.parent().is_some_and(|parent| self.dirs.contains(parent)));
        cursor.fresh.extend(others);
        if is_everything && matches!(cursor.rest, Rest::Nothing) {
            cursor.fresh.extend(self.unlisted.keys().cloned());
            if !self.dirs.contains(&self.root) {
                cursor.fresh.push_back(self.root.to_path_buf());
            }
        }
        again
    }

    /// Notes which of some directories that were known are gone since they were looked at: nothing else tells of them.
    fn note_dropped(&self, known: Vec<PathBuf>, round: &mut Round) {
        round.dropped.extend(known.into_iter().filter(|path| !self.dirs.contains(path)));
    }

    /// The next known directories, and what is left behind them.
    fn next_known(&self, rest: &mut Rest) -> (Vec<(&Path, &Dir)>, Rest) {
        match rest {
            Rest::Behind(after) => {
                let next: Vec<(&Path, &Dir)> = self.dirs.behind(after.as_deref()).take(ROUND).collect();
                let last = next.last().filter(|_| next.len() == ROUND).map(|(path, _)| path.to_path_buf());
                let rest = last.map_or(Rest::Nothing, |last| Rest::Behind(Some(last)));
                (next, rest)
            }
            Rest::These(directories) => {
                let next = directories.split_off(directories.len().saturating_sub(ROUND));
                let rest =
                    if directories.is_empty() { Rest::Nothing } else { Rest::These(std::mem::take(directories)) };
                (next.iter().filter_map(|path| self.dirs.get_pair(path)).collect(), rest)
            }
            Rest::Nothing => (Vec::new(), Rest::Nothing),
        }
    }

    /// Notes which of some directories that were just listed are projects that are not certainly as recorded.
    fn judge(&self, listed: &[PathBuf], as_recorded: &AsRecorded, round: &mut Round) {
        let projects: Vec<(&PathBuf, &Dir)> = listed
            .iter()
            .filter_map(|path| Some((path, self.dirs.get(path).filter(|dir| dir.dork != Dork::No)?)))
            .collect();
        let sure = in_parallel(&projects, |(path, dir)| is_as_recorded(path, dir, as_recorded));
        let unsure = projects.into_iter().zip(sure).filter(|(_, sure)| !sure);
        round.places.extend(unsure.map(|((path, _), _)| path.clone()));
    }
}

/// What there is to say of a known directory; nothing if it and its manifest are as they were.
fn look(path: &Path, dir: &Dir, now_ns: i64, as_recorded: &AsRecorded) -> Option<Noticed> {
    let now = match stat::directory(path) {
        Ok(now) => now,
        Err(errno) => return Some(Noticed::Failed(errno)),
    };
    if now.identity != dir.stat.identity {
        return Some(Noticed::Another);
    }
    // Spread over half of that time by the inode, or all that was listed at one start would be listed at once again.
    let spread_ns = LISTED_FOR_NS / 2 / 256 * i64::try_from(now.identity.inode % 256).unwrap_or(0);
    if !dir.is_settled(&now) || now_ns.saturating_sub(dir.listed_ns) > LISTED_FOR_NS.saturating_sub(spread_ns) {
        return Some(Noticed::Changed);
    }
    (dir.dork != Dork::No && !is_as_recorded(path, dir, as_recorded)).then_some(Noticed::Unsure)
}

fn is_as_recorded(path: &Path, dir: &Dir, as_recorded: &AsRecorded) -> bool {
    matches!(dir.dork, Dork::Directory(_)) && as_recorded(path, dir.stat.identity)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::disk::tree::Trust;
    use crate::disk::{DORK, Kept, Unwatched};

    #[test]
    fn a_directory_that_goes_between_its_stat_and_its_listing_is_told_of() {
        let base = tempfile::tempdir().unwrap();
        let root: Arc<Path> = Arc::from(base.path().canonicalize().unwrap());
        for project in ["a", "b"] {
            fs::create_dir_all(root.join(project).join(DORK)).unwrap();
        }
        let roots = [root.clone()];
        let walk = &mut Walk { kept: &Kept::default(), roots: &roots, watches: &mut Unwatched };
        let mut tree = Tree::new(root.clone());
        tree.refresh(&root, Trust::Times, walk);
        for (path, listed_ns) in [("", i64::MAX), ("b", i64::MAX), ("a", 0)] {
            let path = if path.is_empty() { root.to_path_buf() } else { root.join(path) };
            tree.dirs.get_mut(&path).unwrap().listed_ns = listed_ns;
        }
        // `a` has to be listed; before that happens `b` is looked at.
        let gone = root.join("a");
        let as_recorded = |project: &Path, _: DirIdentity| {
            if project.ends_with("b") {
                fs::remove_dir_all(&gone).unwrap();
            }
            true
        };
        let round = tree.round(&mut Cursor::everything(), &as_recorded, walk);
        assert_eq!(round.dropped, [root.join("a")]);
    }
}
