//! The watcher: which directories are watched by which instance, and which are cold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::backend::{Added, Door, Instance, Kind};
use super::budget::{Budget, Refused};
use super::facts::WatchFacts;
use super::parents::Parents;
use super::plan::{choose, is_dork};
use super::quiet::Quiet;
use super::vigil;
use crate::clock::monotonic;
use crate::disk::{Heard, Target, Tidied, Watches};
use crate::scope::inbox::Announcer;

/// The most watches of one instance: taking one off costs time in proportion to all of them (0.5 ms at this number,
/// 10 ms at 29,000).
pub const MAX_WATCHES: usize = 4_096;

/// How many watches are taken off at once: each costs up to 0.5 ms, in which the engine does nothing else.
const TIDIED_AT_ONCE: usize = 16;

/// Above this many at once an instance is given up and made anew: adding 4,096 watches takes 20 ms, taking as many off a
/// second.
const WORTH_AN_INSTANCE: usize = 64;

/// Watches directories, each by itself.
pub struct Watcher {
    shards: Vec<Option<Shard>>,
    /// By their bytes, which hash faster than paths, and boxed: there may be as many as directories.
    watched: HashMap<Box<OsStr>, usize>,
    /// Directories that should be watched and are not, and why: there is no watch left, or the system refused for another
    /// reason.
    cold: HashMap<Box<OsStr>, Added>,
    /// Directories that are gone, and the instance that may still have a watch for them: a directory that was moved away
    /// takes its watch along. They count for the instance's load until they are taken off.
    gone: HashMap<Box<OsStr>, usize>,
    /// Directories that were watched anew in between, and are to be looked at.
    deaf_meanwhile: Vec<PathBuf>,
    parents: Parents,
    quiet: Quiet,
    budget: Budget,
    /// Whether something changed since watches were last put where they matter most.
    is_unplanned: bool,
    /// The directory of the canary, and the instance that watches it.
    canary: (PathBuf, Option<usize>),
    door: Door,
    facts: Arc<WatchFacts>,
}

struct Shard {
    kind: Kind,
    instance: Instance,
    load: usize,
}

impl Watcher {
    /// A watcher that announces where to look, with so many watches or a share of what there is. `state_dir` takes the
    /// file by which it hears whether it is alive.
    ///
    /// # Errors
    /// A thread cannot be started, or the state directory cannot be written.
    pub fn start(announcer: Announcer, state_dir: &Path, budget: Option<u64>) -> Result<Self, String> {
        let facts = Arc::new(WatchFacts::default());
        let canary = vigil::canary(state_dir)?;
        let door = Door {
            announcer: announcer.clone(),
            is_deaf: Arc::new(AtomicBool::new(false)),
            gone: Arc::default(),
            roots: Arc::new(RwLock::new(Vec::new())),
            facts: facts.clone(),
            canary: Arc::from(canary.as_path()),
        };
        let mut watcher = Self {
            shards: Vec::new(),
            watched: HashMap::new(),
            cold: HashMap::new(),
            gone: HashMap::new(),
            deaf_meanwhile: Vec::new(),
            parents: Parents::default(),
            quiet: Quiet::default(),
            budget: Budget::new(budget),
            is_unplanned: false,
            canary: (state_dir.to_owned(), None),
            door,
            facts: facts.clone(),
        };
        watcher.watch_canary();
        let (roots, facts) = (watcher.door.roots.clone(), Arc::downgrade(&facts));
        std::thread::Builder::new()
            .name("vigil".to_owned())
            .spawn(move || vigil::keep(&canary, &roots, &facts, &announcer))
            .map_err(|error| error.to_string())?;
        Ok(watcher)
    }

    /// What the watcher says about itself, kept up to date.
    #[must_use]
    pub fn facts(&self) -> Arc<WatchFacts> {
        self.facts.clone()
    }

