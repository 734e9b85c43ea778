//! `meshd show`: one agent.

use clap::Args;

use super::agent::{self, Which};
use super::{CliError, Context, Exit, Form};
use crate::report::AgentReport;

/// Show one agent
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    which: Which,
}

pub fn run(command: &Show, context: &mut Context) -> Result<Exit, CliError> {
    let record = command.which.record(&context.registry()?)?.ok_or_else(|| command.which.unknown())?;
    match context.form {
        Form::Json => {
            let reach = context.reach()?;
            context.out.json(&AgentReport::of(&record, &reach, &context.now))?;
        }
        Form::Text => agent::text(&record, context)?,
    }
    Ok(Exit::Done)
}
