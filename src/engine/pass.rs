//! One pass: look, decide, apply, tell. Watcher, sweep, API and command line all end here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::holds::{Holds, Undo};
use super::look::{Doubtful, Places};
use super::memory::Memory;
use super::result::ReconcileResult;
use super::survey::Progress;
use crate::agent::{AgentId, Moment, Namespace};
use crate::apply::{Isolation, Outcome, apply};
use crate::clock::Clock;
use crate::decide::{Action, Plan, Policy, Reach, RootFound, View, decide};
use crate::disk::mounts::MountTable;
use crate::disk::{Heard, Kept, Tidied, Tree, Watches};
use crate::registry::{AgentRegistry, Durability, Event, Opened, RegistryError};
use crate::relay::Desk;
use crate::scope::Scope;
use crate::telemetry::Telemetry;

/// What an engine works with.
pub struct Setup {
    /// The registry, to which nobody else writes.
    pub registry: AgentRegistry,
    /// Its file; `None` for one in memory.
    pub registry_file: Option<PathBuf>,
    /// The configured scan roots: absolute, without links.
    pub roots: Vec<PathBuf>,
    /// Which directories belong to a scan.
    pub kept: Kept,
    /// The times that decisions go by.
    pub policy: Policy,
    /// How often what cannot be watched is looked at.
    pub poll_interval: Duration,
    /// Who watches directories.
    pub watches: Box<dyn Watches>,
    /// Who says what is mounted where.
    pub mounts: Box<dyn MountTable>,
    /// Who says what time it is.
    pub clock: Box<dyn Clock>,
    /// Who tells of it.
    pub telemetry: Telemetry,
}

/// The one writer of the registry.
pub struct Engine {
    pub(super) registry: AgentRegistry,
    registry_file: Option<PathBuf>,
    pub(super) roots: Vec<Arc<Path>>,
    pub(super) kept: Kept,
    pub(super) policy: Policy,
    pub(super) poll_interval: Duration,
    pub(super) watches: Box<dyn Watches>,
    pub(super) mount_table: Box<dyn MountTable>,
    /// Where something is mounted strictly below a root, by the last look at the mount table.
    pub(super) mounted: BTreeSet<PathBuf>,
    clock: Box<dyn Clock>,
    pub(super) telemetry: Telemetry,
    pub(super) memory: Memory,
    pub(super) trees: BTreeMap<Arc<Path>, Tree>,
    /// When each root was last swept while it was there, milliseconds since 1970.
    swept: HashMap<Arc<Path>, i64>,
    /// Whether the system failed to show something since this was last asked.
    pub(super) failed: bool,
    /// How many surveys were begun.
    pub(super) surveys: u64,
    /// What the last look found at the roots.
    pub(super) found: HashMap<Arc<Path>, RootFound>,
    /// Roots of which a person just said that what is there is meant.
    pub(super) accepted: BTreeSet<Arc<Path>>,
    /// Claims of which a person just said that they win.
    pub(super) accepted_claims: BTreeMap<AgentId, PathBuf>,
    /// Projects at which somebody is just registering or unregistering.
    pub(super) holds: Holds,
    /// Who brings the relay about; none where there is none.
    pub(super) relay: Option<Arc<Desk>>,
    /// What the relay was told last of each agent.
    pub(super) told_relay: HashMap<AgentId, Namespace>,
    /// Whether the relay was told of everybody.
    pub(super) relay_knows_all: bool,
    /// What was found that may pass by itself, and since when, on the boot clock, it has been so.
    pub(super) doubts: HashMap<PathBuf, (Doubtful, i64)>,
    /// When, on the boot clock, to look again.
    again: BTreeMap<PathBuf, i64>,
    /// The newest event that is forgotten already.
    pruned_to: u64,
    /// The registry file's size and time when it was last found whole.
    registry_times: Option<(u64, SystemTime)>,
}

/// What is heard of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootFacts {
    /// Which root.
    pub path: PathBuf,
    /// What is watched below it.
    pub heard: Heard,
    /// When it was last swept while it was there, milliseconds since 1970.
    pub swept_at_ms: Option<i64>,
}

/// What one pass came to.
#[derive(Debug, Default)]
pub struct Pass {
    /// What was decided.
    pub plan: Plan,
    /// What became of it.
    pub outcome: Outcome,
    /// The pass in numbers.
    pub result: ReconcileResult,
    /// Whether the registry had been edited or replaced since the pass before.
    pub reloaded: bool,
}

impl Pass {
    /// Whether what it found follows from the registry or from a root that came or went, and not from an event.
    #[must_use]
    pub fn explains_itself(&self) -> bool {
        self.reloaded || self.outcome.applied.iter().any(|action| matches!(action, Action::SetRoot { .. }))
    }
}

