//! Several at once: one wins and the other is told; nobody comes back from the dead.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn of_two_who_register_one_project_at_once_one_wins_and_the_other_is_told() {
    let house = House::new();
    for round in 0..200 {
        let project = house.project(&format!("root/{}/{round}", round % 7));
        let start = Barrier::new(2);
        let outcomes: Vec<Result<Agent, RegistrationError>> = std::thread::scope(|scope| {
            let both: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        house.register(&project)
                    })
                })
                .collect();
            both.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let won: Vec<&Agent> = outcomes.iter().flatten().collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        let told = outcomes.iter().find_map(|outcome| outcome.as_ref().err()).unwrap();
        assert!(matches!(told, RegistrationError::AlreadyRegistered(_)), "{told:?}");
        let written: Value = serde_json::from_slice(&fs::read(file(&project)).unwrap()).unwrap();
        assert_eq!(written["id"], won[0].id().as_str());
        assert_eq!(house.registry().get_by_path(&project).unwrap().unwrap().columns.id, won[0].id().as_str());
    }
    assert_eq!(house.recorded().len(), 200);
    // Whoever was locked out of a project by a child of this process, between its fork and its exec, is tidied up after now.
    house.sweep();
    assert_eq!(house.recorded().len(), 200);
    let mut recorded: Vec<String> = house.recorded().into_iter().map(|(id, _)| id).collect();
    recorded.sort();
    assert_eq!(house.reached(), recorded);
    assert_eq!(house.registry().operations().unwrap(), []);
}

/// Says that it is over when it is dropped.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_agent_that_is_unregistered_while_it_is_synced_stays_gone() {
    let house = House::new();
    let over = AtomicBool::new(false);
    let project = house.project("root/p");
    std::thread::scope(|scope| {
        for sweeps in [true, false] {
            let (house, over, project) = (&house, &over, &project);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let scope = if sweeps { Scope::everything() } else { Scope::project(project) };
                    house.core.reconcile(scope).unwrap();
                }
            });
        }
        // However this thread ends, the others end, too.
        let _ending = Ending(&over);
        for _ in 0..400 {
            let agent = house.register(&project).unwrap();
            house.unregister(agent.id().as_str()).unwrap();
            assert!(house.record(agent.id().as_str()).is_none(), "a zombie");
            assert!(!file(&project).try_exists().unwrap());
        }
    });
    house.sweep();
    assert_eq!((house.recorded(), house.reached()), (vec![], vec![]));
}

#[test]
fn who_asks_and_never_says_that_it_is_done_holds_up_nobody_else() {
    let house = House::new();
    let (held, free) = (house.project("root/held"), house.project("root/free"));
    let intent = meshd::engine::Intent::Register {
        project: held.clone(),
        id: "a".parse().unwrap(),
        outside: meshd::engine::Outside::Refuse,
    };
    house.core.hold(intent).unwrap();
    house.write("root/held", manifest("b", "meanwhile"));
    house.register(&free).unwrap();
    house.sweep();
    assert_eq!(house.recorded().len(), 1, "nothing is decided about a project that is held");
}

#[test]
fn what_cannot_be_tidied_up_because_another_process_is_at_it_is_tidied_up_by_a_later_sweep() {
    let house = House::new();
    let project = house.project("root/p");
    let agent = house.register(&project).unwrap();
    let target = meshd::engine::Target::Agent(agent.id().clone());
    let begun = house.core.hold(meshd::engine::Intent::Update(target)).unwrap();
    let other = fs::File::open(project.join(".dork")).unwrap();
    other.lock().unwrap();
    house.core.let_go(begun.token).unwrap();
    house.sweep();
    assert_eq!(house.registry().operations().unwrap().len(), 1);
    drop(other);
    house.sweep();
    assert_eq!(house.registry().operations().unwrap(), []);
    assert_eq!(house.recorded().len(), 1);
}
