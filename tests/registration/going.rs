//! Unregistering: endpoint, row, file; and never somebody else's file.

use meshd::registration::Fate;

use super::*;

#[test]
fn an_unregistered_agent_is_gone_with_its_manifest_and_stays_gone() {
    let house = House::new();
    let project = house.agent("root/p", "a");
    let gone = house.unregister("a").unwrap();
    assert_eq!((gone.manifest, gone.project.clone()), (Fate::Deleted, project.clone()));
    assert_eq!(tree(&project), [(project.join(".dork"), None)]);
    house.sweep();
    assert_eq!(house.recorded(), []);
    assert!(house.events().ends_with(&["agent.unregistered"]), "{:?}", house.events());
}

#[test]
fn a_kept_manifest_registers_nobody_until_its_path_is_allowed_again() {
    let house = House::new();
    let project = house.agent("root/p", "a");
    let before = tree(&project);
    let request =
        Unregister { denying: Denying::Yes { denier: Some("ann".to_owned()) }, strictness: Strictness::Strict };
    let gone = house.core.unregister(Target::Project(project.clone()), &request).unwrap();
    assert_eq!(gone.manifest, Fate::Kept);
    house.sweep();
    assert_eq!((house.recorded(), tree(&project)), (vec![], before));
    assert_eq!(house.registry().list_denials().unwrap()[0].denier.as_deref(), Some("ann"));
    assert!(house.core.allow(project.clone()).unwrap());
    assert_eq!(house.recorded(), [("a".to_owned(), project)]);
}

#[test]
fn a_file_that_is_not_certainly_this_agents_is_left() {
    let house = House::new();
    for (name, content) in [("other", manifest("z", "somebody else")), ("torn", "{".to_owned())] {
        let project = house.agent(&format!("root/{name}"), name);
        fs::write(file(&project), &content).unwrap();
        let gone = house.unregister(name).unwrap();
        assert!(matches!(gone.manifest, Fate::Left(_)), "{gone:?}");
        assert_eq!(fs::read_to_string(file(&project)).unwrap(), content);
        assert!(house.record(name).is_none());
    }
    house.sweep();
    assert_eq!(house.recorded(), [("z".to_owned(), house.path("root/other"))]);
}

#[test]
fn an_agent_whose_manifest_is_gone_goes_at_once() {
    let house = House::new();
    let project = house.agent("root/p", "a");
    fs::remove_dir_all(&project).unwrap();
    assert_eq!(house.unregister("a").unwrap().manifest, Fate::Absent);
    assert_eq!(house.recorded(), []);
}

#[test]
fn an_agent_of_an_offline_root_goes_only_if_its_path_is_denied() {
    let house = House::new();
    house.agent("root/p", "a");
    fs::rename(house.path("root"), house.path("unplugged")).unwrap();
    house.sweep();
    assert!(matches!(house.unregister("a"), Err(RegistrationError::Offline(_))));
    assert_eq!(house.recorded().len(), 1);
    let request = Unregister { denying: Denying::Yes { denier: None }, strictness: Strictness::Strict };
    house.core.unregister(Target::Agent("a".parse().unwrap()), &request).unwrap();
    fs::rename(house.path("unplugged"), house.path("root")).unwrap();
    house.sweep();
    assert_eq!(house.recorded(), []);
}
