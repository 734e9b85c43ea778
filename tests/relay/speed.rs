//! How long it takes, printed and not asserted: `cargo test --release relay::speed -- --ignored --nocapture`.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use meshd::clock::monotonic;
use meshd::relay::local::Take;
use meshd::relay::{Desk, Limits, Relay};

use super::fake::DEADLINE;
use super::files::{Office, soon};
use super::*;

fn timed(what: &str, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let begun = monotonic();
            work();
            begun.elapsed()
        })
        .collect();
    times.sort();
    eprintln!("{what:60} {:8.2} ms", times[4].as_secs_f64() * 1_000.0);
}

/// Ids like those that are minted.
fn world(count: usize, namespaces: usize) -> Vec<(AgentId, Namespace)> {
    let agent = |number: usize| {
        let spread = number.wrapping_mul(2_654_435_761) % 4_294_967_296;
        (id(&format!("01J{spread:010}{number:013}")), namespace(&format!("team-{}", number % namespaces)))
    };
    (0..count).map(agent).collect()
}

#[test]
#[ignore = "it measures, and takes some seconds"]
fn ten_thousand_agents() {
    for namespaces in [100, 10_000] {
        eprintln!("10,000 agents in {namespaces} namespaces");
        let agents = world(10_000, namespaces);
        timed("  everything from nothing", || {
            let office = Office::empty();
            let desk = Desk::start(Arc::new(office.relay()), Limits::default(), |_| {}).unwrap();
            desk.want_all(agents.clone(), vec![]);
            desk.finish(DEADLINE);
            assert_eq!(desk.facts().pending, 0);
        });
        let office = Office::empty();
        let desk = Desk::start(Arc::new(office.relay()), Limits::default(), |_| {}).unwrap();
        desk.want_all(agents.clone(), vec![]);
        desk.finish(DEADLINE);
        let log = || fs::metadata(office.beside("-wal")).unwrap().modified().unwrap();
        let before = log();
        timed("  verify, steady", || {
            desk.verify();
            desk.finish(DEADLINE);
        });
        timed("  want_all, steady", || {
            desk.want_all(agents.clone(), vec![]);
            desk.finish(DEADLINE);
        });
        assert_eq!(log(), before, "no byte written");
        let mut number = 0;
        timed("  one agent more", || {
            number += 1;
            desk.want(vec![(id(&format!("new{number}")), Some(namespace("team-0")))]);
            desk.finish(DEADLINE);
        });
        let mut insists = 0;
        timed("  told, on the engine's thread", || {
            insists += 1;
            desk.want(vec![(id(&format!("other{insists}")), Some(namespace("team-0")))]);
        });
        desk.finish(DEADLINE);
        drop(desk);
        let relay = office.relay();
        relay.list(soon()).unwrap();
        timed("  list alone", || drop(relay.list(soon()).unwrap()));
        eprintln!("  relay.db {} KiB", fs::metadata(office.file()).unwrap().len() / 1024);
    }
}

#[test]
#[ignore = "it measures, and takes some seconds"]
fn mail() {
    let office = Office::of(&[("a", "x"), ("b", "x")]);
    let post = office.post();
    timed("a message of 100 bytes, synced", || drop(post.send(&id("a"), &id("b"), &[b'x'; 100]).unwrap()));
    timed("a message of 1 MiB, synced", || drop(post.send(&id("a"), &id("b"), &vec![b'x'; 1 << 20]).unwrap()));
    timed("whether one may send", || drop(post.access(&id("a"), &id("b")).unwrap()));
    let begun = monotonic();
    for _ in 0..1_000 {
        post.send(&id("a"), &id("b"), b"hello").unwrap();
    }
    eprintln!("1,000 messages one after the other: {:?}", begun.elapsed());
    let begun = monotonic();
    let taken = post.take(&subject("x", "b"), Take::New).unwrap().map(|taken| taken.unwrap().done().unwrap()).count();
    eprintln!("{taken} taken: {:?}", begun.elapsed());
}
