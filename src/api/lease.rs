//! What a connection holds while it is served: one of the few places at which there is work, until its answer is taken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit};

/// Held by a connection and by the request that came over it.
#[derive(Debug, Clone, Default)]
pub(super) struct Lease(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    place: Mutex<Option<OwnedSemaphorePermit>>,
    is_endless: AtomicBool,
    answered: Notify,
}

impl Lease {
    /// Takes a place; it is given back when the connection ends, so that answers that nobody takes in are few.
    pub fn take(&self, place: OwnedSemaphorePermit) {
        *self.0.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// Says that the answer has no end: it needs no place, and no time is set for it.
    pub fn is_endless(&self) {
        self.0.is_endless.store(true, Ordering::Relaxed);
        self.0.place.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Says that there is an answer, which is now sent.
    pub fn answer(&self) {
        self.0.answered.notify_one();
    }

    /// Waits until an answer is sent that should come to an end.
    pub async fn answered(&self) {
        self.0.answered.notified().await;
        if self.0.is_endless.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}
