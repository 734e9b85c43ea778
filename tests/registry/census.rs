//! The registry in numbers.

use meshd::agent::{GraceClock, Reason};
use meshd::registry::{Batch, Census, Durability, FileSizes, Reader, Status};

use super::*;

#[test]
fn a_census_counts_agents_by_namespace_and_status_as_a_listing_shows_them() {
    let home = Home::new();
    let mut registry = home.open();
    for (name, namespace) in [("a", "web"), ("b", "web"), ("c", "ops"), ("d", "ops")] {
        registry.upsert(&in_namespace(agent(name), namespace), &seen(1), &minute(0)).unwrap();
    }
    registry.mark_unreachable(&id("d"), Reason::ManifestGone, &GraceClock::started(&minute(1)), &minute(1)).unwrap();
    let now = minute(90);
    let census = registry.census(&now).unwrap();
    assert_eq!(census.agents["web"], [(Status::Inactive, 2)].into());
    assert_eq!(census.agents["ops"], [(Status::Inactive, 1), (Status::Unreachable, 1)].into());
    let mut listed = Census::default();
    for record in registry.list(&meshd::registry::Filter::default(), &now).unwrap() {
        let counts = listed.agents.entry(record.columns.namespace.clone()).or_default();
        *counts.entry(record.health(&now)).or_default() += 1;
    }
    assert_eq!(census.agents, listed.agents);
}

#[test]
fn a_row_that_somebody_edited_counts_as_it_is_listed() {
    let home = Home::new();
    let mut registry = home.open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    home.sql()
        .execute("UPDATE agents SET status = 'unreachable', namespace = x'ff00', last_seen_at = 'never'", [])
        .unwrap();
    let census = registry.census(&minute(0)).unwrap();
    let counts: Vec<_> = census.agents.values().collect();
    assert_eq!(counts, [&[(Status::Unreachable, 1)].into()]);
}

#[test]
fn a_census_names_the_roots_that_are_offline_those_first_that_are_for_longest() {
    let home = Home::new();
    let mut registry = home.open();
    let roots = ["/r/b", "/r/a", "/r/here", "/r/new"].map(PathBuf::from);
    let away = RootState::Offline("it is not there".to_owned());
    let write = |batch: &mut Batch<'_>| {
        batch.configure_roots(&roots)?;
        batch.set_root(&roots[0], &away, None, &minute(1))?;
        batch.set_root(&roots[1], &away, None, &minute(2))?;
        batch.set_root(&roots[2], &RootState::Online, None, &minute(2))
    };
    registry.transact(Durability::Rebuildable, write).unwrap();
    let census = registry.census(&minute(9)).unwrap();
    assert_eq!(census.roots, [("new", 1), ("offline", 2), ("online", 1)].into());
    let offline: Vec<_> = census.offline.iter().map(|(since_ms, root)| (*since_ms, root)).collect();
    assert_eq!(offline, [(minute(1).wall_ms, &roots[0]), (minute(2).wall_ms, &roots[1])]);
}

#[test]
fn a_census_is_taken_beside_a_writer_and_takes_no_lock_from_it() {
    let home = Home::new();
    let mut registry = home.open();
    registry.upsert(&agent("a"), &seen(1), &minute(0)).unwrap();
    let count = || {
        let census = Reader::beside(&home.file()).unwrap().census(&minute(0)).unwrap();
        let sizes = FileSizes::of(&home.file());
        assert!(sizes.database > 0 && sizes.log > 0, "{sizes:?}");
        census.agents.values().flat_map(|counts| counts.values()).sum::<u64>()
    };
    assert_eq!(count(), 1);
    // Another program that closes the registry would take the log away if our lock on it were gone.
    drop(home.sql());
    registry.upsert(&agent("b"), &seen(2), &minute(0)).unwrap();
    assert_eq!(count(), 2);
}
