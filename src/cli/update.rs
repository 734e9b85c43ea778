//! `meshd update`: changes some keys of an agent's manifest.

use clap::Args;
use serde_json::{Map, Value, json};

use super::agent::Which;
use super::fields::{Fields, runtime};
use super::register::strictness;
use super::{CliError, Context, Exit, Form, local};
use crate::registration::{self, Updated};

/// Change some keys of an agent's manifest; all others stay as they are
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    which: Which,
    /// What it is called
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What it runs on
    #[arg(long, value_name = "RUNTIME", value_parser = runtime())]
    runtime: Option<String>,
    #[command(flatten)]
    fields: Fields,
    /// Take a key out, such as `displayName`; may be given often
    #[arg(long = "clear", value_name = "KEY")]
    cleared: Vec<String>,
    /// Change it although the relay fails
    #[arg(long)]
    allow_pending: bool,
}

pub fn run(command: &Update, context: &mut Context) -> Result<Exit, CliError> {
    let mut patch = command.fields.given();
    let named = [("name", &command.name), ("runtime", &command.runtime)];
    patch.extend(named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?.into()))));
    patch.extend(command.cleared.iter().map(|key| (key.clone(), Value::Null)));
    if patch.is_empty() {
        return Err(CliError::NothingToDo("name at least one key to change"));
    }
    let (id, updated) = update(command, &patch, context)?;
    let changed = updated == Updated::Changed;
    match context.form {
        Form::Json => context.out.json(&json!({ "id": id, "changed": changed }))?,
        Form::Text if changed => context.out.line(format_args!("updated {id}"))?,
        Form::Text => context.out.line(format_args!("{id} says so already"))?,
    }
    Ok(Exit::Done)
}

fn update(
    command: &Update,
    patch: &Map<String, Value>,
    context: &Context,
) -> Result<(crate::agent::AgentId, Updated), CliError> {
    let target = command.which.target(&context.registry()?)?;
    let strictness = strictness(command.allow_pending);
    local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(registration::update(daemon, target.clone(), patch, strictness)?),
        |core| Ok(registration::update(core, target.clone(), patch, strictness)?),
    )
}