/// Fewer sightings than this are not worth a transaction: to read as many small files again costs less, and a steady state
/// writes nothing.
const WORTH_A_WRITE: usize = 1_000;

/// Events that are kept: some days of a busy machine, 30 MB.
const EVENTS_KEPT: u64 = 100_000;

/// Older events go so many at once: a little every sweep would be a write every sweep.
const EVENTS_SLACK: u64 = 10_000;

impl Engine {
    /// An engine over a registry.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn new(setup: Setup) -> Result<Self, RegistryError> {
        let Setup {
            mut registry,
            registry_file,
            roots,
            kept,
            policy,
            poll_interval,
            watches,
            mounts,
            clock,
            telemetry,
        } = setup;
        configure(&mut registry, &roots)?;
        let mut engine = Self {
            memory: Memory::load(&registry)?,
            registry,
            registry_file,
            roots: Vec::new(),
            kept,
            policy,
            poll_interval,
            watches,
            mount_table: mounts,
            mounted: BTreeSet::new(),
            clock,
            telemetry,
            trees: BTreeMap::new(),
            swept: HashMap::new(),
            failed: false,
            surveys: 0,
            found: HashMap::new(),
            accepted: BTreeSet::new(),
            accepted_claims: BTreeMap::new(),
            holds: Holds::new(std::process::id()),
            relay: None,
            told_relay: HashMap::new(),
            relay_knows_all: false,
            doubts: HashMap::new(),
            again: BTreeMap::new(),
            pruned_to: 0,
            registry_times: None,
        };
        engine.set_roots(&roots);
        if engine.registry_file.is_some() {
            engine.clear_up_all()?;
        }
        Ok(engine)
    }

    /// The registry, for reading.
    #[must_use]
    pub fn registry(&self) -> &AgentRegistry {
        &self.registry
    }

    /// The times that decisions go by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// One pass over a scope. One over everything is a survey first.
    ///
    /// # Errors
    /// The registry could not be written: nothing was done, and the scope should be looked at again.
    pub fn reconcile(&mut self, scope: &Scope) -> Result<Pass, RegistryError> {
        if scope.is_everything() {
            let mut survey = self.begin_sweep()?;
            while self.step(&mut survey) == Progress::More {}
            return self.end_survey(survey);
        }
        self.reconcile_by(scope.clone().into(), &self.policy.clone(), None)
    }

    /// One pass that goes by other times, and may be taken back: `undo` remembers everybody whom it changes. Such a pass is
    /// done whole or not at all.
    pub(super) fn reconcile_by(
        &mut self,
        places: Places,
        policy: &Policy,
        undo: Option<&mut Undo>,
    ) -> Result<Pass, RegistryError> {
        let now = self.clock.now();
        let view = self.look(places, &now);
        let plan = decide(&view, &now, policy);
        let isolation = if undo.is_some() { Isolation::Whole } else { Isolation::Each };
        if let Some(undo) = undo {
            for id in plan.actions.iter().filter_map(Action::agent) {
                undo.remember(id, self.registry.snapshot(id)?);
            }
        }
        let outcome = apply(&plan, view.reach, isolation, &mut self.registry, &now)?;
        self.remember(&view, &plan, &outcome, &now);
        self.tell_relay(&outcome);
        self.telemetry.tell(&outcome);
        let result = ReconcileResult::of(&outcome, self.memory.count_problems());
        Ok(Pass { plan, outcome, result, reloaded: false })
    }

    /// What is done after each sweep, whatever it found.
    pub(super) fn after_sweep(&mut self, reloaded: bool) -> Result<(), RegistryError> {
        if reloaded || !self.relay_knows_all {
            self.tell_relay_everything()?;
        }
        self.verify_relay();
        let now_ms = self.clock.now().wall_ms;
        let there = self.found.iter().filter(|(_, found)| matches!(found, RootFound::Directory(_)));
        self.swept.extend(there.map(|(root, _)| (root.clone(), now_ms)));
        self.prune_events()
    }

    /// The places that are looked at again anyway: something about them may pass by itself.
    pub(super) fn open_questions(&self) -> impl Iterator<Item = &Path> {
        self.again.keys().chain(self.doubts.keys()).map(PathBuf::as_path)
    }

    /// Numbers an event that tells of no agent, and tells it.
    pub fn record(&mut self, event: &Event) {
        let now = self.clock.now();
        if let Err(error) = self.registry.transact(Durability::Rebuildable, |batch| batch.append(event, &now)) {
            tracing::error!("an event has no number: {error}");
        }
        self.telemetry.event(event);
    }

    /// What one pass over a part of the world would do. Looks, and writes nothing.
    #[must_use]
    pub fn plan(&mut self, scope: Scope) -> (View, Plan) {
        let now = self.clock.now();
        let view = self.look(scope.into(), &now);
        let plan = decide(&view, &now, &self.policy);
        (view, plan)
    }

    /// Passes over a scope until nothing is left that settles by itself within moments. For a command without a daemon.
    ///
    /// # Errors
    /// The registry could not be written.
    pub fn reconcile_until_settled(&mut self, scope: &Scope) -> Result<ReconcileResult, RegistryError> {
        let mut result = self.reconcile(scope)?.result;
        while let Some(wait) = self.next_look().filter(|wait| *wait <= self.longest_doubt()) {
            std::thread::sleep(wait);
            let again = self.due();
            result.add(&self.reconcile(&again)?.result);
        }
        Ok(result)
    }

    /// The projects whose time to be looked at again has come.
    pub fn due(&mut self) -> Scope {
        let now_ms = self.clock.now().boot_ms;
        let mut scope = Scope::nothing();
        self.again.retain(|project, due_ms| {
            if *due_ms > now_ms {
                return true;
            }
            scope.merge(Scope::project(project.clone()));
            false
        });
        scope
    }

    /// In how long the next project is to be looked at again.
    #[must_use]
    pub fn next_look(&self) -> Option<Duration> {
        let first_ms = self.again.values().min()?;
        let left_ms = first_ms.saturating_sub(self.clock.now().boot_ms);
        Some(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)))
    }

    /// The longest time for which a finding is in doubt: after that it counts.
    #[must_use]
    pub fn longest_doubt(&self) -> Duration {
        let last = self.policy.read_again_after.iter().max().copied().unwrap_or_default();
        last.max(self.policy.missing_after)
    }

    /// Whether some finding below is still in doubt.
    #[must_use]
    pub fn is_settling(&self) -> bool {
        self.next_look().is_some_and(|wait| wait <= self.longest_doubt())
    }

    /// Whether a project was going to be looked at again anyway.
    #[must_use]
    pub fn expects(&self, project: &Path) -> bool {
        self.again.contains_key(project) || self.doubts.contains_key(project)
    }

    /// What is heard of each root.
    #[must_use]
    pub fn root_facts(&self) -> Vec<RootFacts> {
        let heard = self.watches.count(&self.roots);
        let facts = |(root, heard): (&Arc<Path>, Heard)| RootFacts {
            path: root.to_path_buf(),
            heard,
            swept_at_ms: self.swept.get(root).copied(),
        };
        self.roots.iter().zip(heard).map(facts).collect()
    }

    /// How often what cannot be watched is looked at.
    #[must_use]
    pub fn poll_interval(&self) -> Duration {
        self.poll_interval
    }

    /// Takes a person's word that what is at a root's path is the root. Returns whether there is such a root.
    pub fn accept_root(&mut self, root: &Path) -> bool {
        let known = self.roots.iter().find(|known| ***known == *root).cloned();
        known.is_some_and(|known| self.accepted.insert(known))
    }

    /// Now, as this engine's clock says.
    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Takes off some watches of directories that are gone.
    pub fn tidy(&mut self) -> Tidied {
        self.watches.tidy()
    }

    /// The scan roots, and which directories below them belong to a scan.
    #[must_use]
    pub fn scanned(&self) -> (Vec<PathBuf>, Kept) {
        (self.roots.iter().map(|root| root.to_path_buf()).collect(), self.kept.clone())
    }

    /// Whether a path is a configured root or lies under one.
    #[must_use]
    pub fn is_under_a_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root))
    }

    /// Writes what is only remembered, if that is worth it. Called at the end.
    ///
    /// # Errors
    /// The registry could not be written.
    pub fn flush(&mut self) -> Result<(), RegistryError> {
        if self.memory.unwritten() < WORTH_A_WRITE {
            return Ok(());
        }
        let sightings = self.memory.take_unwritten();
        self.registry.transact(Durability::Rebuildable, |batch| {
            sightings.iter().try_for_each(|(id, sighting)| batch.observe(id, sighting).map(drop))
        })
    }

    /// The tree of a root.
    pub(super) fn tree(&mut self, root: &Arc<Path>) -> &mut Tree {
        self.trees.entry(root.clone()).or_insert_with(|| Tree::new(root.clone()))
    }

    pub(super) fn set_roots(&mut self, roots: &[PathBuf]) {
        self.roots = roots.iter().map(|root| Arc::from(root.as_path())).collect();
        for root in self.roots.clone() {
            self.tree(&root);
        }
        self.watches.set_roots(&self.roots);
        self.read_mounts();
    }

    fn remember(&mut self, view: &View, plan: &Plan, outcome: &Outcome, now: &Moment) {
        for action in &outcome.applied {
            self.memory.note(action, now);
        }
        for (id, sighting) in &plan.sightings {
            self.memory.sight(id, *sighting);
        }
        if view.reach == Reach::Everything {
            self.again.clear();
            self.doubts.retain(|project, _| view.sites.contains_key(project));
        } else {
            self.again.retain(|project, _| !view.sites.contains_key(project));
        }
        for (project, wait) in &plan.look_again {
            let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX).max(1);
            let due_ms = now.boot_ms.saturating_add(wait_ms);
            let entry = self.again.entry(project.clone()).or_insert(due_ms);
            *entry = due_ms.min(*entry);
        }
    }

    fn prune_events(&mut self) -> Result<(), RegistryError> {
        let newest_old = self.registry.last_seq()?.saturating_sub(EVENTS_KEPT);
        if newest_old >= self.pruned_to.saturating_add(EVENTS_SLACK) {
            self.registry.transact(Durability::Rebuildable, |batch| batch.prune_events(EVENTS_KEPT))?;
            self.pruned_to = newest_old;
        }
        Ok(())
    }

    /// Notices a registry that was deleted, replaced or edited by somebody else.
    pub(super) fn reload_if_touched(&mut self) -> Result<bool, RegistryError> {
        let is_replaced = self.registry_file.as_ref().is_some_and(|file| !self.registry.is_same_file(file));
        if is_replaced {
            self.reopen()?;
        } else if self.is_damaged() {
            self.rebuild()?;
        } else if self.memory.is_outdated(&self.registry)? {
            self.memory = Memory::load(&self.registry)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether the file was damaged under a connection that has its pages in memory and does not notice. Looked at only
    /// after the file changed: a checkpoint changes it too.
    fn is_damaged(&mut self) -> bool {
        let Some(file) = &self.registry_file else { return false };
        let times = std::fs::metadata(file).ok().and_then(|metadata| Some((metadata.len(), metadata.modified().ok()?)));
        if times == self.registry_times {
            return false;
        }
        self.registry_times = times;
        // Looked at twice: one read that failed looks like damage.
        self.looks_damaged(file) && self.looks_damaged(file)
    }

    fn looks_damaged(&self, file: &Path) -> bool {
        match self.registry.beside(file).and_then(|reader| reader.integrity()) {
            Ok(findings) => !findings.is_empty(),
            // One that was cut to nothing has no schema at all.
            Err(error) => matches!(error, RegistryError::Corrupt(_) | RegistryError::Older { .. }),
        }
    }

    /// Opens the registry's file anew, with what is in the log that this connection still has.
    fn reopen(&mut self) -> Result<(), RegistryError> {
        let Some(file) = self.registry_file.clone() else { return Ok(()) };
        if let Err(error) = self.registry.settle_log() {
            tracing::debug!("what the registry's lost log held could not be kept: {error}");
        }
        self.registry = AgentRegistry::in_memory_copy(Path::new(""))?;
        self.take_registry(AgentRegistry::open(&file, &self.clock.now())?)
    }

    /// Moves a damaged registry aside and begins with an empty one, which a pass over everything fills.
    pub(super) fn rebuild(&mut self) -> Result<(), RegistryError> {
        let Some(file) = self.registry_file.clone() else { return Ok(()) };
        if !(self.looks_damaged(&file) && self.looks_damaged(&file)) {
            // It was only met as damaged: one read failed.
            return self.reopen();
        }
        // The damaged one is let go before its file is moved.
        self.registry = AgentRegistry::in_memory_copy(Path::new(""))?;
        self.take_registry(AgentRegistry::open_anew(&file, &self.clock.now())?)
    }

    fn take_registry(&mut self, (registry, opened): (AgentRegistry, Opened)) -> Result<(), RegistryError> {
        self.registry = registry;
        self.telemetry.registry_opened(&opened);
        let roots: Vec<PathBuf> = self.roots.iter().map(|root| root.to_path_buf()).collect();
        configure(&mut self.registry, &roots)?;
        // What a person said is on no disk: as much of it as is still known holds, written down or not.
        let denials = self.memory.denials();
        self.memory = Memory::load(&self.registry)?;
        let missing = self.memory.add_denials(denials);
        if missing.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        self.registry.transact(Durability::Synced, |batch| {
            missing.iter().try_for_each(|path| batch.deny(path, None, None, &now))
        })
    }
}

/// Says in the registry which roots are configured, if that is anything new.
pub(super) fn configure(registry: &mut AgentRegistry, roots: &[PathBuf]) -> Result<(), RegistryError> {
    let known: BTreeSet<PathBuf> =
        registry.roots()?.into_iter().filter(|root| root.configured).map(|root| root.path).collect();
    if known == roots.iter().cloned().collect() {
        return Ok(());
    }
    registry.transact(Durability::Synced, |batch| batch.configure_roots(roots))
}
