//! What a connection holds while it is served: one of the few places at which there is work, until its answer is taken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Held by a connection and by the request that came over it.
#[derive(Debug, Clone)]
pub(super) struct Lease(Arc<Held>);

#[derive(Debug)]
struct Held {
    readers: Arc<Semaphore>,
    place: Mutex<Option<Arc<OwnedSemaphorePermit>>>,
    has_asked: AtomicBool,
    is_endless: AtomicBool,
    answered: Notify,
    cut_off: Notify,
}

impl Lease {
    /// For one connection; `readers` are the places of those whose answer has no end.
    pub fn new(readers: Arc<Semaphore>) -> Self {
        Self(Arc::new(Held {
            readers,
            place: Mutex::default(),
            has_asked: AtomicBool::new(false),
            is_endless: AtomicBool::new(false),
            answered: Notify::new(),
            cut_off: Notify::new(),
        }))
    }

    /// Says that something was asked.
    pub fn ask(&self) {
        self.0.has_asked.store(true, Ordering::Relaxed);
    }

    /// Whether nothing was asked yet, although somebody is still there.
    pub fn is_silent(&self) -> bool {
        !self.0.has_asked.load(Ordering::Relaxed)
    }

    /// Cuts the connection off.
    pub fn cut_off(&self) {
        self.0.cut_off.notify_one();
    }

    /// Waits until the connection is to be cut off.
    pub async fn until_cut_off(&self) {
        self.0.cut_off.notified().await;
    }

    /// Takes a place; it is given back when the connection ends, so that answers that nobody takes in are few, and when whoever
    /// else has it is done.
    pub fn take(&self, place: Arc<OwnedSemaphorePermit>) {
        *self.0.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// Gives the place back: the answer is small.
    pub fn give_back(&self) {
        if !self.0.is_endless.load(Ordering::Relaxed) {
            self.0.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Says that the answer has no end: no time is set for it, and instead of a place at which there is work it has one
    /// of those who listen, if there is one.
    pub fn is_endless(&self) -> bool {
        let Ok(reader) = Arc::clone(&self.0.readers).try_acquire_owned() else { return false };
        self.0.is_endless.store(true, Ordering::Relaxed);
        self.take(Arc::new(reader));
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_listens_gives_the_place_of_work_back_and_takes_one_of_the_listeners() {
        let (places, readers) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let (first, second) = (Lease::new(readers.clone()), Lease::new(readers.clone()));
        first.take(Arc::new(places.clone().acquire_owned().await.unwrap()));
        assert!(first.is_silent() && places.available_permits() == 0);
        assert!(first.is_endless() && !second.is_endless());
        first.give_back();
        assert_eq!((places.available_permits(), readers.available_permits()), (1, 0));
        drop(first);
        assert_eq!(readers.available_permits(), 1);
    }
}
