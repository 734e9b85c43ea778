//! Reading and taking the messages of a mailbox.
//!
//! A message is taken in two steps: claimed, which only one can, and deleted when it has been put where it should be. Who
//! ends in between leaves it as taken, and it can be taken again.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use super::error::{MailError, PostError};
use super::folder::Folder;
use super::mail::{Mailbox, claim};
use super::message::{self, MAX_FILE_BYTES, Message, MessageState};

/// Which messages are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// Those that nobody took.
    New,
    /// Those too that somebody took who ended before they were done.
    Again,
}

/// The messages of a mailbox, one by one.
#[derive(Debug)]
pub struct Messages {
    mailbox: Option<Mailbox>,
    names: std::vec::IntoIter<(String, MessageState)>,
}

impl Messages {
    pub(super) fn of(mailbox: Option<Mailbox>) -> Result<Self, MailError> {
        let names = names(mailbox.as_ref(), Take::Again)?.into_iter();
        Ok(Self { mailbox, names })
    }
}

impl Iterator for Messages {
    type Item = Result<Message, PostError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mailbox = self.mailbox.as_ref()?;
        for (name, state) in self.names.by_ref() {
            match message_in(mailbox, name, state) {
                Ok(Some(message)) => return Some(Ok(message)),
                // Taken since it was listed, or none.
                Ok(None) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
        None
    }
}

/// Messages that are being taken.
#[derive(Debug)]
pub struct Taking {
    mailbox: Option<Arc<Mailbox>>,
    names: std::vec::IntoIter<(String, MessageState)>,
}

impl Taking {
    pub(super) fn of(mailbox: Option<Mailbox>, which: Take) -> Result<Self, MailError> {
        let names = names(mailbox.as_ref(), which)?.into_iter();
        Ok(Self { mailbox: mailbox.map(Arc::new), names })
    }
}

impl Iterator for Taking {
    type Item = Result<Taken, PostError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mailbox = self.mailbox.as_ref()?;
        for (name, state) in self.names.by_ref() {
            match take_one(mailbox, name, state) {
                Ok(Some(taken)) => return Some(Ok(taken)),
                // Somebody else was first.
                Ok(None) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
        None
    }
}

/// A message that is this one's alone. It is deleted when that is said to be [`done`](Self::done); else it stays as taken.
#[derive(Debug)]
pub struct Taken {
    message: Message,
    mailbox: Arc<Mailbox>,
    /// Tells others that somebody is at it.
    _lock: File,
}

impl Taken {
    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// It is where it should be: it is deleted here.
    pub fn done(self) -> Result<(), PostError> {
        if let Some(cur) = &self.mailbox.cur {
            cur.remove(&self.message.id)?;
        }
        Ok(())
    }
}

/// The names that are there, in the order of delivery.
fn names(mailbox: Option<&Mailbox>, which: Take) -> Result<Vec<(String, MessageState)>, MailError> {
    let Some(mailbox) = mailbox else { return Ok(Vec::new()) };
    let list = |part: Option<&Folder>, state: MessageState| -> Result<Vec<(String, MessageState)>, MailError> {
        let names = part.map_or(Ok(Vec::new()), Folder::names)?;
        Ok(names.into_iter().map(|name| (name, state)).collect())
    };
    let mut names = list(mailbox.new.as_ref(), MessageState::New)?;
    if which == Take::Again {
        // Listed last: what goes from `new` to `cur` meanwhile is in both lists and not in none.
        names.extend(list(mailbox.cur.as_ref(), MessageState::Taken)?);
    }
    names.sort();
    Ok(names)
}

fn message_in(mailbox: &Mailbox, name: String, state: MessageState) -> Result<Option<Message>, MailError> {
    let part = match state {
        MessageState::New => &mailbox.new,
        MessageState::Taken => &mailbox.cur,
    };
    let Some(folder) = part else { return Ok(None) };
    let Some(file) = folder.open(&name)? else { return Ok(None) };
    read(&file, folder, name, state).map(Some)
}

fn take_one(mailbox: &Arc<Mailbox>, name: String, state: MessageState) -> Result<Option<Taken>, MailError> {
    let (Some(new), Some(cur)) = (&mailbox.new, &mailbox.cur) else { return Ok(None) };
    let from = match state {
        MessageState::New => new,
        MessageState::Taken => cur,
    };
    let Some(lock) = claim(from, &name)? else { return Ok(None) };
    let message = read(&lock, from, name, MessageState::Taken)?;
    if state == MessageState::New && !new.rename(&message.id, cur, &message.id)? {
        return Ok(None);
    }
    Ok(Some(Taken { message, mailbox: Arc::clone(mailbox), _lock: lock }))
}

fn read(file: &File, folder: &Folder, name: String, state: MessageState) -> Result<Message, MailError> {
    let mut content = Vec::new();
    let failed = |error| MailError::new("read", &folder.path().join(&name), error);
    // One byte more shows that there is more.
    file.take(MAX_FILE_BYTES.saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
    if u64::try_from(content.len()).is_ok_and(|bytes| bytes > MAX_FILE_BYTES) {
        return Err(MailError::TooLarge(folder.path().join(&name)));
    }
    Ok(message::parse(name, state, content))
}
