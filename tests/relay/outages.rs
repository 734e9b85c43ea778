//! A relay that fails, hangs, forgets, refuses, or leaves open what it did.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use meshd::relay::{RelayError, Report};

use super::fake::*;
use super::*;

#[test]
fn an_outage_is_told_once_and_so_is_its_end() {
    for batches in [Batches::Taken, Batches::NotTaken] {
        let relay = FakeRelay::new(batches);
        let talk = Talk::of(&relay);
        talk.desk.want_all(many(2, "x"), vec![]);
        talk.finish();
        relay.acts(|_| Act::Refuse(unavailable()));
        talk.desk.want(many(50, "x").into_iter().map(|(agent, name)| (agent, Some(name))).collect());
        assert!(matches!(talk.report(), Report::Failing { pending: 48, why } if why.contains("no route")));
        talk.finish();
        for _ in 0..3 {
            talk.desk.verify();
            talk.finish();
        }
        let facts = talk.desk.facts();
        assert_eq!((facts.pending, facts.error.is_some()), (48, true));
        relay.heals();
        assert_eq!(talk.report(), Report::Recovered);
        assert_eq!(relay.present(), complete(&many(50, "x"), &[]));
        assert_eq!(talk.reports(), []);
        let facts = talk.desk.facts();
        assert_eq!((facts.pending, facts.error), (0, None));
    }
}

#[test]
fn a_relay_that_is_down_at_the_start_gets_everything_when_it_is_up() {
    let relay = FakeRelay::new(Batches::Taken);
    relay.acts(|_| Act::Refuse(unavailable()));
    let talk = Talk::of(&relay);
    talk.desk.want_all(many(5, "x"), vec![]);
    assert!(matches!(talk.report(), Report::Failing { pending: 5, .. }));
    talk.finish();
    assert!(matches!(talk.insist("a1"), Err(RelayError::Unavailable(_))), "tried, and said at once");
    relay.heals();
    assert_eq!(talk.report(), Report::Recovered);
    assert_eq!(relay.present(), complete(&many(5, "x"), &[]));
}

#[test]
fn one_endpoint_that_fails_does_not_hold_up_the_others() {
    let relay = FakeRelay::one_by_one();
    relay.acts(|call| if is_about(call, "a3") { Act::Refuse(unavailable()) } else { Act::Do });
    let talk = Talk::of(&relay);
    talk.desk.want_all(many(30, "x"), vec![]);
    until("all others are there", || relay.present().endpoints.len() == 29);
    until("one is missing", || talk.desk.facts().pending == 1);
    assert!(matches!(talk.insist("a3"), Err(RelayError::Unavailable(_))));
    assert_eq!(talk.insist("a4"), Ok(()));
    relay.heals();
    until("it is there", || relay.present().endpoints.len() == 30);
}

#[test]
fn one_endpoint_that_hangs_does_not_hold_up_the_others() {
    let relay = FakeRelay::one_by_one();
    let gate = Gate::default();
    let at = gate.clone();
    relay.acts(move |call| if is_about(call, "a3") { Act::Wait(at.clone()) } else { Act::Do });
    let talk = Talk::with(&relay, impatient());
    talk.desk.want_all(many(30, "x"), vec![]);
    until("all others are there", || relay.present().endpoints.len() == 29);
    // It is asked again and again, and each time it hangs: there are threads left for everybody else.
    assert!(matches!(talk.insist("a3"), Err(RelayError::Ambiguous(_))));
    talk.desk.want(vec![(id("new"), Some(namespace("y")))]);
    until("another one is made meanwhile", || relay.present().endpoints.contains(&endpoint("y", "new")));
    gate.open();
    until("it is there", || talk.desk.facts().pending == 0);
    assert_eq!(relay.present().endpoints.len(), 31);
}

#[test]
fn a_relay_that_swallows_every_call_gets_eight_and_no_more() {
    for batches in [Batches::Taken, Batches::NotTaken] {
        let relay = FakeRelay::new(batches);
        let gate = Gate::default();
        let talk = Talk::with(&relay, impatient());
        talk.desk.want_all(agents(&[("first", "x")]), vec![]);
        talk.finish();
        let at = gate.clone();
        relay.acts(move |_| Act::Wait(at.clone()));
        talk.desk.want(many(40, "x").into_iter().map(|(agent, name)| (agent, Some(name))).collect());
        assert!(matches!(talk.report(), Report::Failing { .. }));
        talk.desk.finish(Duration::from_secs(1));
        let answer = talk.insist("a1");
        assert!(matches!(answer, Err(RelayError::Ambiguous(_) | RelayError::Unavailable(_))), "{answer:?}");
        assert!(relay.most_running() <= 8);
        gate.open();
        until("everything is there after all", || talk.desk.facts().pending == 0);
        until("and nothing is wrong any more", || talk.desk.facts().error.is_none());
        assert_eq!(relay.present().endpoints.len(), 41);
        assert!(relay.most_running() <= 8);
    }
}

