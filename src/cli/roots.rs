//! `meshd roots`: the scan roots and their states, and that what is at a changed one is meant.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::register::absolute;
use super::wording::{count, put_path};
use super::{CliError, Context, Exit, Form, local, reconcile};
use crate::agent::{Moment, Shown};
use crate::decide::RootState;
use crate::registry::{Filter, Reader, RootRow};

/// List the scan roots and their states
#[derive(Debug, Args)]
pub struct Roots {
    #[command(subcommand)]
    command: Option<RootsCommand>,
}

#[derive(Debug, Subcommand)]
enum RootsCommand {
    /// Say that what is at a root now is meant, although it is another directory than before
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
    let lines = lines(&context.registry()?, &context.now)?;
    match context.form {
        Form::Json => {
            let roots: Vec<Value> = lines.iter().map(RootLine::json).collect();
            context.out.json(&json!({ "roots": roots }))?;
        }
        Form::Text => context.out.table(&lines.iter().map(RootLine::cells).collect::<Vec<_>>())?,
    }
    Ok(Exit::Done)
}

fn accept(root: &std::path::Path, context: &mut Context) -> Result<Exit, CliError> {
    let root = absolute(root);
    let result = local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.accept_root(&root)?),
        |core| Ok(core.accept_root(root.clone())?),
    )?;
    reconcile::print(&result, context)
}

/// A scan root, with how many agents are recorded under it.
pub struct RootLine {
    root: RootRow,
    agents: u64,
}

/// The configured scan roots.
pub fn lines(registry: &Reader, now: &Moment) -> Result<Vec<RootLine>, CliError> {
    let mut agents: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for record in registry.list(&Filter::default(), now)? {
        let count = agents.entry(record.columns.scan_root).or_default();
        *count = count.saturating_add(1);
    }
    let configured = registry.roots()?.into_iter().filter(|root| root.configured);
    Ok(configured
        .map(|root| {
            let bytes = std::os::unix::ffi::OsStrExt::as_bytes(root.path.as_os_str());
            RootLine { agents: agents.get(bytes).copied().unwrap_or(0), root }
        })
        .collect())
}

impl RootLine {
    /// For programs.
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        put_path(&mut object, "path", &self.root.path);
        let state = self.root.state.as_ref();
        object.insert("state".to_owned(), state.map_or("new", RootState::as_str).into());
        object.insert("why".to_owned(), state.map(RootState::why).filter(|why| !why.is_empty()).into());
        object.insert("since".to_owned(), self.root.since.clone().into());
        object.insert("agents".to_owned(), self.agents.into());
        Value::Object(object)
    }

    /// Whether nothing is known of what is under it.
    pub fn is_offline(&self) -> bool {
        matches!(self.root.state, Some(RootState::Offline(_)))
    }

    /// Whether a part of what is under it is not known.
    pub fn is_degraded(&self) -> bool {
        matches!(self.root.state, Some(RootState::Degraded(_)))
    }

    /// For people.
    pub fn cells(&self) -> [String; 4] {
        let state = self.root.state.as_ref();
        let why = state.map(RootState::why).filter(|why| !why.is_empty());
        let since = self.root.since.as_deref().unwrap_or_default();
        [
            format!("  {}", state.map_or("new", RootState::as_str)),
            Shown::path(&self.root.path).to_string(),
            count(self.agents, "agent"),
            why.map_or_else(String::new, |why| format!("{why} (since {since})")),
        ]
    }
}
