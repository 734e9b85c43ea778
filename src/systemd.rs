//! What systemd is told, and how often it wants to hear. Without systemd nothing happens.
//!
//! A socket that nobody reads blocks whoever writes to it, so a thread of its own does.

use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use sd_notify::NotifyState;

/// Messages that may wait for systemd to read. What comes while there are so many is dropped.
const WAITING: usize = 16;

static TELLER: LazyLock<Sender<String>> = LazyLock::new(|| {
    teller(|message| {
        if let Err(error) = sd_notify::notify(&[NotifyState::Custom(message)]) {
            tracing::debug!(%error, "systemd was not told");
        }
    })
});

/// The daemon is ready: at its start, and again after a reload.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What `systemctl status` shows.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// The configuration is being read again; [`ready`] ends that.
pub fn reloading() {
    // With the time, also a unit of `Type=notify-reload` takes this for the answer to its own signal.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon is on its way out.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The daemon is alive.
pub fn feed_watchdog() {
    tell(&[NotifyState::Watchdog]);
}

/// How often the watchdog is to be fed: half of what systemd waits for. `None` where there is no watchdog.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().and_then(|timeout| timeout.checked_div(2)).filter(|interval| !interval.is_zero())
}

fn tell(states: &[NotifyState<'_>]) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let message = states.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    if let Err(error) = TELLER.try_send(message) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// A thread that sends what it is given, in order.
fn teller(send: impl Fn(&str) + Send + 'static) -> Sender<String> {
    let (sender, messages) = bounded::<String>(WAITING);
    let started =
        thread::Builder::new().name("systemd".to_owned()).spawn(move || messages.iter().for_each(|it| send(&it)));
    if let Err(error) = started {
        tracing::warn!("systemd will not be told anything: {error}");
    }
    sender
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_tells_something_does_not_wait_for_systemd_to_read_it() {
        let (done, never) = bounded::<()>(0);
        let (heard, hearing) = bounded(1);
        let teller = teller(move |message| {
            let _ = heard.send(message.to_owned());
            let _ = never.recv();
        });
        let told: Vec<bool> = (0..100).map(|number| teller.try_send(number.to_string()).is_ok()).collect();
        assert_eq!(hearing.recv().as_deref(), Ok("0"), "in order");
        assert!(told.iter().take(WAITING).all(|told| *told) && !told.iter().all(|told| *told));
        drop(done);
    }
}
