//! The kernel's notifications, through notify: the only file that names it.
//!
//! notify's thread runs `Door::admit` for every event; it never waits for the engine. A send that blocks there would
//! deadlock against the thread that is adding a watch, which waits for notify's.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use notify::event::{CreateKind, Event, EventKind, EventKindMask, ModifyKind, RemoveKind, RenameMode};
use notify::{
    Config, ErrorKind, INotifyWatcher, PathOp, RecursiveMode, UpdatePathsError, WatchPathConfig, Watcher as _,
};

use super::facts::WatchFacts;
use super::hint::{in_directory, in_dork};
use crate::clock::monotonic;
use crate::scope::Place;
use crate::scope::inbox::Announcer;

/// What kind of directory an instance watches: that decides what it listens for and what it lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Directories of the scan: entries that come and go.
    Directory,
    /// `.dork` directories: also files that were written. An instance of their own, so that the writes to all other files
    /// of a project never wake anybody, and so that a moved project takes along the watch of its `.dork`.
    Dork,
    /// The directories that hold scan roots: only the roots matter in them.
    Parent,
}

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Door {
    /// Who is told where to look.
    pub announcer: Announcer,
    /// Set when notifications of this instance were lost, for whatever reason: what it watches is watched anew then.
    pub is_deaf: Arc<AtomicBool>,
    /// Directories of this instance that went, and were not asked about yet.
    pub gone: Arc<AtomicU32>,
    /// The configured roots: kept whatever their names.
    pub roots: Arc<RwLock<Vec<Arc<Path>>>>,
    /// Where it is noted that the canary was heard.
    pub facts: Arc<WatchFacts>,
    /// The file that is touched to hear whether notifications come through.
    pub canary: Arc<Path>,
}

impl Door {
    /// Runs on notify's thread.
    fn admit(&self, kind: Kind, event: notify::Result<Event>) {
        match event {
            Ok(event) if !event.need_rescan() => {
                if matches!(event.kind, EventKind::Remove(RemoveKind::Folder)) {
                    self.gone.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(place) = event.paths.first().and_then(|path| self.place(kind, event.kind, path)) {
                    self.announcer.hear(place);
                }
            }
            Ok(_) | Err(_) => {
                self.is_deaf.store(true, Ordering::Release);
                self.facts.overflows.fetch_add(1, Ordering::Relaxed);
                self.announcer.doubt();
            }
        }
    }

    fn place(&self, watched: Kind, event: EventKind, path: &Path) -> Option<Place> {
        if path == &*self.canary {
            self.facts.heard_canary.store(true, Ordering::Release);
            return None;
        }
        match watched {
            Kind::Dork => in_dork(path),
            Kind::Parent => self.is_above_a_root(path).then(|| Place::Below(path.to_owned())),
            Kind::Directory => {
                let concerns_a_file =
                    matches!(event, EventKind::Create(CreateKind::File) | EventKind::Remove(RemoveKind::File))
                        && path.file_name().is_none_or(|name| name != crate::disk::DORK);
                // notify repeats the two halves of a rename as a third event.
                let repeated = matches!(event, EventKind::Modify(ModifyKind::Name(RenameMode::Both)));
                if concerns_a_file || repeated {
                    return None;
                }
                in_directory(path, self.is_root(path))
            }
        }
    }

    fn is_above_a_root(&self, path: &Path) -> bool {
        self.roots.read().unwrap_or_else(PoisonError::into_inner).iter().any(|root| root.starts_with(path))
    }

    fn is_root(&self, path: &Path) -> bool {
        self.roots.read().unwrap_or_else(PoisonError::into_inner).iter().any(|root| **root == *path)
    }
}

/// One inotify instance with its thread.
#[derive(Debug)]
pub struct Instance {
    /// Taken away only by `drop`.
    watcher: Option<INotifyWatcher>,
    is_deaf: Arc<AtomicBool>,
    gone: Arc<AtomicU32>,
    /// Until when its thread is certainly done with the directories that went.
    busy_until: Option<Instant>,
    thread: Thread,
}

/// What it costs notify's thread that a watched directory went, for each watch of its instance: it looks through all of
/// them. Twice what was measured, 90 ns.
const COST_OF_GOING: Duration = Duration::from_nanos(180);

/// How long an instance may take to give 4,096 watches back: some ten times what it does.
const TIME_TO_END: Duration = Duration::from_millis(200);

/// Whether notify's thread answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thread {
    Runs,
    IsGone,
}

