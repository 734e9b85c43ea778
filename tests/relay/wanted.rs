//! The difference between what is wanted and what is there, in the only right order.

use std::collections::BTreeSet;

use meshd::relay::{There, Wanted};
use proptest::prelude::*;

use super::*;

fn diff(wanted: &Wanted, present: &Present) -> Vec<Change> {
    wanted.diff(&There::of(present.clone()))
}

fn words(changes: &[Change]) -> Vec<String> {
    let word = |change: &Change| match change {
        Change::PutRule(rule) => format!("put {}", rule.priority),
        Change::RemoveRule(rule) => format!("remove {}", rule.priority),
        Change::EnsureEndpoint(endpoint) => format!("ensure {}", endpoint.subject),
        Change::RetireEndpoint { subject, successor: None } => format!("retire {subject}"),
        Change::RetireEndpoint { subject, successor: Some(successor) } => format!("retire {subject} for {successor}"),
    };
    changes.iter().map(word).collect()
}

#[test]
fn rules_come_before_the_endpoints() {
    let wanted = Wanted::of(agents(&[("a", "x"), ("b", "x")]), &[pair("x", "y", RuleAction::Allow)]);
    let changes = diff(&wanted, &Present::default());
    let expected =
        ["put 100", "put 50", "put 10", "ensure relay.agent.x.a", "ensure relay.agent.x.b"].map(str::to_owned);
    assert_eq!(words(&changes), expected);
}

#[test]
fn where_everything_is_there_nothing_is_done() {
    let endpoints = agents(&[("a", "x"), ("b", "y")]);
    let pairs = [pair("x", "y", RuleAction::Allow)];
    let present = complete(&endpoints, &pairs);
    assert_eq!(diff(&Wanted::of(endpoints, &pairs), &present), []);
}

#[test]
fn another_namespace_makes_the_new_endpoint_first_and_the_old_rules_go_last() {
    let present = complete(&agents(&[("a", "x")]), &[]);
    let changes = diff(&Wanted::of(agents(&[("a", "y")]), &[]), &present);
    let expected = [
        "put 100",
        "put 10",
        "ensure relay.agent.y.a",
        "retire relay.agent.x.a for relay.agent.y.a",
        "remove 100",
        "remove 10",
    ];
    assert_eq!(words(&changes), expected.map(str::to_owned));
}

#[test]
fn a_namespaces_rules_stay_until_its_last_agent_goes() {
    let present = complete(&agents(&[("a", "x"), ("b", "x")]), &[]);
    let one_left = diff(&Wanted::of(agents(&[("b", "x")]), &[]), &present);
    assert_eq!(one_left, [retire("x", "a", None)]);
    let none_left = diff(&Wanted::default(), &present);
    let expected = ["retire relay.agent.x.a", "retire relay.agent.x.b", "remove 100", "remove 10"];
    assert_eq!(words(&none_left), expected.map(str::to_owned));
}

#[test]
fn a_pair_that_turns_is_put_before_the_old_one_is_removed() {
    let endpoints = agents(&[("a", "x")]);
    let present = complete(&endpoints, &[pair("x", "y", RuleAction::Allow)]);
    let turned = pair("x", "y", RuleAction::Deny);
    let changes = diff(&Wanted::of(endpoints, std::slice::from_ref(&turned)), &present);
    let was = pair("x", "y", RuleAction::Allow).rule().unwrap();
    assert_eq!(changes, [Change::PutRule(turned.rule().unwrap()), Change::RemoveRule(was)]);
}

#[test]
fn a_namespace_that_is_no_token_gets_nothing_and_loses_nothing() {
    let mut present = complete(&agents(&[("a", "x")]), &[]);
    let wanted = Wanted::of(agents(&[("a", "no token")]), &[pair("no token", "x", RuleAction::Allow)]);
    let kept = present.endpoints.clone();
    for change in diff(&wanted, &present) {
        make(&mut present, &change);
    }
    assert_eq!(present.endpoints, kept);
    assert_eq!(present.rules.len(), 2, "its rules stay for as long as it does");
}

