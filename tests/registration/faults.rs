//! Every step fails once: what was done is taken back, and a kill in the middle is cleared up at the next start.

use meshd::registry::{Durability, Operation, OperationKind};

use super::*;

#[test]
fn where_the_registry_refuses_a_fresh_project_nothing_is_left_of_it() {
    let house = House::new();
    let project = house.project("root/p");
    house.refuse_rows();
    let error = house.register(&project).unwrap_err().to_string();
    assert!(error.contains("no more agents"), "{error}");
    assert_eq!((tree(&project), house.recorded()), (vec![], vec![]));
    house.take_rows_again();
    house.sweep();
    assert_eq!(house.recorded(), []);
    assert_eq!(house.registry().operations().unwrap(), []);
}

#[test]
fn where_the_registry_refuses_a_replacement_file_and_row_are_as_they_were() {
    let house = House::new();
    let project = house.write("root/p", manifest("old", "the old one").replace("  ", "\t"));
    fs::set_permissions(file(&project), fs::Permissions::from_mode(0o604)).unwrap();
    house.sweep();
    house.core.heartbeat("old".parse().unwrap(), "working".to_owned()).unwrap();
    let (before, record) = (tree(&project), house.record("old").unwrap());
    house.refuse_rows();
    house.replace(&project).unwrap_err();
    assert_eq!(tree(&project), before);
    house.take_rows_again();
    let mut after = house.record("old").unwrap();
    after.observation = record.observation;
    assert_eq!(format!("{after:?}"), format!("{record:?}"));
    house.sweep();
    assert_eq!(house.record("old").unwrap().last_seen_event.as_deref(), Some("working"));
}

#[test]
fn where_the_registry_refuses_an_update_the_file_is_as_it_was() {
    let house = House::new();
    let project = house.agent("root/p", "a");
    let before = tree(&project);
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON agents BEGIN SELECT RAISE(ABORT, 'no'); END";
    house.sql().execute_batch(refuse).unwrap();
    house.update("a", json!({ "name": "other" })).unwrap_err();
    house.sql().execute_batch("DROP TRIGGER refuse").unwrap();
    assert_eq!(tree(&project), before);
    house.sweep();
    assert_eq!(house.record("a").unwrap().columns.name, "an agent");
}

#[test]
fn a_manifest_that_cannot_be_deleted_keeps_its_agent() {
    let house = House::new();
    let project = house.agent("root/p", "a");
    house.core.heartbeat("a".parse().unwrap(), "working".to_owned()).unwrap();
    // Its way aside is taken by what meshd never makes.
    fs::create_dir(project.join(".dork").join(meshd::disk::write::TEMPORARY)).unwrap();
    house.unregister("a").unwrap_err();
    fs::remove_dir(project.join(".dork").join(meshd::disk::write::TEMPORARY)).unwrap();
    assert_eq!(house.record("a").unwrap().last_seen_event.as_deref(), Some("working"));
    house.sweep();
    assert_eq!(house.recorded(), [("a".to_owned(), project)]);
    assert!(house.events().ends_with(&["agent.unregistered", "agent.registered"]));
}

/// What a process that was killed leaves noted.
fn note(house: &House, project: &Path, kind: OperationKind, fresh: Option<&str>) {
    let mut registry = AgentRegistry::open(&house.path("registry.db"), &now()).unwrap().0;
    let fresh = fresh.map(|id| id.parse().unwrap());
    let operation = Operation { project: project.to_owned(), kind, fresh };
    registry.transact(Durability::Synced, |batch| batch.begin_operation(&operation, &now())).unwrap();
}

#[test]
fn what_a_kill_left_beside_a_manifest_is_gone_after_the_next_start() {
    let mut house = House::new();
    let project = house.agent("root/p", "a");
    let before = tree(&project);
    house.core.stop();
    fs::write(project.join(".dork").join(meshd::disk::write::TEMPORARY), "{ half of it").unwrap();
    note(&house, &project, OperationKind::Write, None);
    house.restart();
    house.sweep();
    assert_eq!(tree(&project), before);
    assert_eq!(house.registry().operations().unwrap(), []);
}

#[test]
fn an_agent_whose_deletion_was_cut_short_after_its_row_went_is_gone_after_the_next_start() {
    let mut house = House::new();
    let project = house.write("root/p", manifest("a", "an agent"));
    house.core.stop();
    fs::rename(file(&project), project.join(".dork").join(meshd::disk::write::TEMPORARY)).unwrap();
    note(&house, &project, OperationKind::Delete, None);
    house.restart();
    house.sweep();
    assert_eq!(tree(&project), [(project.join(".dork"), None)]);
    assert_eq!(house.recorded(), []);
}

#[test]
fn an_agent_whose_manifest_was_taken_back_before_a_kill_is_not_kept_as_unreachable() {
    let mut house = House::new();
    let project = house.agent("root/p", "a");
    house.core.stop();
    fs::remove_dir_all(project.join(".dork")).unwrap();
    note(&house, &project, OperationKind::Write, Some("a"));
    house.restart();
    assert_eq!(house.recorded(), []);
    house.sweep();
    assert_eq!(house.recorded(), []);
}

#[test]
fn a_temporary_that_a_stranger_put_there_never_becomes_the_manifest() {
    let house = House::new();
    let project = house.project("root/p");
    fs::create_dir(project.join(".dork")).unwrap();
    fs::write(project.join(".dork").join(meshd::disk::write::TEMPORARY), manifest("evil", "planted")).unwrap();
    let agent = house.register(&project).unwrap();
    assert_eq!(house.recorded(), [(agent.id().to_string(), project.clone())]);
    house.unregister(agent.id().as_str()).unwrap();
    assert_eq!(tree(&project), [(project.join(".dork"), None)]);
}

#[test]
fn what_is_in_the_way_and_no_file_is_no_operation_under_way() {
    let house = House::new();
    let project = house.project("root/p");
    fs::create_dir_all(project.join(".dork").join(meshd::disk::write::TEMPORARY)).unwrap();
    house.register(&project).unwrap_err();
    assert_eq!(house.registry().operations().unwrap(), []);
}

#[test]
fn a_root_that_was_made_for_a_registration_that_a_kill_cut_short_goes_at_the_next_start() {
    let mut house = House::new();
    let project = house.project("elsewhere");
    house.core.stop();
    note(&house, &project, OperationKind::Write, Some("a"));
    let mut registry = AgentRegistry::open(&house.path("registry.db"), &now()).unwrap().0;
    registry.transact(Durability::Synced, |batch| batch.add_lone_root(&project)).unwrap();
    drop(registry);
    house.restart();
    house.sweep();
    assert!(house.registry().roots().unwrap().iter().all(|root| !root.alone));
}