/// What became of a directory that was to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Added {
    /// It is watched.
    Watched,
    /// It is gone: not watched, and no fault of the watcher.
    NotThere,
    /// It may not be looked at, or the system failed: to be tried again.
    Refused,
    /// The system has no watch left.
    LimitReached,
}

impl Instance {
    /// A new instance; fails where the system has none left.
    pub fn new(kind: Kind, door: &Door) -> Result<Self, String> {
        let (is_deaf, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let door = Door { is_deaf: is_deaf.clone(), gone: gone.clone(), ..door.clone() };
        let moves = EventKindMask::CREATE | EventKindMask::REMOVE | EventKindMask::MODIFY_NAME;
        let mask = match kind {
            Kind::Directory | Kind::Parent => moves,
            Kind::Dork => moves | EventKindMask::ACCESS_CLOSE,
        };
        let config = Config::default().with_follow_symlinks(false).with_event_kinds(mask);
        let handler = move |event: notify::Result<Event>| door.admit(kind, event);
        let watcher = INotifyWatcher::new(handler, config).map_err(|error| error.to_string())?;
        Ok(Self { watcher: Some(watcher), is_deaf, gone, busy_until: None, thread: Thread::Runs })
    }

    /// Whether its thread is busy with directories that went, while it has so many watches: who asks it for anything
    /// waits for that. After 4,096 at once that is a second.
    pub fn is_busy(&mut self, watches: usize, now: Instant) -> bool {
        let gone = self.gone.swap(0, Ordering::Relaxed);
        if gone > 0 {
            let watches = u32::try_from(watches).unwrap_or(u32::MAX);
            let cost = COST_OF_GOING.saturating_mul(watches).saturating_mul(gone);
            self.busy_until = now.max(self.busy_until.unwrap_or(now)).checked_add(cost);
        }
        self.busy_until.is_some_and(|until| now < until)
    }

    /// Whether it lost notifications, or its thread is gone: then its watches are worth nothing any more.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        self.is_deaf.load(Ordering::Acquire)
    }

