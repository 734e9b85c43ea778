//! Permissions: what is in the state directory is its user's, who may write it, and nobody else may read it or knock at the
//! socket.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Finding, Patient, shown};
use crate::report::paste;

/// The rights of everybody but the owner.
const OTHERS: u32 = 0o077;

/// What has which rights: all of them for its owner, and none for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Private {
    /// A directory.
    Directory,
    /// A file or a socket.
    File,
}

pub fn check(patient: &Patient) -> Vec<Finding> {
    let state_dir = &patient.settings.state_dir;
    // The state directory of a unit with a user of its own is a link: what counts is where it leads.
    let directory = match fs::metadata(state_dir) {
        Ok(found) if !found.is_dir() => {
            return vec![Finding::needs_person(
                "state directory",
                format_args!("{} is no directory", shown(state_dir)),
            )];
        }
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return vec![Finding::ok("state directory", format_args!("{} is not there yet", shown(state_dir)))];
        }
        Err(error) => {
            let found = format!("{}: {error}", shown(state_dir));
            let finding = Finding::needs_person("state directory", found);
            return vec![if patient.is_foreign() {
                finding.advise("ask as the user whose meshd it is").command(patient.meshd("doctor"))
            } else {
                finding.advise("give the permission back").command(format!("ls -ld {}", paste::quoted(state_dir)))
            }];
        }
    };
    let owner = directory.uid();
    let mut findings: Vec<Finding> = mine(patient).into_iter().collect();
    let mut well = Vec::new();
    match of("state directory", state_dir, &directory, Private::Directory, owner) {
        Some(finding) => findings.push(finding),
        None => well.push("state directory"),
    }
    let in_state = |name: &str| state_dir.join(name);
    let things: [(&str, PathBuf, Private); 6] = [
        ("registry", in_state("registry.db"), Private::File),
        ("registry's log", in_state("registry.db-wal"), Private::File),
        ("relay", in_state("relay.db"), Private::File),
        ("mail", in_state("mail"), Private::Directory),
        ("token", in_state("http.token"), Private::File),
        ("socket", patient.settings.socket.clone(), Private::File),
    ];
    for (name, path, private) in things {
        match fs::symlink_metadata(&path) {
            // That there is a directory in the place of a file is told where it is looked into.
            Ok(found) if found.is_dir() && private == Private::File => {}
            Ok(found) => match of(name, &path, &found, private, owner) {
                Some(finding) => findings.push(finding),
                None => well.push(name),
            },
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied && patient.is_foreign() => {}
            Err(error) => findings.push(Finding::note(name, format_args!("{}: {error}", shown(&path)))),
        }
    }
    if !well.is_empty() {
        findings.push(Finding::ok("private", well.join(", ")));
    }
    findings
}

/// The user whose state directory it is: who asks, where there is none yet. Where it may not be looked at, it is taken to be
/// of whoever keeps others from it.
pub fn owner_of(state_dir: &Path) -> u32 {
    let me = || rustix::process::geteuid().as_raw();
    match fs::metadata(state_dir) {
        Ok(found) => found.uid(),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let above = state_dir.ancestors().find_map(|above| fs::metadata(above).ok());
            above.map_or_else(me, |above| above.uid())
        }
        Err(_) => me(),
    }
}

/// Whether this command may look at everything.
fn mine(patient: &Patient) -> Option<Finding> {
    let (state_dir, owner, me) = (&patient.settings.state_dir, patient.owner, rustix::process::geteuid().as_raw());
    if !patient.is_foreign() {
        return None;
    }
    let found = format!("{} belongs to user {owner}, and this is user {me}", shown(state_dir));
    let finding = Finding::needs_person("owner", found);
    let is_ours = state_dir.join("registry.db").is_file() && patient.pid().is_none();
    Some(if owner == 0 && !patient.is_systems() && is_ours {
        finding
            .advise("if root made it by mistake, give it back")
            .command(format!("sudo chown -R {me} {}", paste::quoted(state_dir)))
    } else {
        finding.advise("ask as the user whose meshd it is").command(patient.meshd("doctor"))
    })
}

/// What is wrong with one thing.
fn of(name: &str, path: &Path, found: &Metadata, private: Private, owner: u32) -> Option<Finding> {
    let (mode, word) = (found.permissions().mode() & 0o777, paste::quoted(path));
    if found.uid() != owner {
        let whose = format!("{} belongs to user {}, and the state directory to {owner}", shown(path), found.uid());
        let finding = Finding::needs_person(name, whose);
        return Some(if found.file_type().is_socket() {
            finding.advise("a daemon of another user listens there: name the socket of this one, `--socket`")
        } else {
            finding.advise("a daemon of its owner cannot use it").command(format!("sudo chown {owner} {word}"))
        });
    }
    if found.file_type().is_symlink() {
        return None;
    }
    let (needed, right) = match private {
        Private::Directory => (0o700, "700"),
        Private::File => (0o600, "600"),
    };
    let wrong = if mode & OTHERS != 0 {
        "others may look at it"
    } else if mode & needed != needed {
        "its owner may not read and write it"
    } else {
        return None;
    };
    let found = format!("{} has mode {mode:o}: {wrong}", shown(path));
    Some(Finding::needs_person(name, found).command(format!("chmod {right} {word}")))
}
