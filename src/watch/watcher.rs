//! The watcher: which directories are watched by which instance, and the thread that settles what they announce.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::backend::{Added, Door, Instance, Kind};
use super::hint::Hint;
use super::settle::Settle;
use crate::clock::monotonic;
use crate::disk::{Target, Tidied, Watches};
use crate::scope::Scope;
use crate::scope::inbox::Announcer;

/// The most watches of one instance: taking one off costs time in proportion to all of them (0.5 ms at this number,
/// 10 ms at 29,000).
const MAX_WATCHES: usize = 4_096;

/// Hints that may wait for the settling thread, which only ever merges them: some ten milliseconds of the worst storm.
const MAX_HINTS: usize = 65_536;

/// How many watches are taken off at once: each costs up to 0.5 ms, in which the engine does nothing else.
const TIDIED_AT_ONCE: usize = 16;

/// What the watcher says about itself.
#[derive(Debug, Default)]
pub struct WatchFacts {
    /// Directories that are watched.
    pub watched: AtomicU64,
    /// Directories that should be watched and are not, because the system has no watch left.
    pub unwatched: AtomicU64,
    /// How often notifications were lost.
    pub overflows: AtomicU64,
}

/// Watches directories, each by itself.
pub struct Watcher {
    shards: Vec<Shard>,
    watched: HashMap<PathBuf, usize>,
    unwatched: HashSet<(Kind, PathBuf)>,
    /// Directories that may not be looked at, or at which the system failed.
    refused: HashSet<(Kind, PathBuf)>,
    /// Directories that are gone, and the instance that may still have a watch for them: a directory that was moved away
    /// takes its watch along. They count for the instance's load until they are taken off.
    gone: HashMap<PathBuf, usize>,
    /// The directories above the roots, in an instance of their own: one of them may at the same time be a directory of
    /// another root.
    parents: Option<Instance>,
    /// Those of them that are watched.
    parents_watched: BTreeSet<PathBuf>,
    door: Door,
    facts: Arc<WatchFacts>,
}

struct Shard {
    kind: Kind,
    instance: Instance,
    load: usize,
}

