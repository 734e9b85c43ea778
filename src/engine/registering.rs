//! The registry's part of registering, updating and unregistering: a project is held, its manifest is written or deleted
//! by whoever asked, the change is recorded or taken back, and the project is let go.
//!
//! What is recorded comes out of the same pass as ever. Only the reach of its doubts differs: that another agent's
//! manifest is gone from here needs no second look, since it was taken away on purpose.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::holds::{RootToBe, Token, Undo};
use super::pass::Engine;
use super::site::deepest;
use super::{EngineError, Refusal};
use crate::agent::{Agent, AgentId, Shown};
use crate::decide::{Policy, Probe, RootFound};
use crate::disk::write::{Cleared, Finish, clear_temporary};
use crate::disk::{probe, stat};
use crate::registry::{Durability, Event, EventName, Operation, OperationKind, RegistryError};
use crate::scope::Scope;

/// What is about to be done, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// A manifest is to be written into this project.
    Register {
        /// The project: absolute, without links.
        project: PathBuf,
        /// Whose manifest it is going to be: an id that nobody has.
        id: AgentId,
        /// What if no scan root is above it.
        outside: Outside,
    },
    /// The manifest of a recorded agent is to be written anew.
    Update(Target),
    /// A recorded agent is to go.
    Unregister(Target),
}

/// A recorded agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By its id.
    Agent(AgentId),
    /// By where it is recorded.
    Project(PathBuf),
}

/// What is done about a project that no scan root is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// It is not registered.
    Refuse,
    /// It becomes a scan root that holds only itself.
    Accept,
}

/// A project that is held from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The word that the next steps are asked for with.
    pub token: Token,
    /// The project.
    pub project: PathBuf,
    /// The agent that is recorded there.
    pub id: Option<AgentId>,
    /// Whether the project's scan root is online.
    pub root_online: bool,
}

/// Whether a path is denied when its agent is unregistered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denying {
    /// It is not: the manifest is going to be deleted.
    No,
    /// It is, so that the manifest that stays registers nobody.
    Yes {
        /// Who denies it.
        denier: Option<String>,
    },
}

/// How long a project is held for somebody who does not say that it is done.
const HOLD_FOR: Duration = Duration::from_secs(30);

impl Engine {
    /// Holds a project whose manifest is about to be written or deleted.
    pub(super) fn begin(&mut self, intent: &Intent) -> Result<Begun, EngineError> {
        if self.found.len() < self.roots.len() {
            // The first look at a root is a look at all of it, and not for this.
            self.reconcile(&Scope::nothing())?;
        }
        let (project, kind, fresh, root) = match intent {
            Intent::Register { project, id, outside } => {
                (project.clone(), OperationKind::Write, Some(id.clone()), self.may_register(project, *outside)?)
            }
            Intent::Update(target) => (self.home_of(target)?, OperationKind::Write, None, RootToBe::No),
            Intent::Unregister(target) => (self.home_of(target)?, OperationKind::Delete, None, RootToBe::No),
        };
        if self.holds.is_held(&project) {
            return Err(Refusal::Busy(project).into());
        }
        let now = self.now();
        let operation = Operation { project: project.clone(), kind, fresh };
        self.registry.transact(Durability::Synced, |batch| batch.begin_operation(&operation, &now))?;
        let until_ms = now.boot_ms.saturating_add(i64::try_from(HOLD_FOR.as_millis()).unwrap_or(i64::MAX));
        let token = self.holds.hold(operation, root, until_ms);
        let id = self.memory.at(&project).map(|record| record.id.clone());
        let is_there = |root: &Arc<Path>| matches!(stat::root(root), RootFound::Directory(_));
        // A project that is a root of its own takes nothing else along when it goes.
        let is_alone = self.kept.alone().any(|root| root == project);
        let root_online = is_alone || deepest(&self.roots, &project).is_some_and(|root| is_there(&root));
        Ok(Begun { token, project, id, root_online })
    }

