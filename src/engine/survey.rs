//! A survey: finds out, of all that is known, which places a pass has to look at. What certainly is as recorded is passed
//! over at the cost of a `stat`.
//!
//! It goes in steps of a few milliseconds, so that a change which comes in meanwhile hardly waits. It decides nothing: it
//! ends in a pass over what it found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::look::Places;
use super::pass::{Engine, Pass};
use super::site::deepest;
use crate::agent::DirIdentity;
use crate::decide::{Reach, RootFound};
use crate::disk::{Cursor, MANIFEST, Round, Walk, stat};
use crate::registry::RegistryError;
use crate::scope::Scope;

/// A survey that is under way.
#[derive(Debug)]
pub struct Survey {
    /// Which one: a record remembers the last that found it to be true.
    number: u64,
    reach: Reach,
    stage: Stage,
    /// The roots that are still to be surveyed, and how far each has come.
    trees: Vec<(Arc<Path>, Cursor)>,
    places: Vec<PathBuf>,
    reloaded: bool,
}

/// What a survey does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It looks at directories.
    Trees,
    /// It looks at those that were watched late.
    Late,
    /// It has looked at everything.
    Over,
}

/// Whether there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is.
    More,
    /// There is not.
    Over,
}

impl Survey {
    /// How much of the world the pass at its end counts for.
    pub fn reach(&self) -> Reach {
        self.reach
    }
}

impl Engine {
    /// Begins a survey of everything.
    pub(super) fn begin_sweep(&mut self) -> Result<Survey, RegistryError> {
        let reloaded = self.reload_if_touched()?;
        self.clear_up_left();
        self.read_mounts();
        // The directories above the roots may be others by now. Watched first, then looked at.
        self.watches.set_roots(&self.roots);
        // What went deaf is watched anew before it is looked at.
        self.watches.plan();
        let found = self.look_at_roots(&mut Scope::nothing(), |root, _| stat::root(root));
        let there = found.into_iter().filter(|(_, found)| matches!(found, RootFound::Directory(_)));
        let trees = there.map(|(root, _)| (root, Cursor::everything())).collect();
        Ok(self.survey(Reach::Everything, trees, reloaded))
    }

    /// Begins a survey of what nothing is heard of: cold directories, and those of file systems that announce nothing.
    pub(super) fn begin_poll(&mut self) -> Survey {
        let mut unheard = self.watches.plan();
        unheard.extend(self.watches.unheard());
        let trees = self.by_root(unheard);
        self.survey(Reach::Part, trees, false)
    }

    fn survey(&mut self, reach: Reach, trees: Vec<(Arc<Path>, Cursor)>, reloaded: bool) -> Survey {
        self.surveys = self.surveys.wrapping_add(1);
        Survey { number: self.surveys, reach, stage: Stage::Trees, trees, places: Vec::new(), reloaded }
    }

    /// One step.
    pub(super) fn step(&mut self, survey: &mut Survey) -> Progress {
        if let Some((root, cursor)) = survey.trees.last_mut() {
            let round = self.round(&root.clone(), cursor, survey.number);
            if round.is_last {
                survey.trees.pop();
            }
            for dropped in &round.dropped {
                survey.places.extend(self.memory.places(dropped).map(Path::to_path_buf));
            }
            survey.places.extend(round.places);
            return Progress::More;
        }
        survey.stage = match survey.stage {
            Stage::Trees => {
                let late = self.watches.plan();
                survey.trees = self.by_root(late);
                Stage::Late
            }
            Stage::Late | Stage::Over => Stage::Over,
        };
        if survey.stage == Stage::Over { Progress::Over } else { Progress::More }
    }

    /// Passes over what a survey found, and over all that is open anyway if it was one of everything.
    pub(super) fn end_survey(&mut self, survey: Survey) -> Result<Pass, RegistryError> {
        let Survey { number, reach, mut places, reloaded, .. } = survey;
        if reach == Reach::Everything {
            places.extend(self.memory.unseen(number).map(Path::to_path_buf));
            places.extend(self.memory.troubled().map(Path::to_path_buf));
            places.extend(self.open_questions().map(Path::to_path_buf));
        }
        let scope = Scope::nothing();
        let mut pass = self.reconcile_by(Places { scope, surveyed: places, reach }, &self.policy().clone(), None)?;
        pass.reloaded = reloaded;
        if reach == Reach::Everything {
            self.after_sweep(reloaded)?;
        }
        Ok(pass)
    }

    fn round(&mut self, root: &Arc<Path>, cursor: &mut Cursor, survey: u64) -> Round {
        let Some(tree) = self.trees.get_mut(root) else {
            // It is configured no more.
            return Round { is_last: true, ..Round::default() };
        };
        let memory = &self.memory;
        let as_recorded = |project: &Path, identity: DirIdentity| {
            memory.expected(project, root, identity).is_some_and(|expected| {
                let is_it = stat::regular_file(&project.join(MANIFEST))
                    .is_some_and(|fingerprint| expected.observation.vouches_for(&fingerprint));
                if is_it {
                    expected.seen_by(survey);
                }
                is_it
            })
        };
        let walk = &mut Walk { kept: &self.kept, roots: &self.roots, watches: self.watches.as_mut() };
        let round = tree.round(cursor, &as_recorded, walk);
        let gone = tree.take_gone();
        self.watches.forget(gone);
        round
    }

    fn by_root(&self, directories: Vec<PathBuf>) -> Vec<(Arc<Path>, Cursor)> {
        let mut by_root: BTreeMap<Arc<Path>, Vec<PathBuf>> = BTreeMap::new();
        for path in directories {
            if let Some(root) = deepest(&self.roots, &path) {
                by_root.entry(root).or_default().push(path);
            }
        }
        by_root.into_iter().map(|(root, directories)| (root, Cursor::these(directories))).collect()
    }
}
