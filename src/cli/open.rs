//! `meshd open`: a link to the page.

use clap::Args;
use serde_json::json;

use super::{CliError, Context, Exit, Form};
use crate::api::client::Client;

/// Print a link to the page, which can be used once, within a minute
///
/// The page is served where `http` in the configuration, or `meshd run --http`, says so.
#[derive(Debug, Args)]
pub struct Open {}

pub fn run(_: &Open, context: &mut Context) -> Result<Exit, CliError> {
    let url = Client::new(&context.settings.socket, &context.settings.state_dir).link()?;
    match context.form {
        Form::Json => context.out.json(&json!({ "url": url }))?,
        Form::Text => context.out.line(url)?,
    }
    Ok(Exit::Done)
}
