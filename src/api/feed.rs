//! The feed of events: read from the registry once, for all who listen.
//!
//! A thread sleeps until the engine committed something, reads what is new, and hands it to everybody. It never waits for
//! anybody: who is more than [`KEPT`] events behind has lost the thread, and is cut off.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use hyper::body::Bytes;
use tokio::sync::broadcast;

use crate::registry::{Reader, RegistryError, StoredEvent};
use crate::report::EventReport;

/// How many events somebody may be behind: some hundred kilobytes, shared by all.
const KEPT: usize = 1_024;

/// Events that are read at once.
const AT_ONCE: usize = 256;

/// Events of the past that are read at once for one reader: each of a thousand may hold a piece.
const PIECE: usize = 64;

/// How long after a registry that could not be read it is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Something that everybody is told.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// The event's number; where the past is gone, that of the last one.
    pub seq: u64,
    /// Whether it says that the past is gone.
    pub is_resync: bool,
    /// As it is sent.
    pub frame: Bytes,
}

/// Where events are listened to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    sender: broadcast::Sender<Told>,
}

/// What came before, for somebody who comes back.
#[derive(Debug)]
pub(super) enum Past {
    /// What follows the event that they heard last; nothing if that was the last one.
    Events(Vec<Told>),
    /// That one is not known any more, or not yet: this is the number of the last one.
    Gone(u64),
}

impl Feed {
    /// Starts the thread that feeds from the registry in `file`, which is open, whenever `committed` is rung. What comes
    /// from now on is told.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(file: PathBuf, committed: Receiver<()>) -> std::io::Result<Self> {
        let sender = broadcast::Sender::new(KEPT);
        let feed = Self { sender: sender.clone() };
        // One that cannot be read now is another one than whatever is read later.
        let known = Known::open(&file).ok();
        std::thread::Builder::new().name("events".to_owned()).spawn(move || run(&file, known, &committed, &sender))?;
        Ok(feed)
    }

    /// Everything that is told from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Told> {
        self.sender.subscribe()
    }
}

/// What follows the event with this number, a piece of it.
pub(super) fn past(registry: &Reader, after: u64) -> Result<Past, RegistryError> {
    let last = registry.last_seq()?;
    if after > last {
        return Ok(Past::Gone(last));
    }
    let events = registry.events_after(after, PIECE)?;
    // They are numbered without gaps: another one than the next means that those between were dropped.
    if events.first().is_some_and(|first| first.seq > after.saturating_add(1)) {
        return Ok(Past::Gone(last));
    }
    Ok(Past::Events(events.into_iter().map(Told::of).collect()))
}

/// That the past is gone, and everything is to be loaded anew.
pub(super) fn resync(last: u64) -> Told {
    let frame = format!("id: {last}\nevent: resync\ndata: {{\"lastEvent\":{last}}}\n\n");
    Told { seq: last, is_resync: true, frame: Bytes::from(frame) }
}

impl Told {
    fn of(event: StoredEvent) -> Self {
        let report = EventReport::from(event);
        let mut frame = format!("id: {}\nevent: {}\ndata: ", report.seq, report.event);
        // JSON has its newlines escaped, and writing into a string does not fail.
        let _ = writeln!(frame, "{}\n", serde_json::to_string(&report).unwrap_or_default());
        Self { seq: report.seq, is_resync: false, frame: Bytes::from(frame) }
    }
}

/// A registry, and the number of the last event that was told of it.
struct Known {
    registry: Reader,
    after: u64,
}

impl Known {
    /// As it is now, with everything told.
    fn open(file: &Path) -> Result<Self, RegistryError> {
        let registry = Reader::beside(file)?;
        let after = registry.last_seq()?;
        Ok(Self { registry, after })
    }
}

fn run(file: &Path, mut known: Option<Known>, committed: &Receiver<()>, sender: &broadcast::Sender<Told>) {
    while committed.recv().is_ok() {
        // Tried again whether or not more is committed: what was cannot wait for what comes.
        while let Err(error) = tell(file, &mut known, sender) {
            tracing::debug!("the events cannot be read, trying again: {error}");
            if committed.recv_timeout(TRY_AGAIN) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }
}

/// Tells what is new.
fn tell(file: &Path, known: &mut Option<Known>, sender: &broadcast::Sender<Told>) -> Result<(), RegistryError> {
    let known = match known {
        Some(known) if known.registry.is_same_file(file) => known,
        other => {
            // Another registry than before, whose events count anew.
            let known = other.insert(Known::open(file)?);
            let _ = sender.send(resync(known.after));
            known
        }
    };
    // Looked at before it is looked whether anybody listens: who begins to listen in between reads the past itself.
    let last = known.registry.last_seq()?;
    if sender.receiver_count() == 0 {
        known.after = last;
        return Ok(());
    }
    loop {
        let events = known.registry.events_after(known.after, AT_ONCE)?;
        let Some(newest) = events.last() else { return Ok(()) };
        known.after = newest.seq;
        for event in events {
            let _ = sender.send(Told::of(event));
        }
    }
}
