//! `meshd relocate --accept`: a contested id belongs to another project now.

use std::path::PathBuf;

use clap::Args;

use super::register::absolute;
use super::{CliError, Context, Exit, Form, local};
use crate::agent::{AgentId, Shown};

/// Say that a contested id belongs to another project now, without waiting for its own
#[derive(Debug, Args)]
pub struct Relocate {
    /// That this is meant: the id's own project loses it
    #[arg(long, required = true)]
    accept: bool,
    /// The agent's id
    #[arg(value_name = "ID")]
    id: AgentId,
    /// The project that carries the id
    #[arg(value_name = "PATH")]
    project: PathBuf,
}

pub fn run(command: &Relocate, context: &mut Context) -> Result<Exit, CliError> {
    let (id, project) = (&command.id, absolute(&command.project));
    local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.relocate(id, &project)?),
        |core| Ok(core.relocate(id.clone(), project.clone())?),
    )?;
    match context.form {
        Form::Json => {
            let mut object = serde_json::Map::new();
            object.insert("id".to_owned(), id.to_string().into());
            crate::report::put_path(&mut object, "projectPath", &project);
            context.out.json(&object)?;
        }
        Form::Text => context.out.line(format_args!("relocated {id} {}", Shown::path(&project)))?,
    }
    Ok(Exit::Done)
}
