//! `meshd unregister`: lets an agent go.

use clap::Args;
use serde_json::{Map, Value};

use super::agent::Which;
use super::deny::denier;
use super::register::strictness;
use super::{CliError, Context, Exit, Form, local};
use crate::agent::Shown;
use crate::engine::Denying;
use crate::registration::{self, Fate, Unregistered};
use crate::report::put_path;

/// Let an agent go: nobody reaches it any more, its record goes, and its manifest is deleted
#[derive(Debug, Args)]
pub struct Unregister {
    #[command(flatten)]
    which: Which,
    /// Leave the manifest, and deny its path, so that it registers nobody
    #[arg(long)]
    keep_manifest: bool,
    /// Let it go although the relay fails: it hears of it once it answers again
    #[arg(long)]
    allow_pending: bool,
}

pub fn run(command: &Unregister, context: &mut Context) -> Result<Exit, CliError> {
    let target = command.which.target(&context.registry()?)?;
    let denying = if command.keep_manifest { Denying::Yes { denier: denier() } } else { Denying::No };
    let request = registration::Unregister { denying, strictness: strictness(command.allow_pending) };
    let gone = local::through_daemon_or_core(
        &context.settings,
        |daemon| Ok(registration::unregister(daemon, target.clone(), &request)?),
        |core| Ok(registration::unregister(core, target.clone(), &request)?),
    )?;
    print(&gone, context)
}

fn print(gone: &Unregistered, context: &mut Context) -> Result<Exit, CliError> {
    let (fate, why) = match &gone.manifest {
        Fate::Deleted => ("deleted", None),
        Fate::Absent => ("absent", None),
        Fate::Kept => ("kept", None),
        Fate::Left(why) => ("left", Some(why)),
    };
    match context.form {
        Form::Json => {
            let mut object = Map::new();
            object.insert("id".to_owned(), gone.id.to_string().into());
            put_path(&mut object, "projectPath", &gone.project);
            object.insert("manifest".to_owned(), fate.into());
            object.insert("why".to_owned(), why.cloned().into());
            context.out.json(&Value::Object(object))?;
        }
        Form::Text => {
            let (id, project) = (&gone.id, Shown::path(&gone.project));
            context.out.line(format_args!("unregistered {id} {project}, its manifest: {fate}"))?;
            if let Some(why) = why {
                context.out.line(why)?;
            }
        }
    }
    Ok(Exit::Done)
}