#[test]
fn when_no_call_comes_back_that_is_said() {
    let relay = FakeRelay::one_by_one();
    let gate = Gate::default();
    let talk = Talk::with(&relay, impatient());
    talk.desk.want_all(agents(&[("first", "x")]), vec![]);
    talk.finish();
    let at = gate.clone();
    // Only changes hang: each of them is another endpoint's.
    relay.acts(move |call| if *call == Call::List { Act::Do } else { Act::Wait(at.clone()) });
    talk.desk.want(many(40, "x").into_iter().map(|(agent, name)| (agent, Some(name))).collect());
    until("all threads are gone", || talk.desk.facts().error.is_some_and(|why| why.contains("never came back")));
    assert!(matches!(talk.insist("a39"), Err(RelayError::Unavailable(_))), "said at once");
    gate.open();
    until("everything is there after all", || relay.present().endpoints.len() == 41);
}

#[test]
fn after_a_doubt_it_is_looked_again_before_anything_more() {
    for (act, again) in [(Act::DoAndDoubt, 1), (Act::Doubt, 2)] {
        let relay = FakeRelay::one_by_one();
        let talk = Talk::of(&relay);
        talk.desk.want_all(agents(&[("first", "x")]), vec![]);
        talk.finish();
        relay.calls();
        let mut act = Some(act);
        relay.acts(move |_| act.take().unwrap_or(Act::Do));
        talk.desk.want(vec![(id("a"), Some(namespace("x")))]);
        assert_eq!(talk.insist("a"), Ok(()), "an answer waits until it is known");
        let calls = relay.calls();
        assert_eq!(calls[..2], [Call::Change(ensure("x", "a")), Call::List]);
        let made = calls.iter().filter(|call| **call == Call::Change(ensure("x", "a"))).count();
        assert_eq!(made, again, "{calls:?}");
        assert_eq!(relay.present(), complete(&agents(&[("first", "x"), ("a", "x")]), &[]));
    }
}

#[test]
fn a_batch_of_which_nobody_knows_what_came_is_compared_again() {
    for act in [Act::DoAndDoubt, Act::Doubt, Act::Panic] {
        let relay = FakeRelay::new(Batches::Taken);
        let mut act = Some(act);
        relay.acts(move |call| if *call == Call::List { Act::Do } else { act.take().unwrap_or(Act::Do) });
        let talk = Talk::of(&relay);
        talk.desk.want_all(many(20, "x"), vec![]);
        until("everything is there", || talk.desk.facts().pending == 0);
        assert_eq!(relay.present(), complete(&many(20, "x"), &[]));
    }
}

#[test]
fn a_call_that_lands_after_it_was_given_up_is_found_and_put_right() {
    let relay = FakeRelay::one_by_one();
    let gate = Gate::default();
    let talk = Talk::with(&relay, impatient());
    talk.desk.want_all(agents(&[("first", "x")]), vec![]);
    talk.finish();
    let (at, hangs) = (gate.clone(), Arc::new(AtomicBool::new(true)));
    let hang = Arc::clone(&hangs);
    relay.acts(move |call| {
        if is_about(call, "a") && hang.swap(false, Ordering::Relaxed) { Act::Wait(at.clone()) } else { Act::Do }
    });
    talk.desk.want(vec![(id("a"), Some(namespace("x")))]);
    until("it hangs", || !hangs.load(Ordering::Relaxed));
    // Whoever asked for it undoes it; then the first call goes through.
    talk.desk.want(vec![(id("a"), None)]);
    assert_eq!(talk.insist("a"), Ok(()));
    gate.open();
    until("it landed and was taken away", || relay.changes().contains(&retire("x", "a", None)));
    until("only that is there that is wanted", || relay.present() == complete(&agents(&[("first", "x")]), &[]));
}

#[test]
fn what_is_refused_is_told_once_and_tried_again_only_when_there_is_a_reason() {
    let relay = FakeRelay::one_by_one();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    relay.acts(move |call| {
        if !is_about(call, "a") {
            return Act::Do;
        }
        count.fetch_add(1, Ordering::Relaxed);
        Act::Refuse(RelayError::Rejected("a stranger is there".to_owned()))
    });
    let talk = Talk::of(&relay);
    talk.desk.want_all(agents(&[("a", "x"), ("b", "x")]), vec![]);
    talk.finish();
    assert!(matches!(talk.report(), Report::Rejected { id: of, why } if of == id("a") && why.contains("a stranger")));
    let facts = talk.desk.facts();
    assert_eq!((facts.pending, facts.error.is_some()), (1, true));
    talk.desk.want(vec![(id("c"), Some(namespace("x"))), (id("a"), Some(namespace("x")))]);
    talk.finish();
    assert_eq!(asked.load(Ordering::Relaxed), 1, "nothing changed for it");
    talk.desk.verify();
    talk.finish();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    talk.desk.insist(id("a"));
    assert!(matches!(talk.report(), Report::Insisted { result: Err(RelayError::Rejected(_)), .. }));
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert_eq!(talk.reports(), [], "it was told");
    talk.desk.want(vec![(id("a"), Some(namespace("y")))]);
    assert!(matches!(talk.report(), Report::Rejected { .. }), "something else is wanted, so it is told again");
    relay.heals();
    assert_eq!(talk.insist("a"), Ok(()));
    until("nothing is wrong", || talk.desk.facts().error.is_none());
}

