//! Records: written, read back, marked, listed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use meshd::agent::{Agent, Columns, GraceClock, Reason, Runtime, Sighting};
use meshd::registry::{Durability, Filter, RegistryError, Status};
use serde_json::json;

use super::*;

#[test]
fn upsert_inserts_when_nothing_conflicts() {
    let mut registry = Home::new().open();
    assert_eq!(registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap(), None);
    let record = record(&registry, "a");
    assert_eq!(record.agent, Ok(agent("a")));
    assert_eq!((record.home, record.observation), (seen(1).home, seen(1).observation));
    assert_eq!(record.registered_at, "2026-01-01T00:00:00Z");
    assert_eq!(record.last_seen_at, Some(minute(0).to_iso()));
    assert_eq!(record.last_seen_event.as_deref(), Some("registered"));
}

#[test]
fn upsert_updates_when_the_id_is_there() {
    let mut registry = Home::new().open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    let other = at(agent_with("a", json!({"name": "other"})), "/r/elsewhere");
    assert_eq!(registry.upsert(&other, &seen(2), &minute(1)).unwrap(), None);
    assert_eq!(record(&registry, "a").agent, Ok(other));
    assert_eq!(registry.recorded().unwrap().len(), 1);
    assert!(registry.get_by_path(Path::new("/r/a")).unwrap().is_none());
}

#[test]
fn upsert_replaces_a_stale_entry_of_another_id_at_the_same_path() {
    let mut registry = Home::new().open();
    registry.upsert(&agent("old"), &seen(1), &minute(0)).unwrap();
    let arrival = at(agent("new"), "/r/old");
    assert_eq!(registry.upsert(&arrival, &seen(2), &minute(1)).unwrap(), Some(id("old")));
    assert!(registry.get(&id("old")).unwrap().is_none());
    assert_eq!(registry.get_by_path(Path::new("/r/old")).unwrap().unwrap().agent, Ok(arrival));
    assert_eq!(registry.integrity().unwrap(), Vec::<String>::new());
}

#[test]
fn upsert_clears_unreachable_and_keeps_registration_and_health() {
    let mut registry = Home::new().open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    registry.mark_unreachable(&id("a"), Reason::ManifestGone, &GraceClock::started(&minute(1)), &minute(1)).unwrap();
    let again = agent_with("a", json!({"registeredAt": "2026-06-06T00:00:00Z"}));
    registry.upsert(&again, &seen(1), &minute(2)).unwrap();
    let record = record(&registry, "a");
    assert_eq!(record.unreachable, None);
    assert_eq!(record.status, "active");
    assert_eq!(record.registered_at, "2026-01-01T00:00:00Z");
    assert_eq!(record.last_seen_at, Some(minute(0).to_iso()));
    registry.mark_unreachable(&id("a"), Reason::RootOffline, &GraceClock::stopped(), &minute(3)).unwrap();
    assert_eq!(super::record(&registry, "a").unreachable.unwrap().clock, GraceClock::stopped());
}

/// Every key of a manifest in an unusual form, and a path that is not UTF-8.
fn unusual() -> Agent {
    let mut agent = agent_with(
        "a",
        json!({
            "name": "naïve ✓", "displayName": "項目", "description": "\u{1b}[2J\nline", "runtime": "roo-code",
            "capabilities": ["código", ""], "namespace": "Team",
            "behavior": {"responseMode": "silent", "escalationThreshold": 2.5, "later": {"x": [null]}},
            "budget": {"maxHopsPerMessage": 9, "maxCallsPerHour": 18_446_744_073_709_551_615_u64},
            "registeredAt": "2026-02-02T02:02Z", "registeredBy": "ich", "persona": "p", "personaEnabled": false,
            "color": "#fff", "icon": "🤖", "isSystem": true, "model": "m", "effort": "high", "account": "x",
            "traits": {"humor": 5}, "conventions": {}, "enabledToolGroups": [], "unknown": {"a": 1e-7},
        }),
    );
    agent.project = PathBuf::from(OsStr::from_bytes(b"/r/\xff\xfe/p"));
    agent.scan_root = Some(std::sync::Arc::from(Path::new(OsStr::from_bytes(b"/r/\xff\xfe"))));
    agent
}

