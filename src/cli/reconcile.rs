//! `meshd reconcile`: one pass now, by the daemon, or here if none is running.

use std::path::PathBuf;

use clap::Args;

use super::flags::Pass;
use super::{CliError, Context, Exit, Form, local, plan};
use crate::config::{Given, canonical};
use crate::engine::ReconcileResult;
use crate::report::wording::count;

/// Look at everything, or below some roots, and put the registry right
///
/// With a daemon running, it does it, below the roots that it knows. Without one the pass is made here, so that a timer can
/// take a daemon's place: a new process looks at all roots that it knows, and at those that are named besides. Where not all
/// of them are named, nobody is removed.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// Look below these; without a daemon, one that is new is remembered as a scan root
    #[arg(value_name = "ROOT")]
    roots: Vec<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pass: Pass,
}

impl Reconcile {
    pub fn given(&self) -> Given {
        self.pass.given()
    }
}

pub fn run(command: &Reconcile, context: &mut Context) -> Result<Exit, CliError> {
    let absolute = |root: &PathBuf| canonical(&std::path::absolute(root).unwrap_or_else(|_| root.clone()));
    let roots: Vec<PathBuf> = command.roots.iter().map(absolute).collect();
    let settings = &context.settings;
    if command.dry_run {
        let plan = local::plan(settings, &roots)?;
        let open = match context.registry() {
            Ok(registry) => registry.problems()?.len(),
            Err(CliError::NoRegistry(_)) => 0,
            Err(error) => return Err(error),
        };
        return plan::print(&plan, open, context);
    }
    let ask = |daemon: &crate::api::client::Client| {
        let result = daemon.reconcile(&roots);
        if result.is_ok() && command.pass.is_given() {
            tracing::warn!("the running daemon goes by its own settings: those given here were not used");
        }
        result
    };
    let result = local::reconcile(settings, &roots, ask)?;
    print(&result, context)
}

/// That so many problems stand, whether a pass changed something or not.
pub fn open(problems: u64) -> String {
    let are = if problems == 1 { "is" } else { "are" };
    let counted = count(problems, "problem");
    if problems == 0 { String::new() } else { format!("; {counted} {are} open: `meshd status`") }
}

/// Prints what a pass did.
fn print(result: &ReconcileResult, context: &mut Context) -> Result<Exit, CliError> {
    match context.form {
        Form::Json => context.out.json(result)?,
        Form::Text => {
            let counts = [
                (result.discovered, "registered"),
                (result.synced, "updated"),
                (result.relocated, "relocated"),
                (result.unreachable, "unreachable"),
                (result.resurrected, "reachable again"),
                (result.removed, "removed"),
            ];
            let done = counts.iter().filter(|(number, _)| *number > 0);
            let done: Vec<String> = done.map(|(number, what)| format!("{number} {what}")).collect();
            let done = if done.is_empty() { "nothing changed".to_owned() } else { done.join(", ") };
            context.out.line(format_args!("{done}{}", open(result.problems)))?;
        }
    }
    Ok(Exit::Done)
}
