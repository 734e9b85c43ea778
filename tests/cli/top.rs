//! `meshd top` where there is no terminal; tests/terminal.py has one.

use super::*;

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let home = Home::new();
    for arguments in [&["top"][..], &["top", "--json"]] {
        let refused = home.meshd(arguments).assert().code(2).stdout("");
        let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(said.contains("status") && said.lines().count() == 1, "{said}");
    }
}
