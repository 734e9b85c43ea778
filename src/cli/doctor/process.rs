//! What the kernel says of processes, and programs that are asked for something and must answer soon.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::clock::monotonic;
use crate::lock::{self, Holder};

/// How long a program may take to answer: systemd's own answer within milliseconds, or hang for 25 s without a bus.
const WITHIN: Duration = Duration::from_secs(3);

/// How often it is looked whether it answered.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What inotify instances a user's programs have.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inotify {
    /// Instances.
    pub instances: u64,
    /// Watches, in all of them.
    pub watches: u64,
}

/// What all programs of a user have, as far as this process may look.
pub fn inotify_of(user: u32) -> Inotify {
    let mut found = Inotify::default();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let is_process = process.file_name().to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()));
        if !is_process || process.metadata().map_or(true, |process| process.uid() != user) {
            continue;
        }
        for fd in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            if fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == "anon_inode:inotify") {
                found.instances = found.instances.saturating_add(1);
                let info = fs::read(process.path().join("fdinfo").join(fd.file_name())).unwrap_or_default();
                let watches = info.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"inotify")).count();
                found.watches = found.watches.saturating_add(u64::try_from(watches).unwrap_or(u64::MAX));
            }
        }
    }
    found
}

/// Whose process it is; `None` if there is none.
pub fn user_of(pid: u32) -> Option<u32> {
    fs::metadata(of(pid)).ok().map(|process| process.uid())
}

/// Who holds the lock of a state directory now: who says so, as far as the kernel says that the lock is held by them.
pub fn holder(state_dir: &Path) -> Option<Holder> {
    let file = fs::metadata(lock::file(state_dir)).ok()?.ino();
    let holder = lock::said_holder(state_dir)?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().any(|line| is_held(line, holder.pid, file)).then_some(holder)
}

/// Whether a line of `/proc/locks` is that this process has locked the file of this number. The device is left out: some
/// file systems give another one there than to `stat`.
fn is_held(line: &str, pid: u32, file: u64) -> bool {
    let mut words = line.split_whitespace().skip(1);
    let is_lock = words.next() == Some("FLOCK") && words.next() == Some("ADVISORY") && words.next() == Some("WRITE");
    let is_its = words.next() == Some(&pid.to_string());
    let locked = words.next().and_then(|place| place.rsplit(':').next()?.parse().ok());
    is_lock && is_its && locked == Some(file)
}

/// How many files a process has open, and how many it may; `None` where that is not to be looked at.
pub fn open_files(pid: u32) -> Option<(u64, u64)> {
    let open = fs::read_dir(of(pid).join("fd")).ok()?.count();
    let limits = fs::read_to_string(of(pid).join("limits")).ok()?;
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?;
    Some((u64::try_from(open).ok()?, soft.parse().unwrap_or(u64::MAX)))
}

fn of(pid: u32) -> PathBuf {
    PathBuf::from("/proc").join(pid.to_string())
}

/// What a program prints, if it is there, answers soon, and is content.
pub fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let command = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let begun = monotonic();
    // What is asked for here fits into a pipe, so nobody waits for it to be read.
    let ended = loop {
        match child.try_wait() {
            Ok(None) if begun.elapsed() < WITHIN => std::thread::sleep(LOOK_AGAIN),
            Ok(Some(status)) => break status,
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let mut said = String::new();
    child.stdout.take()?.take(64 * 1024).read_to_string(&mut said).ok()?;
    ended.success().then_some(said)
}

/// The same, as `KEY=VALUE` lines.
pub fn properties(program: &str, arguments: &[&str]) -> Option<BTreeMap<String, String>> {
    let said = answer(program, arguments)?;
    let properties = said.lines().filter_map(|line| line.split_once('='));
    Some(properties.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_fails_or_hangs_says_nothing() {
        assert_eq!(answer("/nowhere/program", &[]), None);
        assert_eq!(answer("false", &[]), None);
        assert_eq!(answer("sleep", &["60"]), None);
        assert_eq!(answer("echo", &["a=b"]).as_deref(), Some("a=b\n"));
    }

    #[test]
    fn a_lock_is_held_by_whom_the_kernel_says() {
        let line = "2: FLOCK  ADVISORY  WRITE 4344 fe:00:2818266 0 EOF";
        assert!(is_held(line, 4344, 2_818_266));
        assert!(!is_held(line, 4344, 1) && !is_held(line, 1, 2_818_266));
        assert!(!is_held("2: -> FLOCK  ADVISORY  WRITE 4344 fe:00:2818266 0 EOF", 4344, 2_818_266), "it waits");
        let directory = tempfile::tempdir().unwrap();
        let taken = lock::Lock::take(directory.path(), lock::What::Command, Duration::ZERO).unwrap();
        assert_eq!(holder(directory.path()).map(|holder| holder.pid), Some(std::process::id()));
        drop(taken);
        assert_eq!(holder(directory.path()), None);
    }

    #[test]
    fn this_process_has_open_files_and_a_user() {
        let (open, most) = open_files(std::process::id()).unwrap();
        assert!(open > 0 && open < most);
        assert_eq!(user_of(std::process::id()), Some(rustix::process::geteuid().as_raw()));
    }
}
