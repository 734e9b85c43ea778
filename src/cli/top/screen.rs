//! The terminal as this program wants it, and how it is given back: when the program ends, panics or is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, disable_raw_mode, enable_raw_mode};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::low_level::emulate_default_handler;

use crate::cli::Exit;

/// How long the loop has to end once it was told to.
const TIME_TO_END: Duration = Duration::from_secs(1);

/// What signals ask for.
pub struct Signals {
    ended: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
    continued: Arc<AtomicBool>,
}

impl Signals {
    /// Hears them from now on.
    ///
    /// # Errors
    /// The system refuses a handler or a thread.
    pub fn hear() -> std::io::Result<Self> {
        let signals = Self { ended: Arc::default(), stopped: Arc::default(), continued: Arc::default() };
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
            signal_hook::flag::register(signal, Arc::clone(&signals.ended))?;
        }
        signal_hook::flag::register(SIGTSTP, Arc::clone(&signals.stopped))?;
        signal_hook::flag::register(SIGCONT, Arc::clone(&signals.continued))?;
        end_even_if_stuck(&signals.ended)?;
        Ok(signals)
    }

    /// Whether this program is to end.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Stops this program as SIGTSTP would, where a shell can have it go on.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

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

/// The terminal, taken. It is given back when this is dropped, and by a panic.
pub struct Screen {
    pub terminal: DefaultTerminal,
    is_given_back: bool,
}

impl Screen {
    pub fn take() -> std::io::Result<Self> {
        Ok(Self { terminal: ratatui::try_init()?, is_given_back: false })
    }

    /// Notes that a panic of another thread gave the terminal back.
    pub fn lose(&mut self) {
        self.is_given_back = true;
    }

    /// Stops this program if it is to, with the terminal given back. Says whether the terminal was taken again, and so has
    /// nothing on it any more.
    pub fn heed(&mut self, signals: &Signals) -> std::io::Result<bool> {
        if signals.stopped.swap(false, Ordering::Relaxed) && has_shell() {
            self.terminal.show_cursor()?;
            ratatui::try_restore()?;
            emulate_default_handler(SIGTSTP)?;
            signals.continued.store(true, Ordering::Relaxed);
        }
        // After SIGSTOP, too, for which nobody can give back anything.
        let is_back = signals.continued.swap(false, Ordering::Relaxed);
        if is_back {
            // The shell had the terminal meanwhile, and set its modes.
            disable_raw_mode()?;
            enable_raw_mode()?;
            execute!(std::io::stdout(), EnterAlternateScreen)?;
            self.terminal.clear()?;
        }
        Ok(is_back)
    }
}

/// Whether somebody is there who could have this program go on. A terminal that was opened for it alone has no shell: it would
/// stand still for ever.
fn has_shell() -> bool {
    rustix::process::getsid(None).is_ok_and(|session| session != rustix::process::getpgrp())
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Giving it back twice would put the cursor above what a panic said.
        if !self.is_given_back && !std::thread::panicking() {
            // A terminal that is gone cannot be given back.
            let _ = ratatui::try_restore();
        }
    }
}
