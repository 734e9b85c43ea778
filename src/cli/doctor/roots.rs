//! The scan roots: whether there are any, whether they can be looked under, and whether one lies in another.

use std::path::{Path, PathBuf};

use super::keeper::Keeper;
use super::{Finding, Patient, shown};
use crate::cli::systems;
use crate::decide::RootState;
use crate::disk::stat;
use crate::registry::RootRow;
use crate::report::{RootRemedy, paste};

pub fn check(patient: &Patient) -> Vec<Finding> {
    let told = &patient.settings.roots;
    let known: Vec<RootRow> = match patient.reader("roots").map(|reader| reader.roots()) {
        Ok(Ok(roots)) => roots.into_iter().filter(|root| root.configured).collect(),
        Ok(Err(error)) => return unknown(told, vec![Finding::needs_person("roots", error)]),
        // Which roots a registry has that cannot be read is not known.
        Err(findings) if patient.is_unreadable() => return unknown(told, findings),
        // What is told of roots that nobody looked at yet is still worth something.
        Err(_) if told.is_empty() => return vec![none_known(patient)],
        Err(_) => Vec::new(),
    };
    let mut findings: Vec<Finding> = known.iter().map(|root| of_root(root, patient)).collect();
    findings.extend(known.iter().filter_map(|root| not_any_more(root, patient)));
    for root in told.iter().filter(|root| !known.iter().any(|known| known.path == **root)) {
        findings.push(not_yet(root, patient));
    }
    if findings.is_empty() {
        return vec![none_known(patient)];
    }
    let paths: Vec<&Path> = known
        .iter()
        .filter(|root| !root.alone)
        .map(|root| root.path.as_path())
        .chain(told.iter().map(AsRef::as_ref))
        .collect();
    for inner in &paths {
        if let Some(outer) = paths.iter().find(|outer| inner.starts_with(outer) && inner != *outer) {
            let finding = Finding::ok(
                shown(inner),
                format_args!("lies in the root {}: looked at once, as its own", shown(outer)),
            );
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    findings
}

/// Of the roots of the configuration, where what the registry has of them cannot be read: only what the disk says.
fn unknown(told: &[PathBuf], mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.extend(told.iter().filter_map(|root| Some(absent(root, stat::directory(root).err()?))));
    findings
}

fn none_known(patient: &Patient) -> Finding {
    if systems::is_elsewhere(&patient.settings) {
        return Finding::note("roots", "no scan root is known here, where the system's daemon is not asked");
    }
    Finding::needs_person("roots", "no scan root is known: nothing is looked for")
        .advise("name one in the configuration, or once on the command line")
        .command(patient.meshd("reconcile ROOT"))
}

fn of_root(root: &RootRow, patient: &Patient) -> Finding {
    let (path, word) = (shown(&root.path), paste::quoted(&root.path));
    let since = root.since.as_deref().map_or_else(String::new, |since| format!(" since {}", shown(Path::new(since))));
    match &root.state {
        None => Finding::note(path, "not looked at yet").command(patient.meshd("reconcile")),
        Some(RootState::Online) => match stat::directory(&root.path) {
            Ok(_) => Finding::ok(path, "online"),
            Err(error) => {
                let error = std::io::Error::from(error);
                Finding::needs_person(path, format_args!("was there at the last pass, and now: {error}"))
                    .advise("bring it back; nothing of it is removed meanwhile")
                    .command(format!("ls -ld {word}"))
            }
        },
        Some(state @ (RootState::Offline(why) | RootState::Degraded(why))) => {
            let finding = Finding::needs_person(path, format_args!("{}{since}: {}", state.as_str(), text(why)));
            match RootRemedy::of(state) {
                Some(RootRemedy { to_do, is_accepted: true }) => {
                    finding.advise(format_args!("{to_do}:")).command(patient.meshd(&format!("roots accept {word}")))
                }
                Some(RootRemedy { to_do, is_accepted: false }) => finding.advise(to_do),
                None => finding,
            }
        }
    }
}

/// A root that is looked under although the configuration does not name it any more. A root of its own was registered.
fn not_any_more(root: &RootRow, patient: &Patient) -> Option<Finding> {
    let told = &patient.settings.roots;
    if root.alone || told.is_empty() || told.contains(&root.path) {
        return None;
    }
    patient.facts()?;
    Some(
        Finding::note(shown(&root.path), "looked under, and the configuration does not name it")
            .advise("if the configuration was changed since: have the daemon read it again")
            .command_if_any(Keeper::of(patient).reload()),
    )
}

/// A root that is configured and that no pass looked at.
fn not_yet(root: &Path, patient: &Patient) -> Finding {
    match stat::directory(root) {
        Ok(_) if patient.facts().is_some() => {
            Finding::needs_person(shown(root), "configured, and the daemon does not know of it")
                .advise("the configuration was changed since: have the daemon read it again")
                .command_if_any(Keeper::of(patient).reload())
        }
        Ok(_) if systems::is_elsewhere(&patient.settings) => {
            Finding::note(shown(root), "configured, and nobody looks at it for this registry")
        }
        Ok(_) => Finding::note(shown(root), "configured, and not looked at yet").command(patient.meshd("reconcile")),
        Err(error) => absent(root, error),
    }
}

fn absent(root: &Path, error: rustix::io::Errno) -> Finding {
    let error = std::io::Error::from(error);
    Finding::needs_person(shown(root), format_args!("configured, and not to be looked at: {error}"))
        .advise("make it, mount it, or take it out of the configuration")
        .command(format!("ls -ld {}", paste::quoted(root)))
}

fn text(why: &str) -> String {
    crate::agent::Shown::text(why).to_string()
}
