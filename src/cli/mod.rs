//! The command line: one file a command.
//!
//! Commands that only read open the registry read-only and take no lock. Those that write ask the daemon, and without
//! one do it themselves under the lock. Nothing but the answer goes to stdout.

mod access;
mod agent;
mod check;
mod completions;
mod deny;
mod discover;
mod doctor;
mod error;
mod events;
mod exit;
mod explain;
mod fields;
mod flags;
mod heartbeat;
mod import;
mod inbox;
mod list;
mod local;
mod log_level;
mod man;
mod open;
mod out;
mod plan;
mod reconcile;
mod register;
mod relocate;
mod roots;
mod run;
mod send;
mod show;
mod status;
mod sync;
mod systems;
mod top;
mod unregister;
mod update;

use clap::{Parser, Subcommand};

pub use error::CliError;
pub use exit::Exit;

use crate::agent::Moment;
use crate::clock::{Clock, SystemClock};
use crate::config::{Given, RelayKind, Settings};
use crate::registry::{Reader, RegistryError};
use crate::relay::local::Post;
use crate::report::Reach;
use crate::telemetry::{Level, Log, Writing};
use flags::Global;
use out::Out;

/// Keeps the registry of AI agents on a machine true to the manifests on its disk.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Settings may also come from the environment (MESHD_STATE_DIR, MESHD_ROOTS, …) and from the \
    configuration file; flags come first.\n\nExit status: 0 done, 1 failed, or what was asked about is not well (check, \
    doctor, sync, access), 2 wrong usage, 69 a daemon is needed and none is running, 75 another process holds the registry, \
    78 bad configuration, or a registry of a newer meshd.";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Status(status::Status),
    List(list::List),
    Show(show::Show),
    Explain(explain::Explain),
    Reconcile(reconcile::Reconcile),
    Roots(roots::Roots),
    Events(events::Events),
    Doctor(doctor::Doctor),
    Top(top::Top),
    Register(Box<register::Register>),
    Update(Box<update::Update>),
    Unregister(unregister::Unregister),
    Sync(sync::Sync),
    Deny(deny::Deny),
    Allow(deny::Allow),
    Denied(deny::Denied),
    Relocate(relocate::Relocate),
    Heartbeat(heartbeat::Heartbeat),
    Discover(discover::Discover),
    Import(import::Import),
    Send(send::Send),
    Inbox(inbox::Inbox),
    Access(access::Access),
    LogLevel(log_level::LogLevel),
    Open(open::Open),
    Check(check::Check),
    Completions(completions::Completions),
    Man(man::Man),
}

/// How an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What every command has to go by.
struct Context {
    settings: Settings,
    form: Form,
    now: Moment,
    out: Out,
}

impl Cli {
    /// Does what the command line says.
    pub fn run(&self) -> Result<Exit, CliError> {
        match &self.command {
            Command::Run(run) => {
                let resolve = || self.resolve(run.given());
                run::run(&resolve)
            }
            Command::Status(command) => self.answer(Given::default(), |context| status::run(command, context)),
            Command::List(command) => self.answer(Given::default(), |context| list::run(command, context)),
            Command::Show(command) => self.answer(Given::default(), |context| show::run(command, context)),
            Command::Explain(command) => self.answer(Given::default(), |context| explain::run(command, context)),
            Command::Reconcile(command) => self.answer(command.given(), |context| reconcile::run(command, context)),
            Command::Roots(command) => self.answer(Given::default(), |context| roots::run(command, context)),
            Command::Events(command) => self.answer(Given::default(), |context| events::run(command, context)),
            // What is wrong with the settings is for it to tell.
            Command::Doctor(_) => doctor::run(&self.global.given(), self.global.form()),
            // A line of the log would be written across the screen.
            Command::Top(_) => top::run(self.resolve(Given::default())?, self.global.form()),
            Command::Register(command) => self.answer(Given::default(), |context| register::run(command, context)),
            Command::Update(command) => self.answer(Given::default(), |context| update::run(command, context)),
            Command::Unregister(command) => self.answer(Given::default(), |context| unregister::run(command, context)),
            Command::Sync(command) => self.answer(Given::default(), |context| sync::run(command, context)),
            Command::Deny(command) => self.answer(Given::default(), |context| deny::deny(command, context)),
            Command::Allow(command) => self.answer(Given::default(), |context| deny::allow(command, context)),
            Command::Denied(command) => self.answer(Given::default(), |context| deny::denied(command, context)),
            Command::Relocate(command) => self.answer(Given::default(), |context| relocate::run(command, context)),
            Command::Heartbeat(command) => self.answer(Given::default(), |context| heartbeat::run(command, context)),
            Command::Discover(command) => self.answer(Given::default(), |context| discover::run(command, context)),
            Command::Import(command) => self.answer(Given::default(), |context| import::run(command, context)),
            Command::Send(command) => self.answer(Given::default(), |context| send::run(command, context)),
            Command::Inbox(command) => self.answer(Given::default(), |context| inbox::run(command, context)),
            Command::Access(command) => self.answer(Given::default(), |context| access::run(command, context)),
            Command::LogLevel(command) => self.answer(Given::default(), |context| log_level::run(command, context)),
            Command::Open(command) => self.answer(Given::default(), |context| open::run(command, context)),
            Command::Check(command) => self.answer(Given::default(), |context| check::run(command, context)),
            Command::Completions(command) => completions::run(command, &mut Out::new()),
            Command::Man(command) => man::run(command, &mut Out::new()),
        }
    }

    fn resolve(&self, given: Given) -> Result<Settings, CliError> {
        let flags = given.over(self.global.given());
        Ok(Settings::resolve(flags, &|variable| std::env::var_os(variable))?)
    }

    /// Runs a command that answers and ends.
    fn answer(&self, given: Given, run: impl FnOnce(&mut Context) -> Result<Exit, CliError>) -> Result<Exit, CliError> {
        let settings = self.resolve(given)?;
        // Only what a person should know: the answer says what was done.
        Log::start(settings.log_level.unwrap_or(Level::Warn), settings.log_format, Writing::AtOnce)?;
        let mut context =
            Context { settings, form: self.global.form(), now: SystemClock::new().now(), out: Out::new() };
        let exit = run(&mut context).map_err(|error| systems::pointed_to(error, &context.settings))?;
        context.out.flush()?;
        Ok(exit)
    }
}

impl Context {
    /// The registry, to be read.
    fn registry(&self) -> Result<Reader, CliError> {
        Reader::open(&self.settings.registry()).map_err(|error| {
            if matches!(error, RegistryError::Missing(_)) {
                CliError::NoRegistry(error)
            } else {
                CliError::Registry(error)
            }
        })
    }

    /// What the relay has.
    fn reach(&self) -> Result<Reach, CliError> {
        match self.settings.relay {
            RelayKind::None => Ok(Reach::NoRelay),
            RelayKind::Local => Ok(Reach::look(&self.settings.state_dir)?),
        }
    }

    /// The mailboxes.
    fn post(&self) -> Result<Post, CliError> {
        Ok(Post::open(&self.settings.state_dir)?)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