    /// Gives all its watches back before it returns: where these are few, the next instance needs them.
    pub fn end(self) {
        let heard = self.is_deaf.clone();
        drop(self);
        let deadline = monotonic() + TIME_TO_END;
        // Its thread, which has the other one, ends by itself.
        while Arc::strong_count(&heard) > 1 && monotonic() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Watches directories in one batch. `renew` says which of them this instance believes to watch already: those are
    /// taken off first, since notify takes a path that it knows for watched, whatever is there now.
    pub fn watch(&mut self, directories: &[(PathBuf, bool)]) -> Vec<Added> {
        let mut ops = Vec::new();
        for (path, renew) in directories {
            if *renew {
                ops.push(PathOp::Unwatch(path.clone()));
            }
            let config = WatchPathConfig::new(RecursiveMode::NonRecursive).with_dereference_symlinks(false);
            ops.push(PathOp::Watch(path.clone(), config));
        }
        let mut failed = std::collections::HashMap::new();
        while let Err(error) = self.update(ops) {
            let limit = matches!(error.source.kind, ErrorKind::MaxFilesWatch);
            let is_gone = match &error.source.kind {
                ErrorKind::PathNotFound => true,
                ErrorKind::Io(error) => {
                    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
                }
                ErrorKind::Generic(_)
                | ErrorKind::WatchNotFound
                | ErrorKind::InvalidConfig(_)
                | ErrorKind::MaxFilesWatch => false,
            };
            match error.origin {
                // What was to be taken off was off already.
                Some(PathOp::Unwatch(_)) => {}
                Some(PathOp::Watch(path, _)) => {
                    let why = if is_gone { Added::NotThere } else { Added::Refused };
                    failed.insert(path, if limit { Added::LimitReached } else { why });
                }
                // The thread is gone: nothing of this is watched.
                None => return vec![Added::Refused; directories.len()],
            }
            ops = error.remaining;
            if limit {
                for op in ops.drain(..) {
                    if let PathOp::Watch(path, _) = op {
                        failed.insert(path, Added::LimitReached);
                    }
                }
            }
        }
        directories.iter().map(|(path, _)| failed.get(path).copied().unwrap_or(Added::Watched)).collect()
    }

    /// Takes watches off. Each costs time in proportion to all watches of this instance.
    pub fn unwatch(&mut self, directories: Vec<PathBuf>) {
        let mut ops: Vec<PathOp> = directories.into_iter().map(PathOp::Unwatch).collect();
        while let Err(error) = self.update(ops) {
            ops = error.remaining;
        }
    }

    fn update(&mut self, ops: Vec<PathOp>) -> Result<(), UpdatePathsError> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        let updated = watcher.update_paths(ops);
        if updated.as_ref().is_err_and(|error| error.origin.is_none()) {
            self.thread = Thread::IsGone;
            self.is_deaf.store(true, Ordering::Release);
        }
        updated
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let (Some(watcher), Thread::IsGone) = (self.watcher.take(), self.thread) {
            // It would tell its thread to end, and panic where that is gone.
            std::mem::forget(watcher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;
    use crate::scope::inbox::{Inbox, inbox};

    fn door() -> (Door, Inbox) {
        let (announcer, inbox) = inbox();
        let door = Door {
            announcer,
            is_deaf: Arc::default(),
            gone: Arc::default(),
            roots: Arc::new(RwLock::new(vec![Arc::from(Path::new("/r"))])),
            facts: Arc::default(),
            canary: Arc::from(Path::new("/state/canary")),
        };
        (door, inbox)
    }

    fn made(path: &str) -> Event {
        Event::new(EventKind::Create(CreateKind::Folder)).add_path(path.into())
    }

    #[test]
    fn an_error_and_a_kernel_queue_that_ran_over_mean_look_everywhere_and_watch_anew() {
        for event in [
            Err(notify::Error::generic("broken")),
            Ok(Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)),
        ] {
            let (door, inbox) = door();
            door.admit(Kind::Dork, event);
            assert!(inbox.bell().try_recv().is_ok() && inbox.take().doubt);
            assert!(door.is_deaf.load(Ordering::Acquire));
            assert_eq!(door.facts.overflows.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn files_that_are_no_manifest_wake_nobody() {
        let (door, inbox) = door();
        let file = |kind, path: &str| Ok(Event::new(kind).add_path(path.into()));
        door.admit(Kind::Directory, file(EventKind::Create(CreateKind::File), "/r/p/main.rs"));
        door.admit(Kind::Directory, file(EventKind::Remove(RemoveKind::File), "/r/p/main.rs"));
        door.admit(Kind::Dork, file(EventKind::Create(CreateKind::File), "/r/p/.dork/notes.md"));
        door.admit(Kind::Directory, Ok(made("/r/p/node_modules")));
        door.admit(Kind::Parent, Ok(made("/other")));
        assert!(inbox.take().scope.is_nothing() && inbox.bell().is_empty());
        door.admit(Kind::Parent, Ok(made("/r")));
        assert_eq!(inbox.take().scope, Scope::below("/r"));
    }

    #[test]
    fn an_instance_that_lost_many_directories_is_left_alone_for_a_while() {
        let (door, _inbox) = door();
        let mut instance = Instance::new(Kind::Directory, &door).unwrap();
        let now = monotonic();
        assert!(!instance.is_busy(4_096, now));
        instance.gone.fetch_add(1_000, Ordering::Relaxed);
        assert!(instance.is_busy(4_096, now) && instance.is_busy(4_096, now + Duration::from_millis(700)));
        assert!(!instance.is_busy(4_096, now + Duration::from_millis(800)));
        instance.gone.fetch_add(1_000, Ordering::Relaxed);
        assert!(instance.is_busy(1, now + Duration::from_secs(1)));
        assert!(!instance.is_busy(1, now + Duration::from_millis(1_001)));
    }

    #[test]
    fn the_canary_is_heard_and_goes_no_further() {
        let (door, inbox) = door();
        door.admit(Kind::Dork, Ok(made("/state/canary")));
        assert!(door.facts.heard_canary.load(Ordering::Acquire) && inbox.bell().is_empty());
    }
}
