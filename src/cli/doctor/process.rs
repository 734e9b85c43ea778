//! What the kernel says of processes, and programs that are asked for something and must answer soon.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::clock::monotonic;

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

/// The name of the program that a process runs; `None` if there is no such process.
pub fn program_of(pid: u32) -> Option<String> {
    Some(fs::read_to_string(of(pid).join("comm")).ok()?.trim_end().to_owned())
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
    fn this_process_has_open_files_and_a_user() {
        let (open, most) = open_files(std::process::id()).unwrap();
        assert!(open > 0 && open < most);
        assert_eq!(user_of(std::process::id()), Some(rustix::process::geteuid().as_raw()));
    }
}
