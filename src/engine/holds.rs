//! Projects that are held: somebody is about to write or delete the manifest there and says when that is done. Until then
//! no pass decides anything about them, so that nobody registers what is about to be taken back.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::agent::AgentId;
use crate::registry::{Operation, Snapshot};

/// Which hold: nobody else's word ends it.
pub type Token = u64;

/// One held project.
#[derive(Debug)]
pub struct Hold {
    /// Whose word ends it.
    pub token: Token,
    /// When it ends by itself, on the boot clock: whoever asked for it is gone then.
    pub until_ms: i64,
    /// What is done to the manifest.
    pub operation: Operation,
    /// Whether the project is to become a scan root of its own.
    pub root: RootToBe,
    /// What the registry held before, should all of this be taken back.
    pub undo: Undo,
}

/// Whether a held project is to become a scan root of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootToBe {
    /// It is under one.
    No,
    /// It is under none, and that is meant.
    Wanted,
    /// It was made one.
    Made,
}

/// What the registry held of the agents that were changed; nothing of those that it did not know.
#[derive(Debug, Default)]
pub struct Undo {
    /// Each agent once, as it was before the first change.
    pub rows: Vec<(AgentId, Option<Snapshot>)>,
    /// A path that was denied meanwhile.
    pub denied: Option<PathBuf>,
}

/// All held projects.
#[derive(Debug)]
pub struct Holds {
    by_project: HashMap<PathBuf, Hold>,
    last: Token,
    /// What was ended and could not be tidied up, as while another process has the project locked.
    left: Vec<Operation>,
}

impl Holds {
    /// Nothing is held. `seed` keeps the words of an earlier engine from being taken for this one's.
    pub fn new(seed: u32) -> Self {
        Self { by_project: HashMap::new(), last: u64::from(seed) << 16, left: Vec::new() }
    }

    /// Whether a project is held.
    pub fn is_held(&self, project: &Path) -> bool {
        !self.by_project.is_empty() && self.by_project.contains_key(project)
    }

    /// Holds a project that is not held.
    pub fn hold(&mut self, operation: Operation, root: RootToBe, until_ms: i64) -> Token {
        self.last = self.last.wrapping_add(1);
        let (token, undo) = (self.last, Undo::default());
        self.by_project.insert(operation.project.clone(), Hold { token, until_ms, operation, root, undo });
        token
    }

    /// The project that is held by this word.
    pub fn project(&self, token: Token) -> Option<PathBuf> {
        self.by_project.iter().find(|(_, hold)| hold.token == token).map(|(project, _)| project.clone())
    }

    /// The hold on a project.
    pub fn get_mut(&mut self, project: &Path) -> Option<&mut Hold> {
        self.by_project.get_mut(project)
    }

    /// Lets a project go.
    pub fn release(&mut self, project: &Path) -> Option<Hold> {
        self.by_project.remove(project)
    }

    /// Remembers what could not be tidied up.
    pub fn leave(&mut self, operation: Operation) {
        self.left.push(operation);
    }

    /// What could not be tidied up, but where somebody is at it again.
    pub fn take_left(&mut self) -> Vec<Operation> {
        let (held, free) =
            std::mem::take(&mut self.left).into_iter().partition(|operation| self.is_held(&operation.project));
        self.left = held;
        free
    }

    /// Holds a project again after it was let go for a moment.
    pub fn hold_again(&mut self, project: PathBuf, hold: Hold) {
        self.by_project.insert(project, hold);
    }

    /// The words by which holds stand that have run out.
    pub fn run_out(&self, boot_ms: i64) -> Vec<Token> {
        self.by_project.values().filter(|hold| hold.until_ms <= boot_ms).map(|hold| hold.token).collect()
    }

    /// When the next hold runs out, on the boot clock.
    pub fn next_ms(&self) -> Option<i64> {
        self.by_project.values().map(|hold| hold.until_ms).min()
    }
}

impl Undo {
    /// Remembers an agent as it was, unless it is remembered from earlier.
    pub fn remember(&mut self, id: &AgentId, before: Option<Snapshot>) {
        if !self.rows.iter().any(|(known, _)| known == id) {
            self.rows.push((id.clone(), before));
        }
    }
}
