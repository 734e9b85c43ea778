//! `meshd list`: the agents that are recorded.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::{CliError, Context, Exit, Form};
use crate::agent::{Runtime, Shown};
use crate::registry::{Filter, Status};
use crate::report::AgentReport;

/// List the recorded agents
#[derive(Debug, Args)]
pub struct List {
    /// Only those in this state
    #[arg(long, value_name = "STATUS", value_parser = status())]
    status: Option<Status>,
    /// Only those with this runtime
    #[arg(long, value_name = "RUNTIME", value_parser = runtime)]
    runtime: Option<Runtime>,
    /// Only those of this namespace
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only those with this capability
    #[arg(long, value_name = "CAPABILITY")]
    capability: Option<String>,
}

pub fn run(command: &List, context: &mut Context) -> Result<Exit, CliError> {
    let filter = Filter {
        runtime: command.runtime,
        capability: command.capability.clone(),
        namespace: command.namespace.clone(),
        status: command.status,
    };
    let records = context.registry()?.list(&filter, &context.now)?;
    match context.form {
        Form::Json => {
            let reach = context.reach()?;
            let agents: Vec<_> = records.iter().map(|record| AgentReport::of(record, &reach, &context.now)).collect();
            context.out.json(&json!({ "agents": agents }))?;
        }
        Form::Text => {
            let mut rows = vec![["STATUS", "ID", "NAME", "RUNTIME", "NAMESPACE", "PROJECT"].map(str::to_owned)];
            rows.extend(records.iter().map(|record| {
                let damaged = if record.agent.is_err() { " (damaged)" } else { "" };
                [
                    format!("{}{damaged}", record.health(&context.now).as_str()),
                    record.columns.id.clone(),
                    record.columns.name.clone(),
                    record.columns.runtime.clone(),
                    record.columns.namespace.clone(),
                    Shown::path(&record.project()).to_string(),
                ]
            }));
            context.out.table(&rows)?;
        }
    }
    Ok(Exit::Done)
}

fn status() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(Status::ALL.map(Status::as_str))
        .try_map(|name| Status::from_name(&name).ok_or("no such status"))
}

fn runtime(name: &str) -> Result<Runtime, String> {
    Runtime::from_name(name).ok_or_else(|| "no such runtime: claude-code, codex, cursor, … or other".to_owned())
}