    /// Records what is in the held project now; `id` must be what comes out. If it does not, the registry is as it was.
    pub(super) fn commit(&mut self, token: Token, id: &AgentId) -> Result<Agent, EngineError> {
        let project = self.held(token)?;
        self.make_lone_root(&project)?;
        let Some(hold) = self.holds.release(&project) else { return Err(Refusal::Over.into()) };
        let policy = Policy { missing_after: Duration::ZERO, ..self.policy().clone() };
        let mut undo = Undo::default();
        let passed = self.reconcile_by(Scope::project(&project).into(), &policy, Some(&mut undo));
        self.holds.hold_again(project.clone(), hold);
        if let Some(hold) = self.holds.get_mut(&project) {
            undo.rows.into_iter().for_each(|(id, before)| hold.undo.remember(&id, before));
        }
        if let Err(error) = passed {
            self.undo(token)?;
            return Err(error.into());
        }
        match self.registry.get(id)?.map(|record| (record.project(), record.agent)) {
            Some((home, Ok(agent))) if home == project => return Ok(agent),
            Some(_) | None => {}
        }
        let why = self.memory.problems(&project).next().map(|problem| problem.detail.clone());
        let why = why.unwrap_or_else(|| "another manifest is there by now".to_owned());
        self.undo(token)?;
        Err(Refusal::NotRecorded { project, why }.into())
    }

    /// The agent that is recorded at the held project.
    pub(super) fn held_agent(&self, token: Token) -> Result<AgentId, EngineError> {
        let project = self.held(token)?;
        let unknown = || Refusal::NoSuchAgent(Shown::path(&project).to_string());
        Ok(self.memory.at(&project).map(|record| record.id.clone()).ok_or_else(unknown)?)
    }

    /// Removes the agent of the held project from the registry.
    pub(super) fn retire(&mut self, token: Token, denying: &Denying) -> Result<AgentId, EngineError> {
        let (project, id) = (self.held(token)?, self.held_agent(token)?);
        let (before, now) = (self.registry.snapshot(&id)?, self.now());
        let scan_root = self.memory.get(&id).and_then(|record| record.scan_root.as_deref().map(Path::to_path_buf));
        let event = Event {
            agent: Some(id.clone()),
            project: Some(project.clone()),
            scan_root,
            ..Event::new(EventName::AgentUnregistered)
        };
        self.registry.transact(Durability::Synced, |batch| {
            batch.remove(&id)?;
            if let Denying::Yes { denier } = denying {
                batch.deny(&project, Some("unregistered, and its manifest kept"), denier.as_deref(), &now)?;
            }
            batch.append(&event, &now)
        })?;
        self.telemetry.event(&event);
        self.memory.take(&id, None);
        self.memory.set_denials(self.registry.denials()?);
        self.want_endpoints(vec![id.clone()])?;
        if let Some(hold) = self.holds.get_mut(&project) {
            hold.undo.remember(&id, before);
            hold.undo.denied = matches!(denying, Denying::Yes { .. }).then(|| project.clone());
        }
        Ok(id)
    }

    /// Puts the registry back as it was before the held project was changed.
    pub(super) fn undo(&mut self, token: Token) -> Result<(), EngineError> {
        let project = self.held(token)?;
        let Some(hold) = self.holds.get_mut(&project) else { return Err(Refusal::Over.into()) };
        let undo = std::mem::take(&mut hold.undo);
        let (root, now) = (hold.root, self.now());
        let events = self.registry.transact(Durability::Synced, |batch| {
            let mut events = Vec::new();
            for (id, before) in &undo.rows {
                let is_known = batch.remove(id)?;
                events.extend(undone(id, is_known, before.is_some(), &project));
            }
            for (id, before) in &undo.rows {
                batch.put_back(id, before.as_ref())?;
            }
            if let Some(path) = &undo.denied {
                batch.allow(path)?;
            }
            if root == RootToBe::Made {
                batch.remove_lone_root(&project)?;
            }
            events.iter().try_for_each(|event| batch.append(event, &now).map(drop))?;
            Ok(events)
        })?;
        for event in &events {
            self.telemetry.event(event);
        }
        for (id, _) in &undo.rows {
            self.memory.take(id, self.registry.recorded_of(id)?);
        }
        self.memory.set_denials(self.registry.denials()?);
        self.want_endpoints(undo.rows.iter().map(|(id, _)| id.clone()).collect())?;
        if root == RootToBe::Made {
            self.drop_lone_root(&project);
        }
        Ok(())
    }

