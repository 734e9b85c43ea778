//! Permissions: what is in the state directory is its user's, and nobody else may read it or knock at the socket.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Finding, Patient, shown};
use crate::report::paste;

/// The rights of everybody but the owner.
const OTHERS: u32 = 0o077;

/// The most that its owner may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Private {
    /// A directory.
    Directory,
    /// A file or a socket.
    File,
}

pub fn check(patient: &Patient) -> Vec<Finding> {
    let state_dir = &patient.settings.state_dir;
    let owner = match fs::metadata(state_dir) {
        Ok(found) if !found.is_dir() => {
            return vec![Finding::needs_person(
                "state directory",
                format_args!("{} is no directory", shown(state_dir)),
            )];
        }
        Ok(found) => found.uid(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Finding::ok("state directory", format_args!("{} is not there yet", shown(state_dir)))];
        }
        Err(error) => {
            let found = format!("{}: {error}", shown(state_dir));
            let word = paste::quoted(state_dir);
            return vec![
                Finding::needs_person("state directory", found)
                    .advise("ask as the user whose meshd it is, or give the permission back")
                    .command(format!("ls -ld {word}")),
            ];
        }
    };
    let mut findings = mine(state_dir, owner);
    let in_state = |name: &str| state_dir.join(name);
    let things: [(&str, PathBuf, Private); 7] = [
        ("state directory", state_dir.clone(), Private::Directory),
        ("registry", in_state("registry.db"), Private::File),
        ("registry's log", in_state("registry.db-wal"), Private::File),
        ("relay", in_state("relay.db"), Private::File),
        ("mail", in_state("mail"), Private::Directory),
        ("token", in_state("http.token"), Private::File),
        ("socket", patient.settings.socket.clone(), Private::File),
    ];
    let mut well = Vec::new();
    for (name, path, private) in things {
        match fs::symlink_metadata(&path) {
            Ok(found) => match of(name, &path, &found, private, owner) {
                Some(finding) => findings.push(finding),
                None => well.push(name),
            },
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {}
            Err(error) => findings.push(Finding::note(name, format_args!("{}: {error}", shown(&path)))),
        }
    }
    if !well.is_empty() {
        findings.push(Finding::ok("private", well.join(", ")));
    }
    findings
}

/// Whether this command may look at everything.
fn mine(state_dir: &Path, owner: u32) -> Vec<Finding> {
    let me = rustix::process::geteuid().as_raw();
    if me == owner || me == 0 {
        return Vec::new();
    }
    let found = format!("{} belongs to user {owner}, and this is user {me}", shown(state_dir));
    vec![
        Finding::needs_person("owner", found)
            .advise("ask as that user; if it was root by mistake, give it back")
            .command(format!("sudo chown -R {me} {}", paste::quoted(state_dir))),
    ]
}

/// What is wrong with one thing.
fn of(name: &str, path: &Path, found: &Metadata, private: Private, owner: u32) -> Option<Finding> {
    let (mode, word) = (found.permissions().mode() & 0o777, paste::quoted(path));
    if found.uid() != owner {
        let whose = format!("{} belongs to user {}, and the state directory to {owner}", shown(path), found.uid());
        let finding = Finding::needs_person(name, whose).advise("a daemon of its owner cannot use it");
        return Some(finding.command(format!("sudo chown {owner} {word}")));
    }
    if found.file_type().is_symlink() || mode & OTHERS == 0 {
        return None;
    }
    let right = match private {
        Private::Directory => "700",
        Private::File => "600",
    };
    let wide = format!("{} has mode {mode:o}: others may look at it", shown(path));
    Some(Finding::needs_person(name, wide).command(format!("chmod {right} {word}")))
}
