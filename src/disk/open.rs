//! Opening what is at a path without following a link, wherever on the way one is.

use std::ffi::OsStr;
use std::path::{Component, Path};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::stat;

/// Opens `path`, seen from `at`. A link anywhere on the way, the last step included, is `ELOOP`.
pub fn open(at: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    match openat2(&at, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // A filter of system calls says so: those of containers, and systemd's `RestrictSUIDSGID=`, cannot see what is
        // asked for in there.
        Err(Errno::NOSYS) => step_by_step(at, path, flags),
        opened => opened,
    }
}

/// The same, a directory at a time.
fn step_by_step(at: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let through = OFlags::PATH | OFlags::DIRECTORY;
    let names: Vec<&OsStr> = path.components().filter_map(name).collect();
    let mut directory = if path.is_absolute() {
        openat(CWD, "/", through | OFlags::CLOEXEC, Mode::empty())?
    } else {
        openat(at, ".", through | OFlags::CLOEXEC, Mode::empty())?
    };
    let Some((last, above)) = names.split_last() else { return step(&directory, OsStr::new("."), flags) };
    for name in above {
        directory = step(&directory, name, through)?;
    }
    step(&directory, last, flags)
}

fn step(directory: &OwnedFd, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    match openat(directory, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        // What a link is when a directory was asked for; but `ENOTDIR` means that there is certainly no manifest.
        Err(Errno::NOTDIR) if is_link(directory, name) => Err(Errno::LOOP),
        opened => opened,
    }
}

fn is_link(directory: &OwnedFd, name: &OsStr) -> bool {
    stat::file(directory, name).is_ok_and(|(kind, _)| kind == FileType::Symlink)
}

fn name(component: Component<'_>) -> Option<&OsStr> {
    match component {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn both_ways_of_opening_answer_the_same() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("a/b")).unwrap();
        std::fs::write(base.join("a/file"), "x").unwrap();
        for (link, target) in [("a/to-b", "b"), ("a/to-file", "file"), ("a/dangling", "nowhere"), ("to-a", "a")] {
            symlink(target, base.join(link)).unwrap();
        }
        let paths = [
            "a",
            "a/b",
            "a/file",
            "a/none",
            "none/none",
            "a/file/x",
            "a/to-b",
            "a/to-file",
            "a/dangling",
            "a/dangling/x",
            "to-a",
            "to-a/b",
            "to-a/none",
            "a/to-b/x",
        ];
        for path in paths {
            for flags in [OFlags::PATH | OFlags::DIRECTORY, OFlags::RDONLY | OFlags::NONBLOCK] {
                let whole = open(CWD, &base.join(path), flags).map(drop);
                let stepped = step_by_step(CWD, &base.join(path), flags).map(drop);
                assert_eq!(stepped, whole, "{path} with {flags:?}");
            }
        }
        let relative = open(CWD, &base, OFlags::PATH).unwrap();
        assert!(step_by_step(&relative, Path::new("a/file"), OFlags::RDONLY).is_ok());
    }
}
