//! `meshd deny`, `allow` and `denied`: paths at and below which nothing is ever registered.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::register::absolute;
use super::{CliError, Context, Exit, Form, local};
use crate::agent::Shown;
use crate::registry::{Denial, Filter, Record};
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

/// The most agents that are told to go: who denies a drive knows what is on it.
const MAX_TOLD: usize = 20;

pub fn deny(command: &Deny, context: &mut Context) -> Result<Exit, CliError> {
    let (path, denier) = (absolute(&command.path), denier());
    let reason = command.reason.as_deref();
    local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.deny(&path, reason, denier.as_deref())?),
        |core| Ok(core.deny(path.clone(), reason.map(str::to_owned), denier.clone())?),
    )?;
    let gone: Vec<Record> = context.registry()?.list(&Filter::default(), &context.now)?;
    let gone: Vec<Record> = gone.into_iter().filter(|record| record.project().starts_with(&path)).collect();
    match context.form {
        Form::Json => {
            let mut object = Map::new();
            put_path(&mut object, "denied", &path);
            let ids = gone.iter().map(|record| record.columns.id.clone().into()).collect();
            object.insert("agents".to_owned(), Value::Array(ids));
            context.out.json(&Value::Object(object))?;
        }
        Form::Text => {
            context.out.line(format_args!("denied {}", Shown::path(&path)))?;
            for record in gone.iter().take(MAX_TOLD) {
                let (id, project) = (&record.columns.id, record.project());
                context.out.line(format_args!("goes with the next sweep: {id} {}", Shown::path(&project)))?;
            }
            if let Some(more) = gone.len().checked_sub(MAX_TOLD).filter(|more| *more > 0) {
                context.out.line(format_args!("and {more} more"))?;
            }
        }
    }
    Ok(Exit::Done)
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
    match context.form {
        Form::Json => {
            let mut object = Map::new();
            put_path(&mut object, "allowed", &path);
            context.out.json(&Value::Object(object))?;
        }
        Form::Text => context.out.line(format_args!("allowed {}", Shown::path(&path)))?,
    }
    Ok(Exit::Done)
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

fn cells(denial: &Denial) -> [String; 4] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let path = Shown::path(&denial.path).to_string();
    [path, denial.created_at.clone(), text(&denial.denier), text(&denial.reason)]
}
