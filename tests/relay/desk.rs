//! The desk makes what is wanted, in the right order, and nothing more.

use std::sync::Arc;

use meshd::relay::{Desk, RelayError, RelayFacts, Report};

use super::fake::*;
use super::*;

#[test]
fn what_is_wanted_is_made_rules_first() {
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    let (endpoints, pairs) = (agents(&[("a", "x"), ("b", "y")]), vec![pair("x", "y", RuleAction::Allow)]);
    talk.desk.want_all(endpoints.clone(), pairs.clone());
    talk.finish();
    assert_eq!(relay.present(), complete(&endpoints, &pairs));
    let changes = relay.changes();
    for name in ["x", "y"] {
        let place = |change: &Change| changes.iter().position(|other| other == change).unwrap();
        let own = ensure(name, if name == "x" { "a" } else { "b" });
        assert!(rules(name).into_iter().all(|rule| place(&Change::PutRule(rule)) < place(&own)), "{changes:?}");
    }
    assert_eq!(talk.desk.facts(), RelayFacts { backend: "fake", pending: 0, error: None });
    assert_eq!(talk.reports(), []);
}

#[test]
fn a_relay_that_takes_many_changes_at_once_gets_them_in_one_call() {
    let relay = FakeRelay::new(Batches::Taken);
    let talk = Talk::of(&relay);
    talk.desk.want_all(many(300, "x"), vec![]);
    talk.finish();
    assert_eq!(relay.present(), complete(&many(300, "x"), &[]));
    let calls = relay.calls();
    assert!(matches!(calls.as_slice(), [Call::List, Call::Batch(changes)] if changes.len() == 302), "{calls:?}");
    talk.desk.want_all(many(300, "y"), vec![]);
    talk.finish();
    assert_eq!(relay.present(), complete(&many(300, "y"), &[]));
    let batches = relay.calls().into_iter().filter(|call| matches!(call, Call::Batch(_))).count();
    assert_eq!(batches, 1, "new endpoints, old ones and the rules of both are one change");
}

#[test]
fn a_steady_relay_is_only_looked_at() {
    for batches in [Batches::Taken, Batches::NotTaken] {
        let relay = FakeRelay::new(batches);
        let talk = Talk::of(&relay);
        talk.desk.want_all(agents(&[("a", "x"), ("b", "y")]), vec![pair("x", "y", RuleAction::Deny)]);
        talk.finish();
        relay.calls();
        for _ in 0..3 {
            talk.desk.verify();
            talk.finish();
        }
        talk.desk.want_all(agents(&[("b", "y"), ("a", "x")]), vec![pair("x", "y", RuleAction::Deny)]);
        talk.finish();
        assert_eq!(relay.calls(), vec![Call::List; 4]);
    }
}

#[test]
fn a_change_is_made_without_looking_at_everything() {
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    talk.desk.want_all(agents(&[("a", "x")]), vec![]);
    talk.finish();
    relay.calls();
    talk.desk.want(vec![(id("b"), Some(namespace("x"))), (id("c"), Some(namespace("z")))]);
    talk.finish();
    talk.desk.want(vec![(id("a"), None), (id("b"), Some(namespace("x")))]);
    talk.desk.want_pairs(vec![pair("x", "z", RuleAction::Allow)]);
    talk.finish();
    let wanted = agents(&[("b", "x"), ("c", "z")]);
    assert_eq!(relay.present(), complete(&wanted, &[pair("x", "z", RuleAction::Allow)]));
    assert!(!relay.calls().contains(&Call::List));
}

#[test]
fn another_namespace_makes_the_new_endpoint_first_and_names_it_to_the_old_one() {
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    talk.desk.want_all(agents(&[("a", "x")]), vec![]);
    talk.finish();
    relay.calls();
    talk.desk.want(vec![(id("a"), Some(namespace("y")))]);
    talk.finish();
    let changes = relay.changes();
    let [within, out] = rules("y");
    let expected_first = [Change::PutRule(within), Change::PutRule(out)];
    assert!(expected_first.iter().all(|rule| changes[..2].contains(rule)), "{changes:?}");
    assert_eq!(changes[2..4], [ensure("y", "a"), retire("x", "a", Some("y"))]);
    assert_eq!(relay.present(), complete(&agents(&[("a", "y")]), &[]));
}

#[test]
fn where_the_new_endpoint_cannot_be_made_the_old_one_stays() {
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    talk.desk.want_all(agents(&[("a", "x")]), vec![]);
    talk.finish();
    let make_it = ensure("y", "a");
    let make_it = Call::Change(make_it);
    relay.acts(
        move |call| {
            if *call == make_it { Act::Refuse(RelayError::Rejected("taken".to_owned())) } else { Act::Do }
        },
    );
    talk.desk.want(vec![(id("a"), Some(namespace("y")))]);
    talk.finish();
    assert_eq!(relay.present().endpoints, [endpoint("x", "a")]);
    assert!(rules("x").iter().all(|rule| relay.present().rules.contains(rule)), "and its rules with it");
    assert!(matches!(talk.report(), Report::Rejected { id: of, .. } if of == id("a")));
}

#[test]
fn a_namespaces_rules_stay_while_an_endpoint_cannot_be_retired() {
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    talk.desk.want_all(agents(&[("a", "x")]), vec![]);
    talk.finish();
    relay.acts(|call| if is_about(call, "a") { Act::Refuse(unavailable()) } else { Act::Do });
    talk.desk.want(vec![(id("a"), None)]);
    assert!(matches!(talk.report(), Report::Failing { .. }));
    talk.desk.verify();
    talk.finish();
    assert_eq!(relay.present(), complete(&agents(&[("a", "x")]), &[]));
    relay.heals();
    until("everything is gone", || relay.present() == Present::default());
}

