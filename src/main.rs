//! The `meshd` command: reads the command line, does what it says, and ends with the exit code that fits.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use meshd::cli::{Cli, Exit};

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = error.exit();
            if exit != Exit::Done {
                // `{:#}` is the error with its causes. Where stderr is gone there is nobody left to tell.
                let _ = writeln!(std::io::stderr(), "meshd: {:#}", anyhow::Error::from(error));
            }
            exit.into()
        }
    }
}
