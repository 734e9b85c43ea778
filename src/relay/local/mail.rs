//! Mailboxes: `mail/<subject>/{tmp,new,cur}`, as Maildir has them. A message is whole or not there, is in one place at a
//! time, and goes from one to the next by a rename. So processes need no lock between them.
//!
//! - A delivery writes in `tmp`, syncs, and renames to `new`.
//! - Whoever takes a message renames it from `new` to `cur`, which only one can, and deletes it when it is done.
//! - What was not taken when an endpoint goes is moved to its successor, or to `.archive`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

use super::error::MailError;
use super::folder::Folder;
use super::now_iso;
use crate::clock::wall_ns;
use crate::relay::Subject;

/// The directory of all mailboxes, in the state directory.
const MAIL: &str = "mail";

/// Where the mail of agents that are gone is put away. No subject begins with a dot.
const ARCHIVE: &str = ".archive";

/// Mailboxes of the same subject that are put away within one millisecond.
const MAX_PUT_AWAY: u32 = 100;

/// All mailboxes.
#[derive(Debug)]
pub(super) struct Mail {
    state: Folder,
    all: Folder,
}

/// One of them. A part that is missing was not made yet, or is being removed.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub folder: Folder,
    pub tmp: Option<Folder>,
    pub new: Option<Folder>,
    pub cur: Option<Folder>,
}

/// What came of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The message is in `new`, whatever happens now. This is its name there.
    Done(String),
    /// The mailbox was removed meanwhile, and nothing was delivered.
    Gone,
}

impl Mail {
    /// The mailboxes; `None` if there was never one.
    pub fn open(state_dir: &Path) -> Result<Option<Self>, MailError> {
        let state = Folder::top(state_dir)?;
        Ok(state.folder(MAIL)?.map(|all| Self { state, all }))
    }

    /// The mailboxes, their directory made if there was never one.
    pub fn make(state_dir: &Path) -> Result<Self, MailError> {
        let state = Folder::top(state_dir)?;
        let all = state.make_folder(MAIL)?.ok_or_else(|| MailError::Removed(state_dir.join(MAIL)))?;
        Ok(Self { state, all })
    }

    /// The mailbox of a subject, if there is one.
    pub fn mailbox(&self, subject: &Subject) -> Result<Option<Mailbox>, MailError> {
        let Some(folder) = self.all.folder(subject.as_str())? else { return Ok(None) };
        let [tmp, new, cur] = ["tmp", "new", "cur"].map(|name| folder.folder(name));
        let (tmp, new, cur) = (tmp?, new?, cur?);
        Ok(Some(Mailbox { folder, tmp, new, cur }))
    }

    /// The mailbox of a subject, made if there is none; `None` if it is being removed.
    pub fn make_mailbox(&self, subject: &Subject) -> Result<Option<Mailbox>, MailError> {
        let Some(folder) = self.all.make_folder(subject.as_str())? else { return Ok(None) };
        let [tmp, new, cur] = ["tmp", "new", "cur"].map(|name| folder.make_folder(name));
        let (tmp, new, cur) = (tmp?, new?, cur?);
        Ok(Some(Mailbox { folder, tmp, new, cur }))
    }

