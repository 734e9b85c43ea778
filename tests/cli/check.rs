//! `meshd check`.

use super::*;

#[test]
fn an_id_that_is_claimed_twice_is_found() {
    let home = Home::new();
    home.write("root/a/.dork/agent.json", &manifest("same"));
    home.write("root/b/.dork/agent.json", &manifest("other"));
    home.meshd(&["reconcile", "root"]).assert().success();
    home.meshd(&["check"]).assert().success();
    home.write("root/b/.dork/agent.json", &manifest("same"));
    let failed = home.meshd(&["check"]).assert().code(1);
    let said = String::from_utf8(failed.get_output().stdout.clone()).unwrap();
    assert!(said.contains("claims the id same, as"), "{said}");
}

#[test]
fn a_root_that_was_mistyped_is_not_remembered() {
    let home = Home::new();
    let failed = home.meshd(&["reconcile", "rooot"]).assert().code(1);
    let said = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(said.contains("rooot is not there"), "{said}");
    assert!(!home.below("state/registry.db").try_exists().unwrap());
}
