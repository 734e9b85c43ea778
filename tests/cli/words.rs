//! What commands say to people: what there is to do, and what was done.

use super::*;

impl Home {
    /// What a command prints, and on stderr where it fails.
    fn said(&self, arguments: &[&str], code: i32) -> String {
        let done = self.meshd(arguments).assert().code(code);
        let output = done.get_output();
        String::from_utf8(if code == 0 { output.stdout.clone() } else { output.stderr.clone() }).unwrap()
    }
}

#[test]
fn a_root_that_is_gone_is_to_be_brought_back_and_another_one_to_be_accepted() {
    let home = Home::new();
    home.write("root/a/.dork/agent.json", &manifest("a"));
    assert_eq!(home.said(&["reconcile", "root"], 0), "1 registered\n");
    std::fs::rename(home.below("root"), home.below("elsewhere")).unwrap();
    home.meshd(&["reconcile"]).assert().success();
    for command in ["roots", "status"] {
        let said = home.said(&[command], 0);
        assert!(said.contains("STATE"), "{said}");
        assert!(said.contains("offline: bring it back, or take the root out of the configuration"), "{said}");
    }
    let said = home.said(&["explain", "a"], 0);
    assert!(said.contains("its scan root is offline: nothing is known of it"), "{said}");
    assert!(said.contains("cannot be looked for: its scan root is offline"), "{said}");
    assert!(said.contains("of the 24 h grace period"), "{said}");
    let root = home.below("root").display().to_string();
    let said = home.said(&["roots", "accept", "root"], 1);
    assert!(said.contains(&format!("there is nothing at {root}, so there is nothing to accept")), "{said}");
    std::fs::create_dir(home.below("root")).unwrap();
    home.meshd(&["reconcile"]).assert().success();
    let said = home.said(&["status"], 0);
    assert!(said.contains(&format!("offline: if what is there now is meant: meshd roots accept {root}\n")), "{said}");
    assert_eq!(home.said(&["roots", "accept", "root"], 0), format!("accepted {root}: online, 1 agent\n"));
}

#[test]
fn a_pass_says_what_changed_and_what_is_open() {
    let home = Home::new();
    home.write("root/a/.dork/agent.json", &manifest("a"));
    home.write("root/b/.dork/agent.json", "{");
    assert_eq!(home.said(&["reconcile", "root"], 0), "1 registered; 1 problem is open: `meshd status`\n");
    assert_eq!(home.said(&["reconcile"], 0), "nothing changed; 1 problem is open: `meshd status`\n");
    assert_eq!(home.said(&["reconcile", "--dry-run"], 0), "nothing to do; 1 problem is open: `meshd status`\n");
    assert_eq!(home.said(&["sync", "root/a"], 0), "in sync: a\n");
}

#[test]
fn who_denies_hears_who_goes() {
    let home = Home::new();
    home.write("root/a/.dork/agent.json", &manifest("a"));
    home.meshd(&["reconcile", "root"]).assert().success();
    let (a, b) = (home.below("root/a").display().to_string(), home.below("root/b").display().to_string());
    assert_eq!(home.said(&["deny", "root/a"], 0), format!("denied {a}\ngoes with the next sweep: a {a}\n"));
    assert_eq!(home.said(&["deny", "root/b"], 0), format!("denied {b}\n"));
    assert_eq!(home.said(&["access", "deny", "web", "ops"], 0), "agents of web may no longer send to those of ops\n");
    assert_eq!(home.said(&["access", "allow", "web", "ops"], 0), "agents of web may now send to those of ops\n");
}

#[test]
fn a_contested_id_is_told_the_same_way_from_both_sides() {
    let home = Home::new();
    home.write("root/a/.dork/agent.json", &manifest("x"));
    home.meshd(&["reconcile", "root"]).assert().success();
    home.write("root/b/.dork/agent.json", &manifest("x"));
    std::fs::remove_file(home.below("root/a/.dork/agent.json")).unwrap();
    home.meshd(&["reconcile"]).assert().success();
    let said = home.said(&["status"], 0);
    assert!(said.contains("contested: put the manifest back") && !said.contains("give one of the two"), "{said}");
    let b = home.below("root/b").display().to_string();
    assert_eq!(home.said(&["relocate", "--accept", "x", "root/b"], 0), format!("relocated x {b}\n"));
}
