//! `meshd man`: the manual, as roff: `meshd man | man -l -`.

use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;

use super::out::Out;
use super::{Cli, CliError, Exit};

/// Print the manual as roff, all commands in one
#[derive(Debug, Args)]
pub struct Man {}

pub fn run(out: &mut Out) -> Result<Exit, CliError> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    render(&command, &mut pages).map_err(CliError::Output)?;
    out.raw(&pages)?;
    out.flush()?;
    Ok(Exit::Done)
}

/// A command's page, and then those of its commands.
fn render(command: &clap::Command, pages: &mut Vec<u8>) -> std::io::Result<()> {
    Page::new(command.clone()).render(pages)?;
    let commands = command.get_subcommands().filter(|command| command.get_name() != "help");
    commands.into_iter().try_for_each(|command| render(command, pages))
}