    /// Makes every instance anew of whose watches many are to be renewed, without those: it is cheaper than renewing one
    /// after the other. What else it watched is deaf meanwhile.
    fn make_room_for(&mut self, directories: &[PathBuf]) {
        let mut times: HashMap<usize, usize> = HashMap::new();
        let shard_of = |watcher: &Self, path: &Path| {
            let path = path.as_os_str();
            watcher.watched.get(path).or_else(|| watcher.gone.get(path)).copied()
        };
        for shard in directories.iter().filter_map(|path| shard_of(self, path)) {
            let count = times.entry(shard).or_default();
            *count = count.saturating_add(1);
        }
        times.retain(|_, count| *count > WORTH_AN_INSTANCE);
        if times.is_empty() {
            return;
        }
        for path in directories {
            if shard_of(self, path).is_some_and(|shard| times.contains_key(&shard)) {
                self.watched.remove(path.as_os_str());
                self.gone.remove(path.as_os_str());
            }
        }
        for number in times.into_keys() {
            let others = self.renew(number);
            if !others.is_empty() {
                self.deaf_meanwhile.extend(others);
                self.door.announcer.doubt();
            }
        }
    }

    /// Watches directories of one kind: those that are watched already where they are, the others where there is room.
    fn watch_in(&mut self, kind: Kind, directories: Vec<PathBuf>) {
        self.make_room_for(&directories);
        let mut batches: BTreeMap<usize, Vec<(PathBuf, bool)>> = BTreeMap::new();
        for path in directories {
            let known = self.watched.get(path.as_os_str()).copied().or_else(|| self.gone.remove(path.as_os_str()));
            if let Some(shard) = known {
                batches.entry(shard).or_default().push((path, true));
            } else if let Some(shard) = self.room(kind) {
                batches.entry(shard).or_default().push((path, false));
            } else {
                self.make_cold(path, Added::LimitReached);
            }
        }
        for (number, batch) in batches {
            let Some(shard) = self.shards.get_mut(number).and_then(Option::as_mut) else { continue };
            let added = shard.instance.watch(&batch);
            for ((path, _), added) in batch.into_iter().zip(added) {
                if added == Added::Watched {
                    self.cold.remove(path.as_os_str());
                    self.watched.insert(boxed(path), number);
                    continue;
                }
                self.watched.remove(path.as_os_str());
                if let Some(shard) = self.shards.get_mut(number).and_then(Option::as_mut) {
                    shard.load = shard.load.saturating_sub(1);
                }
                if added == Added::LimitReached {
                    self.budget.refused(Refused::Watch, self.used());
                }
                if added == Added::NotThere {
                    self.cold.remove(path.as_os_str());
                } else {
                    self.make_cold(path, added);
                }
            }
        }
    }

    fn make_cold(&mut self, path: PathBuf, why: Added) {
        self.is_unplanned |= self.cold.insert(boxed(path), why).is_none();
    }

    /// An instance of this kind that has room, with one place in it taken; none if there is no watch left.
    fn room(&mut self, kind: Kind) -> Option<usize> {
        if self.used() >= self.budget.allowed() {
            return None;
        }
        let has_room = |shard: &Shard| shard.kind == kind && shard.load < MAX_WATCHES && !shard.instance.is_deaf();
        let now = monotonic();
        let is_free = |shard: &mut Option<Shard>| {
            shard.as_mut().is_some_and(|shard| has_room(shard) && !shard.instance.is_busy(shard.load, now))
        };
        let found = self
            .shards
            .iter_mut()
            .position(is_free)
            .or_else(|| self.new_shard(kind))
            .or_else(|| self.shards.iter().position(|shard| shard.as_ref().is_some_and(has_room)))?;
        let shard = self.shards.get_mut(found)?.as_mut()?;
        shard.load = shard.load.saturating_add(1);
        Some(found)
    }

    fn new_shard(&mut self, kind: Kind) -> Option<usize> {
        let Ok(instance) = Instance::new(kind, &self.door) else {
            self.budget.refused(Refused::Instance, self.used());
            return None;
        };
        let place = self.shards.iter().position(Option::is_none).unwrap_or(self.shards.len());
        let shard = Some(Shard { kind, instance, load: 0 });
        match self.shards.get_mut(place) {
            Some(free) => *free = shard,
            None => self.shards.push(shard),
        }
        Some(place)
    }

