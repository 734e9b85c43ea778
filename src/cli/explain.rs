//! `meshd explain`: why an agent, or a directory, is in the state it is in: evidence, timers, problems.

use std::time::Duration;

use clap::Args;

use super::agent::Which;
use super::{CliError, Context, Exit, Form};
use crate::api::client::Client;
use crate::daemon::assemble::{self, Scanned};
use crate::report::{Case, Story, Times};

/// Say why an agent is in its state, or why a directory has none
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    which: Which,
}

pub fn run(command: &Explain, context: &mut Context) -> Result<Exit, CliError> {
    let registry = context.registry()?;
    let record = command.which.record(&registry)?;
    let project = match (&record, command.which.id()) {
        (Some(record), _) => record.project(),
        (None, Some(_)) if !command.which.path().is_dir() => return Err(command.which.unknown()),
        (None, _) => command.which.path(),
    };
    let Scanned { roots, kept } = assemble::scanned(&context.settings, registry.roots()?, &[]);
    let case = Case::look(&registry, record.as_ref(), &project, &roots, kept)?;
    let story = case.story(&context.now, times(context))?;
    match context.form {
        Form::Json => context.out.json(&story)?,
        Form::Text => print(&story, context)?,
    }
    Ok(Exit::Done)
}

/// The times that the daemon goes by; those of this command if none is running.
fn times(context: &Context) -> Times {
    let daemon = Client::new(&context.settings.socket, &context.settings.state_dir).facts();
    let policy = &context.settings.policy;
    daemon.map_or(Times { grace_period: policy.grace_period, relocate_after: policy.relocate_after }, |facts| Times {
        grace_period: Duration::from_millis(facts.grace_period_ms),
        relocate_after: Duration::from_millis(facts.relocate_after_ms),
    })
}

fn print(story: &Story, context: &mut Context) -> Result<(), CliError> {
    let mut rows = vec![["project".to_owned(), story.project_path.clone()]];
    rows.extend(story.id.iter().map(|id| ["id".to_owned(), id.clone()]));
    rows.push(["status".to_owned(), format!("{}: {}", story.status, story.because)]);
    let evidence = story.evidence.iter().map(|(source, what)| [source.clone(), what.as_str().unwrap_or("").to_owned()]);
    rows.extend(evidence);
    rows.extend(story.timers.iter().map(|timer| ["timer".to_owned(), timer.clone()]));
    rows.extend(story.problems.iter().map(|problem| ["problem".to_owned(), problem.clone()]));
    context.out.table(&rows)
}