    /// The subjects that have a mailbox, in no order.
    pub fn subjects(&self) -> Result<Vec<Subject>, MailError> {
        Ok(self.all.folder_names()?.into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// What is made and moved in `mailbox` survives a loss of power: the message, and the way to it. Where nothing
    /// changed, to sync a directory costs nothing.
    pub fn sync(&self, mailbox: &Mailbox) -> Result<(), MailError> {
        for folder in [mailbox.new.as_ref(), mailbox.cur.as_ref(), Some(&mailbox.folder)].into_iter().flatten() {
            folder.sync()?;
        }
        self.all.sync()?;
        self.state.sync()
    }

    /// Moves what is in one mailbox to another, and removes the first.
    pub fn follow(&self, from: &Subject, to: &Subject) -> Result<(), MailError> {
        let Some(old) = self.mailbox(from)? else { return Ok(()) };
        if old.has_messages()? {
            let gone = || MailError::Removed(self.all_path(to));
            let mailbox = self.make_mailbox(to)?.ok_or_else(gone)?;
            let (Some(new), Some(cur)) = (&mailbox.new, &mailbox.cur) else { return Err(gone()) };
            let mut moved = old.move_new(new)?;
            moved.append(&mut old.move_taken(cur)?);
            self.sync(&mailbox)?;
            if let Some(last) = moved.iter().max() {
                mailbox.delivered(last)?;
            }
        }
        self.put_away(from)
    }

    /// Removes a mailbox; if there is something in it, it is put away whole.
    pub fn put_away(&self, subject: &Subject) -> Result<(), MailError> {
        let Some(mailbox) = self.mailbox(subject)? else { return Ok(()) };
        if mailbox.remove_parts()? && self.all.remove_folder(subject.as_str())? {
            return Ok(());
        }
        let gone = || MailError::Removed(self.all_path(subject));
        let archive = self.all.make_folder(ARCHIVE)?.ok_or_else(gone)?;
        let time = now_iso().replace(['-', ':'], "");
        let names = (1..=MAX_PUT_AWAY)
            .map(|turn| if turn == 1 { format!("{subject}.{time}") } else { format!("{subject}.{time}-{turn}") });
        for name in names {
            if !self.all.rename_folder(subject.as_str(), &archive, &name)? {
                continue;
            }
            // Somebody may have been about to deliver. What they still put there is their own to take back.
            if mailbox.remove_parts()? {
                archive.remove_folder(&name)?;
            }
            archive.sync()?;
            return self.all.sync();
        }
        Err(gone())
    }

    fn all_path(&self, subject: &Subject) -> std::path::PathBuf {
        self.all.path().join(subject.as_str())
    }
}

impl Mailbox {
    /// Delivers a message. It is synced, but the way to it is not: see [`Mail::sync`].
    pub fn deliver(&self, headers: &str, body: &[u8]) -> Result<Delivery, MailError> {
        let (Some(tmp), Some(new)) = (&self.tmp, &self.new) else { return Ok(Delivery::Gone) };
        let unique = unique_name();
        let Some(mut file) = tmp.create(&unique)? else { return Ok(Delivery::Gone) };
        // Whoever finds it locked knows that somebody is at it.
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(Delivery::Gone);
        }
        let written =
            file.write_all(headers.as_bytes()).and_then(|()| file.write_all(body)).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // What is left of it is of no use; that it could not be removed changes nothing about the error.
            let _ = tmp.remove(&unique);
            return Err(MailError::new("write", &tmp.path().join(&unique), error));
        }
        // Named when it is delivered and not when it was begun: a long message comes after the short one that overtook
        // it. The mailbox's own time is the number of the last delivery, so that a clock that is set back misorders
        // nothing.
        let number = wall_ns().max(self.folder.modified_ns()?.saturating_add(1));
        let name = format!("{number:020}.{unique}");
        if !tmp.rename(&unique, new, &name)? {
            return Ok(Delivery::Gone);
        }
        Ok(Delivery::Done(name))
    }

    /// Remembers a delivery's number: later ones get a higher one.
    pub fn delivered(&self, name: &str) -> Result<(), MailError> {
        let number = number(name);
        if self.folder.modified_ns()? < number { self.folder.set_modified_ns(number) } else { Ok(()) }
    }

    /// Deletes what deliveries left in `tmp` that were killed. One that is still at it begins again.
    pub fn tidy(&self) -> Result<(), MailError> {
        let Some(tmp) = &self.tmp else { return Ok(()) };
        for name in tmp.names()? {
            if claim(tmp, &name)?.is_some() {
                tmp.remove(&name)?;
            }
        }
        Ok(())
    }

    fn has_messages(&self) -> Result<bool, MailError> {
        for part in [&self.new, &self.cur].into_iter().flatten() {
            if !part.names()?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves what nobody took, and says what that was.
    fn move_new(&self, to: &Folder) -> Result<Vec<String>, MailError> {
        let Some(new) = &self.new else { return Ok(Vec::new()) };
        let names = new.names()?;
        for name in &names {
            new.rename(name, to, name)?;
        }
        Ok(names)
    }

    /// Moves what was taken and not done, and says what that was. What somebody is at is left: they delete it where it is.
    fn move_taken(&self, to: &Folder) -> Result<Vec<String>, MailError> {
        let Some(cur) = &self.cur else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for name in cur.names()? {
            if let Some(_lock) = claim(cur, &name)? {
                cur.rename(&name, to, &name)?;
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Removes the parts if no message is in them. `false`: something is in one.
    fn remove_parts(&self) -> Result<bool, MailError> {
        for name in self.tmp.as_ref().map_or(Ok(Vec::new()), Folder::names)? {
            self.tmp.as_ref().map(|tmp| tmp.remove(&name)).transpose()?;
        }
        let mut empty = true;
        for name in ["tmp", "new", "cur"] {
            empty &= self.folder.remove_folder(name)?;
        }
        Ok(empty)
    }
}

/// Takes a file for oneself, for as long as what is returned is kept. `None`: somebody has it, or it is gone, or it is no
/// regular file.
pub(super) fn claim(folder: &Folder, name: &str) -> Result<Option<File>, MailError> {
    let Some(file) = folder.open(name)? else { return Ok(None) };
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(None);
    }
    let failed = |error| MailError::new("look at", &folder.path().join(name), error);
    let stat = rustix::fs::fstat(&file).map_err(failed)?;
    // Whoever had it before may have deleted it.
    Ok((stat.st_nlink > 0).then_some(file))
}

/// A name that no other delivery has.
fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // The time tells processes of the same number apart, that ran after each other or in other containers.
    format!("{}-{count}-{}", std::process::id(), wall_ns())
}

/// The number of a delivery; zero if the name is not one that was given here.
fn number(name: &str) -> i64 {
    name.split_once('.').and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}
