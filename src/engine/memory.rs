//! What the engine keeps in memory of the registry, so that a pass over things that did not change reads no row.
//!
//! The engine is the only writer, so its memory is the registry, until somebody else edits the file: a sweep notices that
//! and loads it anew.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::agent::{
    Agent, AgentId, Columns, DirIdentity, Moment, Observation, Recorded, RootIdentity, Sighting, Unreachable,
};
use crate::decide::{Action, Problem, RootState};
use crate::disk::PathMap;
use crate::registry::{AgentRegistry, RegistryError};

/// The registry, as far as deciding needs it.
#[derive(Debug, Default)]
pub struct Memory {
    recorded: HashMap<AgentId, Known>,
    homes: PathMap<AgentId>,
    problems: PathMap<BTreeSet<Problem>>,
    claimed_at: HashMap<AgentId, BTreeSet<PathBuf>>,
    roots: BTreeMap<PathBuf, (Option<RootIdentity>, Option<RootState>)>,
    mounts: BTreeSet<PathBuf>,
    denials: HashSet<PathBuf>,
    data_version: i64,
    /// Sightings that are not written yet.
    unwritten: HashMap<AgentId, Sighting>,
}

/// A record, and when it was last found to be certainly true.
#[derive(Debug)]
struct Known {
    record: Arc<Recorded>,
    /// The last survey that found its manifest to be the recorded one.
    seen: AtomicU64,
}

/// What a manifest must look like to be the recorded one.
pub struct Expected<'a> {
    /// Its fingerprint, and when that was taken.
    pub observation: Observation,
    seen: &'a AtomicU64,
}

impl Expected<'_> {
    /// Notes that a survey found it so.
    pub fn seen_by(&self, survey: u64) {
        self.seen.store(survey, Ordering::Relaxed);
    }
}

impl Memory {
    /// Reads everything that is needed.
    pub fn load(registry: &AgentRegistry) -> Result<Self, RegistryError> {
        let mut memory = Self { data_version: registry.data_version()?, ..Self::default() };
        for record in registry.recorded()? {
            memory.insert(record);
        }
        for (problem, _) in registry.problems()? {
            memory.raise(problem);
        }
        for root in registry.roots()? {
            memory.roots.insert(root.path, (root.identity, root.state));
        }
        memory.mounts = registry.mounts()?.into_iter().collect();
        memory.denials = registry.denials()?.into_iter().collect();
        Ok(memory)
    }

    /// Whether somebody else wrote to the registry since it was loaded.
    pub fn is_outdated(&self, registry: &AgentRegistry) -> Result<bool, RegistryError> {
        Ok(registry.data_version()? != self.data_version)
    }

