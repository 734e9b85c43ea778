//! Registering with a relay: what it refuses or leaves unanswered is undone, and what it forgot is told again.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use meshd::clock::monotonic;
use meshd::relay::{Change, Endpoint, Present, RelayError, Rule};

use super::*;

/// A relay that does what a test says.
struct Fake {
    mood: Mutex<Mood>,
    there: Mutex<BTreeSet<(String, String)>>,
    rules: Mutex<BTreeSet<Rule>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Works,
    Rejects,
    IsDown,
    Hangs,
    /// It does what it is asked for, and says that it does not know.
    Mumbles,
}

impl Fake {
    fn feels(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The ids of the agents that have an endpoint.
    fn reached(&self) -> Vec<String> {
        self.there.lock().unwrap().iter().map(|(_, agent)| agent.clone()).collect()
    }

    fn subjects(&self) -> Vec<String> {
        self.there.lock().unwrap().iter().map(|(subject, _)| subject.clone()).collect()
    }
}

impl Relay for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn list(&self, _by: Instant) -> Result<Present, RelayError> {
        match *self.mood.lock().unwrap() {
            Mood::IsDown => return Err(RelayError::Unavailable("it is down".to_owned())),
            Mood::Works | Mood::Rejects | Mood::Hangs | Mood::Mumbles => {}
        }
        let there = self.there.lock().unwrap();
        let endpoints = there
            .iter()
            .map(|(subject, agent)| Endpoint { subject: subject.parse().unwrap(), agent: agent.parse().unwrap() });
        let rules = self.rules.lock().unwrap().iter().cloned().collect();
        Ok(Present { endpoints: endpoints.collect(), rules, ..Present::default() })
    }

    fn change(&self, change: &Change, _by: Instant) -> Result<(), RelayError> {
        let mood = *self.mood.lock().unwrap();
        let is_endpoint = matches!(change, Change::EnsureEndpoint(_) | Change::RetireEndpoint { .. });
        match mood {
            Mood::Rejects if is_endpoint => return Err(RelayError::Rejected("not this one".to_owned())),
            Mood::IsDown => return Err(RelayError::Unavailable("it is down".to_owned())),
            Mood::Hangs if is_endpoint => std::thread::sleep(Duration::from_secs(3)),
            Mood::Works | Mood::Rejects | Mood::Hangs | Mood::Mumbles => {}
        }
        match change {
            Change::EnsureEndpoint(endpoint) => {
                let there = (endpoint.subject.to_string(), endpoint.agent.to_string());
                self.there.lock().unwrap().insert(there);
            }
            Change::RetireEndpoint { subject, .. } => {
                self.there.lock().unwrap().retain(|(known, _)| *known != subject.to_string());
            }
            Change::PutRule(rule) => drop(self.rules.lock().unwrap().insert(rule.clone())),
            Change::RemoveRule(rule) => drop(self.rules.lock().unwrap().remove(rule)),
        }
        if mood == Mood::Mumbles { Err(RelayError::Ambiguous("who knows".to_owned())) } else { Ok(()) }
    }
}

fn house() -> (House, Arc<Fake>) {
    let fake = Arc::new(Fake { mood: Mutex::new(Mood::Works), there: Mutex::default(), rules: Mutex::default() });
    let limits = Limits {
        call_within: Duration::from_millis(200),
        insist_within: Duration::from_millis(600),
        retry_after: Duration::from_millis(20),
        retry_at_most: Duration::from_millis(200),
    };
    (House::with_relay(fake.clone(), limits), fake)
}

