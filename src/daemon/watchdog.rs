//! The watchdog: systemd restarts a daemon that is there but does nothing any more.
//!
//! It is fed by what the engine and the watcher answer, and by nothing else.

use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::engine::MeshCore;
use crate::systemd;

/// How soon somebody who did not answer is asked again: in a long pass the engine answers when that ends.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Feeds the watchdog for as long as engine and watcher answer. Without a watchdog it does nothing.
pub async fn feed(core: MeshCore) {
    let Some(interval) = systemd::watchdog_interval() else { return };
    let within = interval.checked_div(4).unwrap_or(interval);
    let mut wait = Duration::ZERO;
    loop {
        tokio::time::sleep(wait).await;
        let core = core.clone();
        if spawn_blocking(move || core.is_alive(within)).await.unwrap_or(false) {
            systemd::feed_watchdog();
            wait = interval;
        } else {
            tracing::warn!("engine or watcher did not answer within {} s", within.as_secs());
            wait = ASK_AGAIN;
        }
    }
}
