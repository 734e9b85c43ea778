//! Registering: what it makes, and what it refuses without a trace.

use std::os::unix::fs::symlink;

use meshd::engine::Outside;

use super::*;

#[test]
fn a_registered_project_has_a_manifest_with_all_that_was_given_and_a_row_that_says_the_same() {
    let house = House::new();
    let project = house.project("root/team/shop");
    let given = json!({
        "name": "Shop", "runtime": "claude-code", "displayName": "The shop", "description": "naïve ✓",
        "capabilities": ["review", "項目"], "behavior": { "responseMode": "silent", "escalationThreshold": 2.5 },
        "budget": { "maxHopsPerMessage": 2, "maxCallsPerHour": 7 }, "namespace": "My Team", "persona": "terse",
        "personaEnabled": false, "color": "#ff0000", "icon": "🛒", "model": "opus", "effort": "high", "account": "work"
    });
    let request = Register { registered_by: "ann".to_owned(), ..Register::new(given.as_object().unwrap().clone()) };
    let agent = house.core.register(&project, &request, &now()).unwrap();

    let written: Value = serde_json::from_slice(&fs::read(file(&project)).unwrap()).unwrap();
    for (key, value) in given.as_object().unwrap() {
        assert_eq!(written.get(key), Some(value), "{key}");
    }
    assert_eq!(written["id"], agent.id().as_str());
    assert_eq!((agent.id().as_str().len(), written["registeredBy"].as_str()), (26, Some("ann")));
    let record = house.record(agent.id().as_str()).unwrap();
    assert_eq!(record.agent.unwrap(), agent);
    assert_eq!(agent.namespace.as_str(), "my-team");
    assert_eq!(agent.scan_root.as_deref(), Some(house.path("root").as_path()));
    assert_eq!(house.events().iter().filter(|event| **event == "agent.registered").count(), 1);
    let text = fs::read_to_string(file(&project)).unwrap();
    assert!(text.starts_with("{\n  \"id\": ") && text.ends_with("}\n"), "{text}");
    house.sweep();
    assert_eq!(house.recorded().len(), 1);
}

#[test]
fn a_project_that_has_a_manifest_of_any_kind_is_refused_and_left_as_it_is() {
    let house = House::new();
    let valid = house.agent("root/valid", "a");
    let broken = house.write("root/broken", "{");
    let empty = house.write("root/empty", "");
    let linked = house.project("root/linked");
    fs::create_dir(linked.join(".dork")).unwrap();
    symlink("/nowhere", file(&linked)).unwrap();
    let directory = house.project("root/directory");
    fs::create_dir_all(file(&directory)).unwrap();
    let (before, recorded) = (tree(&house.path("root")), house.recorded());
    for project in [valid, broken, empty, linked, directory] {
        let refused = house.register(&project);
        assert!(matches!(refused, Err(RegistrationError::AlreadyRegistered(_))), "{refused:?}");
    }
    assert_eq!((tree(&house.path("root")), house.recorded()), (before, recorded));
}

