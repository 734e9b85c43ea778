//! What the relay is asked for is counted, and what it did not do, by what that was.

use meshd::relay::{Answers, Operation, RelayError};

use super::fake::*;
use super::*;

#[test]
fn every_answer_counts_once_whether_it_comes_alone_or_with_others() {
    for batches in [Batches::Taken, Batches::NotTaken] {
        let relay = FakeRelay::new(batches);
        let talk = Talk::of(&relay);
        talk.desk.want_all(many(3, "x"), vec![]);
        talk.finish();
        talk.desk.want(vec![(id("a1"), None)]);
        talk.finish();
        let tally = talk.desk.tally();
        let all = Operation::ALL.map(|operation| (operation.as_str(), tally.of(operation).all));
        let [list, rules, endpoints, retired, removed] =
            ["list", "put_rule", "ensure_endpoint", "retire_endpoint", "remove_rule"];
        assert_eq!(all, [(list, 1), (rules, 2), (endpoints, 3), (retired, 1), (removed, 0)]);
        let failures = Operation::ALL.iter().flat_map(|operation| tally.of(*operation).failures());
        assert_eq!(failures.map(|(_, count)| count).sum::<u64>(), 0);
    }
}

#[test]
fn what_failed_counts_by_its_kind() {
    let relay = FakeRelay::one_by_one();
    let rejected = || Act::Refuse(RelayError::Rejected("no".to_owned()));
    relay.acts(move |call| if is_about(call, "a1") { rejected() } else { Act::Do });
    let talk = Talk::of(&relay);
    talk.desk.want_all(many(3, "x"), vec![]);
    talk.finish();
    let answers = talk.desk.tally().of(Operation::EnsureEndpoint);
    assert_eq!(answers, Answers { all: 3, rejected: 1, ..Answers::default() });
    relay.acts(|call| if *call == Call::List { Act::Refuse(unavailable()) } else { Act::Do });
    talk.desk.verify();
    until("a list failed", || talk.desk.tally().of(Operation::List).unavailable > 0);
    assert_eq!(talk.desk.tally().of(Operation::EnsureEndpoint).rejected, 1);
}

#[test]
fn a_call_that_never_came_back_counts_as_one_of_which_nobody_knows() {
    let relay = FakeRelay::one_by_one();
    let gate = Gate::default();
    let talk = Talk::with(&relay, impatient());
    talk.desk.want_all(agents(&[("first", "x")]), vec![]);
    talk.finish();
    let at = gate.clone();
    relay.acts(move |call| if *call == Call::List { Act::Wait(at.clone()) } else { Act::Do });
    talk.desk.verify();
    until("it is left behind", || talk.desk.tally().of(Operation::List).ambiguous > 0);
    gate.open();
    relay.heals();
    until("the relay is looked at again", || {
        talk.desk.verify();
        talk.finish();
        let list = talk.desk.tally().of(Operation::List);
        let failed: u64 = list.failures().iter().map(|(_, count)| count).sum();
        list.all >= failed + 2
    });
}
