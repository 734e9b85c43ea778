//! Which agent a command is about, and one agent for people.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;

use super::{CliError, Context};
use crate::agent::moment::iso;
use crate::agent::{AgentId, Moment, Shown};
use crate::config::canonical;
use crate::engine::Target;
use crate::registry::{Reader, Record};
use crate::relay::local::Post;

/// Which agent. Flattened into a command that is about one; each an argument of its own where it is about two.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// The agent's id, or the directory of its project
    #[arg(value_name = "ID|PATH")]
    target: OsString,
}

impl From<OsString> for Which {
    fn from(target: OsString) -> Self {
        Self { target }
    }
}

impl Which {
    /// The agent's record; an id comes before a path.
    pub fn record(&self, registry: &Reader) -> Result<Option<Record>, CliError> {
        if let Some(id) = self.id()
            && let Some(record) = registry.get(&id)?
        {
            return Ok(Some(record));
        }
        Ok(registry.get_by_path(&self.path())?)
    }

    /// The agent's id, for the relay: an id that is reached there comes before a record.
    pub fn reached(&self, post: &Post, context: &Context) -> Result<AgentId, CliError> {
        if let Some(id) = self.id()
            && post.endpoint(&id)?.is_some()
        {
            return Ok(id);
        }
        let record = self.record(&context.registry()?)?.ok_or_else(|| self.unknown())?;
        record.columns.id.parse().map_err(|_| self.unknown())
    }

    /// What was named, if it is taken for an id.
    pub fn id(&self) -> Option<AgentId> {
        self.target.to_str()?.parse().ok()
    }

    /// What was named, if it is taken for a path.
    pub fn path(&self) -> std::path::PathBuf {
        let path = Path::new(&self.target);
        canonical(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }

    /// The agent, for whoever changes it: an id that nobody has is none.
    pub fn target(&self, registry: &Reader) -> Result<Target, CliError> {
        let record = self.record(registry)?.ok_or_else(|| self.unknown())?;
        Ok(record.columns.id.parse().map_or_else(|_| Target::Project(record.project()), Target::Agent))
    }

    /// That there is no such agent.
    pub fn unknown(&self) -> CliError {
        CliError::NoSuchAgent(Shown::path(Path::new(&self.target)).to_string())
    }
}

/// One agent for people: a line a fact.
pub fn text(record: &Record, context: &mut Context) -> Result<(), CliError> {
    let reach = context.reach()?;
    let columns = &record.columns;
    let mut lines = vec![
        ["id".to_owned(), columns.id.clone()],
        ["name".to_owned(), columns.name.clone()],
        ["status".to_owned(), status_text(record, &context.now)],
        ["project".to_owned(), Shown::path(&record.project()).to_string()],
        ["runtime".to_owned(), columns.runtime.clone()],
        ["namespace".to_owned(), columns.namespace.clone()],
        ["relay".to_owned(), format!("relay.agent.{}.{} ({})", columns.namespace, columns.id, reach.of(record))],
        ["registered".to_owned(), record.registered_at.clone()],
    ];
    if let Some(name) = &columns.display_name {
        lines.insert(2, ["display name".to_owned(), name.clone()]);
    }
    if let Some(seen) = &record.last_seen_at {
        let event = record.last_seen_event.as_deref().unwrap_or("seen");
        lines.push(["last seen".to_owned(), format!("{seen} ({event})")]);
    }
    if let Some(description) = columns.description.as_ref().filter(|description| !description.is_empty()) {
        lines.push(["description".to_owned(), description.clone()]);
    }
    if let Err(why) = &record.agent {
        lines.push(["damaged".to_owned(), why.clone()]);
    }
    context.out.table(&lines)
}

fn status_text(record: &Record, now: &Moment) -> String {
    let status = record.health(now).as_str();
    match &record.unreachable {
        Some(unreachable) => format!("{status} since {} ({})", iso(unreachable.since_ms), unreachable.reason.as_str()),
        None => status.to_owned(),
    }
}
