//! `meshd register`: makes an agent of a project.

use std::path::PathBuf;

use clap::Args;

use super::fields::{Fields, runtime};
use super::{CliError, Context, Exit, Form, local};
use crate::agent::{Agent, Shown};
use crate::config::canonical;
use crate::engine::{Outside, Strictness};
use crate::registration::{self, Existing};
use crate::report::AgentReport;

/// Make an agent of a project: write its manifest, record it, and let others reach it; all of it or nothing
#[derive(Debug, Args)]
pub struct Register {
    /// The project's directory
    #[arg(value_name = "PATH")]
    project: PathBuf,
    /// What it is called
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it runs on
    #[arg(long, value_name = "RUNTIME", value_parser = runtime())]
    runtime: String,
    #[command(flatten)]
    fields: Fields,
    /// Who registers it
    #[arg(long, value_name = "WHO", default_value = "meshd")]
    registered_by: String,
    /// Replace a manifest that is there, and the agent with it
    #[arg(long)]
    replace: bool,
    /// Register a project that is under no scan root: it becomes one that holds only itself
    #[arg(long)]
    outside: bool,
    /// Register it although the relay fails: others reach it once the relay answers again
    #[arg(long)]
    allow_pending: bool,
}

pub fn run(command: &Register, context: &mut Context) -> Result<Exit, CliError> {
    let mut fields = serde_json::Map::new();
    fields.insert("name".to_owned(), command.name.clone().into());
    fields.insert("runtime".to_owned(), command.runtime.clone().into());
    fields.extend(command.fields.given());
    let request = registration::Register {
        registered_by: command.registered_by.clone(),
        existing: if command.replace { Existing::Replace } else { Existing::Refuse },
        outside: if command.outside { Outside::Accept } else { Outside::Refuse },
        strictness: strictness(command.allow_pending),
        ..registration::Register::new(fields)
    };
    let project = absolute(&command.project);
    let registered = register(&project, &request, context)?;
    print("registered", &registered, context)
}

/// Registers a project through the daemon, or here.
pub fn register(
    project: &std::path::Path,
    request: &registration::Register,
    context: &Context,
) -> Result<Agent, CliError> {
    let now = context.now.clone();
    local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(registration::register(daemon, project, request, &now)?),
        |core| Ok(registration::register(core, project, request, &now)?),
    )
}

/// Prints an agent as it is recorded now.
pub fn print(what: &str, registered: &Agent, context: &mut Context) -> Result<Exit, CliError> {
    match context.form {
        Form::Json => {
            let record = context.registry()?.get(registered.id())?;
            let unknown = || CliError::NoSuchAgent(registered.id().to_string());
            let answer = AgentReport::of(&record.ok_or_else(unknown)?, &context.reach()?, &context.now);
            context.out.json(&answer)?;
        }
        Form::Text => {
            let (id, name) = (registered.id(), &registered.manifest.name);
            context.out.line(format_args!("{what} {id} {name} {}", Shown::path(&registered.project)))?;
        }
    }
    Ok(Exit::Done)
}

/// What a relay's failure means.
pub fn strictness(allow_pending: bool) -> Strictness {
    if allow_pending { Strictness::AllowPending } else { Strictness::Strict }
}

/// The one spelling of a path that was given.
pub fn absolute(path: &std::path::Path) -> PathBuf {
    canonical(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}