    /// Watches that are used, those of directories that are gone among them.
    fn used(&self) -> u64 {
        let loads = self.shards.iter().flatten().map(|shard| shard.load).sum::<usize>();
        (loads.saturating_add(self.parents.watched())) as u64
    }

    /// Watches the canary, in an instance that also hears of manifests.
    fn watch_canary(&mut self) {
        self.canary.1 = self.room(Kind::Dork);
        let shard = self.canary.1.and_then(|number| self.shards.get_mut(number)?.as_mut());
        if let Some(shard) = shard {
            shard.instance.watch(&[(self.canary.0.clone(), false)]);
        }
        self.facts.has_canary.store(self.canary.1.is_some(), Ordering::Release);
    }

    fn watch_parents(&mut self) {
        let roots = self.door.roots.read().unwrap_or_else(PoisonError::into_inner).clone();
        let others = self.used().saturating_sub(self.parents.watched() as u64);
        let most = usize::try_from(self.budget.allowed().saturating_sub(others)).unwrap_or(usize::MAX);
        if let Some(what) = self.parents.watch(&roots, most, &self.door) {
            self.budget.refused(what, self.used());
        }
        self.tell();
    }

    /// Makes every instance anew that lost notifications, or whose thread is gone. Returns what those watched.
    fn renew_deaf(&mut self) -> Vec<PathBuf> {
        let all = self.facts.is_deaf.swap(false, Ordering::AcqRel);
        let is_deaf = |shard: &Option<Shard>| shard.as_ref().is_some_and(|shard| all || shard.instance.is_deaf());
        let deaf: Vec<usize> =
            self.shards.iter().enumerate().filter(|(_, shard)| is_deaf(shard)).map(|(number, _)| number).collect();
        if all || self.parents.is_deaf() {
            self.parents.start_over();
            self.watch_parents();
        }
        deaf.into_iter().flat_map(|number| self.renew(number)).collect()
    }

    /// Makes every instance anew that has many watches left of directories that are gone. Returns what those watch.
    fn renew_left(&mut self) -> Vec<PathBuf> {
        let mut left: HashMap<usize, usize> = HashMap::new();
        for shard in self.gone.values() {
            let count = left.entry(*shard).or_default();
            *count = count.saturating_add(1);
        }
        let now = monotonic();
        let mut is_free = |number: usize| {
            let shard = self.shards.get_mut(number).and_then(Option::as_mut);
            shard.is_some_and(|shard| !shard.instance.is_busy(shard.load, now))
        };
        left.retain(|number, count| *count > WORTH_AN_INSTANCE && is_free(*number));
        left.into_keys().flat_map(|number| self.renew(number)).collect()
    }

    /// Makes one instance anew, with everything that it watched.
    fn renew(&mut self, number: usize) -> Vec<PathBuf> {
        let Some(shard) = self.shards.get_mut(number).and_then(Option::take) else { return Vec::new() };
        let kind = shard.kind;
        shard.instance.end();
        self.gone.retain(|_, shard| *shard != number);
        let watched: Vec<PathBuf> =
            self.watched.iter().filter(|(_, shard)| **shard == number).map(|(path, _)| PathBuf::from(path)).collect();
        self.watched.retain(|_, shard| *shard != number);
        if self.canary.1 == Some(number) {
            self.watch_canary();
        }
        self.watch_in(kind, watched.clone());
        watched
    }

