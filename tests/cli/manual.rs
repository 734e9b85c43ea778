//! `meshd man` and `meshd completions`: what a package installs.

use super::Home;

/// The commands, as `--help` lists them.
fn commands(home: &Home) -> Vec<String> {
    let output = home.meshd(&["--help"]).assert().success();
    let help = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// A name as roff writes it: a bare hyphen may be set as a dash.
fn roff(name: &str) -> String {
    name.replace('-', "\\-")
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let home = Home::new();
    let pages = home.below("new/pages");
    home.meshd(&["man", "--dir", pages.to_str().unwrap()]).assert().success().stdout("");
    let commands = commands(&home);
    assert!(commands.len() > 20, "{commands:?}");
    for command in &commands {
        let page = std::fs::read_to_string(pages.join(format!("meshd-{command}.1"))).unwrap();
        assert!(page.contains(&format!("\\fBmeshd {}\\fR", roff(command))), "no synopsis in {page}");
    }
    let whole = std::fs::read_to_string(pages.join("meshd.1")).unwrap();
    let missing: Vec<_> = commands.iter().filter(|command| !whole.contains(&roff(command))).collect();
    assert!(missing.is_empty(), "meshd.1 does not name {missing:?}");
    assert!(pages.join("meshd-roots-accept.1").is_file());
}

#[test]
fn a_manual_that_cannot_be_written_says_where() {
    let home = Home::new();
    home.write("file", "");
    let output = home.meshd(&["man", "--dir", "file/pages"]).assert().code(1);
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(said.contains("cannot write the manual into file/pages"), "{said}");
}

#[test]
fn a_shell_completes_every_command() {
    let home = Home::new();
    let commands = commands(&home);
    for shell in ["bash", "zsh", "fish"] {
        let output = home.meshd(&["completions", shell]).assert().success();
        let script = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        let missing: Vec<_> = commands.iter().filter(|command| !script.contains(*command)).collect();
        assert!(missing.is_empty(), "{shell} does not complete {missing:?}");
    }
}