/// Waits until the relay reaches exactly these.
#[track_caller]
fn until_reached(fake: &Fake, ids: &[&str]) {
    let deadline = monotonic() + Duration::from_secs(20);
    while fake.reached() != ids {
        assert!(monotonic() < deadline, "{:?}", fake.reached());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_registered_is_reached_when_that_is_said_and_no_more_once_it_is_unregistered() {
    let (house, fake) = house();
    let agent = house.register(&house.project("root/team/p")).unwrap();
    assert_eq!(fake.subjects(), [format!("relay.agent.team.{}", agent.id())]);
    house.unregister(agent.id().as_str()).unwrap();
    assert_eq!(fake.reached(), Vec::<String>::new());
}

#[test]
fn what_the_relay_does_not_take_is_not_registered() {
    for mood in [Mood::Rejects, Mood::IsDown, Mood::Hangs] {
        let (house, fake) = house();
        house.sweep();
        fake.feels(mood);
        let project = house.project("root/p");
        let error = house.register(&project).unwrap_err().to_string();
        assert!(error.contains("the relay"), "{error}");
        assert_eq!((tree(&project), house.recorded()), (vec![], vec![]));
        fake.feels(Mood::Works);
        until_reached(&fake, &[]);
        house.sweep();
        assert_eq!(house.recorded(), []);
    }
}

#[test]
fn an_answer_that_leaves_it_open_is_looked_after() {
    let (house, fake) = house();
    house.sweep();
    fake.feels(Mood::Mumbles);
    let agent = house.register(&house.project("root/p")).unwrap();
    assert_eq!(fake.reached(), [agent.id().as_str()]);
}

#[test]
fn an_agent_that_was_to_be_replaced_is_back_with_all_that_was_known_of_it() {
    let (house, fake) = house();
    let project = house.agent("root/p", "old");
    until_reached(&fake, &["old"]);
    house.core.heartbeat("old".parse().unwrap(), "working".to_owned()).unwrap();
    let before = (tree(&project), house.record("old").unwrap());
    fake.feels(Mood::Rejects);
    house.replace(&project).unwrap_err();
    fake.feels(Mood::Works);
    let mut after = house.record("old").unwrap();
    after.observation = before.1.observation;
    assert_eq!((tree(&project), format!("{after:?}")), (before.0, format!("{:?}", before.1)));
    until_reached(&fake, &["old"]);
    house.sweep();
    assert_eq!(house.recorded(), [("old".to_owned(), project)]);
}

#[test]
fn a_pending_registration_is_made_up_for_once_the_relay_answers() {
    let (house, fake) = house();
    fake.feels(Mood::IsDown);
    let project = house.project("root/p");
    let request = Register { strictness: Strictness::AllowPending, ..Register::new(fields("new")) };
    let agent = house.core.register(&project, &request, &now()).unwrap();
    assert_eq!(fake.reached(), Vec::<String>::new());
    fake.feels(Mood::Works);
    until_reached(&fake, &[agent.id().as_str()]);
}

#[test]
fn an_agent_found_on_disk_is_recorded_whatever_the_relay_says() {
    let (house, fake) = house();
    fake.feels(Mood::IsDown);
    house.agent("root/p", "a");
    assert_eq!(house.recorded().len(), 1);
    let failures = || house.events().iter().filter(|event| **event == "relay.failed").count();
    let deadline = monotonic() + Duration::from_secs(20);
    while failures() == 0 {
        assert!(monotonic() < deadline, "nobody was told");
        std::thread::sleep(Duration::from_millis(2));
    }
    fake.feels(Mood::Works);
    until_reached(&fake, &["a"]);
    assert_eq!(failures(), 1, "told once");
}

#[test]
fn an_agent_that_the_relay_does_not_let_go_stays() {
    let (house, fake) = house();
    let project = house.agent("root/p", "a");
    until_reached(&fake, &["a"]);
    fake.feels(Mood::IsDown);
    house.unregister("a").unwrap_err();
    assert_eq!(house.recorded(), [("a".to_owned(), project.clone())]);
    assert!(file(&project).try_exists().unwrap());
    fake.feels(Mood::Works);
    until_reached(&fake, &["a"]);
}

#[test]
fn a_namespace_change_moves_the_endpoint() {
    let (house, fake) = house();
    house.agent("root/team/p", "a");
    house.update("a", json!({ "namespace": "elsewhere" })).unwrap();
    assert_eq!(fake.subjects(), ["relay.agent.elsewhere.a"]);
}

#[test]
fn what_the_relay_forgot_it_is_told_again_by_the_next_sweep() {
    let (house, fake) = house();
    house.agent("root/p", "a");
    house.agent("root/q", "b");
    until_reached(&fake, &["a", "b"]);
    fake.there.lock().unwrap().clear();
    house.sweep();
    until_reached(&fake, &["a", "b"]);
}

#[test]
fn a_slow_endpoint_holds_up_no_other_registration() {
    let (house, fake) = house();
    house.sweep();
    let (slow, quick) = (house.project("root/slow"), house.project("root/quick"));
    fake.feels(Mood::Hangs);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| house.register(&slow));
        std::thread::sleep(Duration::from_millis(50));
        fake.feels(Mood::Works);
        house.register(&quick).unwrap();
        // It may be made up for in time or not; either way it is all of it or nothing.
        let registered = slow.join().unwrap().is_ok();
        assert_eq!(house.recorded().len(), if registered { 2 } else { 1 });
    });
}
