//! What people say: that a path is denied, that an agent was heard of, whose a contested id is.

use meshd::engine::Verdict;
use meshd::registry::{Access, AccessPair, Status};

use super::*;

#[test]
fn a_denial_reaches_all_below_it_and_nothing_beside_it() {
    let house = House::new();
    let below = house.agent("root/a/p", "below");
    let beside = house.agent("root/ab/p", "beside");
    house.core.deny(house.path("root/a"), Some("noisy".to_owned()), None).unwrap();
    assert_eq!(house.recorded().len(), 2, "denying alone unregisters nobody");
    assert!(matches!(house.core.sync_from_disk(below).unwrap(), Verdict::Denied { .. }));
    house.sweep();
    assert_eq!(house.recorded(), [("beside".to_owned(), beside)]);
    assert!(house.events().contains(&"agent.removed"));
    assert!(house.register(&house.project("root/a/new")).unwrap_err().to_string().contains("denied"));
    assert!(!house.core.allow(house.path("root/a/p")).unwrap(), "only what was denied can be allowed");
    assert!(house.core.allow(house.path("root/a")).unwrap());
    assert_eq!(house.recorded().len(), 2);
}

#[test]
fn a_denial_outlives_a_restart() {
    let mut house = House::new();
    house.core.deny(house.path("root/a"), None, None).unwrap();
    house.restart();
    house.agent("root/a/p", "a");
    assert_eq!(house.recorded(), []);
}

#[test]
fn a_sync_says_what_came_of_the_project() {
    let house = House::new();
    let agent = house.write("root/a", manifest("a", "an agent"));
    let sync = |project: &Path| house.core.sync_from_disk(project.to_owned()).unwrap();
    assert_eq!(sync(&agent), Verdict::Synced { id: "a".parse().unwrap() });
    assert_eq!(sync(&house.project("root/empty")), Verdict::NoManifest);
    assert_eq!(sync(&house.path("root/missing")), Verdict::NoManifest);
    assert!(matches!(sync(&house.write("root/torn", "{")), Verdict::Unreadable { .. }));
    assert!(matches!(sync(&house.write("root/copy", manifest("a", "a copy"))), Verdict::DuplicateId { .. }));
    assert_eq!(sync(&house.project("elsewhere")), Verdict::OutOfScope);
}

#[test]
fn a_heartbeat_is_what_an_agents_health_goes_by() {
    let house = House::new();
    house.agent("root/p", "a");
    let aged = |hours: i64| Moment { wall_ms: now().wall_ms + hours * 3_600_000, ..now() };
    house.sql().execute_batch("UPDATE agents SET last_seen_at = '2020-01-01T00:00:00.000Z'").unwrap();
    assert_eq!(house.record("a").unwrap().health(&now()), Status::Stale);
    house.core.heartbeat("a".parse().unwrap(), "answered".to_owned()).unwrap();
    let record = house.record("a").unwrap();
    assert_eq!(record.last_seen_event.as_deref(), Some("answered"));
    assert_eq!(record.health(&now()), Status::Active);
    assert_eq!(record.health(&aged(2)), Status::Inactive);
    assert_eq!(record.health(&aged(25)), Status::Stale);
    assert!(house.core.heartbeat("nobody".parse().unwrap(), "x".to_owned()).is_err());
    assert!(house.core.heartbeat("a".parse().unwrap(), "x".repeat(201)).is_err());
    assert!(house.core.heartbeat("a".parse().unwrap(), String::new()).is_err());
    house.sweep();
    assert_eq!(house.record("a").unwrap().last_seen_event.as_deref(), Some("answered"));
}

#[test]
fn a_contested_id_goes_where_a_person_says() {
    let house = House::new();
    let home = house.agent("root/home", "a");
    let copy = house.write("root/copy", fs::read(file(&home)).unwrap());
    let other = house.write("root/other", fs::read(file(&home)).unwrap());
    house.sweep();
    let id: AgentId = "a".parse().unwrap();
    let refused = house.core.relocate(id.clone(), copy.clone()).unwrap_err().to_string();
    assert!(refused.contains("carries the id still"), "{refused}");
    fs::remove_file(file(&home)).unwrap();
    house.sweep();
    assert_eq!(house.recorded(), [("a".to_owned(), home)]);
    house.core.relocate(id, other.clone()).unwrap();
    assert_eq!(house.recorded(), [("a".to_owned(), other.clone())]);
    house.sweep();
    assert_eq!(house.recorded(), [("a".to_owned(), other)]);
    assert!(house.record("a").unwrap().unreachable.is_none());
}

#[test]
fn who_may_reach_whom_is_kept_one_direction_each() {
    let house = House::new();
    let pair = |from: &str, to: &str, access| {
        let namespace = |text: &str| meshd::agent::Namespace::normalise(text.as_bytes()).unwrap();
        AccessPair { from: namespace(from), to: namespace(to), access }
    };
    house.core.set_access(pair("a", "b", Access::Allow)).unwrap();
    house.core.set_access(pair("b", "a", Access::Allow)).unwrap();
    house.core.set_access(pair("b", "a", Access::Deny)).unwrap();
    let pairs = house.registry().access_pairs().unwrap();
    assert_eq!(pairs, [pair("a", "b", Access::Allow), pair("b", "a", Access::Deny)]);
    assert!(house.core.set_access(pair("a", "a", Access::Deny)).is_err());
}

#[test]
fn mail_outlives_a_registry_that_is_lost() {
    let mut house = House::new();
    let (a, b) = (house.agent("root/team/a", "a"), house.agent("root/team/b", "b"));
    house.core.stop();
    let post = meshd::relay::local::Post::open(&house.path("")).unwrap();
    let (a_id, b_id): (AgentId, AgentId) = ("a".parse().unwrap(), "b".parse().unwrap());
    post.send(&a_id, &b_id, b"hello").unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(house.path(&format!("registry.db{suffix}")));
    }
    house.restart();
    house.sweep();
    house.core.stop();
    assert_eq!(house.recorded(), [("a".to_owned(), a), ("b".to_owned(), b)]);
    let subject = post.endpoint(&b_id).unwrap().unwrap();
    let bodies: Vec<Vec<u8>> = post.messages(&subject).unwrap().map(|message| message.unwrap().body).collect();
    assert_eq!(bodies, [b"hello"]);
}

#[test]
fn an_agent_outside_of_every_root_can_be_unregistered_when_its_project_is_gone() {
    let house = House::new();
    let project = house.project("elsewhere");
    let request = Register { outside: meshd::engine::Outside::Accept, ..Register::new(fields("outsider")) };
    let agent = house.core.register(&project, &request, &now()).unwrap();
    fs::remove_dir_all(&project).unwrap();
    house.sweep();
    house.unregister(agent.id().as_str()).unwrap();
    assert_eq!((house.recorded(), house.registry().roots().unwrap().len()), (vec![], 1));
}
