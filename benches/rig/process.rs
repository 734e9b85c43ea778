//! What the kernel says that a process takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

/// Memory in bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    /// `VmRSS`: all that is in memory now, also pages of files that others share.
    pub resident: u64,
    /// `RssAnon`: what is its own.
    pub anonymous: u64,
    /// `VmHWM`: the most that was resident ever.
    pub most: u64,
}

impl Memory {
    /// Of a process, now.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name| anyhow::Ok(number(&status, name)? * 1024);
        Ok(Self { resident: bytes("VmRSS:")?, anonymous: bytes("RssAnon:")?, most: bytes("VmHWM:")? })
    }
}

/// What one thread has done so far.
#[derive(Clone)]
pub struct Thread {
    /// Its number; the kernel seldom gives it to another soon.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// How often it went to sleep and was woken again.
    pub wakeups: u64,
    /// Its time on a processor.
    pub busy: Duration,
}

impl Thread {
    /// The threads of a process.
    pub fn all(pid: u32) -> anyhow::Result<Vec<Self>> {
        let mut found = Vec::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // One that ended in between has nothing to say any more.
            found.extend(Self::at(&task?.path()).ok());
        }
        Ok(found)
    }

    /// The one at `/proc/PID/task/TID`.
    pub fn at(task: &Path) -> anyhow::Result<Self> {
        let status = fs::read_to_string(task.join("status"))?;
        let schedule = fs::read_to_string(task.join("schedstat"))?;
        let busy = schedule.split_whitespace().next().context("an empty schedstat")?.parse()?;
        let number_of_task = task.file_name().and_then(|name| name.to_str()).context("no task")?;
        Ok(Self {
            number: number_of_task.parse()?,
            name: fs::read_to_string(task.join("comm"))?.trim().to_owned(),
            wakeups: number(&status, "voluntary_ctxt_switches:")?,
            busy: Duration::from_nanos(busy),
        })
    }

    /// Where the kernel tells of the calling thread.
    pub fn own() -> anyhow::Result<PathBuf> {
        Ok(Path::new("/proc").join(fs::read_link("/proc/thread-self")?))
    }
}

/// The time that the threads of a process had on a processor so far.
pub fn busy(pid: u32) -> anyhow::Result<Duration> {
    Ok(Thread::all(pid)?.iter().map(|thread| thread.busy).sum())
}

/// `utime` + `stime`: the same by the kernel's ticks, ended threads included.
pub fn ticked(pid: u32) -> anyhow::Result<Duration> {
    /// `USER_HZ`, which is 100 on every Linux there is.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before may have blanks in it; what follows it starts with the third field.
    let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
    let mut fields = fields.split(' ').skip(11);
    let mut next = || anyhow::Ok(fields.next().context("a short stat")?.parse::<u32>()?);
    Ok(TICK * (next()? + next()?))
}

fn number(status: &str, name: &str) -> anyhow::Result<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}
