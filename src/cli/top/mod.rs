//! `meshd top`: a terminal view that stays open. What is there is [`state`], how it looks is [`view`], where it comes from is
//! [`source`], and the terminal is [`screen`]; here is the loop that brings them together.
//!
//! The loop waits for keys and for what the source tells, and draws. It never reads a file: what takes long happens on the
//! source's threads.

mod line;
mod screen;
mod source;
mod state;
mod view;

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{CliError, Exit, Form};
use crate::clock::{monotonic, wall_ns};
use crate::config::Settings;
use screen::{Screen, Signals};
use source::Source;
use state::{Ask, State};
use view::Look;

/// Watch agents, events and roots in the terminal, live; `?` says which keys there are
#[derive(Debug, Args)]
pub struct Top {}

/// How long a key is waited for before what the source told is looked at.
const WAIT: Duration = Duration::from_millis(100);

/// How often the screen is drawn when nothing happens: ages go on.
const DRAW_EVERY: Duration = Duration::from_secs(1);

pub fn run(settings: Settings, form: Form) -> Result<Exit, CliError> {
    if form == Form::Json {
        return Err(CliError::NothingToDo(
            "`top` draws on a terminal: for programs there are `status` and `events --follow`",
        ));
    }
    if !std::io::stdout().is_terminal() {
        return Err(CliError::NothingToDo(
            "`top` draws on a terminal, and stdout is none: there are `meshd status` and `meshd events --follow`",
        ));
    }
    let look =
        if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) { Look::Plain } else { Look::Colour };
    // Before the screen is taken: a signal then ends the loop, and the screen is given back.
    let signals = Signals::hear().map_err(CliError::Output)?;
    let source = Source::start(settings).map_err(CliError::Output)?;
    let mut screen = Screen::take().map_err(CliError::Output)?;
    watch(&mut screen, &source, &signals, look).map_err(CliError::Output)?;
    Ok(Exit::Done)
}

fn watch(screen: &mut Screen, source: &Source, signals: &Signals, look: Look) -> std::io::Result<()> {
    let mut state = State::default();
    let mut drawn = None;
    while !signals.is_ended() {
        if !source.goes_on() {
            screen.lose();
            return Err(std::io::Error::other("the thread that tells it panicked"));
        }
        let mut is_new = screen.heed(signals)?;
        while let Some(told) = source.next() {
            is_new = true;
            if let Some(Ask::Explain(agent)) = state.tell(told) {
                source.explain(agent);
            }
        }
        if is_new || drawn.is_none_or(|drawn| monotonic().saturating_duration_since(drawn) >= DRAW_EVERY) {
            state.now_ms = wall_ns() / 1_000_000;
            screen.terminal.draw(|frame| view::draw(frame, &mut state, look))?;
            drawn = Some(monotonic());
        }
        wait_for_keys()?;
        // What was typed ahead is taken in before anything is drawn.
        while event::poll(Duration::ZERO)? {
            drawn = None;
            let Event::Key(key) = event::read()? else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match state.press(key) {
                Some(Ask::Quit) => return Ok(()),
                Some(Ask::Stop) => signals.stop(),
                Some(Ask::Explain(agent)) => source.explain(agent),
                None => {}
            }
        }
    }
    Ok(())
}

/// Waits until there may be a key, or the size changed, or for a moment. A terminal that is gone is an error: crossterm
/// would read it for ever.
fn wait_for_keys() -> std::io::Result<()> {
    let stdout = std::io::stdout();
    let mut terminal = [PollFd::new(&stdout, PollFlags::IN)];
    let wait = Timespec::try_from(WAIT).ok();
    match poll(&mut terminal, wait.as_ref()) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(()),
        Ok(_) if terminal.iter().any(|it| it.revents().intersects(PollFlags::HUP | PollFlags::ERR)) => {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
