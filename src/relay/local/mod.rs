//! The embedded relay: `relay.db` holds the endpoints and rules, and `mail/` holds a Maildir for each subject that ever
//! got a message, both in the state directory.
//!
//! [`Local`] is the daemon's side: it makes what is wanted. [`Post`] is everybody's: it delivers and takes messages with
//! or without a daemon. They meet in the files alone.

mod error;
mod folder;
mod mail;
mod message;
mod open;
mod post;
mod rows;
mod take;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use error::{MailError, PostError, StoreError};
pub use message::{MAX_BODY_BYTES, Message, MessageState};
pub use post::{Access, Delivered, Post};
pub use take::{Messages, Take, Taken, Taking};

use super::{Change, Present, Relay, RelayError, Subject};
use crate::agent::Shown;
use crate::agent::moment::iso;
use crate::clock::{monotonic, wall_ns};
use mail::Mail;
use open::{FileId, Traces};
use rows::Ensured;

/// The file with endpoints and rules, in the state directory.
const FILE: &str = "relay.db";

/// How often it is looked whether another call is done.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// The embedded relay of one state directory. Only whoever may write the registry there may have one.
pub struct Local {
    state_dir: PathBuf,
    file: PathBuf,
    store: Mutex<Store>,
    /// Whether what deliveries left behind that were killed was deleted once.
    is_tidy: AtomicBool,
}

/// The file, as the last call left it.
#[derive(Default)]
struct Store {
    opened: Option<Opened>,
    /// Whether what was known of it is not known of the one that is there now.
    is_another: bool,
}

/// An open `relay.db`.
struct Opened {
    conn: Connection,
    file: FileId,
    /// Its write-ahead log.
    log: FileId,
    /// What the last call left behind: what differs from it, somebody else wrote.
    traces: Traces,
}

impl Local {
    /// The relay in a state directory. The first call makes or opens its file.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        let (state_dir, file) = (state_dir.to_owned(), state_dir.join(FILE));
        Self { state_dir, file, store: Mutex::new(Store::default()), is_tidy: AtomicBool::new(false) }
    }

    /// Does something with the file that is there now.
    ///
    /// # Errors
    /// [`RelayError::Ambiguous`] if it is another one than at the last call: nothing was done with it then.
    fn with_store<T>(
        &self,
        by: Instant,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, RelayError> {
        let mut store = self.lock(by)?;
        let wait = by.saturating_duration_since(monotonic()).max(TRY_AGAIN);
        if store.opened.as_ref().is_some_and(|opened| opened.file != open::file_of(&self.file)) {
            self.close(&mut store)?;
        }
        if store.opened.is_none() {
            store.opened = Some(self.opened(open::for_writing(&self.file, wait)?));
        }
        if std::mem::take(&mut store.is_another) {
            return Err(RelayError::Ambiguous("relay.db was deleted or replaced".to_owned()));
        }
        // It was opened above.
        let Some(Opened { conn, traces, .. }) = &mut store.opened else { return Err(too_late()) };
        conn.busy_timeout(wait).map_err(StoreError::from)?;
        // This connection may have in memory what is not in the file any more.
        let is_touched = *traces != open::traces_of(&self.file);
        let whole = if is_touched { open::must_be_whole(&self.file, wait) } else { Ok(()) };
        let done = whole.and_then(|()| work(conn));
        // What a call that failed left behind may be what made it fail: the next one looks again.
        *traces = if done.is_ok() { open::traces_of(&self.file) } else { Traces::default() };
        match done {
            Err(StoreError::Damaged(why)) => {
                store.opened = None;
                store.is_another = true;
                store.opened = Some(self.opened(open::anew(&self.file, wait)?));
                store.is_another = false;
                Err(RelayError::Ambiguous(format!("relay.db was damaged: {why}")))
            }
            done => Ok(done?),
        }
    }

    fn opened(&self, (conn, moved_aside): (Connection, Option<PathBuf>)) -> Opened {
        if let Some(path) = moved_aside {
            tracing::error!("relay.db was damaged: it is now {}, and is made anew", Shown::path(&path));
        }
        let (file, log) = (open::file_of(&self.file), open::log_of(&self.file));
        Opened { conn, file, log, traces: open::traces_of(&self.file) }
    }

    /// Closes a file that is gone or replaced. SQLite leaves its log then, and would take it for that of the next one.
    fn close(&self, store: &mut Store) -> Result<(), StoreError> {
        let log = store.opened.take().and_then(|opened| opened.log);
        store.is_another = true;
        open::forget_log(&self.file, log)
    }

    /// Waits for an earlier call no longer than until its own time is over: one that hangs is enough.
    fn lock(&self, by: Instant) -> Result<MutexGuard<'_, Store>, RelayError> {
        loop {
            match self.store.try_lock() {
                Ok(store) => return Ok(store),
                Err(TryLockError::Poisoned(store)) => return Ok(store.into_inner()),
                Err(TryLockError::WouldBlock) if monotonic() < by => std::thread::sleep(TRY_AGAIN),
                Err(TryLockError::WouldBlock) => {
                    return Err(RelayError::Unavailable("an earlier call is still at it".to_owned()));
                }
            }
        }
    }

    fn present(&self, conn: &Connection) -> Result<Present, StoreError> {
        // What is in SQLite's memory says nothing about the disk.
        conn.execute_batch("PRAGMA shrink_memory")?;
        let mut present = rows::list(conn)?;
        match self.mailboxes() {
            Ok(mailboxes) if mailboxes.is_empty() => {}
            Ok(mailboxes) => {
                let endpoints: HashSet<&Subject> = present.endpoints.iter().map(|endpoint| &endpoint.subject).collect();
                let left = mailboxes.into_iter().filter(|subject| !endpoints.contains(subject));
                let mut leftovers = Vec::new();
                for subject in left.filter(|subject| subject.agent().is_some()) {
                    if !rows::is_endpoint(conn, &subject)? {
                        leftovers.push(subject);
                    }
                }
                present.leftovers = leftovers;
            }
            // Mail that cannot be looked at is no reason for nobody to be reached.
            Err(error) => tracing::warn!("mailboxes are not looked at: {error}"),
        }
        Ok(present)
    }

    /// The subjects that have a mailbox. The first time, mailboxes are tidied, too.
    fn mailboxes(&self) -> Result<Vec<Subject>, MailError> {
        let Some(mail) = Mail::open(&self.state_dir)? else { return Ok(Vec::new()) };
        let subjects = mail.subjects()?;
        if !self.is_tidy.swap(true, Ordering::Relaxed) {
            for subject in &subjects {
                mail.mailbox(subject)?.map(|mailbox| mailbox.tidy()).transpose()?;
            }
        }
        Ok(subjects)
    }

    fn make_all(&self, changes: &[Change], by: Instant) -> Vec<Result<(), RelayError>> {
        let made = self.with_store(by, |conn| {
            let now = now_iso();
            let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
            let mut results = Vec::with_capacity(changes.len());
            for change in changes {
                if monotonic() >= by {
                    break;
                }
                results.push(make(&transaction, change, &now)?);
            }
            transaction.commit()?;
            // Once the rows are gone, nobody is told any more that mail may be put there.
            for (change, result) in changes.iter().zip(&mut results) {
                if let Change::RetireEndpoint { subject, successor } = change
                    && result.is_ok()
                {
                    *result = self.move_mail(subject, successor.as_ref(), by);
                }
            }
            Ok(results)
        });
        match made {
            Ok(mut results) => {
                results.resize(changes.len(), Err(too_late()));
                results
            }
            Err(error) => vec![Err(error); changes.len()],
        }
    }

    fn move_mail(&self, subject: &Subject, successor: Option<&Subject>, by: Instant) -> Result<(), RelayError> {
        if monotonic() >= by {
            return Err(too_late());
        }
        let Some(mail) = Mail::open(&self.state_dir)? else { return Ok(()) };
        match successor {
            Some(successor) => mail.follow(subject, successor)?,
            None => mail.put_away(subject)?,
        }
        Ok(())
    }
}

