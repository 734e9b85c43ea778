//! Sending and taking messages: by any process, with or without a daemon, and with no lock between them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::error::PostError;
use super::mail::{Delivery, Mail, Mailbox};
use super::message::{self, MAX_BODY_BYTES};
use super::take::{Messages, Take, Taking};
use super::{FILE, now_iso, open, rows};
use crate::agent::AgentId;
use crate::relay::{Subject, Verdict, decide_access};

/// How often a delivery begins again whose mailbox was removed meanwhile. Each time the receiver's endpoint moved.
const MAX_TRIES: u32 = 10;

/// The mailboxes of one state directory. It keeps nothing open and remembers nothing.
#[derive(Debug, Clone)]
pub struct Post {
    state_dir: PathBuf,
    file: PathBuf,
}

/// A message that was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its name in the mailbox.
    pub id: String,
    /// Whose mailbox.
    pub subject: Subject,
    /// When it was sent: ISO 8601 in UTC.
    pub sent_at: String,
}

/// Whether one agent may send to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Where the sender is.
    pub from: Subject,
    /// Where the receiver is.
    pub to: Subject,
    /// Whether it may, and by which rule.
    pub verdict: Verdict,
}

impl Post {
    /// The mailboxes of a state directory.
    ///
    /// # Errors
    /// There is no `relay.db`, or it cannot be read.
    pub fn open(state_dir: &Path) -> Result<Self, PostError> {
        let post = Self { state_dir: state_dir.to_owned(), file: state_dir.join(FILE) };
        open::read(&post.file, |_| Ok(()))?;
        Ok(post)
    }

    /// Every subject at which there is an endpoint.
    pub fn subjects(&self) -> Result<HashSet<Subject>, PostError> {
        Ok(open::read(&self.file, rows::subjects)?)
    }

    /// Where an agent is reached; `None` if it has no endpoint.
    pub fn endpoint(&self, id: &AgentId) -> Result<Option<Subject>, PostError> {
        Ok(open::read(&self.file, |conn| rows::endpoint_of(conn, id))?)
    }

    /// Whether one agent may send to another, by all rules that there are.
    pub fn access(&self, from: &AgentId, to: &AgentId) -> Result<Access, PostError> {
        let (from_subject, to_subject, rules) = open::read(&self.file, |conn| {
            Ok((rows::endpoint_of(conn, from)?, rows::endpoint_of(conn, to)?, rows::all_rules(conn)?))
        })?;
        let from = from_subject.ok_or_else(|| PostError::NoEndpoint(from.clone()))?;
        let to = to_subject.ok_or_else(|| PostError::NoEndpoint(to.clone()))?;
        let verdict = decide_access(&rules, &from, &to);
        Ok(Access { from, to, verdict })
    }

    /// Sends a message. When this returns, a loss of power does not lose it.
    ///
    /// # Errors
    /// Nothing was delivered then.
    pub fn send(&self, from: &AgentId, to: &AgentId, body: &[u8]) -> Result<Delivered, PostError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(PostError::TooLarge);
        }
        for _ in 0..MAX_TRIES {
            let access = self.access(from, to)?;
            if let Verdict::Denied(rule) = access.verdict {
                return Err(PostError::Denied { from: from.clone(), to: to.clone(), rule: rule.map(Box::new) });
            }
            let sent_at = now_iso();
            let headers = message::headers(from, to, &sent_at);
            if let Delivery::Done(id) = self.deliver(to, &access.to, &headers, body)? {
                return Ok(Delivered { id, subject: access.to, sent_at });
            }
        }
        Err(PostError::Moving(to.clone()))
    }

    /// The messages in a mailbox, in the order of delivery. They are read one by one.
    pub fn messages(&self, subject: &Subject) -> Result<Messages, PostError> {
        Ok(Messages::of(self.mailbox(subject)?)?)
    }

    /// Takes the messages of a mailbox, in the order of delivery, one at a time. Of many who take at once exactly one gets
    /// each.
    pub fn take(&self, subject: &Subject, which: Take) -> Result<Taking, PostError> {
        let mut mailbox = self.mailbox(subject)?;
        if let Some(mailbox) = &mut mailbox {
            mailbox.tidy()?;
            if mailbox.cur.is_none() {
                // Somebody deleted it, and nothing can be taken without it.
                mailbox.cur = mailbox.folder.make_folder("cur")?;
            }
        }
        Ok(Taking::of(mailbox, which)?)
    }

    fn mailbox(&self, subject: &Subject) -> Result<Option<Mailbox>, PostError> {
        let Some(mail) = Mail::open(&self.state_dir)? else { return Ok(None) };
        Ok(mail.mailbox(subject)?)
    }

    fn deliver(&self, to: &AgentId, subject: &Subject, headers: &str, body: &[u8]) -> Result<Delivery, PostError> {
        let mail = Mail::make(&self.state_dir)?;
        let Some(mailbox) = mail.make_mailbox(subject)? else { return Ok(Delivery::Gone) };
        mailbox.tidy()?;
        let Delivery::Done(name) = mailbox.deliver(headers, body)? else { return Ok(Delivery::Gone) };
        let stands =
            mail.sync(&mailbox).and_then(|()| mailbox.delivered(&name)).map_err(PostError::from).and_then(|()| {
                // The endpoint's row goes before its mail is moved. Is it still there, then whoever removes it later moves
                // this message too; is it gone, then nobody may look here any more.
                Ok(open::read(&self.file, |conn| rows::is_at(conn, to, subject))?)
            });
        if matches!(stands, Ok(true)) {
            return Ok(Delivery::Done(name));
        }
        // Taken back. Is it not there any more, then it was taken, or went on with all other mail: it is delivered.
        let Some(new) = &mailbox.new else { return Ok(Delivery::Gone) };
        if !new.remove(&name)? {
            return Ok(Delivery::Done(name));
        }
        stands.map(|_| Delivery::Gone)
    }
}