#[test]
fn an_endpoint_that_was_given_to_another_agent_by_hand_is_given_back() {
    let endpoints = agents(&[("a", "x"), ("b", "x")]);
    let mut present = complete(&endpoints, &[]);
    present.endpoints[0].agent = id("b");
    let wanted = Wanted::of(endpoints, &[]);
    assert_eq!(diff(&wanted, &present), [ensure("x", "a")]);
    // Nor does it belong to whom it was given if its own agent is gone.
    let wanted = Wanted::of(agents(&[("b", "x")]), &[]);
    assert_eq!(diff(&wanted, &present), [retire("x", "a", None)]);
}

#[test]
fn what_is_left_of_an_endpoint_goes_to_its_agents_new_one_or_is_put_away() {
    let mut present = complete(&agents(&[("a", "x")]), &[]);
    present.leftovers = vec![subject("old", "a"), subject("x", "gone"), subject("x", "back")];
    let wanted = Wanted::of(agents(&[("a", "x"), ("back", "x")]), &[]);
    let expected = [ensure("x", "back"), retire("old", "a", Some("x")), retire("x", "gone", None)];
    assert_eq!(diff(&wanted, &present), expected);
}

#[test]
fn what_is_no_agents_subject_is_retired_too_if_meshd_made_it() {
    let mut present = complete(&agents(&[("a", "x")]), &[]);
    present.endpoints.push(Endpoint { subject: "somewhere.else".parse().unwrap(), agent: id("a") });
    let mut there = There::of(present);
    let changes = Wanted::of(agents(&[("a", "x")]), &[]).diff(&there);
    assert_eq!(words(&changes), ["retire somewhere.else for relay.agent.x.a"]);
    there.apply(&changes[0]);
    assert_eq!(there, There::of(complete(&agents(&[("a", "x")]), &[])));
}

#[test]
fn what_is_set_one_by_one_is_the_same_as_all_at_once() {
    let mut one_by_one = Wanted::of(agents(&[("a", "x"), ("b", "y"), ("c", "y")]), &[]);
    one_by_one.set(id("a"), Some(namespace("y")));
    one_by_one.set(id("a"), Some(namespace("y")));
    one_by_one.set(id("b"), None);
    one_by_one.set(id("none"), None);
    one_by_one.set_pairs(&[pair("x", "y", RuleAction::Deny)]);
    one_by_one.set_pairs(&[pair("x", "y", RuleAction::Allow)]);
    let pairs = [pair("x", "y", RuleAction::Allow)];
    assert_eq!(one_by_one, Wanted::of(agents(&[("a", "y"), ("c", "y")]), &pairs));
    assert_eq!(Wanted::of(agents(&[("a", "x"), ("a", "y")]), &[]), Wanted::of(agents(&[("a", "y")]), &[]));
}

const NAMESPACES: [&str; 3] = ["x", "y", "z"];

/// Four agents, each in one of three namespaces or in none.
fn some_agents() -> impl Strategy<Value = Vec<(AgentId, Namespace)>> {
    proptest::collection::vec(0..=NAMESPACES.len(), 4).prop_map(|places| {
        let place =
            |(number, place): (usize, usize)| Some((id(&format!("a{number}")), namespace(NAMESPACES.get(place)?)));
        places.into_iter().enumerate().filter_map(place).collect()
    })
}

fn some_pairs() -> impl Strategy<Value = Vec<Pair>> {
    let one = (0..3_usize, 0..3_usize, any::<bool>()).prop_map(|(from, to, allow)| {
        pair(NAMESPACES[from], NAMESPACES[to], if allow { RuleAction::Allow } else { RuleAction::Deny })
    });
    proptest::collection::vec(one, 0..3)
}