impl Watcher {
    /// A watcher that announces where to look. `state_dir` takes the file by which it hears whether it is alive.
    ///
    /// # Errors
    /// The system has no inotify instance left, or the state directory cannot be written.
    pub fn start(announcer: Announcer, state_dir: &Path) -> Result<Self, String> {
        let canary_path = state_dir.join("canary");
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&canary_path)
            .map_err(|error| format!("cannot write {}: {error}", canary_path.display()))?;
        let (hints, receiver) = bounded(MAX_HINTS);
        let door = Door {
            hints,
            lost: Arc::new(AtomicBool::new(false)),
            roots: Arc::new(RwLock::new(Vec::new())),
            canary: Arc::new(AtomicBool::new(false)),
            canary_path: Arc::from(canary_path),
        };
        let (lost, facts) = (door.lost.clone(), Arc::new(WatchFacts::default()));
        let counted = facts.clone();
        std::thread::Builder::new()
            .name("settle".to_owned())
            .spawn(move || settle(&receiver, &lost, &counted, &announcer))
            .map_err(|error| error.to_string())?;
        let mut watcher = Self {
            shards: Vec::new(),
            watched: HashMap::new(),
            unwatched: HashSet::new(),
            refused: HashSet::new(),
            gone: HashMap::new(),
            parents: None,
            parents_watched: BTreeSet::new(),
            door,
            facts,
        };
        watcher.watch_in(Kind::Dork, vec![state_dir.to_owned()]);
        Ok(watcher)
    }

    /// What the watcher says about itself, kept up to date.
    #[must_use]
    pub fn facts(&self) -> Arc<WatchFacts> {
        self.facts.clone()
    }

    /// A check whether notifications still come through: opens the canary for writing and listens.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse { heard: self.door.canary.clone(), path: self.door.canary_path.clone() }
    }

    /// Watches directories of one kind: those that are watched already where they are, the others where there is room.
    fn watch_in(&mut self, kind: Kind, directories: Vec<PathBuf>) {
        let mut batches: HashMap<usize, Vec<(PathBuf, bool)>> = HashMap::new();
        for path in directories {
            let known = self.watched.get(&path).copied().or_else(|| self.gone.remove(&path));
            let shard = match known {
                Some(shard) => Some((shard, true)),
                None => self.room(kind).map(|shard| (shard, false)),
            };
            match shard {
                Some((shard, renew)) => {
                    if let (false, Some(shard)) = (renew, self.shards.get_mut(shard)) {
                        shard.load = shard.load.saturating_add(1);
                    }
                    batches.entry(shard).or_default().push((path, renew));
                }
                None => {
                    self.unwatched.insert((kind, path));
                }
            }
        }
        for (number, batch) in batches {
            let Some(shard) = self.shards.get_mut(number) else { continue };
            let added = shard.instance.watch(&batch);
            for ((path, _), added) in batch.into_iter().zip(added) {
                let entry = (kind, path);
                self.unwatched.remove(&entry);
                self.refused.remove(&entry);
                if added == Added::Watched {
                    self.watched.insert(entry.1, number);
                    continue;
                }
                shard.load = shard.load.saturating_sub(1);
                self.watched.remove(&entry.1);
                match added {
                    Added::LimitReached => drop(self.unwatched.insert(entry)),
                    Added::Refused => drop(self.refused.insert(entry)),
                    Added::NotThere | Added::Watched => {}
                }
            }
        }
        self.tell();
    }

    /// Watches every directory above a root, so that a root's going and coming is announced however far above it that
    /// happens. Those that are watched already are watched anew: another directory may be there by now.
    fn watch_parents(&mut self) {
        let roots = self.door.roots.read().unwrap_or_else(PoisonError::into_inner).clone();
        let above = || -> BTreeSet<PathBuf> {
            let above = roots.iter().flat_map(|root| root.ancestors().skip(1));
            above.filter(|directory| directory.is_dir()).map(Path::to_path_buf).collect()
        };
        self.unwatched.retain(|(kind, _)| *kind != Kind::Parent);
        self.refused.retain(|(kind, _)| *kind != Kind::Parent);
        let mut wanted = above();
        if self.parents.is_none() && !wanted.is_empty() {
            self.parents = Instance::new(Kind::Parent, self.door.clone()).ok();
        }
        let mut anew = wanted.clone();
        // What was made in a directory before it was watched is announced by nothing: looked at until nothing is new.
        while !anew.is_empty() {
            let batch: Vec<(PathBuf, bool)> =
                anew.iter().map(|path| (path.clone(), self.parents_watched.contains(path))).collect();
            let added = match &mut self.parents {
                Some(instance) => instance.watch(&batch),
                None => vec![Added::LimitReached; batch.len()],
            };
            for ((path, _), added) in batch.into_iter().zip(added) {
                self.parents_watched.remove(&path);
                match added {
                    Added::Watched => drop(self.parents_watched.insert(path)),
                    Added::LimitReached => drop(self.unwatched.insert((Kind::Parent, path))),
                    Added::Refused => drop(self.refused.insert((Kind::Parent, path))),
                    Added::NotThere => {}
                }
            }
            let now = above();
            anew = now.difference(&wanted).cloned().collect();
            wanted = now;
        }
        let gone: Vec<PathBuf> = self.parents_watched.difference(&wanted).cloned().collect();
        self.parents_watched.retain(|path| wanted.contains(path));
        if let Some(instance) = &mut self.parents {
            instance.unwatch(gone);
        }
        self.tell();
    }

    /// An instance of this kind that has room, a new one if need be; none if the system has none left.
    fn room(&mut self, kind: Kind) -> Option<usize> {
        let found = self.shards.iter().position(|shard| shard.kind == kind && shard.load < MAX_WATCHES);
        if found.is_some() {
            return found;
        }
        let instance = Instance::new(kind, self.door.clone()).ok()?;
        self.shards.push(Shard { kind, instance, load: 0 });
        self.shards.len().checked_sub(1)
    }

    fn tell(&self) {
        self.facts.watched.store(self.watched.len() as u64, Ordering::Relaxed);
        self.facts.unwatched.store(self.unwatched.len() as u64, Ordering::Relaxed);
    }
}