#[test]
fn what_cannot_be_registered_is_refused_without_a_trace() {
    let house = House::new();
    let excluded = house.project("root/node_modules/p");
    let deep = house.project("root/1/2/3/4/5/6");
    let outside = house.project("elsewhere");
    let denied = house.project("root/denied/p");
    house.core.deny(house.path("root/denied"), None, None).unwrap();
    fs::write(house.path("root/file"), "x").unwrap();
    symlink(house.path("elsewhere"), house.path("root/link")).unwrap();
    let before = (tree(&house.path("root")), tree(&outside));
    for (project, why) in [
        (excluded, "excluded"),
        (deep, "excluded"),
        (outside.clone(), "no scan root"),
        (denied, "denied"),
        (house.path("root/file"), "not a directory"),
        (house.path("root/link"), "not a directory"),
        (house.path("root/missing"), "nothing at"),
    ] {
        let error = house.register(&project).unwrap_err().to_string();
        assert!(error.contains(why), "{}: {error}", project.display());
    }
    let project = house.project("root/p");
    for bad in [
        json!({ "name": "", "runtime": "codex" }),
        json!({ "name": "  ", "runtime": "codex" }),
        json!({ "name": "a\u{1b}[2J", "runtime": "codex" }),
        json!({ "name": "n", "runtime": "emacs" }),
        json!({ "name": "n" }),
        json!({ "name": "n", "runtime": "codex", "namespace": "!!" }),
        json!({ "name": "n", "runtime": "codex", "namespace": "x".repeat(65) }),
        json!({ "name": "n", "runtime": "codex", "budget": { "maxCallsPerHour": 0 } }),
        json!({ "name": "n", "runtime": "codex", "id": "mine" }),
        json!({ "name": "n", "runtime": "codex", "isSystem": true }),
        json!({ "name": "n", "runtime": "codex", "model": "" }),
    ] {
        let request = Register::new(bad.as_object().unwrap().clone());
        let refused = house.core.register(&project, &request, &now());
        assert!(matches!(refused, Err(RegistrationError::Invalid(_))), "{bad}: {refused:?}");
    }
    fs::remove_dir(&project).unwrap();
    assert_eq!((tree(&house.path("root")), tree(&outside)), before);
    assert_eq!(house.recorded(), []);
    assert_eq!(house.registry().operations().unwrap(), []);
}

#[test]
fn a_replaced_manifest_goes_with_its_agent() {
    let house = House::new();
    let project = house.agent("root/p", "old");
    fs::set_permissions(file(&project), fs::Permissions::from_mode(0o640)).unwrap();
    let agent = house.replace(&project).unwrap();
    assert_eq!(house.recorded(), [(agent.id().to_string(), project.clone())]);
    assert_eq!(fs::metadata(file(&project)).unwrap().permissions().mode() & 0o777, 0o640);
    house.sweep();
    let mut expected = vec![project.join(".dork"), file(&project), project.clone()];
    expected.sort();
    assert_eq!(tree(&house.path("root")).into_iter().map(|(path, _)| path).collect::<Vec<_>>(), expected);
}

#[test]
fn a_manifest_that_cannot_be_read_may_be_replaced() {
    let house = House::new();
    let project = house.write("root/p", "{ torn");
    let agent = house.replace(&project).unwrap();
    assert_eq!(house.recorded(), [(agent.id().to_string(), project)]);
}

#[test]
fn a_project_outside_of_every_root_becomes_a_root_of_its_own_and_holds_only_itself() {
    let mut house = House::new();
    let (project, inner) = (house.project("elsewhere/p"), house.project("elsewhere/p/inner"));
    let request = Register { outside: Outside::Accept, ..Register::new(fields("outsider")) };
    let agent = house.core.register(&project, &request, &now()).unwrap();
    house.write("elsewhere/p/inner", manifest("inner", "nobody named me"));
    house.sweep();
    assert_eq!(house.recorded(), [(agent.id().to_string(), project.clone())]);
    assert!(house.register(&inner).is_err());
    house.restart();
    house.sweep();
    let record = house.record(agent.id().as_str()).unwrap();
    assert!(record.unreachable.is_none());
    assert_eq!(record.agent.unwrap().namespace.as_str(), "p");
    house.unregister(agent.id().as_str()).unwrap();
    assert!(house.registry().roots().unwrap().iter().all(|root| !root.alone));
    house.sweep();
    assert_eq!(house.recorded(), []);
}

#[test]
fn an_outside_registration_that_fails_leaves_no_root() {
    let house = House::new();
    let project = house.project("elsewhere");
    house.refuse_rows();
    let request = Register { outside: Outside::Accept, ..Register::new(fields("outsider")) };
    house.core.register(&project, &request, &now()).unwrap_err();
    assert!(house.registry().roots().unwrap().iter().all(|root| !root.alone));
    assert_eq!(tree(&project), []);
}
