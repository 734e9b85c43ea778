//! `meshd sync`: one pass over one project, and what came of it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::register::absolute;
use super::{CliError, Context, Exit, Form, local};
use crate::agent::Shown;
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
        Form::Text => context.out.line(in_words(&verdict, &project))?,
    }
    Ok(if matches!(verdict, Verdict::Synced { .. }) { Exit::Done } else { Exit::Failed })
}

fn in_words(verdict: &Verdict, project: &Path) -> String {
    let project = Shown::path(project);
    match verdict {
        Verdict::Synced { id } => format!("in sync: {id}"),
        Verdict::NoManifest => format!("not recorded: there is no manifest in {project}"),
        Verdict::Unreadable { why } => format!("the manifest in {project} cannot be used: {why}"),
        Verdict::DuplicateId { why } => {
            format!("not recorded: the manifest in {project} claims an id that is taken: {why}")
        }
        Verdict::Denied { path } => format!("not recorded: {path} is denied; `meshd allow` takes that back"),
        Verdict::OutOfScope => {
            format!("not recorded: {project} is under no scan root, excluded from it, or too many directories below it")
        }
    }
}
