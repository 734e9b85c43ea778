//! `meshd roots`: the scan roots and their states, and that what is at a changed one is meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::register::absolute;
use super::wording::{count, put_path};
use super::{CliError, Context, Exit, Form, local, reconcile};
use crate::agent::{Moment, Shown};
use crate::api::client::Client;
use crate::api::{DaemonFacts, RootHeard, WirePath};
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
    let lines = lines(&context.registry()?, &context.now, daemon.as_ref())?;
    match context.form {
        Form::Json => {
            let roots: Vec<Value> = lines.iter().map(RootLine::json).collect();
            context.out.json(&json!({ "roots": roots }))?;
        }
        Form::Text => context.out.table(&lines.iter().map(RootLine::cells).collect::<Vec<_>>())?,
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

/// A scan root, with how many agents are recorded under it, and what the daemon hears of it.
pub struct RootLine {
    root: RootRow,
    agents: u64,
    heard: Option<RootHeard>,
}

/// The configured scan roots.
pub fn lines(registry: &Reader, now: &Moment, daemon: Option<&DaemonFacts>) -> Result<Vec<RootLine>, CliError> {
    let heard = |root: &Path| {
        let path = WirePath::of(root);
        daemon?.roots.iter().find(|heard| heard.path == path).cloned()
    };
    let mut agents: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for record in registry.list(&Filter::default(), now)? {
        let count = agents.entry(record.columns.scan_root).or_default();
        *count = count.saturating_add(1);
    }
    let configured = registry.roots()?.into_iter().filter(|root| root.configured);
    Ok(configured
        .map(|root| {
            let bytes = std::os::unix::ffi::OsStrExt::as_bytes(root.path.as_os_str());
            RootLine { agents: agents.get(bytes).copied().unwrap_or(0), heard: heard(&root.path), root }
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
        let heard = self.heard.as_ref();
        object.insert("watches".to_owned(), heard.map(|heard| heard.watches).into());
        object.insert("coldDirectories".to_owned(), heard.map(|heard| heard.cold_directories).into());
        object.insert("quietDirectories".to_owned(), heard.map(|heard| heard.quiet_directories).into());
        object.insert("lastSweep".to_owned(), heard.and_then(|heard| heard.last_sweep.clone()).into());
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
    pub fn cells(&self) -> [String; 6] {
        let state = self.root.state.as_ref();
        let why = state.map(RootState::why).filter(|why| !why.is_empty());
        let since = self.root.since.as_deref().unwrap_or_default();
        let swept = self.heard.as_ref().and_then(|heard| heard.last_sweep.as_deref());
        [
            format!("  {}", state.map_or("new", RootState::as_str)),
            Shown::path(&self.root.path).to_string(),
            count(self.agents, "agent"),
            self.heard.as_ref().map_or_else(String::new, heard_in_words),
            swept.map_or_else(String::new, |at| format!("swept {at}")),
            why.map_or_else(String::new, |why| format!("{why} (since {since})")),
        ]
    }
}

/// How much of a root is watched.
fn heard_in_words(heard: &RootHeard) -> String {
    let polled = heard.cold_directories.saturating_add(heard.quiet_directories);
    let polled = if polled > 0 { format!(", {polled} polled") } else { String::new() };
    format!("{} watched{polled}", heard.watches)
}
