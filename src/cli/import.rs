//! `meshd import`: what a DorkOS database knows and no manifest says.
//!
//! This command reads the database, with its own user's rights; whoever writes the registry takes it over.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::wording::count;
use super::{CliError, Context, Exit, Form, local};
use crate::api::client::{Client, ClientError};
use crate::registry::{Imported, Taken, read_dork};

/// Take over denials, health and history from a DorkOS database
///
/// It may be of any age, in use, or left behind by a kill. It is only read, and nothing is made beside it.
#[derive(Debug, Args)]
pub struct Import {
    /// The database
    #[arg(value_name = "DORK_DB")]
    database: PathBuf,
}

pub fn run(command: &Import, context: &mut Context) -> Result<Exit, CliError> {
    let mut imported = read_dork(&command.database)?;
    let settings = &context.settings;
    let here = |lock: &_| local::import(settings, &imported, lock);
    let taken = local::through_daemon_or_locked(settings, |daemon| ask(daemon, &imported), here)?;
    imported.skipped.extend(rules_not_taken(&imported));
    print(&imported, &taken, context)?;
    Ok(Exit::Done)
}

/// Has the daemon take it over.
fn ask(daemon: &Client, _imported: &Imported) -> Result<Taken, ClientError> {
    daemon.facts()?;
    Err(ClientError::Refused("nothing can be imported while it runs: stop it, import, and start it again".to_owned()))
}

fn rules_not_taken(imported: &Imported) -> Option<String> {
    let rules = imported.rules.len() as u64;
    (rules > 0).then(|| format!("{} between namespaces: this meshd has no place for them", count(rules, "rule")))
}

fn print(imported: &Imported, taken: &Taken, context: &mut Context) -> Result<(), CliError> {
    if context.form == Form::Json {
        let mut answer = json!(taken);
        if let Value::Object(answer) = &mut answer {
            answer.insert("skipped".to_owned(), json!(imported.skipped));
        }
        return context.out.json(&answer);
    }
    context.out.line(format_args!(
        "taken: when {} last seen, when {} registered, {}, {}",
        were(taken.health),
        were(taken.registered_at),
        count(taken.denials, "denial"),
        count(taken.rules, "rule"),
    ))?;
    for id in &taken.unknown_agents {
        context.out.line(format_args!("not recorded here: {id}"))?;
    }
    for skipped in &imported.skipped {
        context.out.line(format_args!("not taken: {skipped}"))?;
    }
    Ok(())
}

fn were(agents: u64) -> String {
    format!("{} {}", count(agents, "agent"), if agents == 1 { "was" } else { "were" })
}
