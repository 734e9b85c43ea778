//! `meshd man`: the manual, as roff: `meshd man | man -l -`, or as a page for each command.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;

use super::out::Out;
use super::{Cli, CliError, Exit};

/// Print the manual as roff, all commands in one
#[derive(Debug, Args)]
pub struct Man {
    /// Write a page for each command into this directory instead: meshd.1, meshd-run.1, …
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(command: &Man, out: &mut Out) -> Result<Exit, CliError> {
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    let pages = pages(&whole);
    match &command.dir {
        None => print(&pages, out)?,
        Some(directory) => {
            write(&pages, directory).map_err(|error| CliError::Pages { directory: directory.clone(), error })?;
        }
    }
    Ok(Exit::Done)
}

/// A command's page, and then those of its commands.
fn pages(command: &clap::Command) -> Vec<Page> {
    let page = Page::new(command.clone()).source(concat!("meshd ", env!("CARGO_PKG_VERSION"))).manual("meshd");
    std::iter::once(page).chain(command.get_subcommands().flat_map(pages)).collect()
}

fn print(pages: &[Page], out: &mut Out) -> Result<(), CliError> {
    // Into memory first, so that only what stdout says is an error of the answer.
    let mut text = Vec::new();
    pages.iter().try_for_each(|page| page.render(&mut text)).map_err(CliError::Output)?;
    out.raw(&text)?;
    out.flush()
}

fn write(pages: &[Page], directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    pages.iter().try_for_each(|page| page.generate_to(directory).map(drop))
}
