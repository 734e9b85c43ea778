//! Random worlds: the real engine over a real directory, held against what disk alone says. A failure shrinks, and prints
//! the steps.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use meshd::engine::ReconcileResult;
use proptest::prelude::*;

use crate::support::{SETTLED, World, manifest};

/// Where projects lie; one of them within another.
const PLACES: [&str; 5] = ["root/a", "root/b", "root/b/inner", "root/deep/c", "root/deep/d"];

#[derive(Debug, Clone)]
enum Step {
    Write { place: usize, id: usize, name: u8 },
    Tear { place: usize },
    DeleteManifest { place: usize },
    DeleteProject { place: usize },
    Move { from: usize, to: usize },
    Copy { from: usize, to: usize },
    LookAt { place: usize },
    LookBelow { place: usize },
    Sweep,
    PassTime { ms: u64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0..PLACES.len();
    prop_oneof![
        6 => (place.clone(), 0..4_usize, any::<u8>()).prop_map(|(place, id, name)| Step::Write { place, id, name }),
        1 => place.clone().prop_map(|place| Step::Tear { place }),
        2 => place.clone().prop_map(|place| Step::DeleteManifest { place }),
        2 => place.clone().prop_map(|place| Step::DeleteProject { place }),
        3 => (place.clone(), place.clone()).prop_map(|(from, to)| Step::Move { from, to }),
        2 => (place.clone(), place.clone()).prop_map(|(from, to)| Step::Copy { from, to }),
        4 => place.clone().prop_map(|place| Step::LookAt { place }),
        4 => place.prop_map(|place| Step::LookBelow { place }),
        1 => Just(Step::Sweep),
        2 => prop_oneof![Just(30), Just(600), Just(2_000), Just(700_000)].prop_map(|ms| Step::PassTime { ms }),
        1 => Just(Step::Restart),
    ]
}

/// Does one step; what cannot be done, such as moving what is not there, is left.
fn take(world: &mut World, step: &Step) {
    match step {
        Step::Write { place, id, name } => {
            world.write(PLACES[*place], manifest(&format!("id{id}"), &format!("name {name}")));
        }
        Step::Tear { place } => drop(fs::write(world.manifest_of(PLACES[*place]), "{\"id\":")),
        Step::DeleteManifest { place } => drop(fs::remove_file(world.manifest_of(PLACES[*place]))),
        Step::DeleteProject { place } => drop(fs::remove_dir_all(world.path(PLACES[*place]))),
        Step::Move { from, to } => {
            let (from, to) = (world.path(PLACES[*from]), world.path(PLACES[*to]));
            let _ = fs::create_dir_all(to.parent().unwrap());
            let _ = fs::rename(from, to);
        }
        Step::Copy { from, to } => {
            if let Ok(content) = fs::read(world.manifest_of(PLACES[*from])) {
                world.write(PLACES[*to], content);
            }
        }
        Step::LookAt { place } => drop(world.look_at(PLACES[*place])),
        Step::LookBelow { place } => drop(world.look_below(PLACES[*place])),
        Step::Sweep => drop(world.sweep()),
        Step::PassTime { ms } => world.pass_time(Duration::from_millis(*ms)),
        Step::Restart => world.restart(),
    }
}

/// What disk says: the content of every manifest, or that it is torn.
fn on_disk(world: &World) -> BTreeMap<PathBuf, Option<serde_json::Value>> {
    // A moved project takes along the one within it, so every directory is looked at.
    let (mut found, mut open) = (BTreeMap::new(), vec![world.path("root")]);
    while let Some(directory) = open.pop() {
        if let Ok(bytes) = fs::read(directory.join(".dork/agent.json")) {
            found.insert(directory.clone(), serde_json::from_slice(&bytes).ok());
        }
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        open.extend(entries.filter(|path| path.is_dir() && !path.ends_with(".dork")));
    }
    found
}

fn holds(world: &mut World) {
    // Long enough for every doubt and every contested id to be settled, and far shorter than the grace period.
    world.sweep_settled();
    world.pass_time(Duration::from_mins(11));
    world.sweep_settled();
    world.pass_time(SETTLED);
    let result = world.sweep();
    assert_eq!(ReconcileResult { problems: 0, ..result }, ReconcileResult::default(), "settled");

    let disk = on_disk(world);
    for number in 0..4 {
        let id = format!("id{number}");
        let claims: Vec<&PathBuf> = disk
            .iter()
            .filter(|(_, content)| content.as_ref().is_some_and(|content| content["id"] == id.as_str()))
            .map(|(place, _)| place)
            .collect();
        let record = world.record(&id);
        let home_is_torn = record.as_ref().is_some_and(|record| matches!(disk.get(&record.project()), Some(None)));
        match &record {
            Some(record) if record.unreachable.is_none() && !home_is_torn => {
                assert!(claims.contains(&&record.project()), "{id} is active where it is not: {record:?}");
                let content = disk[&record.project()].as_ref().unwrap();
                assert_eq!(record.agent.as_ref().unwrap().manifest.name, content["name"], "{id}");
            }
            Some(_) if home_is_torn => {}
            Some(record) => assert!(claims.is_empty(), "{id} is unreachable but at {claims:?}: {record:?}"),
            None => assert!(claims.is_empty(), "{id} is not recorded but at {claims:?}"),
        }
    }
    world.events();
}

proptest! {
    // More by hand: PROPTEST_CASES=20000.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_the_registry_settles_on_what_disk_says(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        for step in &steps {
            take(&mut world, step);
        }
        holds(&mut world);
    }
}
