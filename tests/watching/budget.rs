//! Too few watches: what is cold is polled, what matters most is watched, and more are taken when there are more.

use std::sync::Arc;

use super::*;

impl Live {
    fn told(&self, name: &str) -> usize {
        let reader = Reader::open(&self.path("state/registry.db")).unwrap();
        let events = reader.events_after(0, 10_000).unwrap();
        events.into_iter().filter(|stored| stored.event.name.as_str() == name).count()
    }

    #[track_caller]
    fn until_cold(&self, what: &str, holds: impl Fn(u64) -> bool) {
        let deadline = monotonic() + DEADLINE;
        while !holds(self.core.facts().cold) {
            assert!(monotonic() < deadline, "{what}: {} are cold", self.core.facts().cold);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn with_hardly_a_watch_every_change_is_found_by_polling() {
    for budget in [0, 1, 3, 10] {
        let live = Live::with_budget(budget);
        live.edit("root/ns/a", "a", "edited");
        live.edit("root/new/deep/tree/b", "b", "new");
        live.edit("root/new/deep/tree/b", "b", "edited");
        fs::rename(live.path("root/new"), live.path("root/ns/moved")).unwrap();
        live.edit("root/ns/moved/deep/tree/b", "b", "moved");
        fs::remove_dir_all(live.path("root/ns/a")).unwrap();
        live.until("a", "unreachable", |record| record.is_some_and(|record| record.unreachable.is_some()));
        live.nothing_left_to_do();
        let facts = live.core.facts();
        assert!(facts.watches <= budget && facts.cold > 0, "{} watches, {} cold", facts.watches, facts.cold);
        assert_eq!((facts.degraded.len(), live.told("watch.limit")), (1, 1), "said once");
        assert_eq!(facts.missed_events, 0, "what a poll finds was not missed");
    }
}

#[test]
fn a_root_that_comes_back_is_noticed_although_nothing_above_it_is_watched() {
    let live = Live::with_budget(0);
    fs::rename(live.path("root"), live.path("elsewhere")).unwrap();
    live.until("a", "unreachable", |record| record.is_some_and(|record| record.unreachable.is_some()));
    fs::rename(live.path("elsewhere"), live.path("root")).unwrap();
    live.until("a", "reachable", |record| record.is_some_and(|record| record.unreachable.is_none()));
}

#[test]
fn with_a_larger_budget_everything_is_watched_again() {
    let live = Live::with_budget(8);
    live.edit("root/ns/b/c/d", "d", "deep");
    live.until_cold("too few", |cold| cold > 0);
    live.reload(&["root"], 1_000);
    live.until_cold("enough", |cold| cold == 0);
    assert!(live.core.facts().degraded.is_empty());
    live.edit("root/ns/b/c/d", "d", "edited");
    live.reload(&["root"], 8);
    live.until_cold("too few again", |cold| cold > 0);
    assert!(live.core.facts().watches <= 8);
    live.edit("root/ns/b/c/d", "d", "edited again");
    live.nothing_left_to_do();
}

#[test]
fn the_watches_of_each_root_are_counted() {
    let live = Live::start();
    let root: Arc<std::path::Path> = Arc::from(live.path("root"));
    let facts = live.core.roots_heard(DEADLINE).unwrap();
    assert_eq!(facts.len(), 1);
    // The root, `ns`, the project and its `.dork`.
    assert_eq!((&*facts[0].path, facts[0].heard.watches, facts[0].heard.cold), (&*root, 4, 0));
    assert!(facts[0].swept_at_ms.is_some());
}

#[test]
fn the_budget_that_the_shortage_names_is_enough() {
    let live = Live::with_budget(10);
    live.edit("root/ns/b/c/d", "d", "deep");
    live.edit("root/ns/b/c/e", "e", "deep");
    live.nothing_left_to_do();
    let facts = live.core.facts();
    let told = facts.degraded.join(" ");
    let named: u64 = told.split("`watch_budget = ").nth(1).unwrap().split('`').next().unwrap().parse().unwrap();
    assert_eq!(named, facts.watches + facts.cold, "{told}");
    live.reload(&["root"], named);
    live.until_cold(&told, |cold| cold == 0);
    assert_eq!(live.core.facts().degraded, Vec::<String>::new());
    assert_eq!(live.core.facts().watches, named);
}
