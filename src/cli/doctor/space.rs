//! Space: whether the file systems of the registry and its log have room, may be written, and can lock.

use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::{Finding, Patient, shown};
use crate::agent::Shown;
use crate::disk::mounts::mounts;
use crate::registry::FileSizes;
use crate::report::paste;

/// What must be free beside what the registry needs for a copy of itself: a storm of changes fills as much of its log.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;

/// The fewest files that can still be made: mail is a file a message.
const SPARE_FILES: u64 = 1_000;

/// A log above this is not moved into the registry's file any more, or only when somebody stops reading.
const LONG_LOG_BYTES: u64 = 128 * 1024 * 1024;

pub fn check(patient: &Patient) -> Vec<Finding> {
    let registry = patient.settings.registry();
    let sizes = FileSizes::of(&registry);
    let state_dir = nearest(&patient.settings.state_dir);
    let mut findings = vec![free(&state_dir, sizes)];
    findings.extend(network(&state_dir));
    if sizes.log > LONG_LOG_BYTES {
        let found = format!("the registry's write-ahead log has {}", megabytes(sizes.log));
        findings.push(
            Finding::note("log", found)
                .advise("somebody reads the registry for very long: the log grows until that ends")
                .command(format!("fuser -v {}", paste::quoted(&registry))),
        );
    }
    findings
}

/// What of a path is there.
fn nearest(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

fn free(directory: &Path, sizes: FileSizes) -> Finding {
    let found = match statvfs(directory) {
        Ok(found) => found,
        Err(error) => {
            let error = std::io::Error::from(error);
            return Finding::needs_person("free", format_args!("{}: {error}", shown(directory)));
        }
    };
    let (bytes, files) = (found.f_bavail.saturating_mul(found.f_frsize), found.f_favail);
    let needed = sizes.database.saturating_add(sizes.log).saturating_mul(2).saturating_add(SPARE_BYTES);
    let registry = megabytes(sizes.database.saturating_add(sizes.log));
    let free = format!("{} in {}; the registry has {registry}", megabytes(bytes), shown(directory));
    let word = paste::quoted(directory);
    if found.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Finding::needs_person("free", format_args!("{} may only be read", shown(directory)))
            .advise("after a fault of the disk a file system is mounted read-only: see what the kernel says")
            .command("sudo dmesg | tail -n 50");
    }
    if bytes < needed {
        return Finding::needs_person("free", format_args!("{free}: too little, {} are needed", megabytes(needed)))
            .advise("make room")
            .command(format!("df -h {word}"));
    }
    // Some file systems have no number of files.
    if found.f_files > 0 && files < SPARE_FILES {
        return Finding::needs_person(
            "free",
            format_args!("only {files} more files can be made in {}", shown(directory)),
        )
        .advise("delete some: a file system may be full of small ones")
        .command(format!("df -i {word}"));
    }
    Finding::ok("free", free)
}

/// A write-ahead log is shared memory: it does not work between machines.
fn network(directory: &Path) -> Option<Finding> {
    let mounts = mounts();
    let mount = mounts.iter().filter(|mount| directory.starts_with(&mount.point)).max_by_key(|mount| {
        // Of several at one place the last one is on top, and `max_by_key` gives the last.
        mount.point.components().count()
    })?;
    let kind = Shown::text(&mount.file_system);
    mount.is_quiet().then(|| {
        Finding::needs_person(
            "file system",
            format_args!("{} is on {kind}: SQLite cannot rely on its locks", shown(directory)),
        )
        .advise("put the state directory on a disk of this machine: `state_dir` in the configuration")
    })
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes / (1024 * 1024 / 10);
    if tenths < 10_000 { format!("{}.{} MB", tenths / 10, tenths % 10) } else { format!("{} GB", tenths / 10_240) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;

    #[test]
    fn a_registry_that_would_not_fit_twice_needs_room() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(free(directory.path(), FileSizes::default()).level, Level::Ok);
        let huge = FileSizes { database: u64::MAX / 4, log: 0 };
        assert_eq!(free(directory.path(), huge).level, Level::NeedsPerson);
        assert_eq!(megabytes(1_572_864), "1.5 MB");
    }

    #[test]
    fn what_is_not_there_yet_is_where_it_will_be() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&directory.path().join("a/b")), directory.path());
    }
}
