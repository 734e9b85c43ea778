//! Every small world: all of three projects and two ids, on disk and in the registry.
//!
//! What must come out is written down here a second time, from the decision table and not from the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meshd::agent::{
    Agent, AgentId, Columns, Fingerprint, GraceClock, Manifest, Moment, Observation, Reason, Recorded, RootIdentity,
    Unreachable,
};
use meshd::decide::{
    Action, Checkout, Found, MountSeen, Plan, Policy, Probe, ProjectDir, Reach, Root, RootFound, RootState, Site,
    Unreadable, UnreadableKind, View, decide,
};

const IDS: [&str; 2] = ["x", "y"];
const PROJECTS: [&str; 3] = ["/r/a", "/r/b", "/r/c"];
const HOUR_MS: i64 = 3_600_000;

/// What lies at one project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Gone,
    NoManifest,
    Unreadable,
    Carries(usize),
}

const CELLS: [Cell; 5] = [Cell::Gone, Cell::NoManifest, Cell::Unreadable, Cell::Carries(0), Cell::Carries(1)];

/// A row: where, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    project: usize,
    mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Reachable,
    /// Unreachable since just now.
    Young,
    /// Unreachable for longer than the grace period.
    Old,
}

type Rows = [Option<Row>; 2];
type Disk = [Cell; 3];

/// The registry as a map, as the real one holds it.
type Registry = BTreeMap<AgentId, Recorded>;

fn now() -> Moment {
    Moment { wall_ms: 1_000 * HOUR_MS, boot_ms: 500 * HOUR_MS, boot: Arc::from("this boot") }
}

fn id(number: usize) -> AgentId {
    IDS[number].parse().unwrap()
}

fn agent(number: usize, project: usize) -> Arc<Agent> {
    let text = format!(
        r#"{{"id":"{}","name":"n","runtime":"codex","registeredAt":"2026-01-01T00:00Z","registeredBy":"t"}}"#,
        IDS[number]
    );
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    Arc::new(Agent::derive(manifest, PROJECTS[project].into(), Some(Arc::from(Path::new("/r")))))
}

fn recorded(agent: &Agent, mark: Mark) -> Recorded {
    let unreachable = |age_ms: i64| {
        let mut since = now();
        since.boot_ms -= age_ms;
        let clock = GraceClock::started(&since);
        Some(Unreachable { since_ms: now().wall_ms - age_ms, reason: Reason::ManifestGone, clock })
    };
    Recorded {
        id: agent.id().clone(),
        project: agent.project.clone(),
        scan_root: agent.scan_root.clone(),
        digest: Columns::of(agent).digest(),
        home: None,
        observation: None,
        unreachable: match mark {
            Mark::Reachable => None,
            Mark::Young => unreachable(0),
            Mark::Old => unreachable(48 * HOUR_MS),
        },
    }
}

fn site(cell: Cell, project: usize) -> Site {
    let fingerprint = Fingerprint { device: 1, inode: 1, size: 1, modified_ns: 1, changed_ns: 1 };
    let probe = match cell {
        Cell::Gone => Probe::Absent(ProjectDir::Gone),
        Cell::NoManifest => Probe::Absent(ProjectDir::There),
        Cell::Unreadable => Probe::Unreadable(Unreadable { why: "bad".into(), kind: UnreadableKind::Content }),
        Cell::Carries(number) => {
            Probe::Present(Found::Read(agent(number, project), Observation { fingerprint, looked_ns: 1 }))
        }
    };
    Site {
        root: Some(Arc::from(Path::new("/r"))),
        denied: false,
        held: false,
        probe,
        identity: None,
        checkout: Checkout::Main,
        standing: Duration::from_hours(1),
    }
}

/// A view of some projects, closed over ids and homes; `None` for everything.
fn view(disk: Disk, registry: &Registry, only: Option<usize>) -> View {
    let directory = meshd::agent::DirIdentity { device: 1, inode: 2, born_ns: 3 };
    let directory = RootIdentity { directory, file_system: Some(4) };
    let root = Root {
        known: Some(directory),
        state: Some(RootState::Online),
        found: RootFound::Directory(directory),
        unlisted: Vec::new(),
        mounts: Vec::new(),
        accepted: false,
    };
    let mut view = View { roots: BTreeMap::from([(Arc::from(Path::new("/r")), root)]), ..View::default() };
    let mut open: Vec<usize> = match only {
        None => (0..3).collect(),
        Some(project) => vec![project],
    };
    view.reach = if only.is_none() { Reach::Everything } else { Reach::Part };
    while let Some(project) = open.pop() {
        let path = PathBuf::from(PROJECTS[project]);
        if view.sites.contains_key(&path) {
            continue;
        }
        view.sites.insert(path.clone(), site(disk[project], project));
        let carried = if let Cell::Carries(number) = disk[project] { Some(id(number)) } else { None };
        for record in registry.values() {
            if record.project == path || Some(&record.id) == carried.as_ref() {
                view.recorded.insert(record.id.clone(), Arc::new(record.clone()));
                open.push(PROJECTS.iter().position(|name| record.project == Path::new(name)).unwrap());
            }
        }
    }
    view
}

