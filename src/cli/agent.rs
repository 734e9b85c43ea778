//! One agent, as `list` and `show` answer it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::Args;
use serde_json::{Map, Value};

use super::reach::Reach;
use super::wording::put_path;
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

/// The agent's manifest, and what the registry adds to it. A row that is no agent is given as far as it can be read, with
/// `damaged` saying why it is none.
pub fn json(record: &Record, reach: &Reach, now: &Moment) -> Value {
    let columns = &record.columns;
    let mut agent = match &record.agent {
        Ok(agent) => object(serde_json::to_value(&agent.manifest).unwrap_or_default()),
        Err(why) => readable(record, why),
    };
    let status = record.health(now).as_str();
    let since = record.unreachable.as_ref();
    put_path(&mut agent, "projectPath", &record.project());
    let root = Path::new(OsStr::from_bytes(&columns.scan_root));
    put_path(&mut agent, "scanRoot", root);
    if root.as_os_str().is_empty() {
        agent.insert("scanRoot".to_owned(), Value::Null);
    }
    let added: [(&str, Value); 9] = [
        ("namespace", columns.namespace.clone().into()),
        ("status", status.into()),
        ("healthStatus", status.into()),
        ("lastSeenAt", record.last_seen_at.clone().into()),
        ("lastSeenEvent", record.last_seen_event.clone().into()),
        ("unreachableSince", since.map(|unreachable| iso(unreachable.since_ms)).into()),
        ("unreachableReason", since.map(|unreachable| unreachable.reason.as_str()).into()),
        ("relay", reach.of(record).into()),
        ("relaySubject", format!("relay.agent.{}.{}", columns.namespace, columns.id).into()),
    ];
    agent.extend(added.map(|(key, value)| (key.to_owned(), value)));
    Value::Object(agent)
}

/// What can be read of a row that is no agent.
fn readable(record: &Record, why: &str) -> Map<String, Value> {
    let columns = &record.columns;
    let part = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
    let mut agent = object(part(&columns.rest_json));
    let read: [(&str, Value); 10] = [
        ("id", columns.id.clone().into()),
        ("name", columns.name.clone().into()),
        ("displayName", columns.display_name.clone().into()),
        ("description", columns.description.clone().into()),
        ("runtime", columns.runtime.clone().into()),
        ("registeredAt", record.registered_at.clone().into()),
        ("registeredBy", columns.approver.clone().into()),
        ("capabilities", part(&columns.capabilities_json)),
        ("behavior", part(&columns.behavior_json)),
        ("budget", part(&columns.budget_json)),
    ];
    agent.extend(read.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)));
    agent.insert("damaged".to_owned(), why.into());
    agent
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// One agent for people: a line a fact.
pub fn text(record: &Record, context: &mut Context) -> Result<(), CliError> {
    let reach = Reach::look(context)?;
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
