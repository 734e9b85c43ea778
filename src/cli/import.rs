//! `meshd import`: what a DorkOS database knows and no manifest says.
//!
//! This command reads the database, with its own user's rights; whoever writes the registry takes it over.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{CliError, Context, Exit, Form, local};
use crate::registry::{Imported, Taken, read_dork};
use crate::report::wording::count;

/// Take over denials, health, history and access rules from a DorkOS database
///
/// It may be of any age, in use, or left behind by a kill. It is only read, and nothing is made beside it.
#[derive(Debug, Args)]
pub struct Import {
    /// The database
    #[arg(value_name = "DORK_DB")]
    database: PathBuf,
}

pub fn run(command: &Import, context: &mut Context) -> Result<Exit, CliError> {
    let imported = read_dork(&command.database)?;
    let taken = local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(daemon.import(&imported)?),
        |core| Ok(core.import(imported.clone())?),
    )?;
    print(&imported, &taken, context)?;
    Ok(Exit::Done)
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