    /// All records.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Recorded>> {
        self.recorded.values().map(|known| &known.record)
    }

    /// The record of an id.
    pub fn get(&self, id: &AgentId) -> Option<&Arc<Recorded>> {
        self.recorded.get(id).map(|known| &known.record)
    }

    /// The record of a place.
    pub fn at(&self, project: &Path) -> Option<&Arc<Recorded>> {
        self.homes.get(project).and_then(|id| self.get(id))
    }

    /// What the manifest of a project below `root` looked like when it was read into its record, if nothing is open about
    /// that. `identity` is the directory that the project is.
    pub fn expected(&self, project: &Path, root: &Path, identity: DirIdentity) -> Option<Expected<'_>> {
        let Known { record, seen } = self.homes.get(project).and_then(|id| self.recorded.get(id))?;
        let is_plain = record.unreachable.is_none()
            && record.home == Some(identity)
            && record.scan_root.as_deref() == Some(root)
            && self.denied(project).is_none();
        let observation = record.observation.filter(|_| is_plain)?;
        Some(Expected { observation, seen })
    }

    /// The homes of the agents that a survey has not seen.
    pub fn unseen(&self, survey: u64) -> impl Iterator<Item = &Path> {
        let unseen = self.recorded.values().filter(move |known| known.seen.load(Ordering::Relaxed) != survey);
        unseen.map(|known| known.record.project.as_path())
    }

    /// The places at which there is a problem.
    pub fn troubled(&self) -> impl Iterator<Item = &Path> {
        self.problems.iter().map(|(path, _)| path)
    }

    /// The places at or below a directory at which something is recorded, or at which there is a problem.
    pub fn places(&self, below: &Path) -> impl Iterator<Item = &Path> {
        let homes = self.homes.below(below).map(|(path, _)| path);
        let problems = self.problems.below(below).map(|(path, _)| path);
        homes.chain(problems)
    }

    /// The places that claim an id beside the one that holds it, as far as is known.
    pub fn claims(&self, id: &AgentId) -> impl Iterator<Item = &Path> {
        self.claimed_at.get(id).into_iter().flatten().map(PathBuf::as_path)
    }

    /// The problems at a place.
    pub fn problems(&self, project: &Path) -> impl Iterator<Item = &Problem> {
        self.problems.get(project).into_iter().flatten()
    }

    /// How many problems stand.
    pub fn count_problems(&self) -> usize {
        self.problems.iter().map(|(_, problems)| problems.len()).sum()
    }

    /// Which directory a root was when it was last online, and the state in which it was left.
    pub fn root(&self, root: &Path) -> (Option<RootIdentity>, Option<RootState>) {
        self.roots.get(root).cloned().unwrap_or_default()
    }

    /// The mount points below which agents were found.
    pub fn mounts(&self) -> &BTreeSet<PathBuf> {
        &self.mounts
    }

    /// The records of the agents at or below a directory.
    pub fn recorded_below(&self, directory: &Path) -> impl Iterator<Item = &Arc<Recorded>> {
        self.homes.below(directory).filter_map(|(_, id)| self.get(id))
    }

    /// The path at or above this one that a person denied.
    pub fn denied<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        if self.denials.is_empty() {
            return None;
        }
        path.ancestors().find(|above| self.denials.contains(*above))
    }

    /// The denied paths.
    pub fn denials(&self) -> Vec<PathBuf> {
        self.denials.iter().cloned().collect()
    }

    /// Takes more denials, and returns those that are new.
    pub fn add_denials(&mut self, mut denials: Vec<PathBuf>) -> Vec<PathBuf> {
        denials.retain(|path| self.denials.insert(path.clone()));
        denials
    }

    /// Takes the denials as they are now.
    pub fn set_denials(&mut self, denials: Vec<PathBuf>) {
        self.denials = denials.into_iter().collect();
    }

    /// Takes one agent's record as it is now: `None` if it has none.
    pub fn take(&mut self, id: &AgentId, record: Option<Recorded>) {
        self.forget(id);
        if let Some(record) = record {
            self.insert(record);
        }
    }

    /// Remembers what was done to the registry.
    pub fn note(&mut self, action: &Action, now: &Moment) {
        match action {
            Action::SetRoot { root, state, identity } => {
                let entry = self.roots.entry(root.to_path_buf()).or_default();
                *entry = (identity.or(entry.0), Some(state.clone()));
            }
            Action::NoteMount { point } => drop(self.mounts.insert(point.clone())),
            Action::ForgetMount { point } => drop(self.mounts.remove(point)),
            Action::Remove { id, .. } => self.forget(id),
            Action::Relocate { agent, sighting, .. }
            | Action::Upsert { agent, sighting }
            | Action::Sync { agent, sighting } => self.record(agent, *sighting),
            Action::MarkUnreachable { id, reason, clock, .. } => self.change(id, |record| {
                let since_ms = record.unreachable.as_ref().map_or(now.wall_ms, |mark| mark.since_ms);
                record.unreachable = Some(Unreachable { since_ms, reason: *reason, clock: clock.clone() });
            }),
            Action::CarryClock { id, clock } => self.change(id, |record| {
                if let Some(mark) = &mut record.unreachable {
                    mark.clock = clock.clone();
                }
            }),
            Action::MarkReachable { id, .. } => self.change(id, |record| record.unreachable = None),
            Action::Raise(problem) | Action::Restate(problem) => {
                self.clear(problem);
                self.raise(problem.clone());
            }
            Action::Clear(problem) => self.clear(problem),
        }
    }

    /// Remembers what was seen of a manifest that says what is recorded.
    pub fn sight(&mut self, id: &AgentId, sighting: Sighting) {
        self.change(id, |record| {
            record.home = sighting.home.or(record.home);
            record.observation = sighting.observation.or(record.observation);
        });
        let unwritten = self.unwritten.entry(id.clone()).or_insert(sighting);
        unwritten.home = sighting.home.or(unwritten.home);
        unwritten.observation = sighting.observation.or(unwritten.observation);
    }

    /// The sightings that are not written yet; from now on they count as written.
    pub fn take_unwritten(&mut self) -> Vec<(AgentId, Sighting)> {
        std::mem::take(&mut self.unwritten).into_iter().collect()
    }

    /// How many sightings are not written yet.
    pub fn unwritten(&self) -> usize {
        self.unwritten.len()
    }

    fn record(&mut self, agent: &Agent, sighting: Sighting) {
        let before = self.get(agent.id());
        let unreachable = None;
        let home = sighting.home.or_else(|| before.and_then(|record| record.home));
        self.forget(agent.id());
        self.insert(Recorded {
            id: agent.id().clone(),
            project: agent.project.clone(),
            scan_root: agent.scan_root.clone(),
            digest: Columns::of(agent).digest(),
            home,
            observation: sighting.observation,
            unreachable,
        });
    }

    fn insert(&mut self, record: Recorded) {
        self.homes.insert(record.project.clone(), record.id.clone());
        let known = Known { record: Arc::new(record), seen: AtomicU64::new(0) };
        self.recorded.insert(known.record.id.clone(), known);
    }

    fn forget(&mut self, id: &AgentId) {
        self.unwritten.remove(id);
        let Some(Known { record, .. }) = self.recorded.remove(id) else { return };
        // Another agent may be recorded there by now.
        if self.homes.get(&record.project) == Some(id) {
            self.homes.remove(&record.project);
        }
    }

    fn change(&mut self, id: &AgentId, change: impl FnOnce(&mut Recorded)) {
        if let Some(known) = self.recorded.get_mut(id) {
            change(Arc::make_mut(&mut known.record));
        }
    }

    fn raise(&mut self, problem: Problem) {
        if let Some(id) = &problem.id {
            self.claimed_at.entry(id.clone()).or_default().insert(problem.project.clone());
        }
        self.problems.entry_or(problem.project.clone(), BTreeSet::new).insert(problem);
    }

    fn clear(&mut self, cleared: &Problem) {
        let Some(problems) = self.problems.get_mut(&cleared.project) else { return };
        let ids: Vec<AgentId> =
            problems.iter().filter(|known| known.kind == cleared.kind).filter_map(|known| known.id.clone()).collect();
        problems.retain(|problem| problem.kind != cleared.kind);
        if problems.is_empty() {
            self.problems.remove(&cleared.project);
        }
        for id in ids {
            if let Some(places) = self.claimed_at.get_mut(&id) {
                places.remove(&cleared.project);
                if places.is_empty() {
                    self.claimed_at.remove(&id);
                }
            }
        }
    }
}
