//! Where the log goes: to stderr as text or JSON lines, or to the journal with fields.
//!
//! A field is the same word everywhere: `agent_id`, `project_path`, `scan_root`, `reason`, `why`, `event`, `message_id`.
//! The journal has them in capitals: `AGENT_ID`, `PROJECT_PATH`, `SCAN_ROOT`, `REASON`, `WHY`, `EVENT` and `MESSAGE_ID`.

use std::io::{IsTerminal, Write};
use std::os::linux::fs::MetadataExt;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use super::journal::{self, Journal};
use super::lines::{Lines, Sink, Writing};
use super::{Format, Level};
use crate::agent::Shown;

/// The fields that programs search by. The message says the same to people already.
const IN_MESSAGE: [&str; 7] = ["event", "message_id", "agent_id", "project_path", "scan_root", "reason", "why"];

/// The log, running: lets its level be changed.
#[derive(Clone)]
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    lines: Lines,
}

/// How long an ending daemon waits for whoever reads its log.
const TIME_TO_READ: Duration = Duration::from_millis(500);

/// The log cannot be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The journal was asked for and does not answer.
    #[error("no journal to log to: `--log-format text` or `json` needs none")]
    NoJournal(#[source] std::io::Error),
    /// The system refuses a thread.
    #[error("cannot start a thread for the log")]
    Thread(#[source] std::io::Error),
    /// It is running already: a bug.
    #[error("the log is running already")]
    Running,
}

impl Log {
    /// Begins to log. Without a `format` that is the journal where stderr goes there anyway, else text.
    pub fn start(level: Level, format: Option<Format>, writing: Writing) -> Result<Self, LogError> {
        let (sink, kind) = match format {
            Some(Format::Journald) => (journal::sink().map_err(LogError::NoJournal)?, Format::Journald),
            // A journal that is named but does not answer still gets the text that systemd reads from stderr.
            None if stderr_is_the_journal() => match journal::sink() {
                Ok(sink) => (sink, Format::Journald),
                Err(_) => (stderr(), Format::Text),
            },
            Some(Format::Json) => (stderr(), Format::Json),
            Some(Format::Text) | None => (stderr(), Format::Text),
        };
        let lines = Lines::start(sink, writing).map_err(LogError::Thread)?;
        let output = match kind {
            Format::Journald => Box::new(Journal::new(lines.clone())),
            Format::Json => json(lines.clone()),
            Format::Text => text(lines.clone()),
        };
        let (filter, handle) = reload::Layer::new(level.filter());
        let subscriber = tracing_subscriber::registry().with(output.with_filter(filter));
        subscriber.try_init().map_err(|_| LogError::Running)?;
        Ok(Self { level: handle, lines })
    }

    /// Waits a moment for whoever reads it: the process ends.
    pub fn finish(&self) {
        self.lines.flush(TIME_TO_READ);
    }

    /// Lines that were lost, since whoever reads was too slow.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lines.lost()
    }

    /// The level now.
    #[must_use]
    pub fn level(&self) -> Level {
        // It fails only when the subscriber is gone, and then nothing more severe than an error can be told either.
        self.level.with_current(|filter| Level::from(*filter)).unwrap_or(Level::Error)
    }

    /// Changes the level from now on.
    pub fn set_level(&self, level: Level) {
        // It fails only when the subscriber is gone, and then nothing is logged at any level.
        let _ = self.level.reload(level.filter());
    }
}

type Output = Box<dyn Layer<Registry> + Send + Sync>;

fn text(lines: Lines) -> Output {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let fields = debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{}", Shown::text(&format!("{value:?}"))),
        name if IN_MESSAGE.contains(&name) => Ok(()),
        name => write!(writer, " {name}={}", Shown::text(&format!("{value:?}"))),
    });
    let layer = fmt::layer().with_writer(move || lines.clone());
    Box::new(layer.with_ansi(colours).with_target(false).fmt_fields(fields))
}

fn json(lines: Lines) -> Output {
    let layer = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    Box::new(layer.with_writer(move || lines.clone()))
}

/// Stderr, as where lines go.
fn stderr() -> Sink {
    Box::new(|line| std::io::stderr().write_all(line))
}

/// Whether stderr is the stream that systemd gave us to the journal: `JOURNAL_STREAM` names its device and inode, and is
/// inherited by programs whose stderr goes elsewhere.
fn stderr_is_the_journal() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    // `/dev/stderr` is this process's own descriptor 2, whatever that is.
    std::fs::metadata("/dev/stderr").is_ok_and(|stderr| stream == format!("{}:{}", stderr.st_dev(), stderr.st_ino()))
}
