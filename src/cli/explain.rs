//! `meshd explain`: why an agent, or a directory, is in the state it is in: evidence, timers, problems.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::agent::Which;
use super::{CliError, Context, Exit, Form};
use crate::agent::Moment;
use crate::api::client::Client;
use crate::config::Settings;
use crate::daemon::assemble::{self, Scanned};
use crate::registry::{Reader, Record, RegistryError};
use crate::report::{Case, DaemonFacts, Story, Times};

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
    let times = times(&context.settings, daemon(context).as_ref());
    let story = story_of(&registry, record.as_ref(), &project, &context.settings, &context.now, times)?;
    match context.form {
        Form::Json => context.out.json(&story)?,
        Form::Text => context.out.table(&lines(&story))?,
    }
    Ok(Exit::Done)
}

/// Why a project is as it is, with or without a record.
pub fn story_of(
    registry: &Reader,
    record: Option<&Record>,
    project: &Path,
    settings: &Settings,
    now: &Moment,
    times: Times,
) -> Result<Story, RegistryError> {
    let Scanned { roots, kept } = assemble::scanned(settings, registry.roots()?, &[]);
    Case::look(registry, record, project, &roots, kept)?.story(now, times)
}

fn daemon(context: &Context) -> Option<DaemonFacts> {
    Client::new(&context.settings.socket, &context.settings.state_dir).facts().ok()
}

/// The times that the daemon goes by; those of this command if none is running.
pub fn times(settings: &Settings, daemon: Option<&DaemonFacts>) -> Times {
    let policy = &settings.policy;
    daemon.map_or(Times { grace_period: policy.grace_period, relocate_after: policy.relocate_after }, |facts| Times {
        grace_period: Duration::from_millis(facts.grace_period_ms),
        relocate_after: Duration::from_millis(facts.relocate_after_ms),
    })
}

/// A story for people: what each line is about, and what there is to say.
pub fn lines(story: &Story) -> Vec<[String; 2]> {
    let mut rows = vec![["project".to_owned(), story.project_path.clone()]];
    rows.extend(story.id.iter().map(|id| ["id".to_owned(), id.clone()]));
    rows.push(["status".to_owned(), format!("{}: {}", story.status, story.because)]);
    let evidence = story.evidence.iter().map(|(source, what)| [source.clone(), what.as_str().unwrap_or("").to_owned()]);
    rows.extend(evidence);
    rows.extend(story.timers.iter().map(|timer| ["timer".to_owned(), timer.clone()]));
    rows.extend(story.problems.iter().map(|problem| ["problem".to_owned(), problem.clone()]));
    rows
}
