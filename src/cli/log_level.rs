//! `meshd log-level`: how much the daemon logs, while it runs.

use clap::Args;
use serde_json::json;

use super::flags::level;
use super::{CliError, Context, Exit, Form};
use crate::api::client::Client;
use crate::telemetry::Level;

/// Say how much the running daemon logs, or change it
///
/// The change lasts until the daemon is started again or reads its configuration again (`systemctl reload meshd`, SIGHUP).
/// What is to last belongs into the configuration, as `log_level`.
#[derive(Debug, Args)]
pub struct LogLevel {
    /// The least of what is logged from now on
    #[arg(value_name = "LEVEL", value_parser = level())]
    level: Option<Level>,
}

pub fn run(command: &LogLevel, context: &mut Context) -> Result<Exit, CliError> {
    let daemon = Client::new(&context.settings.socket, &context.settings.state_dir);
    let level = match command.level {
        Some(level) => daemon.set_log_level(level)?,
        None => daemon.log_level()?,
    };
    match context.form {
        Form::Json => context.out.json(&json!({ "level": level }))?,
        Form::Text => context.out.line(level.as_str())?,
    }
    Ok(Exit::Done)
}