/// Carries out a plan on the map, in its order, and holds it against the registry's own constraints.
fn apply(plan: &Plan, registry: &mut Registry) {
    for action in &plan.actions {
        if let Action::Relocate { agent, .. } = action {
            registry.remove(agent.id());
        }
    }
    for action in &plan.actions {
        match action {
            Action::Remove { id, .. } => {
                assert!(registry.remove(id).is_some(), "removed twice");
            }
            Action::Relocate { agent, .. } | Action::Upsert { agent, .. } => {
                assert!(registry.values().all(|other| other.project != agent.project), "two rows at one path");
                assert!(registry.insert(agent.id().clone(), recorded(agent, Mark::Reachable)).is_none());
            }
            Action::Sync { agent, .. } => {
                registry.get_mut(agent.id()).unwrap().digest = Columns::of(agent).digest();
            }
            Action::MarkUnreachable { id, reason, clock, .. } => {
                let row = registry.get_mut(id).unwrap();
                let since_ms = row.unreachable.as_ref().map_or(now().wall_ms, |mark| mark.since_ms);
                row.unreachable = Some(Unreachable { since_ms, reason: *reason, clock: clock.clone() });
            }
            Action::CarryClock { id, clock } => {
                registry.get_mut(id).unwrap().unreachable.as_mut().unwrap().clock = clock.clone();
            }
            Action::MarkReachable { id, .. } => registry.get_mut(id).unwrap().unreachable = None,
            Action::SetRoot { .. } | Action::NoteMount { .. } | Action::ForgetMount { .. } => {
                panic!("the root does not change here")
            }
            Action::Raise(_) | Action::Restate(_) | Action::Clear(_) => {}
        }
    }
}

/// What a row is, for comparing: where, and whether it is reachable.
fn rows(registry: &Registry) -> Vec<(String, PathBuf, bool)> {
    registry.values().map(|row| (row.id.to_string(), row.project.clone(), row.unreachable.is_none())).collect()
}

/// What must come out of one pass over everything, from the table of the design.
fn expected(disk: Disk, before: Rows) -> Vec<(String, PathBuf, bool)> {
    let claims = |number: usize| (0..3).filter(move |project| disk[*project] == Cell::Carries(number));
    let destination = |number: usize| match before[number] {
        None => claims(number).next(),
        Some(row) => match disk[row.project] {
            Cell::Carries(carried) if carried == number => Some(row.project),
            Cell::Unreadable => None,
            Cell::NoManifest if row.mark != Mark::Old => None,
            Cell::Gone | Cell::NoManifest | Cell::Carries(_) => claims(number).next(),
        },
    };
    let mut rows = Vec::new();
    for number in 0..2 {
        let row = match (destination(number), before[number]) {
            (Some(project), _) => Some((project, true)),
            (None, None) => None,
            (None, Some(row)) => match disk[row.project] {
                Cell::Unreadable => Some((row.project, row.mark == Mark::Reachable)),
                Cell::Carries(other) if destination(other) == Some(row.project) => None,
                _ if row.mark == Mark::Old => None,
                Cell::Gone | Cell::NoManifest | Cell::Carries(_) => Some((row.project, false)),
            },
        };
        rows.extend(row.map(|(project, reachable)| (IDS[number].into(), PROJECTS[project].into(), reachable)));
    }
    rows
}

fn registry(before: Rows) -> Registry {
    let row = |number: usize| before[number].map(|row| recorded(&agent(number, row.project), row.mark));
    (0..2).filter_map(row).map(|row| (row.id.clone(), row)).collect()
}

fn worlds() -> Vec<(Disk, Rows)> {
    let mut possible_rows = vec![None];
    for project in 0..3 {
        for mark in [Mark::Reachable, Mark::Young, Mark::Old] {
            possible_rows.push(Some(Row { project, mark }));
        }
    }
    let mut worlds = Vec::new();
    for a in CELLS {
        for b in CELLS {
            for c in CELLS {
                for x in &possible_rows {
                    for y in &possible_rows {
                        let same_path = matches!((x, y), (Some(x), Some(y)) if x.project == y.project);
                        if !same_path {
                            worlds.push(([a, b, c], [*x, *y]));
                        }
                    }
                }
            }
        }
    }
    worlds
}

