//! The vigil: hears of what no watch tells. That something was mounted or unmounted, that the machine slept, and that
//! notify's threads hear nothing any more.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

use super::facts::WatchFacts;
use crate::clock::{monotonic, since_boot};
use crate::disk::mounts::{MOUNT_TABLE, Mount, mounts};
use crate::scope::inbox::Announcer;

/// How often the canary is touched: each time wakes two threads.
const TOUCHED_EVERY: Duration = Duration::from_mins(1);

/// How soon it is touched again after it was not heard.
const TOUCHED_AGAIN: Duration = Duration::from_secs(5);

/// A machine that slept for less lost nothing that its clocks would tell of.
const SLEPT: Duration = Duration::from_secs(1);

/// The file that is touched to hear whether notifications come through, made if it is not there.
///
/// # Errors
/// It cannot be written.
pub fn canary(state_dir: &Path) -> Result<PathBuf, String> {
    let path = state_dir.join("canary");
    touch(&path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

/// Closing a file that was open for writing is announced, without a byte being written.
fn touch(canary: &Path) -> std::io::Result<()> {
    File::options().append(true).create(true).mode(0o600).open(canary).map(drop)
}

/// Keeps watch until the watcher is gone.
pub fn keep(canary: &Path, roots: &RwLock<Vec<Arc<Path>>>, facts: &Weak<WatchFacts>, announcer: &Announcer) {
    let table = File::open(MOUNT_TABLE).ok();
    let clock = stepped();
    let mut mounted = mounts();
    let mut asleep = time_asleep();
    let _ = touch(canary);
    let mut due = monotonic() + TOUCHED_EVERY;
    loop {
        let Some(facts) = facts.upgrade() else { return };
        if due <= monotonic() {
            due = monotonic() + listen(canary, &facts, announcer);
        }
        drop(facts);
        let (mounts_changed, clock_changed) = wait(table.as_ref(), clock.as_ref(), due);
        if mounts_changed {
            let now = mounts();
            let roots = roots.read().unwrap_or_else(PoisonError::into_inner).clone();
            let points = changed(&mounted, &now).filter(|mount| roots.iter().any(|root| mount.concerns(root)));
            announcer.remounted(points.map(|mount| mount.point.clone()).collect());
            mounted = now;
        }
        if let (true, Some(clock)) = (clock_changed, &clock) {
            arm(clock);
        }
        let now = time_asleep();
        if now.saturating_sub(asleep) > SLEPT {
            announcer.doubt();
        }
        asleep = now;
    }
}

/// Touches the canary after a look at whether the last touch was heard. Returns in how long to come again.
fn listen(canary: &Path, facts: &WatchFacts, announcer: &Announcer) -> Duration {
    let is_silent = !facts.heard_canary.swap(false, Ordering::AcqRel) && facts.has_canary.load(Ordering::Acquire);
    let wait = if is_silent {
        facts.silences.fetch_add(1, Ordering::Relaxed);
        facts.is_deaf.store(true, Ordering::Release);
        announcer.doubt();
        TOUCHED_AGAIN
    } else {
        facts.silences.store(0, Ordering::Relaxed);
        TOUCHED_EVERY
    };
    // Where the state directory cannot be written, the registry says so.
    let _ = touch(canary);
    wait
}

/// Waits for the mount table, for the clock or until `due`. Says which of the two changed.
fn wait(table: Option<&File>, clock: Option<&OwnedFd>, due: Instant) -> (bool, bool) {
    let left = due.saturating_duration_since(monotonic());
    let timeout = Timespec::try_from(left).ok();
    let mut fds = Vec::new();
    fds.extend(table.map(|table| PollFd::new(table, PollFlags::PRI)));
    fds.extend(clock.map(|clock| PollFd::new(clock, PollFlags::IN)));
    if poll(&mut fds, timeout.as_ref()).is_err() {
        return (false, false);
    }
    let mut fired = fds.iter().map(|fd| !fd.revents().is_empty());
    let mounts_changed = table.is_some() && fired.next().unwrap_or(false);
    (mounts_changed, clock.is_some() && fired.next().unwrap_or(false))
}

/// What is in one of two mount tables and not in the other.
fn changed<'a>(before: &'a [Mount], now: &'a [Mount]) -> impl Iterator<Item = &'a Mount> {
    let set = |mounts: &'a [Mount]| mounts.iter().collect::<BTreeSet<_>>();
    let (before, now) = (set(before), set(now));
    before.symmetric_difference(&now).copied().collect::<Vec<_>>().into_iter()
}

/// A timer that never ends, but is cancelled when the wall clock is set: that also happens when the machine wakes up.
fn stepped() -> Option<OwnedFd> {
    let clock = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK).ok()?;
    arm(&clock);
    Some(clock)
}

fn arm(clock: &OwnedFd) {
    let never = Timespec { tv_sec: i64::from(i32::MAX) * 4, tv_nsec: 0 };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: never };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    // Reading what was cancelled is what makes it quiet again; without that it would be heard for ever.
    let _ = rustix::io::read(clock, &mut [0_u8; 8]);
    let _ = timerfd_settime(clock, flags, &once);
}

/// How long the machine has slept since it was started.
fn time_asleep() -> Duration {
    let awake = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let awake = Duration::new(u64::try_from(awake.tv_sec).unwrap_or(0), u32::try_from(awake.tv_nsec).unwrap_or(0));
    since_boot().saturating_sub(awake)
}
