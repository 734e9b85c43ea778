//! `meshd completions`: what a shell needs to complete a command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::out::Out;
use super::{Cli, CliError, Exit};

/// Print completions for a shell
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell
    shell: Shell,
}

pub fn run(command: &Completions, out: &mut Out) -> Result<Exit, CliError> {
    // Into memory first: clap panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Cli::command(), "meshd", &mut script);
    out.raw(&script)?;
    out.flush()?;
    Ok(Exit::Done)
}
