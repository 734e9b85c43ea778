//! Batches: one transaction, one refused change undone alone, events numbered without gaps.

use std::path::Path;
use std::time::Duration;

use meshd::registry::{Durability, Event, EventName, RegistryError};

use super::*;

fn told(name: EventName) -> Event {
    let detail = json!({"n": 1}).as_object().unwrap().clone();
    Event {
        agent: Some(id("a")),
        project: Some("/r/a".into()),
        scan_root: Some("/r".into()),
        detail,
        ..Event::new(name)
    }
}

#[test]
fn a_failing_change_is_undone_alone() {
    let mut registry = Home::new().open();
    registry
        .transact(Durability::Rebuildable, |batch| {
            batch.upsert(&agent("a"), &seen(1), &minute(0))?;
            let failed = batch.isolated(|batch| {
                batch.upsert(&agent("b"), &seen(1), &minute(0))?;
                batch.append(&told(EventName::AgentRegistered), &minute(0))?;
                batch.update(&at(agent("a"), "/r/b"), &seen(1), &minute(0))
            });
            assert!(matches!(failed, Err(RegistryError::Conflict(_))));
            batch.isolated(|batch| batch.upsert(&agent("c"), &seen(1), &minute(0)))?;
            assert_eq!(batch.append(&told(EventName::AgentRegistered), &minute(0))?, 1);
            Ok(())
        })
        .unwrap();
    assert_eq!(ids(&registry.list(&meshd::registry::Filter::default(), &minute(0)).unwrap()), ["a", "c"]);
}

#[test]
fn a_failing_batch_leaves_nothing_and_uses_no_event_number() {
    let mut registry = Home::new().open();
    let failed: Result<(), _> = registry.transact(Durability::Synced, |batch| {
        batch.upsert(&agent("a"), &seen(1), &minute(0))?;
        batch.append(&told(EventName::AgentRegistered), &minute(0))?;
        Err(RegistryError::Row("no".to_owned()))
    });
    assert!(failed.is_err());
    assert!(registry.recorded().unwrap().is_empty());
    assert_eq!(registry.last_seq().unwrap(), 0);
    registry.transact(Durability::Synced, |batch| batch.append(&told(EventName::AgentSynced), &minute(0))).unwrap();
    assert_eq!(registry.last_seq().unwrap(), 1);
}

#[test]
fn a_batch_whose_work_panics_leaves_nothing() {
    let mut registry = Home::new().open();
    let work = std::panic::AssertUnwindSafe(|| {
        registry.transact(Durability::Rebuildable, |batch| {
            batch.upsert(&agent("a"), &seen(1), &minute(0))?;
            panic!("a bug");
            #[allow(unreachable_code)]
            Ok(())
        })
    });
    assert!(std::panic::catch_unwind(work).is_err());
    assert!(registry.recorded().unwrap().is_empty());
    registry.upsert(&agent("b"), &seen(1), &minute(0)).unwrap();
}

#[test]
fn events_are_numbered_without_gaps_and_round_trip() {
    let home = Home::new();
    let mut registry = home.open();
    for turn in 0..3 {
        registry
            .transact(Durability::Rebuildable, |batch| {
                for name in EventName::ALL {
                    batch.append(&told(name), &minute(turn))?;
                }
                Ok(())
            })
            .unwrap();
    }
    drop(registry);
    let mut registry = home.open();
    let events = registry.events_after(0, usize::MAX).unwrap();
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=3 * EventName::ALL.len() as u64).collect::<Vec<_>>());
    assert_eq!(events[0].event, told(EventName::ALL[0]));
    assert_eq!(events[0].at, minute(0).to_iso());
    assert_eq!(registry.events_after(50, 2).unwrap().iter().map(|event| event.seq).collect::<Vec<_>>(), [51, 52]);

    // Even when all are forgotten the numbers go on.
    registry.transact(Durability::Rebuildable, |batch| batch.prune_events(0)).unwrap();
    assert_eq!(registry.events_after(0, 9).unwrap().len(), 1);
    let next = registry.transact(Durability::Rebuildable, |batch| batch.append(&events[0].event, &minute(4))).unwrap();
    assert_eq!(next, 55);
}

#[test]
fn an_event_that_cannot_be_read_is_not_taken_for_the_end() {
    let home = Home::new();
    let mut registry = home.open();
    for _ in 0..3 {
        registry
            .transact(Durability::Rebuildable, |batch| batch.append(&told(EventName::RelayFailed), &minute(0)))
            .unwrap();
    }
    home.sql().execute_batch("UPDATE events SET name = 'other' WHERE seq < 3").unwrap();
    assert_eq!(registry.events_after(0, 1).unwrap()[0].seq, 3);
}

#[test]
fn two_projects_swap_in_one_batch() {
    let mut registry = Home::new().open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    registry.upsert(&agent("b"), &seen(2), &minute(0)).unwrap();
    registry
        .transact(Durability::Rebuildable, |batch| {
            assert!(batch.vacate(&id("a"))? && batch.vacate(&id("b"))?);
            batch.update(&at(agent("a"), "/r/b"), &seen(1), &minute(1))?;
            batch.update(&at(agent("b"), "/r/a"), &seen(2), &minute(1))
        })
        .unwrap();
    assert_eq!(registry.get_by_path(Path::new("/r/a")).unwrap().unwrap().columns.id, "b");
    assert_eq!(registry.get_by_path(Path::new("/r/b")).unwrap().unwrap().columns.id, "a");
}

