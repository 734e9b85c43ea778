//! `meshd send`: puts a message into an agent's mailbox, if the sender may.

use std::io::Read;

use clap::Args;
use serde_json::json;

use super::agent::Which;
use super::{CliError, Context, Exit, Form};
use crate::relay::Verdict;
use crate::relay::local::{MAX_BODY_BYTES, PostError};

/// Send a message to an agent: what is on stdin, 1 MiB at most
///
/// When it ends with 0, the message is in the receiver's mailbox and survives a loss of power. Otherwise nothing was sent.
#[derive(Debug, Args)]
pub struct Send {
    /// The receiver: an agent's id, or the directory of its project
    #[arg(value_name = "TO")]
    to: Which,
    /// The sender, likewise
    #[arg(long, value_name = "ID|PATH")]
    from: Which,
}

pub fn run(command: &Send, context: &mut Context) -> Result<Exit, CliError> {
    let post = context.post()?;
    let from = command.from.reached(&post, context)?;
    let to = command.to.reached(&post, context)?;
    // Asked before anybody types a message that may not be sent. Sending asks again.
    if let Verdict::Denied(rule) = post.access(&from, &to)?.verdict {
        return Err(PostError::Denied { from, to, rule: rule.map(Box::new) }.into());
    }
    let mut body = Vec::new();
    // One byte more than there may be shows that there is more.
    let most = u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin().lock().take(most).read_to_end(&mut body).map_err(CliError::Input)?;
    let delivered = post.send(&from, &to, &body)?;
    match context.form {
        Form::Json => context.out.json(&json!({
            "id": delivered.id,
            "from": from,
            "to": to,
            "subject": delivered.subject.as_str(),
            "sentAt": delivered.sent_at,
        }))?,
        Form::Text => context.out.line(format_args!("delivered to {}: {}", delivered.subject, delivered.id))?,
    }
    Ok(Exit::Done)
}
