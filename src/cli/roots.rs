//! `meshd roots`: the scan roots and their states, and that what is at a changed one is meant.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::register::absolute;
use super::{CliError, Context, Exit, Form, local, reconcile};
use crate::api::client::Client;
use crate::report::wording::count;
use crate::report::{RootReport, roots};

/// List the scan roots and their states
#[derive(Debug, Args)]
pub struct Roots {
    #[command(subcommand)]
    command: Option<RootsCommand>,
}

#[derive(Debug, Subcommand)]
enum RootsCommand {
    /// Say that what is at a root now is meant, although it is another directory than before, or something below it is not
    /// mounted any more
    Accept {
        /// The scan root
        #[arg(value_name = "ROOT")]
        root: PathBuf,
    },
}

pub fn run(command: &Roots, context: &mut Context) -> Result<Exit, CliError> {
    match &command.command {
        None => list(context),
        Some(RootsCommand::Accept { root }) => accept(root, context),
    }
}

fn list(context: &mut Context) -> Result<Exit, CliError> {
    let daemon = Client::new(&context.settings.socket, &context.settings.state_dir).facts().ok();
    let roots = roots(&context.registry()?, &context.now, daemon.as_ref())?;
    match context.form {
        Form::Json => context.out.json(&json!({ "roots": roots }))?,
        Form::Text => context.out.table(&roots.iter().map(cells).collect::<Vec<_>>())?,
    }
    Ok(Exit::Done)
}

fn accept(root: &Path, context: &mut Context) -> Result<Exit, CliError> {
    let root = absolute(root);
    let result = local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.accept_root(&root)?),
        |core| Ok(core.accept_root(root.clone())?),
    )?;
    reconcile::print(&result, context)
}

/// A scan root for people.
pub fn cells(root: &RootReport) -> [String; 6] {
    let since = root.since.as_deref().unwrap_or_default();
    [
        format!("  {}", root.state),
        root.path.clone(),
        count(root.agents, "agent"),
        heard_in_words(root),
        root.last_sweep.as_ref().map_or_else(String::new, |at| format!("swept {at}")),
        root.why.as_ref().map_or_else(String::new, |why| format!("{why} (since {since})")),
    ]
}

/// How much of a root is watched.
fn heard_in_words(root: &RootReport) -> String {
    let Some(watches) = root.watches else { return String::new() };
    let polled = root.cold_directories.unwrap_or(0).saturating_add(root.quiet_directories.unwrap_or(0));
    let polled = if polled > 0 { format!(", {polled} polled") } else { String::new() };
    format!("{watches} watched{polled}")
}
