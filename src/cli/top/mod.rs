//! `meshd top`: a terminal view that stays open. What is there is [`state`], how it looks is [`view`], and where it comes
//! from is [`source`]; here is the terminal, and the loop that brings them together.
//!
//! The loop waits for keys and for what the source tells, and draws. It never reads a file: what takes long happens on the
//! source's threads.

mod line;
mod source;
mod state;
mod view;

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::terminal::disable_raw_mode;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{CliError, Exit, Form};
use crate::clock::{monotonic, wall_ns};
use crate::config::Settings;
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
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended)).map_err(CliError::Output)?;
    }
    end_even_if_stuck(&ended).map_err(CliError::Output)?;
    let source = Source::start(settings).map_err(CliError::Output)?;
    let mut screen = Screen::take().map_err(CliError::Output)?;
    watch(&mut screen.terminal, &source, &ended, look).map_err(CliError::Output)?;
    Ok(Exit::Done)
}

/// How long the loop has to end once it was told to.
const TIME_TO_END: Duration = Duration::from_secs(1);

/// Ends this program after a signal even if the loop cannot: one that is writing to a terminal that was stopped (Ctrl-S)
/// waits for ever, and crossterm reads one that is gone again and again.
fn end_even_if_stuck(ended: &Arc<AtomicBool>) -> std::io::Result<()> {
    let ended = Arc::clone(ended);
    let wait = move || {
        while !ended.load(Ordering::Relaxed) {
            std::thread::sleep(TIME_TO_END / 2);
        }
        std::thread::sleep(TIME_TO_END);
        // The modes of the terminal are the shell's again; what would be written may wait for ever, too.
        let _ = disable_raw_mode();
        std::process::exit(Exit::Failed.code().into());
    };
    std::thread::Builder::new().name("end".to_owned()).spawn(wait).map(drop)
}

/// The terminal, as this program wants it. It is given back when this is dropped, and by a panic.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn take() -> std::io::Result<Self> {
        Ok(Self { terminal: ratatui::try_init()? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone cannot be given back.
        let _ = ratatui::try_restore();
    }
}

fn watch(terminal: &mut DefaultTerminal, source: &Source, ended: &AtomicBool, look: Look) -> std::io::Result<()> {
    let mut state = State::default();
    let mut drawn = None;
    while !ended.load(Ordering::Relaxed) {
        let mut is_new = false;
        while let Some(told) = source.next() {
            is_new = true;
            if let Some(Ask::Explain(agent)) = state.tell(told) {
                source.explain(agent);
            }
        }
        if is_new || drawn.is_none_or(|drawn| monotonic().saturating_duration_since(drawn) >= DRAW_EVERY) {
            state.now_ms = wall_ns() / 1_000_000;
            terminal.draw(|frame| view::draw(frame, &mut state, look))?;
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