#[test]
fn without_its_rules_an_endpoint_is_not_made() {
    for error in [unavailable(), RelayError::Rejected("no such rule".to_owned())] {
        let relay = FakeRelay::one_by_one();
        let (denied, answer) = (rules("x")[1].clone(), error.clone());
        let put_it = Call::Change(Change::PutRule(denied));
        relay.acts(move |call| if *call == put_it { Act::Refuse(answer.clone()) } else { Act::Do });
        let talk = Talk::of(&relay);
        talk.desk.want_all(agents(&[("a", "x"), ("b", "y")]), vec![]);
        talk.finish();
        assert_eq!(relay.present().endpoints, [endpoint("y", "b")]);
        assert_eq!(talk.insist("a"), Err(error), "why it is not there");
        assert_eq!(talk.desk.facts().pending, 1);
        relay.heals();
        assert_eq!(talk.insist("a"), Ok(()));
        assert_eq!(relay.present(), complete(&agents(&[("a", "x"), ("b", "y")]), &[]));
        until("nothing is wrong", || talk.desk.facts().error.is_none());
    }
}

#[test]
fn a_relay_that_cannot_be_listed_is_not_written_to() {
    let relay = FakeRelay::one_by_one();
    relay.acts(|_| Act::Refuse(RelayError::Rejected("a newer version".to_owned())));
    let talk = Talk::of(&relay);
    talk.desk.want_all(many(3, "x"), vec![]);
    talk.finish();
    assert!(matches!(talk.report(), Report::Failing { pending: 3, .. }));
    assert_eq!(relay.calls(), [Call::List], "what is refused is not tried again by itself");
    assert!(matches!(talk.insist("a0"), Err(RelayError::Rejected(_))));
    relay.heals();
    talk.desk.verify();
    assert_eq!(talk.report(), Report::Recovered);
    assert_eq!(relay.present(), complete(&many(3, "x"), &[]));
}

#[test]
fn a_look_that_fails_takes_nothing_from_what_is_known() {
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    talk.desk.want_all(many(3, "x"), vec![]);
    talk.finish();
    relay.acts(|call| if *call == Call::List { Act::Refuse(unavailable()) } else { Act::Do });
    talk.desk.verify();
    assert!(matches!(talk.report(), Report::Failing { pending: 0, .. }));
    talk.desk.want(vec![(id("a0"), Some(namespace("y")))]);
    assert_eq!(talk.insist("a0"), Ok(()));
    relay.heals();
    assert_eq!(talk.report(), Report::Recovered);
}

#[test]
fn nothing_is_in_doubt_where_nothing_was_asked_for() {
    let relay = FakeRelay::one_by_one();
    let gate = Gate::default();
    let at = gate.clone();
    relay.acts(move |_| Act::Wait(at.clone()));
    let talk = Talk::with(&relay, impatient());
    talk.desk.want_all(many(3, "x"), vec![]);
    assert!(matches!(talk.insist("a1"), Err(RelayError::Unavailable(_))), "it could not even be looked");
    gate.open();
    until("everything is there", || talk.desk.facts().pending == 0);
}

#[test]
fn what_is_wanted_while_it_is_being_made_counts() {
    let relay = FakeRelay::one_by_one();
    let gate = Gate::default();
    let talk = Talk::of(&relay);
    talk.desk.want_all(agents(&[("first", "x"), ("other", "y")]), vec![]);
    talk.finish();
    let at = gate.clone();
    relay.acts(move |call| if is_about(call, "a") { Act::Wait(at.clone()) } else { Act::Do });
    talk.desk.want(vec![(id("a"), Some(namespace("x")))]);
    until("it is being made", || relay.most_running() == 1 && !relay.calls().is_empty());
    talk.desk.want(vec![(id("a"), Some(namespace("y")))]);
    talk.desk.insist(id("a"));
    gate.open();
    assert_eq!(talk.report(), Report::Insisted { id: id("a"), result: Ok(()) });
    let wanted = agents(&[("a", "y"), ("first", "x"), ("other", "y")]);
    assert_eq!(relay.present(), complete(&wanted, &[]));
}

