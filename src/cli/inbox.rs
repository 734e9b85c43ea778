//! `meshd inbox`: the messages in an agent's mailbox, and taking them out of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::agent::Which;
use super::{CliError, Context, Exit, Form};
use crate::agent::Shown;
use crate::relay::local::{Message, PostError, Take};
use crate::report::hex;

/// Print the messages in an agent's mailbox, the oldest first; with `--json` one JSON object a line
#[derive(Debug, Args)]
pub struct Inbox {
    #[command(flatten)]
    which: Which,
    /// Take them out: each is deleted once it was printed, and of many who take at once exactly one gets it
    #[arg(long)]
    take: bool,
    /// With --take: those too that somebody took who ended before they were printed
    #[arg(long, requires = "take")]
    again: bool,
}

pub fn run(command: &Inbox, context: &mut Context) -> Result<Exit, CliError> {
    let post = context.post()?;
    let id = command.which.reached(&post, context)?;
    let subject = post.endpoint(&id)?.ok_or(PostError::NoEndpoint(id))?;
    let mut exit = Exit::Done;
    if !command.take {
        for message in post.messages(&subject)? {
            match message {
                Ok(message) => print(&message, context)?,
                Err(error) => exit = failed(&error),
            }
        }
        return Ok(exit);
    }
    for taken in post.take(&subject, if command.again { Take::Again } else { Take::New })? {
        match taken {
            Ok(taken) => {
                print(taken.message(), context)?;
                // Whoever reads has it now. Ends this here, it is printed once more: never not at all.
                context.out.flush()?;
                taken.done()?;
            }
            Err(error) => exit = failed(&error),
        }
    }
    Ok(exit)
}

/// What is wrong with one message does not keep the others from being read.
fn failed(error: &PostError) -> Exit {
    tracing::error!("{error}");
    Exit::Failed
}

fn print(message: &Message, context: &mut Context) -> Result<(), CliError> {
    match context.form {
        Form::Json => context.out.json_line(&json(message)),
        Form::Text => text(message, context),
    }
}

fn json(message: &Message) -> Value {
    let mut object = json!({
        "id": message.id,
        "from": message.from,
        "to": message.to,
        "sentAt": message.sent_at,
        "state": message.state.as_str(),
    });
    let (key, body) = match std::str::from_utf8(&message.body) {
        Ok(text) => ("body", text.to_owned()),
        Err(_) => ("bodyHex", hex(Path::new(OsStr::from_bytes(&message.body)))),
    };
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), body.into());
    }
    object
}

/// Headers, then the body, set in so that nothing in it passes for a header.
fn text(message: &Message, context: &mut Context) -> Result<(), CliError> {
    let name = |id: &Option<crate::agent::AgentId>| id.as_ref().map_or("unknown".to_owned(), ToString::to_string);
    let out = &mut context.out;
    out.line(format_args!("message {} ({})", message.id, message.state.as_str()))?;
    out.line(format_args!("from: {}", name(&message.from)))?;
    out.line(format_args!("to: {}", name(&message.to)))?;
    out.line(format_args!("sent: {}", message.sent_at.as_deref().unwrap_or("unknown")))?;
    let body = message.body.strip_suffix(b"\n").unwrap_or(&message.body);
    for line in body.split(|byte| *byte == b'\n') {
        out.line(format_args!("  {}", Shown::bytes(line)))?;
    }
    Ok(())
}