#[test]
fn one_pass_settles_every_small_world_and_then_the_registry_mirrors_disk() {
    let worlds = worlds();
    assert_eq!(worlds.len(), 125 * 73, "5 cells at 3 projects, 10 rows of 2 ids at different paths");
    for (disk, before) in worlds {
        let mut registry = registry(before);
        let plan = decide(&view(disk, &registry, None), &now(), &Policy::default());
        apply(&plan, &mut registry);
        assert_eq!(rows(&registry), expected(disk, before), "{disk:?} {before:?}");

        let again = decide(&view(disk, &registry, None), &now(), &Policy::default());
        let writes: Vec<_> = again.actions.iter().filter(|action| !matches!(action, Action::Raise(_))).collect();
        assert!(writes.is_empty(), "not settled: {disk:?} {before:?} {writes:?}");
    }
}

#[test]
fn no_order_or_subset_of_narrow_passes_changes_where_the_sweep_ends() {
    let orders: Vec<Vec<usize>> = (0..3)
        .flat_map(|a| {
            let pairs = (0..3).filter(move |b| *b != a);
            let longer = pairs.flat_map(move |b| [vec![a, b], vec![a, b, 3 - a - b]]);
            std::iter::once(vec![a]).chain(longer)
        })
        .collect();
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), 3 + 6 + 6);
    for (disk, before) in worlds() {
        let claimed_twice = (0..2).any(|number| disk.iter().filter(|cell| **cell == Cell::Carries(number)).count() > 1);
        if claimed_twice {
            continue;
        }
        let end = |order: &[usize]| {
            let mut registry = registry(before);
            for only in order.iter().map(|project| Some(*project)).chain([None]) {
                let plan = decide(&view(disk, &registry, only), &now(), &Policy::default());
                apply(&plan, &mut registry);
            }
            rows(&registry)
        };
        let swept = end(&[]);
        for order in &orders {
            assert_eq!(end(order), swept, "{disk:?} {before:?} {order:?}");
        }
    }
}

#[test]
fn an_unchanged_manifest_that_was_not_read_again_decides_as_one_that_was() {
    for (disk, before) in worlds() {
        let registry = registry(before);
        let read = view(disk, &registry, None);
        let mut unread = read.clone();
        for (path, site) in &mut unread.sites {
            if let Probe::Present(found) = &site.probe
                && registry.get(found.id()).is_some_and(|row| row.project == *path)
            {
                site.probe = Probe::Present(Found::AsRecorded(found.id().clone()));
            }
        }
        let (read, unread) = (decide(&read, &now(), &Policy::default()), decide(&unread, &now(), &Policy::default()));
        assert_eq!(read.actions, unread.actions, "{disk:?} {before:?}");
    }
}

#[test]
fn whoever_was_on_a_mount_that_is_lost_keeps_its_place_in_every_small_world() {
    let away = |disk: Disk, row: Row, number: usize| row.project == 2 && disk[2] != Cell::Carries(number);
    for (disk, before) in worlds() {
        let mut registry = registry(before);
        let waits: Vec<usize> = (0..2).filter(|n| before[*n].is_some_and(|row| away(disk, row, *n))).collect();
        for only in [Some(0), Some(1), Some(2), None, None] {
            let mut view = view(disk, &registry, only);
            let root = view.roots.values_mut().next().unwrap();
            let point = PathBuf::from(PROJECTS[2]);
            root.mounts.push(MountSeen { point, is_known: true, is_mounted: false, has_agents: true });
            let mut plan = decide(&view, &now(), &Policy::default());
            let states: Vec<_> = plan.actions.extract_if(.., |action| is_of_the_root(action)).collect();
            if only.is_none() {
                let is_missed = states.iter().any(|action| {
                    matches!(action, Action::SetRoot { state: RootState::Degraded(why), .. }
                        if why == "what was mounted at /r/c is not there")
                });
                let is_over = states.iter().any(|action| matches!(action, Action::ForgetMount { .. }));
                assert_eq!((is_missed, is_over), (!waits.is_empty(), waits.is_empty()), "{disk:?} {before:?}");
            }
            apply(&plan, &mut registry);
        }
        for number in &waits {
            let row = &registry[&id(*number)];
            let mark = row.unreachable.as_ref().unwrap();
            assert_eq!((row.project.as_path(), mark.reason), (Path::new(PROJECTS[2]), Reason::RootOffline));
            assert!(mark.clock.running_since.is_none());
        }
    }
}

fn is_of_the_root(action: &Action) -> bool {
    matches!(action, Action::SetRoot { .. } | Action::NoteMount { .. } | Action::ForgetMount { .. })
}