    /// Lets the held project go, whatever became of it. The next pass over it sees what is there.
    pub(super) fn end(&mut self, token: Token) -> Result<PathBuf, EngineError> {
        let project = self.held(token)?;
        let hold = self.holds.release(&project);
        // Whoever wrote may have failed to tidy up, and where that fails again, the note of it stays.
        match clear_temporary(&project, Finish::Complete) {
            Err(error) if !error.is_no_file() => {
                tracing::warn!("tried again by the next sweep: {error}");
                if let Some(hold) = hold {
                    self.holds.leave(hold.operation);
                }
            }
            Ok(_) | Err(_) => {
                self.registry.transact(Durability::Rebuildable, |batch| batch.end_operation(&project)).map(drop)?;
            }
        }
        if self.memory.at(&project).is_none() && self.kept.alone().any(|root| root == project) {
            self.registry.transact(Durability::Synced, |batch| batch.remove_lone_root(&project))?;
            self.drop_lone_root(&project);
        }
        Ok(project)
    }

    /// Ends the holds of those who did not say in time that they are done.
    pub(super) fn end_run_out(&mut self) -> Scope {
        let mut scope = Scope::nothing();
        for token in self.holds.run_out(self.now().boot_ms) {
            let Some(project) = self.holds.project(token) else { continue };
            tracing::warn!("a registration at {} was not ended in time, and is given up", Shown::path(&project));
            if let Some(hold) = self.holds.release(&project) {
                self.clear_up_saying(&hold.operation);
            }
            scope.merge(Scope::project(project));
        }
        scope
    }