#[test]
fn removing_an_agent_removes_what_hangs_on_it() {
    let home = Home::new();
    let mut registry = home.open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    let clock = meshd::agent::GraceClock::started(&minute(0));
    registry.mark_unreachable(&id("a"), meshd::agent::Reason::ManifestGone, &clock, &minute(0)).unwrap();
    assert!(registry.remove(&id("a")).unwrap());
    let count = "SELECT (SELECT count(*) FROM observations) + (SELECT count(*) FROM grace_clocks)";
    assert_eq!(home.sql().query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn a_root_keeps_its_identity_while_it_is_offline_or_not_configured() {
    let mut registry = Home::new().open();
    let path = Path::new("/r");
    let offline = RootState::Offline("not mounted".to_owned());
    registry
        .transact(Durability::Synced, |batch| {
            batch.configure_roots(&["/r".into(), "/a".into()])?;
            batch.set_root(path, &RootState::Online, Some(root(1)), &minute(0))?;
            batch.set_root(path, &offline, None, &minute(1))?;
            batch.set_root(path, &RootState::Offline("gone".to_owned()), None, &minute(2))?;
            batch.configure_roots(&["/a".into(), "/new".into()])
        })
        .unwrap();
    let roots = registry.roots().unwrap();
    let shown: Vec<_> = roots.iter().map(|root| (root.path.to_str().unwrap(), root.configured)).collect();
    assert_eq!(shown, [("/a", true), ("/new", true), ("/r", false)]);
    assert_eq!(roots[2].identity, Some(root(1)));
    assert_eq!(roots[2].state, Some(RootState::Offline("gone".to_owned())));
    assert_eq!(roots[2].since, Some(minute(1).to_iso()));
    assert_eq!((roots[1].identity, roots[1].state.clone()), (None, None));
}

#[test]
fn the_type_of_a_roots_file_system_is_that_of_the_directory_that_it_was_last() {
    let mut registry = Home::new().open();
    let unknown = RootIdentity { file_system: None, ..root(2) };
    for (identity, expected) in [(None, None), (Some(root(1)), Some(root(1))), (None, Some(root(1)))]
        .into_iter()
        .chain([(Some(unknown), Some(unknown)), (Some(root(2)), Some(root(2)))])
    {
        let set = |batch: &mut meshd::registry::Batch<'_>| {
            batch.set_root(Path::new("/r"), &RootState::Online, identity, &minute(0))
        };
        registry.transact(Durability::Synced, set).unwrap();
        assert_eq!(registry.roots().unwrap()[0].identity, expected);
    }
}

#[test]
fn a_mount_point_is_noted_once_and_may_be_any_path() {
    use std::os::unix::ffi::OsStrExt;
    let mut registry = Home::new().open();
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"/r/\xff"));
    registry
        .transact(Durability::Synced, |batch| {
            assert!(batch.note_mount(odd)? && batch.note_mount(Path::new("/r/usb"))?);
            assert!(!batch.note_mount(odd)? && !batch.forget_mount(Path::new("/r/other"))?);
            assert!(batch.forget_mount(Path::new("/r/usb"))?);
            Ok(())
        })
        .unwrap();
    assert_eq!(registry.mounts().unwrap(), [odd]);
}

#[test]
fn there_is_one_problem_of_a_kind_at_a_project_and_its_time_stays() {
    let mut registry = Home::new().open();
    let contested = Problem { kind: ProblemKind::Contested, id: None, ..problem("/r/a", "other") };
    registry
        .transact(Durability::Rebuildable, |batch| {
            batch.raise(&problem("/r/a", "first"), &minute(0))?;
            batch.raise(&problem("/r/a", "second"), &minute(1))?;
            batch.raise(&contested, &minute(2))
        })
        .unwrap();
    let known = registry.problems().unwrap();
    assert_eq!(known, [(contested.clone(), minute(2).to_iso()), (problem("/r/a", "second"), minute(0).to_iso())]);
    assert!(registry.transact(Durability::Rebuildable, |batch| batch.clear(&problem("/r/a", ""))).unwrap());
    assert_eq!(registry.problems().unwrap(), [(contested, minute(2).to_iso())]);
}

#[test]
fn a_denied_path_is_denied_until_it_is_allowed() {
    let mut registry = Home::new().open();
    registry
        .transact(Durability::Synced, |batch| {
            batch.deny(Path::new("/r/x"), Some("noisy"), Some("me"), &minute(0))?;
            batch.deny(Path::new("/r/x"), Some("still noisy"), None, &minute(1))
        })
        .unwrap();
    assert_eq!(registry.denials().unwrap(), [Path::new("/r/x")]);
    let denial = registry.list_denials().unwrap().remove(0);
    assert_eq!((denial.reason.as_deref(), denial.created_at), (Some("still noisy"), minute(0).to_iso()));
    assert!(registry.transact(Durability::Synced, |batch| batch.allow(Path::new("/r/x"))).unwrap());
    assert!(registry.denials().unwrap().is_empty());
}

#[test]
fn a_registry_that_another_process_locks_is_busy_after_the_timeout_and_usable_after_it() {
    let home = Home::new();
    let mut registry = home.open();
    registry.set_busy_timeout(Duration::from_millis(20)).unwrap();
    let other = home.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap_err();
    assert!(matches!(error, RegistryError::Busy) && error.is_fatal_to_transaction(), "{error}");
    assert!(registry.recorded().unwrap().is_empty(), "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
}
