//! Settling, per path and on the leading edge: an announcement is acted on at once, and further ones about the same path
//! within a short time are one.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::{MAX_PROJECTS, Place};

/// Within this time announcements about one path are one: an editor's save is done in less, and a person waits for less
/// than that without noticing.
pub const SETTLING: Duration = Duration::from_millis(25);

/// What was acted on within the last [`SETTLING`], and what waits since.
#[derive(Debug, Default)]
pub struct Settle {
    /// Each place, and whether something was announced about it since it was acted on.
    places: HashMap<Place, bool>,
    /// Until when each settles. All settle for the same time, so the first comes first.
    until: VecDeque<(Instant, Place)>,
}

impl Settle {
    /// Takes an announcement. Returns whether it is to be acted on now; otherwise it will be [`due`](Self::due).
    pub fn admit(&mut self, place: &Place, now: Instant) -> bool {
        if let Some(waits) = self.places.get_mut(place) {
            *waits = true;
            return false;
        }
        // In a storm that is larger than a scope can tell of, nothing settles any more.
        if self.places.len() < MAX_PROJECTS {
            self.settle(place.clone(), now);
        }
        true
    }

    /// What waited and is to be acted on now.
    pub fn due(&mut self, now: Instant) -> Vec<Place> {
        let mut due = Vec::new();
        while let Some((_, place)) = self.until.pop_front_if(|(until, _)| *until <= now) {
            if self.places.remove(&place) == Some(true) {
                due.push(place.clone());
                self.settle(place, now);
            }
        }
        due
    }

    /// When [`due`](Self::due) should be asked next; `None` while nothing settles.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.until.front().map(|(until, _)| *until)
    }

    fn settle(&mut self, place: Place, now: Instant) {
        self.until.push_back((now + SETTLING, place.clone()));
        self.places.insert(place, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    #[test]
    fn the_first_is_acted_on_at_once_and_those_that_follow_are_one() {
        let (mut settle, start) = (Settle::default(), monotonic());
        let place = Place::Project("/r/p".into());
        assert!(settle.admit(&place, start));
        assert!(!settle.admit(&place, start) && !settle.admit(&place, start));
        assert!(settle.admit(&Place::Project("/r/q".into()), start), "another path does not wait");

        assert!(settle.due(start + SETTLING / 2).is_empty());
        assert_eq!(settle.due(start + SETTLING), std::slice::from_ref(&place));
        assert!(settle.due(start + SETTLING * 2).is_empty());
        assert_eq!(settle.next(), None, "nothing is kept of a path that came to rest");
        assert!(settle.admit(&place, start + SETTLING * 2));
    }

    #[test]
    fn a_storm_is_acted_on_without_being_remembered() {
        let (mut settle, start) = (Settle::default(), monotonic());
        for number in 0..MAX_PROJECTS * 2 {
            assert!(settle.admit(&Place::Project(format!("/r/{number}").into()), start));
        }
        assert_eq!(settle.places.len(), MAX_PROJECTS);
    }
}
