//! Who waits for a pass: answered when it is over, or when things have settled.

use std::time::{Duration, Instant};

use super::run::Runner;
use super::{EngineError, ReconcileResult, Reply, Until};
use crate::clock::monotonic;

/// Somebody who asked for a reconcile and is not answered yet.
pub struct Waiter {
    until: Until,
    /// The number of the sweep that must have ended.
    sweep: u64,
    pub reply: Reply<ReconcileResult>,
    pub result: ReconcileResult,
    pub deadline: Instant,
}

/// A busy tree may never settle: whoever asked is answered after this at the latest.
const PATIENCE: Duration = Duration::from_secs(5);

impl Runner {
    /// Answers after a pass, or when things have settled.
    pub(super) fn wait_for(&mut self, until: Until, reply: Reply<ReconcileResult>) {
        self.wait_for_sweep(0, until, reply);
    }

    /// The same, after the sweep with this number.
    pub(super) fn wait_for_sweep(&mut self, sweep: u64, until: Until, reply: Reply<ReconcileResult>) {
        if sweep > 0 && !self.surveying.is_under_way() {
            // It could not even begin. It is tried again, and nobody waits for that.
            let why = self.shared.read().registry_error.unwrap_or_default();
            let _ = reply.send(Err(EngineError::Registry(why)));
            return;
        }
        let (result, deadline) = (ReconcileResult::default(), monotonic() + PATIENCE);
        self.waiters.push(Waiter { until, sweep, reply, result, deadline });
    }

    /// Answers everybody whose reconcile has come to its end.
    pub(super) fn answer(&mut self) {
        let (now, settling, ended) = (monotonic(), self.engine.is_settling(), self.surveying.ended());
        self.waiters.retain(|waiter| {
            let settles = waiter.until == Until::Settled && settling && waiter.deadline > now;
            let waits = waiter.sweep > ended || settles;
            if !waits {
                let _ = waiter.reply.send(Ok(waiter.result));
            }
            waits
        });
    }
}