    /// Puts watches where they matter most. Returns the directories that are watched only from now on.
    fn rearrange(&mut self) -> Vec<PathBuf> {
        self.is_unplanned = false;
        let roots = self.door.roots.read().unwrap_or_else(PoisonError::into_inner).clone();
        let others = self.used().saturating_sub((self.watched.len().saturating_add(self.gone.len())) as u64);
        let most = usize::try_from(self.budget.allowed().saturating_sub(others)).unwrap_or(usize::MAX);
        let wanted: Vec<&Path> = self.watched.keys().chain(self.cold.keys()).map(Path::new).collect();
        let chosen = choose(&wanted, &roots, most);
        let mut add: Vec<PathBuf> =
            self.cold.keys().filter(|path| chosen.contains(Path::new(path))).map(PathBuf::from).collect();
        let off = self.watched.iter().filter(|(path, _)| !chosen.contains(Path::new(path)));
        let needed = self.watched.len().saturating_add(self.gone.len()).saturating_add(add.len()).saturating_sub(most);
        let off: Vec<(PathBuf, usize)> = off.take(needed).map(|(path, shard)| (PathBuf::from(path), *shard)).collect();
        let mut anew = self.give_up(off);
        add.sort_unstable();
        let (dorks, directories): (Vec<PathBuf>, Vec<PathBuf>) = add.iter().cloned().partition(|path| is_dork(path));
        self.watch_in(Kind::Dork, dorks);
        self.watch_in(Kind::Directory, directories);
        anew.extend(add.into_iter().filter(|path| self.watched.contains_key(path.as_os_str())));
        anew
    }

    /// Takes watches off: what they were for is cold from now on. Returns what is watched anew for that.
    fn give_up(&mut self, off: Vec<(PathBuf, usize)>) -> Vec<PathBuf> {
        let mut batches: BTreeMap<usize, Vec<PathBuf>> = BTreeMap::new();
        for (path, shard) in off {
            self.watched.remove(path.as_os_str());
            self.cold.insert(boxed(path.clone()), Added::LimitReached);
            batches.entry(shard).or_default().push(path);
        }
        let mut anew = Vec::new();
        for (number, batch) in batches {
            if batch.len() > WORTH_AN_INSTANCE {
                anew.extend(self.renew(number));
            } else {
                self.take_off(number, batch);
            }
        }
        anew
    }

    fn take_off(&mut self, number: usize, batch: Vec<PathBuf>) {
        if let Some(shard) = self.shards.get_mut(number).and_then(Option::as_mut) {
            shard.load = shard.load.saturating_sub(batch.len());
            shard.instance.unwatch(batch);
        }
    }

    fn tell(&self) {
        let sum = |all: [usize; 3]| all.into_iter().fold(0, usize::saturating_add) as u64;
        let has_canary = self.canary.1.is_some();
        let watched = sum([self.watched.len(), self.parents.watched(), usize::from(has_canary)]);
        let cold = sum([self.cold.len(), self.parents.cold(), usize::from(!has_canary)]);
        // What may not be looked at needs no larger budget: the state of its root says why.
        let short = self.cold.values().filter(|why| **why == Added::LimitReached).count();
        let short = sum([short, self.parents.short(), usize::from(!has_canary)]);
        let shortage = (short > 0).then(|| self.budget.shortage(watched, short));
        self.facts.say(watched, cold, self.budget.most(), shortage);
    }
}

impl Watches for Watcher {
    fn watch(&mut self, targets: &[Target]) {
        let (mut directories, mut dorks) = (Vec::new(), Vec::new());
        for target in targets {
            match target {
                Target::Directory(path) => directories.push(path.clone()),
                Target::Dork(path) => dorks.push(path.clone()),
            }
        }
        for (kind, paths) in [(Kind::Directory, directories), (Kind::Dork, dorks)] {
            if !paths.is_empty() {
                self.watch_in(kind, paths);
            }
        }
        self.tell();
    }

    fn forget(&mut self, directories: Vec<PathBuf>) {
        if directories.is_empty() {
            return;
        }
        for path in directories {
            if let Some(shard) = self.watched.remove(path.as_os_str()) {
                self.gone.insert(boxed(path), shard);
                self.is_unplanned = true;
            } else {
                self.cold.remove(path.as_os_str());
            }
        }
        self.tell();
    }

