//! The registry: whether it can be read, whether SQLite finds it whole, and whether its rows are agents.

use std::io::{IsTerminal, Write};
use std::path::Path;

use super::{Finding, Patient, shown};
use crate::cli::systems;
use crate::clock::monotonic;
use crate::registry::{FileSizes, Filter, RegistryError};
use crate::report::paste;
use crate::report::wording::{count, duration};

/// Above this, checking takes so long that a person wants to know what is being done.
const LARGE_BYTES: u64 = 256 * 1024 * 1024;

/// The most of SQLite's findings that are told: a page that is gone is found in a hundred ways.
const MAX_TOLD: usize = 5;

pub fn check(patient: &Patient) -> Vec<Finding> {
    let file = patient.settings.registry();
    if let Err(error) = patient.registry() {
        return vec![unreadable(patient, &file, error)];
    }
    let mut findings = vec![whole(patient, &file)];
    findings.extend(rows(patient));
    findings
}

fn unreadable(patient: &Patient, file: &Path, error: &RegistryError) -> Finding {
    let word = paste::quoted(file);
    match error {
        RegistryError::Missing(_) => {
            let finding = Finding::note("registry", format_args!("there is none yet at {}", shown(file)));
            // Where it stands is told of the daemon.
            if systems::is_elsewhere(&patient.settings) {
                return finding;
            }
            finding.advise("a first pass makes it").command(patient.meshd("reconcile ROOT"))
        }
        RegistryError::Corrupt(_) => rebuilt(patient, Finding::needs_person("registry", error)),
        RegistryError::Older { .. } => Finding::note("registry", error)
            .advise("the daemon, or a pass, copies it beside itself and migrates it")
            .command(patient.meshd("reconcile")),
        RegistryError::Newer { .. } => {
            Finding::needs_person("registry", error).advise("install the newer meshd").command("type -a meshd")
        }
        RegistryError::NotAFile(_) | RegistryError::Foreign { .. } => Finding::needs_person("registry", error)
            .advise("move it away, or name another state directory")
            .command(format!("mv {word} {word}.aside")),
        RegistryError::Busy => Finding::needs_person("registry", error)
            .advise("another program holds it for long")
            .command(format!("fuser -v {word}")),
        RegistryError::Io(_) if patient.is_foreign() => Finding::needs_person("registry", error)
            .advise("ask as the user whose meshd it is")
            .command(patient.meshd("doctor")),
        RegistryError::Full
        | RegistryError::Io(_)
        | RegistryError::ReadOnly
        | RegistryError::GivenUp
        | RegistryError::Import { .. }
        | RegistryError::Conflict(_)
        | RegistryError::Row(_)
        | RegistryError::Sqlite(_) => Finding::needs_person("registry", error)
            .advise("look at the file and its file system")
            .command(format!("ls -l {word}*")),
    }
}

/// Reads every page of it.
fn whole(patient: &Patient, file: &Path) -> Finding {
    let bytes = FileSizes::of(file).database;
    let begun = monotonic();
    if bytes > LARGE_BYTES && std::io::stderr().is_terminal() {
        // Where stderr is gone there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "reading every page of {} ({} MB) …", shown(file), bytes / 1_048_576);
    }
    let found = patient.reader("registry").map(|reader| reader.integrity());
    let took = duration(begun.elapsed());
    match found {
        Ok(Ok(wrong)) if wrong.is_empty() => {
            Finding::ok("registry", format_args!("{} is whole: every page was read, in {took}", shown(file)))
        }
        Ok(Ok(wrong)) => damaged(patient, &wrong.iter().take(MAX_TOLD).cloned().collect::<Vec<_>>().join("; ")),
        Ok(Err(error)) => damaged(patient, &error.to_string()),
        Err(mut findings) => findings.pop().unwrap_or_else(|| damaged(patient, "it cannot be read")),
    }
}

fn damaged(patient: &Patient, why: &str) -> Finding {
    // Text that SQLite found in the file may be anybody's.
    let why = crate::agent::Shown::text(why).to_string();
    rebuilt(patient, Finding::needs_person("registry", format_args!("SQLite finds it damaged: {why}")))
}

/// What to do about a damaged registry: whoever writes it next moves it aside by itself. The scan roots are named where
/// nobody else knows them: no daemon that runs, and no configuration.
fn rebuilt(patient: &Patient, finding: Finding) -> Finding {
    let known = patient.facts().is_some() || !patient.settings.roots.is_empty();
    let reconcile = if known { "reconcile".to_owned() } else { format!("reconcile {}", remembered(patient)) };
    finding
        .advise(
            "a pass over all scan roots moves it aside and builds it anew from the manifests; look at the disk, too",
        )
        .command(patient.meshd(&reconcile))
        .command("sudo dmesg | grep -iE 'error|ata|nvme' | tail")
}

/// The scan roots that can still be read from a damaged registry, as words of a shell.
fn remembered(patient: &Patient) -> String {
    let roots = patient.reader("roots").ok().and_then(|reader| reader.roots().ok()).unwrap_or_default();
    let roots = roots.iter().filter(|root| root.configured && !root.alone).map(|root| paste::quoted(&root.path));
    let roots: Vec<String> = roots.collect();
    if roots.is_empty() { "ROOT".to_owned() } else { roots.join(" ") }
}

/// Rows that are no agents: something else wrote them.
fn rows(patient: &Patient) -> Option<Finding> {
    let reader = patient.reader("rows").ok()?;
    Some(match reader.list(&Filter::default(), &patient.now()) {
        Ok(records) => {
            let all = count(u64::try_from(records.len()).unwrap_or(u64::MAX), "agent");
            let bad = records.iter().filter(|record| record.agent.is_err()).count();
            if bad == 0 {
                Finding::ok("rows", format_args!("{all}, each as a manifest could be"))
            } else {
                Finding::note("rows", format_args!("{bad} of {all} cannot be read as agents"))
                    .advise("the next pass writes them anew from their manifests")
                    .command(patient.meshd("reconcile"))
            }
        }
        Err(error) => Finding::needs_person("rows", error),
    })
}
