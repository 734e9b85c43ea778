//! `meshd heartbeat`: an agent was heard of.

use clap::Args;

use super::agent::Which;
use super::{CliError, Context, Exit, local};
use crate::engine::Target;

/// Say that an agent was heard of just now
#[derive(Debug, Args)]
pub struct Heartbeat {
    #[command(flatten)]
    which: Which,
    /// What it was seen to do
    #[arg(value_name = "EVENT", default_value = "heartbeat")]
    event: String,
}

pub fn run(command: &Heartbeat, context: &mut Context) -> Result<Exit, CliError> {
    let registry = context.registry()?;
    let id = match command.which.target(&registry)? {
        Target::Agent(id) => id,
        Target::Project(_) => return Err(command.which.unknown()),
    };
    local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.heartbeat(&id, &command.event)?),
        |core| Ok(core.heartbeat(id.clone(), command.event.clone())?),
    )?;
    Ok(Exit::Done)
}