    fn tidy(&mut self) -> Tidied {
        let now = monotonic();
        let mut is_busy =
            |shard: &mut Option<Shard>| shard.as_mut().is_some_and(|shard| shard.instance.is_busy(shard.load, now));
        let busy: Vec<bool> = self.shards.iter_mut().map(&mut is_busy).collect();
        let is_free = |shard: usize| !busy.get(shard).copied().unwrap_or(false);
        let free = self.gone.iter().filter(|(_, shard)| is_free(**shard));
        let some: Vec<PathBuf> = free.take(TIDIED_AT_ONCE).map(|(path, _)| PathBuf::from(path)).collect();
        let mut batches: HashMap<usize, Vec<PathBuf>> = HashMap::new();
        for path in some {
            if let Some(shard) = self.gone.remove(path.as_os_str()) {
                batches.entry(shard).or_default().push(path);
            }
        }
        for (number, batch) in batches {
            self.take_off(number, batch);
        }
        if self.gone.is_empty() { Tidied::All } else { Tidied::Some }
    }

    fn set_roots(&mut self, roots: &[Arc<Path>]) {
        *self.door.roots.write().unwrap_or_else(PoisonError::into_inner) = roots.to_vec();
        self.quiet = Quiet::read(roots);
        self.facts.has_quiet.store(!self.quiet.is_empty(), Ordering::Relaxed);
        self.watch_parents();
    }

    fn set_budget(&mut self, most: Option<u64>) {
        self.budget.start_over(most, monotonic());
    }

    fn plan(&mut self) -> Vec<PathBuf> {
        let now = monotonic();
        let asked = self.budget.ask_again(now);
        let mut anew = self.renew_deaf();
        anew.extend(self.renew_left());
        anew.append(&mut self.deaf_meanwhile);
        if self.canary.1.is_none() {
            self.watch_canary();
        }
        if self.parents.cold() > 0 && asked {
            self.watch_parents();
        }
        // Where there is room, something else than the limit kept them cold.
        let has_room = self.used() < self.budget.allowed();
        let is_over = self.used() > self.budget.allowed();
        if is_over || (!self.cold.is_empty() && (asked || has_room || self.is_unplanned)) {
            anew.extend(self.rearrange());
        }
        self.budget.settle(!self.cold.is_empty() || self.parents.cold() > 0, now);
        self.tell();
        looked_at(anew.iter().map(PathBuf::as_path))
    }

    fn unheard(&self) -> Vec<PathBuf> {
        let quiet = self.watched.keys().map(Path::new).filter(|path| self.quiet.has(path));
        looked_at(self.cold.keys().map(Path::new).chain(quiet))
    }

    fn count(&self, roots: &[Arc<Path>]) -> Vec<Heard> {
        let mut counts = vec![Heard::default(); roots.len()];
        let deepest = |path: &Path| {
            let above = roots.iter().enumerate().filter(|(_, root)| path.starts_with(root));
            above.max_by_key(|(_, root)| root.as_os_str().len()).map(|(place, _)| place)
        };
        let mut add = |path: &Path, what: fn(&mut Heard) -> &mut u64| {
            if let Some(count) = deepest(path).and_then(|place| counts.get_mut(place)) {
                let number = what(count);
                *number = number.saturating_add(1);
            }
        };
        for path in self.watched.keys().map(Path::new) {
            add(path, |heard| &mut heard.watches);
            if self.quiet.has(path) {
                add(path, |heard| &mut heard.quiet);
            }
        }
        for path in self.cold.keys().map(Path::new) {
            add(path, |heard| &mut heard.cold);
        }
        counts
    }
}

fn boxed(path: PathBuf) -> Box<OsStr> {
    path.into_os_string().into_boxed_os_str()
}

/// The directories of the scan that are looked at to see what became of some watched ones: what holds a manifest is looked
/// at with its project.
fn looked_at<'a>(watched: impl Iterator<Item = &'a Path>) -> Vec<PathBuf> {
    let project = |path: &'a Path| if is_dork(path) { path.parent().unwrap_or(path) } else { path };
    watched.map(project).collect::<BTreeSet<_>>().into_iter().map(Path::to_path_buf).collect()
}
