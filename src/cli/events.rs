//! `meshd events`: what happened, one JSON object a line, in the order of its numbers and without gaps.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{CliError, Context, Exit};
use crate::registry::{Reader, RegistryError};
use crate::report::EventReport;

/// Print what happened, one JSON object a line
#[derive(Debug, Args)]
pub struct Events {
    /// Go on printing what happens, until interrupted
    #[arg(long)]
    follow: bool,
    /// Begin after the event with this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
}

/// Events that are read at once: a bounded piece of a log that may have a hundred thousand.
const AT_ONCE: usize = 1_000;

/// How often the registry is asked whether it changed. Asking is one read of shared memory.
const ASK_EVERY: Duration = Duration::from_millis(100);

pub fn run(command: &Events, context: &mut Context) -> Result<Exit, CliError> {
    let file = context.settings.registry();
    let mut after = command.after;
    if !command.follow {
        print_after(&context.registry()?, &mut after, context)?;
        return Ok(Exit::Done);
    }
    loop {
        if let Some(registry) = opened(&file)? {
            follow(&registry, &file, &mut after, context)?;
            // What comes now is another registry: one that was lost and rebuilt counts from one again.
            after = 0;
        }
        wait()?;
    }
}

/// Prints what is new until the file is another one.
fn follow(registry: &Reader, file: &Path, after: &mut u64, context: &mut Context) -> Result<(), CliError> {
    let mut seen = None;
    while registry.is_same_file(file) {
        let version = registry.data_version()?;
        if seen != Some(version) {
            print_after(registry, after, context)?;
            context.out.flush()?;
            seen = Some(version);
        }
        wait()?;
    }
    Ok(())
}

fn print_after(registry: &Reader, after: &mut u64, context: &mut Context) -> Result<(), CliError> {
    loop {
        let events = registry.events_after(*after, AT_ONCE)?;
        let is_last = events.len() < AT_ONCE;
        for event in events {
            *after = event.seq;
            context.out.json_line(&EventReport::from(event))?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// The registry, if there is one; somebody who follows waits for it.
fn opened(file: &Path) -> Result<Option<Reader>, CliError> {
    match Reader::open(file) {
        Ok(registry) => Ok(Some(registry)),
        Err(RegistryError::Missing(_) | RegistryError::Older { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Waits, and notices a reader of stdout that went away, to whom nothing may be written for hours.
fn wait() -> Result<(), CliError> {
    let stdout = std::io::stdout();
    let mut stdout = [PollFd::new(&stdout, PollFlags::empty())];
    let wait = Timespec::try_from(ASK_EVERY).ok();
    match poll(&mut stdout, wait.as_ref()) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(()),
        Ok(_) => Err(CliError::Output(std::io::ErrorKind::BrokenPipe.into())),
        Err(error) => Err(CliError::Output(error.into())),
    }
}