#[test]
fn before_everything_was_told_nothing_is_taken_away() {
    for batches in [Batches::Taken, Batches::NotTaken] {
        let relay = FakeRelay::new(batches);
        relay.is(complete(&agents(&[("a", "x"), ("b", "x"), ("c", "z")]), &[pair("x", "z", RuleAction::Allow)]));
        let talk = Talk::of(&relay);
        talk.desk.verify();
        talk.finish();
        talk.desk.want(vec![(id("d"), Some(namespace("y"))), (id("a"), None)]);
        talk.desk.verify();
        talk.finish();
        let left = agents(&[("b", "x"), ("c", "z"), ("d", "y")]);
        assert_eq!(relay.present(), complete(&left, &[pair("x", "z", RuleAction::Allow)]));
        talk.desk.want_all(agents(&[("d", "y")]), vec![]);
        talk.finish();
        assert_eq!(relay.present(), complete(&agents(&[("d", "y")]), &[]));
    }
}

#[test]
fn a_relay_that_forgot_everything_gets_it_back() {
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    let (endpoints, pairs) = (many(20, "x"), vec![pair("x", "y", RuleAction::Allow)]);
    talk.desk.want_all(endpoints.clone(), pairs.clone());
    talk.finish();
    relay.is(Present::default());
    talk.desk.verify();
    talk.finish();
    assert_eq!(relay.present(), complete(&endpoints, &pairs));
}

#[test]
fn a_namespace_that_is_no_token_is_rejected_and_holds_up_nobody() {
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    talk.desk.want_all(agents(&[("a", "no token"), ("b", "x")]), vec![]);
    talk.finish();
    assert_eq!(relay.present(), complete(&agents(&[("b", "x")]), &[]));
    assert!(matches!(talk.report(), Report::Rejected { id: of, .. } if of == id("a")));
    let facts = talk.desk.facts();
    assert_eq!((facts.pending, facts.error.is_some()), (1, true));
    assert!(matches!(talk.insist("a"), Err(RelayError::Rejected(_))));
    talk.desk.want(vec![(id("a"), Some(namespace("x")))]);
    assert_eq!(talk.insist("a"), Ok(()));
    talk.finish();
    assert_eq!(talk.desk.facts(), RelayFacts { backend: "fake", pending: 0, error: None });
}

#[test]
fn each_insist_gets_exactly_one_answer() {
    let relay = FakeRelay::one_by_one();
    let talk = Talk::of(&relay);
    talk.desk.want_all(agents(&[("a", "x")]), vec![]);
    for agent in ["a", "a", "b", "a"] {
        talk.desk.insist(id(agent));
    }
    let mut reports: Vec<Report> = (0..4).map(|_| talk.report()).collect();
    // What is not wanted and not there is as it should be.
    assert!(reports.iter().all(|report| matches!(report, Report::Insisted { result: Ok(()), .. })), "{reports:?}");
    assert_eq!(talk.insist("a"), Ok(()), "where nothing is to do, too");
    talk.desk.want(vec![(id("a"), None)]);
    assert_eq!(talk.insist("a"), Ok(()));
    assert_eq!(relay.present().endpoints, []);
    reports.extend(talk.reports());
    let counts = counted(&reports);
    assert_eq!((counts.get("insisted a"), counts.get("insisted b")), (Some(&3), Some(&1)), "{reports:?}");
}

#[test]
fn without_a_relay_everything_counts_as_there() {
    let (sender, reports) = crossbeam_channel::unbounded();
    let desk = Desk::none(move |report| drop(sender.send(report)));
    desk.want_all(agents(&[("a", "x")]), vec![]);
    desk.verify();
    desk.finish(DEADLINE);
    desk.insist(id("a"));
    assert_eq!(reports.try_iter().collect::<Vec<_>>(), [Report::Insisted { id: id("a"), result: Ok(()) }]);
    assert_eq!(desk.facts(), RelayFacts { backend: "none", pending: 0, error: None });
}

#[test]
fn eight_calls_at_a_time_are_the_most() {
    let relay = FakeRelay::one_by_one();
    let gate = Gate::default();
    let talk = Talk::of(&relay);
    talk.desk.want_all(agents(&[("first", "x")]), vec![]);
    talk.finish();
    let at = gate.clone();
    relay.acts(move |_| Act::Wait(at.clone()));
    talk.desk.want(many(40, "x").into_iter().map(|(agent, name)| (agent, Some(name))).collect());
    until("eight are under way", || relay.most_running() == 8);
    assert_eq!(talk.desk.facts().pending, 40);
    gate.open();
    talk.finish();
    assert_eq!(relay.most_running(), 8);
    assert_eq!(relay.present().endpoints.len(), 41);
}

#[test]
fn a_desk_ends_while_calls_hang() {
    let relay = FakeRelay::one_by_one();
    let gate = Gate::default();
    let at = gate.clone();
    relay.acts(move |_| Act::Wait(at.clone()));
    let talk = Talk::of(&relay);
    talk.desk.want_all(many(3, "x"), vec![]);
    until("it was asked", || relay.most_running() == 1);
    drop(talk);
    gate.open();
    until("the call came back to nobody", || Arc::strong_count(&relay) == 1);
}
