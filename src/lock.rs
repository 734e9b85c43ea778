//! One writer a registry: a lock file, locked for as long as this process writes.
//!
//! The lock is the kernel's (`flock`), so it goes with its holder, however that ends. The file says who holds it, and is
//! never deleted: a file deleted while somebody waits for it would be locked twice.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::agent::Shown;
use crate::clock;

/// The lock file's name in the state directory.
const FILE: &str = "meshd.lock";

/// How often a held lock is tried again. A command holds it for some milliseconds.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// How long the file must name a daemon before that is believed: whoever just took the lock has yet to write who it is,
/// and until then the file says who held it before.
const BELIEVED_AFTER: Duration = Duration::from_millis(100);

/// The right to write this registry. It ends when this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// What it is.
    pub what: What,
    /// Where a daemon listens: for commands that were not told, such as those run by cron.
    #[serde(default)]
    pub socket: Option<PathBuf>,
}

/// What holds a lock, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A daemon, for life.
    Daemon,
    /// A command, for as long as it writes.
    Command,
}

/// The lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error("{} is held by {}", Shown::path(file), describe(holder.as_ref()))]
    Held {
        /// The lock file.
        file: PathBuf,
        /// Who; `None` where the file does not say.
        holder: Option<Holder>,
    },
    /// The state directory or the lock file cannot be used.
    #[error("cannot lock {}", Shown::path(file))]
    Unusable {
        /// The directory or the file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Lock {
    /// Takes the lock of `state_dir`, which is made where it is missing.
    ///
    /// A lock that a command holds is waited for; one that a daemon holds is not, since that holds it for life.
    pub fn take(state_dir: &Path, what: What, wait: Duration) -> Result<Self, LockError> {
        let path = file(state_dir);
        let unusable = |file: &Path, source| LockError::Unusable { file: file.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(|error| unusable(state_dir, error))?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(|error| unusable(&path, error))?;
        let begun = clock::monotonic();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(error) => return Err(unusable(&path, error.into())),
            }
            let waited = begun.elapsed();
            let holder = holder(&mut file);
            let for_life = holder.as_ref().is_some_and(|holder| holder.what == What::Daemon);
            if waited >= if for_life { BELIEVED_AFTER } else { wait } {
                return Err(LockError::Held { file: path, holder });
            }
            std::thread::sleep(TRY_AGAIN);
        }
        let mut lock = Self { file };
        lock.say(what, None).map_err(|error| unusable(&path, error))?;
        Ok(lock)
    }

    /// Says where this daemon listens.
    pub fn say_socket(&mut self, socket: &Path) -> std::io::Result<()> {
        self.say(What::Daemon, Some(socket.to_owned()))
    }

    /// Writes into the file who holds it.
    fn say(&mut self, what: What, socket: Option<PathBuf>) -> std::io::Result<()> {
        let holder = serde_json::to_vec(&Holder { pid: std::process::id(), what, socket })?;
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(&holder)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The next holder is not to be taken for this one while it has not yet written who it is.
        let _ = self.file.set_len(0);
    }
}

/// Where the daemon that holds the lock of `state_dir` says that it listens. It may have ended since.
#[must_use]
pub fn socket(state_dir: &Path) -> Option<PathBuf> {
    said_holder(state_dir)?.socket
}

/// Who says of itself that it holds the lock of `state_dir`. It may have been killed since. The lock is not touched.
#[must_use]
pub fn said_holder(state_dir: &Path) -> Option<Holder> {
    holder(&mut File::open(file(state_dir)).ok()?)
}

/// The lock file of `state_dir`.
#[must_use]
pub fn file(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

fn holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(1024).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn describe(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { pid, what: What::Daemon, .. }) => format!("the daemon with pid {pid}"),
        Some(Holder { pid, what: What::Command, .. }) => format!("a command with pid {pid}"),
        None => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn held_by(result: Result<Lock, LockError>) -> Option<Holder> {
        let Err(LockError::Held { holder, .. }) = result else { panic!("{result:?}") };
        holder
    }

    #[test]
    fn a_second_daemon_is_told_who_is_the_first_and_does_not_wait() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Lock::take(directory.path(), What::Daemon, Duration::ZERO).unwrap();
        let second = Lock::take(directory.path(), What::Daemon, Duration::from_hours(1));
        assert_eq!(held_by(second), Some(Holder { pid: std::process::id(), what: What::Daemon, socket: None }));
    }

    #[test]
    fn a_daemon_says_where_it_listens() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(socket(directory.path()), None);
        let mut lock = Lock::take(directory.path(), What::Daemon, Duration::ZERO).unwrap();
        lock.say_socket(Path::new("/run/x.sock")).unwrap();
        assert_eq!(socket(directory.path()), Some("/run/x.sock".into()));
        drop(lock);
        assert_eq!(socket(directory.path()), None);
    }

    #[test]
    fn a_daemon_waits_for_a_command() {
        let directory = tempfile::tempdir().unwrap();
        let command = Lock::take(directory.path(), What::Command, Duration::ZERO).unwrap();
        let waiting = directory.path().to_owned();
        let daemon = std::thread::spawn(move || Lock::take(&waiting, What::Daemon, Duration::from_hours(1)));
        std::thread::sleep(TRY_AGAIN);
        drop(command);
        daemon.join().unwrap().unwrap();
    }

    #[test]
    fn a_lock_that_was_let_go_is_free_and_names_nobody() {
        let directory = tempfile::tempdir().unwrap();
        drop(Lock::take(directory.path(), What::Daemon, Duration::ZERO).unwrap());
        assert_eq!(std::fs::read(directory.path().join(FILE)).unwrap(), b"");
        Lock::take(directory.path(), What::Command, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_command_that_does_not_get_it_in_time_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Lock::take(directory.path(), What::Command, Duration::ZERO).unwrap();
        let second = Lock::take(directory.path(), What::Command, TRY_AGAIN);
        assert_eq!(held_by(second).map(|holder| holder.what), Some(What::Command));
    }

    #[test]
    fn the_state_directory_is_made_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("a/state");
        let _lock = Lock::take(&state, What::Command, Duration::ZERO).unwrap();
        assert_eq!(std::fs::metadata(state).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