#[test]
fn every_field_round_trips() {
    let mut registry = Home::new().open();
    for agent in [unusual(), agent("plain"), Agent { scan_root: None, ..agent("rootless") }] {
        registry.upsert(&agent, &seen(1), &minute(0)).unwrap();
        let record = registry.get_by_path(&agent.project).unwrap().unwrap();
        assert_eq!(record.project(), agent.project);
        assert_eq!(record.agent.as_ref(), Ok(&agent));
        let recorded = registry.recorded_of(agent.id()).unwrap().unwrap();
        assert_eq!(recorded.digest, Columns::of(&agent).digest());
        assert_eq!(
            (recorded.project, recorded.scan_root, recorded.home, recorded.observation),
            (agent.project, agent.scan_root, seen(1).home, seen(1).observation)
        );
    }
    assert_eq!(registry.recorded().unwrap().len(), 3);
}

#[test]
fn update_persists_every_mutable_field() {
    let mut registry = Home::new().open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    let changed = in_namespace(unusual(), "elsewhere");
    assert!(registry.update(&changed, &seen(2), &minute(5)).unwrap());
    let record = record(&registry, "a");
    assert_eq!(record.agent, Ok(changed));
    assert_eq!((record.home, record.observation), (seen(2).home, seen(2).observation));
    assert_eq!(record.updated_at, minute(5).to_iso());
    assert_eq!(record.last_seen_at, Some(minute(0).to_iso()));
    // And back, so that what is absent again is.
    assert!(registry.update(&agent("a"), &seen(1), &minute(6)).unwrap());
    assert_eq!(super::record(&registry, "a").agent, Ok(agent("a")));
}

