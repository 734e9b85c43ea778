//! `meshd sync`: one pass over one project, and what came of it.

use std::path::PathBuf;

use clap::Args;

use super::register::absolute;
use super::{CliError, Context, Exit, Form, local};
use crate::engine::Verdict;

/// Look at one project now, and say what came of it
#[derive(Debug, Args)]
pub struct Sync {
    /// The project's directory
    #[arg(value_name = "PATH")]
    project: PathBuf,
}

pub fn run(command: &Sync, context: &mut Context) -> Result<Exit, CliError> {
    let project = absolute(&command.project);
    let verdict = local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.sync(&project)?),
        |core| Ok(core.sync_from_disk(project.clone())?),
    )?;
    match context.form {
        Form::Json => context.out.json(&verdict)?,
        Form::Text => context.out.line(in_words(&verdict))?,
    }
    Ok(if matches!(verdict, Verdict::Synced { .. }) { Exit::Done } else { Exit::Failed })
}

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Synced { id } => format!("synced {id}"),
        Verdict::NoManifest => "no_manifest".to_owned(),
        Verdict::Unreadable { why } => format!("unreadable: {why}"),
        Verdict::DuplicateId { why } => format!("duplicate_id: {why}"),
        Verdict::Denied { path } => format!("denied: {path}"),
        Verdict::OutOfScope => "out_of_scope: no scan comes to it".to_owned(),
    }
}