impl Relay for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn list(&self, by: Instant) -> Result<Present, RelayError> {
        match self.with_store(by, |conn| self.present(conn)) {
            // It is another file now, and that is what is there.
            Err(RelayError::Ambiguous(_)) => self.with_store(by, |conn| self.present(conn)),
            listed => listed,
        }
    }

    fn change(&self, change: &Change, by: Instant) -> Result<(), RelayError> {
        self.make_all(std::slice::from_ref(change), by).into_iter().collect()
    }

    fn change_all(&self, changes: &[Change], by: Instant) -> Option<Vec<Result<(), RelayError>>> {
        Some(self.make_all(changes, by))
    }
}

/// Makes one change, or says why it never will be. Any other failure is one of the whole transaction.
fn make(conn: &Connection, change: &Change, now: &str) -> Result<Result<(), RelayError>, StoreError> {
    match change {
        Change::PutRule(rule) => rows::put(conn, rule, now)?,
        Change::RemoveRule(rule) => rows::remove(conn, rule)?,
        Change::EnsureEndpoint(endpoint) => match rows::ensure(conn, endpoint, now)? {
            Ensured::IsThere => {}
            Ensured::IsOf(name) => {
                let why = format!("there is an endpoint at {} that `{}` made", endpoint.subject, Shown::text(&name));
                return Ok(Err(RelayError::Rejected(why)));
            }
        },
        Change::RetireEndpoint { subject, successor } => {
            if let Some(successor) = successor
                && !rows::is_endpoint(conn, successor)?
            {
                return Ok(Err(RelayError::Rejected(format!("its successor {successor} is not there"))));
            }
            rows::retire(conn, subject)?;
        }
    }
    Ok(Ok(()))
}

fn too_late() -> RelayError {
    RelayError::Unavailable("there was no time for it".to_owned())
}

fn now_iso() -> String {
    iso(wall_ns() / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_damaged_in_the_middle_of_a_call_is_made_anew_by_a_later_one() {
        let directory = tempfile::tempdir().unwrap();
        let local = Local::new(directory.path());
        let by = || monotonic() + std::time::Duration::from_secs(30);
        local.list(by()).unwrap();
        let failed = local.with_store(by(), |conn| {
            std::fs::File::options().write(true).open(&local.file)?.set_len(0)?;
            Ok(conn.execute_batch("SELECT * FROM what_was_cut_away")?)
        });
        assert!(failed.is_err());
        assert!((0..3).any(|_| local.list(by()).is_ok()), "{:?}", local.list(by()));
    }
}