#[test]
fn an_unknown_id_is_false_everywhere() {
    let mut registry = Home::new().open();
    let none = id("none");
    assert!(!registry.update(&agent("none"), &seen(1), &minute(0)).unwrap());
    assert!(!registry.remove(&none).unwrap());
    assert!(!registry.mark_reachable(&none, &minute(0)).unwrap());
    let clock = GraceClock::started(&minute(0));
    assert!(!registry.mark_unreachable(&none, Reason::Contested, &clock, &minute(0)).unwrap());
    registry
        .transact(Durability::Synced, |batch| {
            assert!(!batch.carry_clock(&none, &clock)?);
            assert!(!batch.observe(&none, &seen(1))?);
            assert!(!batch.vacate(&none)?);
            assert!(!batch.allow(Path::new("/none"))?);
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_does_not_differ_is_not_written() {
    let home = Home::new();
    let mut registry = home.open();
    let clock = GraceClock::started(&minute(1));
    let mut all = |now: Moment| {
        registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
        registry.update(&agent("a"), &seen(1), &now).unwrap();
        registry.upsert(&agent("b"), &seen(2), &minute(0)).unwrap();
        registry
            .transact(Durability::Synced, |batch| {
                batch.observe(&id("a"), &seen(1))?;
                batch.configure_roots(&["/r".into()])?;
                batch.set_root(Path::new("/r"), &RootState::Online, Some(root(1)), &now)?;
                batch.note_mount(Path::new("/r/usb"))?;
                batch.deny(Path::new("/x"), Some("why"), None, &now)?;
                batch.raise(&problem("/r/a", "what"), &now)
            })
            .unwrap();
    };
    all(minute(0));
    let other = home.sql();
    let version = || other.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = version();
    all(minute(9));
    assert_eq!(version(), before);
    registry.mark_unreachable(&id("b"), Reason::ManifestGone, &clock, &minute(1)).unwrap();
    let before = version();
    registry.mark_unreachable(&id("b"), Reason::ManifestGone, &clock, &minute(9)).unwrap();
    assert_eq!(version(), before);
}

#[test]
fn marking_unreachable_again_does_not_move_the_time() {
    let mut registry = Home::new().open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    let clock = GraceClock::started(&minute(1));
    assert!(registry.mark_unreachable(&id("a"), Reason::ManifestGone, &clock, &minute(1)).unwrap());
    let stopped = GraceClock { spent: Duration::from_millis(61_234), running_since: None };
    assert!(registry.mark_unreachable(&id("a"), Reason::RootOffline, &stopped, &minute(9)).unwrap());
    let record = record(&registry, "a");
    let unreachable = record.unreachable.clone().unwrap();
    assert_eq!(record.status, "unreachable");
    assert_eq!(unreachable.since_ms, minute(1).wall_ms);
    assert_eq!((unreachable.reason, unreachable.clock), (Reason::RootOffline, stopped));
    assert_eq!(record.health(&minute(1)), Status::Unreachable);
    registry.transact(Durability::Synced, |batch| batch.carry_clock(&id("a"), &clock)).unwrap();
    assert_eq!(registry.recorded_of(&id("a")).unwrap().unwrap().unreachable.unwrap().clock, clock);
}

#[test]
fn an_unreachable_agent_that_is_marked_reachable_was_seen_now() {
    let mut registry = Home::new().open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    registry.mark_unreachable(&id("a"), Reason::ManifestGone, &GraceClock::stopped(), &minute(1)).unwrap();
    assert!(registry.mark_reachable(&id("a"), &minute(2)).unwrap());
    let record = record(&registry, "a");
    assert_eq!((record.unreachable, record.status.as_str()), (None, "active"));
    assert_eq!(record.last_seen_at, Some(minute(2).to_iso()));
    assert_eq!(record.last_seen_event.as_deref(), Some("reachable"));
}

#[test]
fn unreachable_ones_before_a_cutoff_are_those_and_no_others() {
    let mut registry = Home::new().open();
    for (name, since) in [("a", Some(1)), ("b", Some(5)), ("c", None)] {
        registry.upsert(&agent(name), &seen(1), &minute(0)).unwrap();
        if let Some(since) = since {
            registry.mark_unreachable(&id(name), Reason::ManifestGone, &GraceClock::stopped(), &minute(since)).unwrap();
        }
    }
    assert_eq!(ids(&registry.list_unreachable().unwrap()), ["a", "b"]);
    assert_eq!(ids(&registry.list_unreachable_before(minute(5).wall_ms).unwrap()), ["a"]);
    assert!(registry.list_unreachable_before(minute(1).wall_ms).unwrap().is_empty());
}

#[test]
fn listing_filters_by_runtime_capability_namespace_and_status() {
    let mut registry = Home::new().open();
    let fleet = [
        in_namespace(agent_with("a", json!({"capabilities": ["read", "write"]})), "one"),
        in_namespace(agent_with("b", json!({"runtime": "cursor", "capabilities": ["read"]})), "one"),
        in_namespace(agent_with("c", json!({"runtime": "cursor"})), "two"),
    ];
    for agent in &fleet {
        registry.upsert(agent, &seen(1), &minute(0)).unwrap();
    }
    registry.mark_unreachable(&id("c"), Reason::ManifestGone, &GraceClock::stopped(), &minute(1)).unwrap();
    let listed = |filter: Filter, now: i64| {
        ids(&registry.list(&filter, &minute(now)).unwrap()).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = Filter::default();
    assert_eq!(listed(all.clone(), 0), ["a", "b", "c"]);
    assert_eq!(listed(Filter { runtime: Some(Runtime::Cursor), ..all.clone() }, 0), ["b", "c"]);
    assert_eq!(listed(Filter { capability: Some("write".into()), ..all.clone() }, 0), ["a"]);
    assert_eq!(listed(Filter { namespace: Some("one".into()), ..all.clone() }, 0), ["a", "b"]);
    assert_eq!(listed(Filter { status: Some(Status::Unreachable), ..all.clone() }, 0), ["c"]);
    assert_eq!(listed(Filter { status: Some(Status::Active), ..all.clone() }, 59), ["a", "b"]);
    assert_eq!(listed(Filter { status: Some(Status::Inactive), ..all.clone() }, 60), ["a", "b"]);
    assert_eq!(listed(Filter { status: Some(Status::Stale), ..all }, 24 * 60), ["a", "b"]);
    assert_eq!(ids(&registry.list_by_namespace("two").unwrap()), ["c"]);

    let stats = registry.stats(&minute(60)).unwrap();
    assert_eq!((stats.total, stats.active, stats.inactive, stats.stale, stats.unreachable), (3, 0, 2, 0, 1));
    assert_eq!(stats.by_runtime, [("codex".to_owned(), 1), ("cursor".to_owned(), 2)].into());
    assert_eq!(stats.by_project.get("a"), Some(&1));
}

#[test]
fn one_corrupt_row_does_not_hide_the_others() {
    let home = Home::new();
    let mut registry = home.open();
    for name in ["a", "b", "c", "d"] {
        registry.upsert(&agent_with(name, json!({"capabilities": ["x"]})), &seen(1), &minute(0)).unwrap();
    }
    let sql = "UPDATE agents SET budget_json = '{not json' WHERE id = 'b'; \
        UPDATE agents SET name = x'ff', runtime = 'emacs' WHERE id = 'c'; \
        UPDATE agents SET capabilities_json = 'null', unreachable_since = 'yesterday' WHERE id = 'd'";
    home.sql().execute_batch(sql).unwrap();
    let records = registry.list(&Filter::default(), &minute(0)).unwrap();
    assert_eq!(ids(&records), ["a", "b", "c", "d"]);
    assert_eq!(records[0].agent, Ok(agent_with("a", json!({"capabilities": ["x"]}))));
    assert!(records[1].agent.as_ref().unwrap_err().contains("budget_json"));
    assert!(records[2].agent.is_err() && records[3].agent.is_err());
    let wanted = Filter { capability: Some("x".into()), ..Filter::default() };
    assert_eq!(ids(&registry.list(&wanted, &minute(0)).unwrap()), ["a", "b", "c"]);
    assert_eq!(registry.stats(&minute(0)).unwrap().total, 4);
    assert_eq!(registry.recorded().unwrap().len(), 4);
}

#[test]
fn a_row_that_was_edited_by_hand_no_longer_vouches_for_its_manifest() {
    let home = Home::new();
    let mut registry = home.open();
    let edits = [
        "name = 'edited'",
        "rest_json = '{}'",
        "scan_root = ''",
        "display_name = ''",
        "name = CAST(name AS BLOB)",
        "project_path = CAST(project_path AS BLOB)",
    ];
    for edit in edits {
        registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
        assert_eq!(registry.recorded_of(&id("a")).unwrap().unwrap().observation, seen(1).observation, "{edit}");
        let version = registry.data_version().unwrap();
        home.sql().execute_batch(&format!("UPDATE agents SET {edit}")).unwrap();
        assert_ne!(registry.data_version().unwrap(), version, "{edit}");
        let recorded = registry.recorded_of(&id("a")).unwrap().unwrap();
        assert_eq!(recorded.observation, None, "{edit}");
        assert_ne!(recorded.digest, Columns::of(&agent("a")).digest(), "{edit}");
        registry.remove(&id("a")).unwrap();
    }
}

#[test]
fn what_was_not_seen_stays_as_it_was_noted() {
    let mut registry = Home::new().open();
    let unseen = Sighting { observation: None, home: None };
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    registry.transact(Durability::Rebuildable, |batch| batch.observe(&id("a"), &unseen)).unwrap();
    assert_eq!(record(&registry, "a").observation, seen(1).observation);
    registry.update(&in_namespace(agent("a"), "other"), &unseen, &minute(1)).unwrap();
    assert_eq!(record(&registry, "a").observation, seen(1).observation);
    assert_eq!(record(&registry, "a").home, seen(1).home);
    // At another place it is another file and another directory.
    registry.update(&at(agent("a"), "/r/moved"), &unseen, &minute(2)).unwrap();
    assert_eq!((record(&registry, "a").observation, record(&registry, "a").home), (None, None));
}

#[test]
fn a_fingerprint_of_other_content_does_not_vouch_for_what_is_written_over_it() {
    let home = Home::new();
    let mut registry = home.open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    home.sql().execute_batch("UPDATE agents SET name = 'edited'").unwrap();
    let unseen = Sighting { observation: None, home: None };
    registry.update(&agent_with("a", json!({"name": "third"})), &unseen, &minute(1)).unwrap();
    assert_eq!(record(&registry, "a").observation, None);
}

#[test]
fn an_update_to_a_path_that_is_taken_is_refused_alone() {
    let mut registry = Home::new().open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    registry.upsert(&agent("b"), &seen(2), &minute(0)).unwrap();
    let error = registry.update(&at(agent("b"), "/r/a"), &seen(2), &minute(1)).unwrap_err();
    assert!(matches!(error, RegistryError::Conflict(_)) && !error.is_fatal_to_transaction(), "{error}");
    assert_eq!(record(&registry, "b").agent, Ok(agent("b")));
}