#[test]
fn strangers_that_are_never_listed_are_never_touched() {
    // The relay keeps to its side: what it does not list, the desk does not know.
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    talk.desk.want_all(many(3, "x"), vec![]);
    talk.finish();
    let about = |change: &Change| match change {
        Change::EnsureEndpoint(endpoint) => endpoint.subject.agent().unwrap().0.to_owned(),
        Change::RetireEndpoint { subject, .. } => subject.agent().unwrap().0.to_owned(),
        Change::PutRule(rule) | Change::RemoveRule(rule) => rule.namespace().unwrap().to_owned(),
    };
    let namespaces: BTreeSet<String> = relay.changes().iter().map(about).collect();
    assert_eq!(namespaces, BTreeSet::from(["x".to_owned()]));
}

/// A small generator: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn whatever_a_relay_does_it_ends_as_it_is_wanted() {
    for seed in 0..40 {
        let relay = FakeRelay::new(if seed % 2 == 0 { Batches::Taken } else { Batches::NotTaken });
        let talk = Talk::of(&relay);
        let mut dice = Dice(seed);
        let mut bad = Dice(seed + 1_000);
        relay.acts(move |_| match bad.throw(10) {
            0 => Act::Refuse(unavailable()),
            1 => Act::DoAndDoubt,
            2 => Act::Doubt,
            3 => Act::Refuse(RelayError::Rejected("no".to_owned())),
            _ => Act::Do,
        });
        let mut wanted = std::collections::BTreeMap::new();
        let mut pairs = Vec::new();
        let mut insisted = 0;
        talk.desk.want_all(Vec::new(), Vec::new());
        for _ in 0..60 {
            let agent = id(&format!("a{}", dice.throw(6)));
            let place =
                (dice.throw(4) > 0).then(|| namespace(["x", "y", "z"][usize::try_from(dice.throw(3)).unwrap()]));
            match dice.throw(8) {
                0 => {
                    let names = ["x", "y", "z"].map(|_| ["x", "y", "z"][usize::try_from(dice.throw(3)).unwrap()]);
                    pairs = vec![pair(names[0], names[1], RuleAction::Allow)];
                    talk.desk.want_pairs(pairs.clone());
                }
                1 => talk.desk.verify(),
                2 => relay.is(Present::default()),
                3 => {
                    insisted += 1;
                    talk.desk.insist(agent);
                }
                4 => talk.finish(),
                _ => {
                    talk.desk.want(vec![(agent.clone(), place.clone())]);
                    match place {
                        Some(place) => wanted.insert(agent, place),
                        None => wanted.remove(&agent),
                    };
                }
            }
        }
        relay.heals();
        // What was asked before may still be refused.
        talk.finish();
        talk.desk.verify();
        let wanted: Vec<(AgentId, Namespace)> = wanted.into_iter().collect();
        let settled = || relay.present() == complete(&wanted, &pairs) && talk.desk.facts().error.is_none();
        until(&format!("seed {seed}: {:?} for {wanted:?}", talk.desk.facts()), settled);
        talk.finish();
        let counts = counted(&talk.reports());
        let answers: usize =
            counts.iter().filter(|(name, _)| name.starts_with("insisted")).map(|(_, count)| count).sum();
        assert_eq!(answers, insisted, "seed {seed}: one answer for each");
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        assert_eq!(count("failing"), count("recovered"), "seed {seed}");
        relay.calls();
        talk.desk.verify();
        talk.finish();
        assert_eq!(relay.calls(), [Call::List], "seed {seed}: and stays so");
    }
}

#[test]
fn an_endpoint_that_was_made_while_the_relay_was_looked_at_is_not_taken_for_gone() {
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    talk.desk.want_all(vec![], vec![]);
    talk.finish();
    let (gate, asked) = (Gate::default(), Arc::new(AtomicBool::new(false)));
    let (at, is_asked) = (gate.clone(), asked.clone());
    relay.acts(move |call| {
        if !matches!(call, Call::Change(Change::EnsureEndpoint(_))) {
            return Act::Do;
        }
        is_asked.store(true, Ordering::Relaxed);
        Act::Wait(at.clone())
    });
    talk.desk.want(many(1, "x").into_iter().map(|(agent, name)| (agent, Some(name))).collect());
    until("the endpoint is asked for", || asked.load(Ordering::Relaxed));
    relay.calls();
    talk.desk.verify();
    until("it is looked", || relay.calls().contains(&Call::List));
    talk.desk.want(many(1, "x").into_iter().map(|(agent, _)| (agent, None)).collect());
    // The look comes back before the endpoint is there.
    std::thread::sleep(Duration::from_millis(50));
    gate.open();
    talk.finish();
    assert_eq!(relay.present().endpoints, []);
}
