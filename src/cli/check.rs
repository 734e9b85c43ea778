//! `meshd check`: whether the configuration and the manifests below the roots can be used. It changes nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{CliError, Context, Exit, Form};
use crate::agent::Shown;

use crate::daemon::assemble::{self, Scanned};
use crate::decide::Probe;
use crate::disk::parallel::in_parallel;
use crate::disk::{Tree, Trust, Unwatched, Walk, probe, stat};
use crate::report::put_path;

/// Check the configuration and every manifest below the scan roots; changes nothing
#[derive(Debug, Args)]
pub struct Check {}

/// What is wrong, and where.
struct Finding {
    path: PathBuf,
    why: String,
}

pub fn run(_: &Check, context: &mut Context) -> Result<Exit, CliError> {
    let settings = &context.settings;
    let known = match context.registry() {
        Ok(registry) => registry.roots()?,
        Err(CliError::NoRegistry(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let scanned = assemble::scanned(settings, known, &[]);
    let roots = &scanned.roots;
    let (manifests, findings) = check_manifests(&scanned);
    let exit = if findings.is_empty() { Exit::Done } else { Exit::Failed };
    match context.form {
        Form::Json => {
            let mut answer = Map::new();
            match &context.settings.file {
                Some(file) => put_path(&mut answer, "configuration", file),
                None => drop(answer.insert("configuration".to_owned(), Value::Null)),
            }
            answer.insert("roots".to_owned(), roots.iter().map(|root| Shown::path(root).to_string()).collect());
            answer.insert("manifests".to_owned(), manifests.into());
            answer.insert("findings".to_owned(), findings.iter().map(Finding::json).collect());
            context.out.json(&answer)?;
        }
        Form::Text => {
            let file = context.settings.file.as_deref();
            let file = file.map_or_else(|| "no file, defaults".to_owned(), |file| Shown::path(file).to_string());
            context.out.line(format_args!("configuration: {file}"))?;
            let none = if roots.is_empty() { ": none is configured" } else { "" };
            context.out.line(format_args!("roots: {}{none}", roots.len()))?;
            context.out.line(format_args!("manifests: {manifests}"))?;
            for finding in &findings {
                context.out.line(format_args!("{}: {}", Shown::path(&finding.path), finding.why))?;
            }
        }
    }
    Ok(exit)
}

impl Finding {
    fn json(&self) -> Value {
        let mut object = Map::new();
        put_path(&mut object, "path", &self.path);
        object.insert("why".to_owned(), json!(self.why));
        Value::Object(object)
    }
}

/// Looks at every manifest below the roots. Returns how many there are, and what is wrong.
fn check_manifests(scanned: &Scanned) -> (u64, Vec<Finding>) {
    let roots: Vec<Arc<Path>> = scanned.roots.iter().map(|root| Arc::from(root.as_path())).collect();
    let (mut manifests, mut findings, mut ids) = (0_u64, Vec::new(), HashMap::new());
    for root in &roots {
        if let Err(error) = stat::directory(root) {
            findings.push(Finding { path: root.to_path_buf(), why: std::io::Error::from(error).to_string() });
            continue;
        }
        let mut tree = Tree::new(Arc::clone(root));
        tree.refresh(root, Trust::Times, &mut Walk { kept: &scanned.kept, roots: &roots, watches: &mut Unwatched });
        let unlisted = tree.unlisted().into_iter();
        findings.extend(unlisted.map(|unlisted| Finding { path: unlisted.directory, why: unlisted.why }));
        let projects: Vec<&Path> = tree.projects(root).collect();
        let sights = in_parallel(&projects, |project| probe(project, Some(Arc::clone(root))));
        for (project, sight) in projects.into_iter().zip(sights) {
            match sight.probe {
                Probe::Absent(_) => {}
                Probe::Present(found) => {
                    manifests = manifests.saturating_add(1);
                    if let Some(first) = ids.insert(found.id().clone(), project.to_owned()) {
                        let why = format!("claims the id {}, as {} does", found.id(), Shown::path(&first));
                        findings.push(Finding { path: project.to_owned(), why });
                    }
                }
                Probe::Unreadable(unreadable) => {
                    manifests = manifests.saturating_add(1);
                    findings.push(Finding { path: project.to_owned(), why: unreadable.why });
                }
            }
        }
    }
    (manifests, findings)
}
