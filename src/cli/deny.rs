//! `meshd deny`, `allow` and `denied`: paths at and below which nothing is ever registered.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::register::absolute;
use super::{CliError, Context, Exit, Form, local};
use crate::agent::Shown;
use crate::registry::Denial;
use crate::report::{DenialReport, put_path};

/// Never register this path or anything below it; who is registered there goes with the next sweep
#[derive(Debug, Args)]
pub struct Deny {
    /// The path
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Take a denial back
#[derive(Debug, Args)]
pub struct Allow {
    /// The path, as `meshd denied` gives it
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// List the denied paths
#[derive(Debug, Args)]
pub struct Denied {}

pub fn deny(command: &Deny, context: &mut Context) -> Result<Exit, CliError> {
    let (path, denier) = (absolute(&command.path), denier());
    let reason = command.reason.as_deref();
    local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.deny(&path, reason, denier.as_deref())?),
        |core| Ok(core.deny(path.clone(), reason.map(str::to_owned), denier.clone())?),
    )?;
    tell("denied", &path, context)
}

pub fn allow(command: &Allow, context: &mut Context) -> Result<Exit, CliError> {
    let path = absolute(&command.path);
    let was_denied = local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.allow(&path)?),
        |core| Ok(core.allow(path.clone())?),
    )?;
    if !was_denied {
        return Err(CliError::NotDenied(path));
    }
    tell("allowed", &path, context)
}

pub fn denied(_: &Denied, context: &mut Context) -> Result<Exit, CliError> {
    let denials = context.registry()?.list_denials()?;
    match context.form {
        Form::Json => {
            let denials: Vec<DenialReport> = denials.into_iter().map(DenialReport::from).collect();
            context.out.json(&json!({ "denied": denials }))?;
        }
        Form::Text => context.out.table(&denials.iter().map(cells).collect::<Vec<_>>())?,
    }
    Ok(Exit::Done)
}

/// Who denies: the name of this user, as far as the environment says it.
pub fn denier() -> Option<String> {
    std::env::var("USER").ok().filter(|user| !user.is_empty())
}

fn tell(what: &str, path: &Path, context: &mut Context) -> Result<Exit, CliError> {
    match context.form {
        Form::Json => {
            let mut object = Map::new();
            put_path(&mut object, what, path);
            context.out.json(&Value::Object(object))?;
        }
        Form::Text => context.out.line(format_args!("{what} {}", Shown::path(path)))?,
    }
    Ok(Exit::Done)
}

fn cells(denial: &Denial) -> [String; 4] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let path = Shown::path(&denial.path).to_string();
    [path, denial.created_at.clone(), text(&denial.denier), text(&denial.reason)]
}
