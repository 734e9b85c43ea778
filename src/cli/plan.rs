//! A plan as `reconcile --dry-run` answers it: a line, or a JSON object, an action.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{CliError, Context, Exit, Form, reconcile};
use crate::agent::{Agent, AgentId, Shown};
use crate::decide::{Action, Problem};
use crate::report::put_path;

/// One action in words.
struct Line<'a> {
    action: &'static str,
    id: Option<&'a AgentId>,
    path: &'a Path,
    why: String,
}

/// Prints what a pass would do, while so many problems are open.
pub fn print(plan: &[Action], open: usize, context: &mut Context) -> Result<Exit, CliError> {
    let lines: Vec<Line<'_>> = plan.iter().filter_map(line).collect();
    match context.form {
        Form::Json => {
            let actions: Vec<Value> = lines.iter().map(Line::json).collect();
            context.out.json(&json!({ "actions": actions }))?;
        }
        Form::Text if lines.is_empty() => {
            context.out.line(format_args!("nothing to do{}", reconcile::open(open as u64)))?;
        }
        Form::Text => context.out.table(&lines.iter().map(Line::cells).collect::<Vec<_>>())?,
    }
    Ok(Exit::Done)
}

impl Line<'_> {
    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("action".to_owned(), self.action.into());
        object.insert("agentId".to_owned(), self.id.map(ToString::to_string).into());
        put_path(&mut object, "path", self.path);
        object.insert("why".to_owned(), self.why.clone().into());
        Value::Object(object)
    }

    fn cells(&self) -> [String; 4] {
        let id = self.id.map(ToString::to_string).unwrap_or_default();
        [self.action.to_owned(), id, Shown::path(self.path).to_string(), self.why.clone()]
    }
}

/// What an action does; `None` for what nobody would call one.
fn line(action: &Action) -> Option<Line<'_>> {
    Some(match action {
        Action::SetRoot { root, state, .. } => {
            Line { action: "set root", id: None, path: root, why: [state.as_str(), state.why()].join(" ") }
        }
        Action::Remove { id, project, cause, .. } => {
            Line { action: "remove", id: Some(id), path: project, why: cause.as_str().to_owned() }
        }
        Action::Relocate { agent, from, .. } => {
            let why = format!("from {}", Shown::path(from));
            Line { action: "relocate", id: Some(agent.id()), path: &agent.project, why }
        }
        Action::Upsert { agent, .. } => of_agent("register", agent),
        Action::Sync { agent, .. } => of_agent("sync", agent),
        Action::MarkUnreachable { id, project, reason, .. } => {
            Line { action: "mark unreachable", id: Some(id), path: project, why: reason.as_str().to_owned() }
        }
        Action::MarkReachable { id, project, .. } => {
            Line { action: "mark reachable", id: Some(id), path: project, why: String::new() }
        }
        Action::Raise(problem) | Action::Restate(problem) => of_problem("report", problem),
        Action::Clear(problem) => of_problem("clear", problem),
        Action::NoteMount { .. } | Action::ForgetMount { .. } | Action::CarryClock { .. } => return None,
    })
}

fn of_agent<'a>(action: &'static str, agent: &'a Agent) -> Line<'a> {
    Line { action, id: Some(agent.id()), path: &agent.project, why: agent.manifest.name.clone() }
}

fn of_problem<'a>(action: &'static str, problem: &'a Problem) -> Line<'a> {
    let why = format!("{}: {}", problem.kind.as_str(), problem.detail);
    Line { action, id: problem.id.as_ref(), path: &problem.project, why }
}
