//! What a person may ask of the registry beside a pass: to hear of an agent, to deny a path, to settle a contested id, to
//! say who may reach whom, and what became of one project.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pass::Engine;
use super::site::deepest;
use super::{EngineError, Refusal};
use crate::agent::{AgentId, Shown};
use crate::decide::{Policy, ProblemKind};
use crate::registry::{AccessPair, Durability, Imported, Taken};
use crate::scope::Scope;

/// What became of one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Verdict {
    /// The registry says what its manifest says.
    Synced {
        /// Whose.
        id: AgentId,
    },
    /// There is no manifest.
    NoManifest,
    /// Its manifest cannot be used.
    Unreadable {
        /// Why.
        why: String,
    },
    /// Its manifest claims an id that somebody else holds.
    DuplicateId {
        /// Who.
        why: String,
    },
    /// A person denied the path or one above it.
    Denied {
        /// The path that was denied, shown.
        path: String,
    },
    /// No scan comes to it.
    OutOfScope,
}

/// The longest that an agent may be seen to do, in bytes: it is a word, and is listed with every agent.
const MAX_WORD: usize = 200;

impl Engine {
    /// Notes that an agent was heard of. No event tells of it: nothing about the agent changed.
    pub(super) fn heartbeat(&mut self, id: &AgentId, event: &str) -> Result<(), EngineError> {
        if event.is_empty() || event.len() > MAX_WORD {
            return Err(
                Refusal::Pointless("what an agent was seen to do is a word or a few, of 200 bytes at most").into()
            );
        }
        let now = self.now();
        let is_known = self.registry.transact(Durability::Synced, |batch| batch.heard_of(id, event, &now))?;
        if is_known { Ok(()) } else { Err(Refusal::NoSuchAgent(id.to_string()).into()) }
    }

    /// Denies a path. Whoever is registered there goes by the next sweep.
    pub(super) fn deny(&mut self, path: &Path, reason: Option<&str>, denier: Option<&str>) -> Result<(), EngineError> {
        let now = self.now();
        self.registry.transact(Durability::Synced, |batch| batch.deny(path, reason, denier, &now))?;
        self.memory.set_denials(self.registry.denials()?);
        Ok(())
    }

    /// Takes a denial back. `false` if the path was not denied.
    pub(super) fn allow(&mut self, path: &Path) -> Result<bool, EngineError> {
        let was_denied = self.registry.transact(Durability::Synced, |batch| batch.allow(path))?;
        self.memory.set_denials(self.registry.denials()?);
        Ok(was_denied)
    }

    /// Takes a person's word that an id belongs to the project at `path` now. Its own home must have let it go.
    pub(super) fn relocate(&mut self, id: &AgentId, path: &Path) -> Result<(), EngineError> {
        let Some(record) = self.memory.get(id).cloned() else {
            return Err(Refusal::NoSuchAgent(id.to_string()).into());
        };
        self.accepted_claims.insert(id.clone(), path.to_owned());
        let mut scope = Scope::project(path);
        scope.merge(Scope::project(record.project.clone()));
        let policy = Policy { missing_after: Duration::ZERO, ..self.policy().clone() };
        let passed = self.reconcile_by(scope.into(), &policy, None);
        self.accepted_claims.clear();
        passed?;
        let home = self.memory.get(id).map(|record| record.project.clone());
        if home.as_deref() == Some(path) {
            return Ok(());
        }
        let shown = Shown::path(&record.project);
        let why = match self.verdict(path) {
            Verdict::NoManifest => "there is no manifest".to_owned(),
            Verdict::Unreadable { why } => why,
            Verdict::Denied { .. } => "it is denied".to_owned(),
            Verdict::OutOfScope => "no scan comes to it".to_owned(),
            Verdict::Synced { id } => format!("it is the project of agent {id}"),
            Verdict::DuplicateId { .. } => {
                format!("{shown} carries the id still, or cannot be looked at: delete its manifest there first")
            }
        };
        Err(Refusal::NotRecorded { project: path.to_owned(), why }.into())
    }

    /// Says whether agents of one namespace may reach those of another.
    pub(super) fn set_access(&mut self, pair: &AccessPair) -> Result<(), EngineError> {
        if pair.from == pair.to {
            return Err(Refusal::Pointless("agents of one namespace always reach each other").into());
        }
        let now = self.now();
        self.registry.transact(Durability::Synced, |batch| batch.set_access(pair, &now))?;
        self.want_pairs()
    }

    /// Takes over what a DorkOS database knew.
    pub(super) fn import(&mut self, imported: &Imported) -> Result<Taken, EngineError> {
        let now = self.now();
        let taken = self.registry.transact(Durability::Synced, |batch| batch.import(imported, &now))?;
        self.memory.set_denials(self.registry.denials()?);
        self.want_pairs()?;
        Ok(taken)
    }

    /// What became of a project, as the last pass over it left it.
    pub(super) fn verdict(&self, project: &Path) -> Verdict {
        if let Some(denied) = self.memory.denied(project) {
            return Verdict::Denied { path: Shown::path(denied).to_string() };
        }
        let is_reached = |root: &Arc<Path>| self.kept.reaches(root, project);
        if !deepest(&self.roots, project).is_some_and(|root| is_reached(&root)) {
            return Verdict::OutOfScope;
        }
        if let Some(problem) = self.memory.problems(project).next() {
            let why = problem.detail.clone();
            match problem.kind {
                ProblemKind::Unreadable => return Verdict::Unreadable { why },
                ProblemKind::DuplicateId => return Verdict::DuplicateId { why },
                ProblemKind::Contested => {}
            }
        }
        match self.memory.at(project).filter(|record| record.unreachable.is_none()) {
            Some(record) => Verdict::Synced { id: record.id.clone() },
            None => Verdict::NoManifest,
        }
    }
}