/// What a relay could hold: endpoints of the same agents in several namespaces, some given away by hand, and any rules.
fn some_present() -> impl Strategy<Value = Present> {
    let endpoints = proptest::collection::btree_set((0..4_usize, 0..3_usize), 0..6);
    let rules_of = proptest::collection::btree_set((0..3_usize, 0..2_usize), 0..6);
    let left = proptest::collection::btree_set((0..4_usize, 0..3_usize), 0..3);
    (endpoints, rules_of, some_pairs(), left, any::<bool>()).prop_map(|(endpoints, rules_of, pairs, left, given)| {
        let mut present = Present::default();
        for (agent, place) in &endpoints {
            present.endpoints.push(endpoint(NAMESPACES[*place], &format!("a{agent}")));
        }
        if let Some(first) = present.endpoints.first_mut().filter(|_| given) {
            first.agent = id("a3");
        }
        present.leftovers = left
            .difference(&endpoints)
            .map(|(agent, place)| subject(NAMESPACES[*place], &format!("a{agent}")))
            .collect();
        let namespaces = rules_of.into_iter().map(|(place, which)| rules(NAMESPACES[place])[which].clone());
        for rule in namespaces.chain(pairs.iter().map(|pair| pair.rule().unwrap())) {
            make(&mut present, &Change::PutRule(rule));
        }
        present
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_there_ends_as_it_is_wanted_and_never_wrong_in_between(
        endpoints in some_agents(), pairs in some_pairs(), before in some_present()
    ) {
        let wanted = Wanted::of(endpoints.clone(), &pairs);
        let mut present = before.clone();
        let mut there = There::of(before);
        for change in wanted.diff(&there) {
            let reached = |present: &Present| -> BTreeSet<AgentId> {
                let own = present.endpoints.iter().filter(|endpoint| endpoint.subject.agent().unwrap().1 == endpoint.agent.as_str());
                own.map(|endpoint| endpoint.agent.clone()).collect()
            };
            let before = reached(&present);
            make(&mut present, &change);
            there.apply(&change);
            let after = reached(&present);
            for (agent, _) in &endpoints {
                prop_assert!(!before.contains(agent) || after.contains(agent), "{agent} was cut off by {change:?}");
            }
            match &change {
                Change::EnsureEndpoint(endpoint) => {
                    let (name, _) = endpoint.subject.agent().unwrap();
                    prop_assert!(rules(name).iter().all(|rule| present.rules.contains(rule)), "without rules: {change:?}");
                }
                Change::RemoveRule(rule) => {
                    let inside = present.endpoints.iter().filter(|other| other.subject.agent().map(|(name, _)| name) == rule.namespace());
                    prop_assert_eq!(inside.count(), 0, "rules go last");
                }
                Change::RetireEndpoint { subject, successor } => {
                    let (_, agent) = subject.agent().unwrap();
                    let home = endpoints.iter().find(|(id, _)| id.as_str() == agent);
                    prop_assert_eq!(successor.clone(), home.map(|(id, name)| Subject::of_agent(name, id).unwrap()));
                    let there = |wanted: &Subject| present.endpoints.iter().any(|endpoint| endpoint.subject == *wanted);
                    prop_assert!(successor.as_ref().is_none_or(there));
                }
                Change::PutRule(_) => {}
            }
        }
        prop_assert_eq!(sorted(present.clone()), complete(&endpoints, &pairs));
        prop_assert_eq!(&there, &There::of(present));
        prop_assert_eq!(wanted.diff(&there), Vec::new());
    }

    #[test]
    fn whoever_stops_in_the_middle_can_go_on(
        endpoints in some_agents(), pairs in some_pairs(), before in some_present(), steps in 0..12_usize
    ) {
        let wanted = Wanted::of(endpoints.clone(), &pairs);
        let mut present = before;
        for change in diff(&wanted, &present).iter().take(steps) {
            make(&mut present, change);
        }
        for change in diff(&wanted, &present) {
            make(&mut present, &change);
        }
        prop_assert_eq!(sorted(present), complete(&endpoints, &pairs));
    }
}