    /// When the next hold runs out.
    pub(super) fn next_run_out(&self) -> Option<Duration> {
        let left_ms = self.holds.next_ms()?.saturating_sub(self.now().boot_ms);
        Some(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)))
    }

    /// Removes what a process that was killed in the middle left beside manifests.
    pub(super) fn clear_up_all(&mut self) -> Result<(), RegistryError> {
        for operation in self.registry.operations()? {
            self.clear_up_saying(&operation);
        }
        Ok(())
    }

    fn clear_up_saying(&mut self, operation: &Operation) {
        if let Err(why) = self.clear_up(operation) {
            tracing::warn!("{why}");
        }
    }

    /// Tries again to tidy up what could not be before.
    pub(super) fn clear_up_left(&mut self) {
        for operation in self.holds.take_left() {
            if let Err(why) = self.clear_up(&operation) {
                // It was said when it first failed.
                tracing::debug!("{why}");
            }
        }
    }

    fn clear_up(&mut self, operation: &Operation) -> Result<(), String> {
        let Operation { project, kind, fresh } = operation;
        // The row went first: an agent that was being unregistered goes on to be so.
        let is_recorded = self.memory.at(project).is_some();
        let finish = if *kind == OperationKind::Delete && !is_recorded { Finish::Complete } else { Finish::Undo };
        let shown = Shown::path(project);
        let cleared = clear_temporary(project, finish);
        if let Err(error) = cleared.or_else(|error| if error.is_no_file() { Ok(Cleared::Nothing) } else { Err(error) })
        {
            self.holds.leave(operation.clone());
            return Err(format!("what a registration at {shown} left behind cannot be removed: {error}"));
        }
        let is_home = |id: &&AgentId| self.memory.get(id).is_some_and(|record| record.project == *project);
        let is_absent = || matches!(probe(project, None).probe, Probe::Absent(_));
        // Its manifest was taken back already, and nobody was left to take back the row.
        let taken_back = fresh.as_ref().filter(is_home).filter(|_| is_absent());
        let now = self.now();
        // Nor the root that it was made.
        let is_alone = self.kept.alone().any(|root| root == project);
        let drops_root = is_alone && is_absent() && (taken_back.is_some() || !is_recorded);
        let cleared = self.registry.transact(Durability::Synced, |batch| {
            if drops_root {
                batch.remove_lone_root(project)?;
            }
            if let Some(id) = taken_back {
                batch.remove(id)?;
                undone(id, true, false, project).iter().try_for_each(|event| batch.append(event, &now).map(drop))?;
            }
            batch.end_operation(project)
        });
        if drops_root && cleared.is_ok() {
            self.drop_lone_root(project);
        }
        cleared.map_err(|error| format!("what a registration at {shown} left behind is noted still: {error}"))?;
        if let Some(id) = taken_back {
            self.memory.take(id, None);
        }
        Ok(())
    }

    /// The project that is held by this word.
    fn held(&self, token: Token) -> Result<PathBuf, EngineError> {
        Ok(self.holds.project(token).ok_or(Refusal::Over)?)
    }

    fn home_of(&self, target: &Target) -> Result<PathBuf, EngineError> {
        let record = match target {
            Target::Agent(id) => self.memory.get(id),
            Target::Project(project) => self.memory.at(project),
        };
        let named = || match target {
            Target::Agent(id) => id.to_string(),
            Target::Project(project) => project.display().to_string(),
        };
        Ok(record.map(|record| record.project.clone()).ok_or_else(|| Refusal::NoSuchAgent(named()))?)
    }

    fn may_register(&self, project: &Path, outside: Outside) -> Result<RootToBe, Refusal> {
        let named = || project.to_owned();
        if self.memory.denied(project).is_some() {
            return Err(Refusal::Denied(named()));
        }
        match stat::root(project) {
            RootFound::Directory(_) => {}
            RootFound::Nothing(_) if std::fs::symlink_metadata(project).is_ok() => {
                return Err(Refusal::NotADirectory(named()));
            }
            RootFound::Nothing(_) => return Err(Refusal::Missing(named())),
        }
        match deepest(&self.roots, project) {
            None if outside == Outside::Accept => Ok(RootToBe::Wanted),
            None => Err(Refusal::Outside(named())),
            Some(root) if !self.kept.reaches(&root, project) => Err(Refusal::Excluded(named())),
            Some(root) if !matches!(stat::root(&root), RootFound::Directory(_)) => {
                Err(Refusal::RootOffline(root.to_path_buf()))
            }
            Some(_) => Ok(RootToBe::No),
        }
    }

    fn make_lone_root(&mut self, project: &Path) -> Result<(), EngineError> {
        let Some(hold) = self.holds.get_mut(project).filter(|hold| hold.root == RootToBe::Wanted) else {
            return Ok(());
        };
        self.registry.transact(Durability::Synced, |batch| batch.add_lone_root(project))?;
        hold.root = RootToBe::Made;
        let alone: Vec<PathBuf> = self.kept.alone().map(Path::to_path_buf).chain([project.to_owned()]).collect();
        self.kept.set_alone(alone);
        let roots: Vec<PathBuf> =
            self.roots.iter().map(|root| root.to_path_buf()).chain([project.to_owned()]).collect();
        self.set_roots(&roots);
        Ok(())
    }

    fn drop_lone_root(&mut self, project: &Path) {
        let alone: Vec<PathBuf> = self.kept.alone().filter(|root| *root != project).map(Path::to_path_buf).collect();
        self.kept.set_alone(alone);
        self.forget_root(project);
        let roots: Vec<PathBuf> =
            self.roots.iter().map(|root| root.to_path_buf()).filter(|root| root != project).collect();
        self.set_roots(&roots);
    }
}

/// The event that tells that an agent's row was put back.
fn undone(id: &AgentId, is_known: bool, was_known: bool, project: &Path) -> Option<Event> {
    let name = match (is_known, was_known) {
        (false, false) => return None,
        (true, false) => EventName::AgentRemoved,
        (false, true) => EventName::AgentRegistered,
        (true, true) => EventName::AgentSynced,
    };
    let mut detail = Map::new();
    detail.insert("cause".to_owned(), "undone".into());
    Some(Event { name, agent: Some(id.clone()), project: Some(project.to_owned()), scan_root: None, detail })
}
