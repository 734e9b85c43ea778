//! What is forgotten at once, as when a root goes, is not taken off watch by watch.

use meshd::disk::{Target, Tidied, Watches};

use super::*;

fn directories(base: &Path) -> Vec<PathBuf> {
    let names = (0..200).map(|number| base.join(format!("d{number}")));
    names.inspect(|path| fs::create_dir_all(path).unwrap()).collect()
}

#[test]
fn a_watcher_that_forgets_everything_has_nothing_to_take_off() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let (announcer, inbox) = inbox();
    let mut watcher = Watcher::start(announcer, &base, None).unwrap();
    let directories = directories(&base.join("root"));
    let targets: Vec<Target> = directories.iter().cloned().map(Target::Directory).collect();
    let dorks: Vec<Target> = directories.iter().map(|path| Target::Dork(path.join(".dork"))).collect();
    for path in &directories {
        fs::create_dir(path.join(".dork")).unwrap();
    }
    for _ in 0..3 {
        watcher.watch(&targets);
        watcher.watch(&dorks);
        assert_eq!(watcher.facts().watched.load(Ordering::Relaxed), 401, "the canary is one of them");
        let all = directories.iter().flat_map(|path| [path.clone(), path.join(".dork")]).collect();
        watcher.forget(all);
        assert!(watcher.plan().is_empty(), "what is watched anew is to be looked at, and nothing is");
        assert_eq!(watcher.tidy(), Tidied::All, "each that is left costs half a millisecond");
        assert!(watcher.facts().has_canary.load(Ordering::Relaxed), "the canary is watched all the same");
    }
    watcher.watch(&targets);
    fs::create_dir(directories[7].join("new")).unwrap();
    inbox.bell().recv_timeout(DEADLINE).unwrap();
    assert!(!inbox.take().scope.is_nothing());
}

#[test]
fn after_a_reload_everything_is_watched_again() {
    let live = Live::start();
    directories(&live.path("root/ns"));
    live.edit("root/ns/d199/z", "z", "new");
    live.core.reconcile(Scope::everything()).unwrap();
    let before = live.core.facts().watches;
    assert!(before > 200, "{before}");
    live.reload(&["root"], 10_000);
    live.core.reconcile(Scope::everything()).unwrap();
    assert_eq!((live.core.facts().watches, live.core.facts().cold), (before, 0));
    live.edit("root/ns/d7/b", "b", "new");
    live.edit("root/ns/a", "a", "edited");
    live.nothing_left_to_do();
}

#[test]
fn what_may_not_be_watched_is_polled_and_is_no_lack_of_watches() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let mut watcher = Watcher::start(inbox().0, &base, None).unwrap();
    // Longer than a name may be: the system refuses it, whoever asks.
    let refused = base.join("x".repeat(300));
    watcher.watch(&[Target::Directory(refused.clone())]);
    let facts = watcher.facts();
    assert_eq!((facts.cold.load(Ordering::Relaxed), watcher.unheard()), (1, vec![refused]));
    assert_eq!(facts.shortage(), None);
}
