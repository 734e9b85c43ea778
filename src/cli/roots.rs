//! `meshd roots`: the scan roots and their states, and that what is at a changed one is meant.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::out::Out;
use super::register::absolute;
use super::{CliError, Context, Exit, Form, local};
use crate::api::client::Client;
use crate::report::wording::count;
use crate::report::{RootReport, roots, shown_and_hex};

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
    let roots = roots(&context.registry()?, daemon.as_ref())?;
    match context.form {
        Form::Json => context.out.json(&json!({ "roots": roots }))?,
        Form::Text if roots.is_empty() => {
            context.out.line("none; name one: `meshd reconcile ROOT`, or `roots` in the configuration")?;
        }
        Form::Text => print(&roots, &mut context.out)?,
    }
    Ok(Exit::Done)
}

fn accept(root: &Path, context: &mut Context) -> Result<Exit, CliError> {
    let root = absolute(root);
    // What cannot be looked at may be there all the same: that is for whoever writes the registry to say.
    if std::fs::symlink_metadata(&root).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Err(CliError::NothingToAccept(root));
    }
    let result = local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.accept_root(&root)?),
        |core| Ok(core.accept_root(root.clone())?),
    )?;
    let shown = shown_and_hex(&root).0;
    let all = roots(&context.registry()?, None)?;
    let accepted = all.iter().find(|known| known.path == shown);
    match (context.form, accepted) {
        (Form::Json, _) => context.out.json(&result)?,
        (Form::Text, None) => context.out.line(format_args!("accepted {shown}"))?,
        (Form::Text, Some(root)) => {
            let (state, agents) = (root.state, count(root.agents, "agent"));
            let why = root.why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            context.out.line(format_args!("accepted {shown}: {state}{why}, {agents}"))?;
        }
    }
    Ok(if accepted.is_some_and(RootReport::is_offline) { Exit::Failed } else { Exit::Done })
}

/// Scan roots for people, and what to do about those that are not online.
pub fn print(roots: &[RootReport], out: &mut Out) -> Result<(), CliError> {
    let mut rows = vec![["  STATE", "ROOT", "AGENTS", "WATCHED", "LAST SWEEP", "WHY"].map(str::to_owned)];
    rows.extend(roots.iter().map(cells));
    out.table(&rows)?;
    let remedies: BTreeSet<String> = roots
        .iter()
        .filter_map(|root| root.remedy.as_ref().map(|remedy| format!("  {}: {remedy}", root.state)))
        .collect();
    remedies.iter().try_for_each(|line| out.line(line))
}

/// A scan root for people.
fn cells(root: &RootReport) -> [String; 6] {
    let since = root.since.as_deref().unwrap_or_default();
    [
        format!("  {}", root.state),
        root.path.clone(),
        root.agents.to_string(),
        heard_in_words(root),
        root.last_sweep.clone().unwrap_or_default(),
        root.why.as_ref().map_or_else(String::new, |why| format!("{why} (since {since})")),
    ]
}

/// How much of a root is watched.
fn heard_in_words(root: &RootReport) -> String {
    let Some(watches) = root.watches else { return String::new() };
    let polled = root.cold_directories.unwrap_or(0).saturating_add(root.quiet_directories.unwrap_or(0));
    let polled = if polled > 0 { format!(", {polled} polled") } else { String::new() };
    format!("{watches}{polled}")
}