/// What to say when directories cannot be watched: the numbers, and what to raise.
#[must_use]
pub fn limit_reached(watched: u64, unwatched: u64) -> String {
    let limit = |name: &str| {
        let path = format!("/proc/sys/fs/inotify/{name}");
        std::fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    format!(
        "{watched} directories are watched and {unwatched} more cannot be: fs.inotify.max_user_watches is {}, \
         fs.inotify.max_user_instances {}. Raise them with sysctl; until then the sweep finds what changes there",
        limit("max_user_watches"),
        limit("max_user_instances"),
    )
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
    }

    fn forget(&mut self, directories: Vec<PathBuf>) {
        if directories.is_empty() {
            return;
        }
        let gone: HashSet<&PathBuf> = directories.iter().collect();
        self.unwatched.retain(|(_, path)| !gone.contains(path));
        self.refused.retain(|(_, path)| !gone.contains(path));
        for path in directories {
            if let Some(shard) = self.watched.remove(&path) {
                self.gone.insert(path, shard);
            }
        }
        self.tell();
    }

    fn retry(&mut self) {
        if self.unwatched.iter().chain(&self.refused).any(|(kind, _)| *kind == Kind::Parent) {
            self.watch_parents();
        }
        for kind in [Kind::Directory, Kind::Dork] {
            let of_kind = |entries: &HashSet<(Kind, PathBuf)>| -> Vec<PathBuf> {
                entries.iter().filter(|(of, _)| *of == kind).map(|(_, path)| path.clone()).collect()
            };
            let again = [of_kind(&self.unwatched), of_kind(&self.refused)].concat();
            if !again.is_empty() {
                self.watch_in(kind, again);
            }
        }
    }

    fn tidy(&mut self) -> Tidied {
        let some: Vec<PathBuf> = self.gone.keys().take(TIDIED_AT_ONCE).cloned().collect();
        let mut batches: HashMap<usize, Vec<PathBuf>> = HashMap::new();
        for path in some {
            if let Some(shard) = self.gone.remove(&path) {
                batches.entry(shard).or_default().push(path);
            }
        }
        for (number, batch) in batches {
            if let Some(shard) = self.shards.get_mut(number) {
                shard.load = shard.load.saturating_sub(batch.len());
                shard.instance.unwatch(batch);
            }
        }
        if self.gone.is_empty() { Tidied::All } else { Tidied::Some }
    }

    fn set_roots(&mut self, roots: &[Arc<Path>]) {
        *self.door.roots.write().unwrap_or_else(PoisonError::into_inner) = roots.to_vec();
        self.watch_parents();
    }
}

/// Hears whether notifications still come through.
#[derive(Debug, Clone)]
pub struct Pulse {
    heard: Arc<AtomicBool>,
    path: Arc<Path>,
}

impl Pulse {
    /// Makes a noise and listens for it.
    #[must_use]
    pub fn beats(&self, within: Duration) -> bool {
        self.heard.store(false, Ordering::Release);
        // Closing a file that was open for writing is announced, without a byte being written.
        if File::options().append(true).create(true).open(&*self.path).is_err() {
            return false;
        }
        let deadline = monotonic() + within;
        while !self.heard.load(Ordering::Acquire) {
            if monotonic() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

/// The thread that drains the hints, settles them and passes them on: no disk and no SQL here, or the queue fills.
fn settle(hints: &Receiver<Hint>, lost: &AtomicBool, facts: &WatchFacts, announcer: &Announcer) {
    let mut settle = Settle::default();
    loop {
        let first = match settle.next() {
            Some(next) => hints.recv_deadline(next),
            None => hints.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let now = monotonic();
        let mut scope = Scope::nothing();
        match first {
            Ok(first) => {
                for hint in std::iter::once(first).chain(hints.try_iter().take(MAX_HINTS)) {
                    if settle.admit(&hint, now) {
                        scope.merge(hint.into());
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for hint in settle.due(now) {
            scope.merge(hint.into());
        }
        if lost.swap(false, Ordering::AcqRel) {
            facts.overflows.fetch_add(1, Ordering::Relaxed);
            scope.merge(Scope::everything());
        }
        announcer.announce(scope);
    }
}
