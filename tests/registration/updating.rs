//! Updating: given keys only, and never over somebody else's change.

use super::*;

#[test]
fn only_the_given_keys_change_and_null_clears() {
    let house = House::new();
    let text = "{\n  \"runtime\": \"codex\",\n  \"id\": \"a\",\n  \"big\": 123456789012345678901234567890,\n  \"name\": \"n\",\n  \
                \"behavior\": {\n    \"responseMode\": \"silent\",\n    \"later\": 1.10\n  },\n  \
                \"color\": \"red\",\n  \"registeredAt\": \"2026-01-01T00:00Z\",\n  \"registeredBy\": \"me\"\n}\n";
    let project = house.write("root/p", text);
    house.sweep();
    house.update("a", json!({ "name": "m", "color": null, "behavior": { "responseMode": "always" } })).unwrap();
    let expected = text
        .replace("\"name\": \"n\"", "\"name\": \"m\"")
        .replace("  \"color\": \"red\",\n", "")
        .replace("silent", "always");
    assert_eq!(fs::read_to_string(file(&project)).unwrap(), expected);
    assert_eq!(house.record("a").unwrap().columns.name, "m");
}

#[test]
fn an_update_that_says_what_is_there_writes_nothing() {
    let house = House::new();
    let project = house.agent("root/p", "a");
    let before = fs::metadata(file(&project)).unwrap().modified().unwrap();
    house.update("a", json!({ "name": "an agent" })).unwrap();
    assert_eq!(fs::metadata(file(&project)).unwrap().modified().unwrap(), before);
}

#[test]
fn a_changed_namespace_moves_the_agent_there() {
    let house = House::new();
    house.agent("root/team/p", "a");
    house.update("a", json!({ "namespace": "Other Team" })).unwrap();
    assert_eq!(house.record("a").unwrap().columns.namespace, "other-team");
    house.update("a", json!({ "namespace": null })).unwrap();
    assert_eq!(house.record("a").unwrap().columns.namespace, "team");
}

#[test]
fn what_cannot_be_merged_is_refused_and_nothing_is_written() {
    let house = House::new();
    let project = house.agent("root/p", "a");
    let refused = |content: &str, is_meant: fn(&RegistrationError) -> bool| {
        fs::write(file(&project), content).unwrap();
        let error = house.update("a", json!({ "name": "m" })).unwrap_err();
        assert!(is_meant(&error), "{error:?}");
        assert_eq!(fs::read_to_string(file(&project)).unwrap(), content);
    };
    refused("{ torn", |error| matches!(error, RegistrationError::Unreadable { .. }));
    refused(&manifest("b", "another"), |error| matches!(error, RegistrationError::OtherId { .. }));
    fs::remove_file(file(&project)).unwrap();
    let error = house.update("a", json!({ "name": "m" })).unwrap_err();
    assert!(matches!(error, RegistrationError::NoManifest(_)), "{error:?}");
    fs::write(file(&project), manifest("a", "an agent")).unwrap();
    for bad in [
        json!({ "id": "b" }),
        json!({ "registeredAt": "2026-01-01T00:00Z" }),
        json!({ "isSystem": true }),
        json!({ "name": null }),
        json!({ "runtime": "emacs" }),
        json!({ "namespace": "---" }),
    ] {
        let error = house.update("a", bad.clone()).unwrap_err();
        assert!(matches!(error, RegistrationError::Invalid(_)), "{bad}: {error:?}");
    }
    assert_eq!(fs::read_to_string(file(&project)).unwrap(), manifest("a", "an agent"));
    let error = house.update("nobody", json!({ "name": "m" })).unwrap_err().to_string();
    assert!(error.contains("no agent is recorded as nobody"), "{error}");
}
