//! The service: whether systemd runs the daemon, starts it again, and keeps it when its user logs out.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Finding, Patient, process};
use crate::agent::Shown;
use crate::report::wording::count;

/// Whose service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    /// That of whoever asks.
    Mine,
    /// That of another user, whom root asks about.
    Of(u32),
    /// The system's.
    System,
}

/// What a unit is to the daemon that is examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It would run it, and nothing does.
    Wanted,
    /// It would run it, and something else does, or another unit is in its place.
    Spare,
    /// It runs it.
    Running,
    /// It is there for another daemon.
    Others,
}

/// What is asked of a unit.
const ASKED: &str = "--property=LoadState,ActiveState,SubState,UnitFileState,MainPID,WatchdogUSec,NRestarts,Result";

/// What systemd says of one unit.
pub struct Unit {
    manager: Manager,
    properties: BTreeMap<String, String>,
}

pub fn check(patient: &Patient) -> Vec<Finding> {
    if !has_systemd() {
        return vec![Finding::ok(
            "unit",
            "this machine was not started by systemd: whoever starts meshd watches over it",
        )];
    }
    let (units, pid) = (patient.units(), patient.pid());
    let mut findings: Vec<Finding> =
        units.iter().flat_map(|unit| of_unit(unit, unit.role(patient, units, pid))).collect();
    let own = units.iter().find(|unit| unit.is_for(patient));
    match (own, pid) {
        (Some(_), Some(pid)) if !units.iter().any(|unit| unit.pid() == Some(pid)) => {
            findings.push(Finding::note("unit", format_args!("the daemon (pid {pid}) was not started by a unit")));
        }
        (None, None) if !patient.is_foreign() && !units.iter().any(Unit::is_active) => findings.push(
            Finding::note("unit", "no unit `meshd` is installed, or its service manager does not answer")
                .advise("with one, the daemon starts by itself and again after a failure; the README says how"),
        ),
        _ => {}
    }
    if own.is_some_and(|own| own.manager != Manager::System) {
        findings.push(linger(patient.owner));
    }
    findings
}

/// Whether systemd is what started this machine.
fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The units `meshd` that the service managers know: the one of the users whose state directory it is, and the system's.
pub fn all(patient: &Patient) -> Vec<Unit> {
    if !has_systemd() {
        return Vec::new();
    }
    let me = rustix::process::geteuid().as_raw();
    let is_another = me == 0 && patient.owner != 0 && !patient.is_systems();
    let users = if is_another { Manager::Of(patient.owner) } else { Manager::Mine };
    [users, Manager::System].into_iter().filter_map(Unit::ask).collect()
}

fn of_unit(unit: &Unit, role: Role) -> Vec<Finding> {
    let (name, state, is_enabled) = (unit.manager.name(), unit.get("ActiveState"), unit.is_enabled());
    // What another daemon's unit lacks is worth knowing, and not what is asked about.
    let wrong = |found: &dyn std::fmt::Display| match role {
        Role::Wanted | Role::Spare | Role::Running => Finding::needs_person(name, found),
        Role::Others => Finding::note(name, found),
    };
    let again = unit.get("NRestarts").parse().unwrap_or(0_u64);
    let again = if again == 0 { String::new() } else { format!(", started again {}", count(again, "time")) };
    if unit.ends_again_and_again() {
        let found = format!("it ends again and again ({}){again}", Shown::text(unit.get("Result")));
        return vec![wrong(&found).advise("its log says why").command(unit.log())];
    }
    match state {
        "active" | "reloading" | "activating" => {
            let mut findings = vec![Finding::ok(name, format_args!("{}{again}", Shown::text(state)))];
            if role != Role::Others {
                findings.extend(lacks(unit, is_enabled));
            }
            findings
        }
        "failed" => vec![
            wrong(&format_args!("failed ({})", Shown::text(unit.get("Result"))))
                .advise("its log says why; correct that, and start it")
                .command(unit.log())
                .command(format!("{} && {}", unit.command("reset-failed"), unit.command("start"))),
        ],
        _ if role == Role::Wanted && unit.is_masked() => {
            vec![Finding::note(name, "masked: nothing starts it until it is unmasked").command(unit.start())]
        }
        // Enabled and not running, and nothing else runs in its place.
        _ if role == Role::Wanted && is_enabled => {
            vec![Finding::needs_person(name, "enabled, and it does not run").command(unit.command("start"))]
        }
        _ if role == Role::Wanted => {
            vec![Finding::note(name, format_args!("installed and {}", Shown::text(state))).command(unit.start())]
        }
        _ => vec![Finding::ok(name, format_args!("installed and {}", Shown::text(state)))],
    }
}

/// What a unit that runs should have.
fn lacks(unit: &Unit, is_enabled: bool) -> Vec<Finding> {
    let name = unit.manager.name();
    let mut findings = Vec::new();
    if ["0", "infinity"].contains(&unit.get("WatchdogUSec")) {
        findings.push(
            Finding::note(name, "it has no watchdog: a daemon that hangs is not started again")
                .advise("take the unit that comes with meshd, or add `WatchdogSec=60`")
                .command(unit.command("edit")),
        );
    }
    if !is_enabled {
        findings.push(
            Finding::note(name, "it is not enabled: it does not come back after the next start of the machine")
                .command(unit.command("enable")),
        );
    }
    findings
}

/// A user's services end when that user logs out, unless they linger.
fn linger(user: u32) -> Finding {
    let user = user.to_string();
    let said = process::properties("loginctl", &["show-user", &user, "--property=Linger"]);
    match said.as_ref().and_then(|said| said.get("Linger")).map(String::as_str) {
        Some("yes") => Finding::ok("linger", "the daemon goes on when its user logs out"),
        Some(_) => Finding::note("linger", "the daemon ends when its user logs out, and starts when they log in")
            .advise("if it is to run all the time:")
            .command(format!("loginctl enable-linger {user}")),
        None => Finding::note("linger", "not known: logind does not say whether the daemon goes on after a logout"),
    }
}

impl Unit {
    /// What the service manager says; `None` where it does not answer or has no such unit.
    fn ask(manager: Manager) -> Option<Self> {
        let flags = manager.flags();
        let flags: Vec<&str> = flags.split(' ').chain(["show", "meshd.service", ASKED]).collect();
        let unit = Self { manager, properties: process::properties("systemctl", &flags)? };
        ["loaded", "masked"].contains(&unit.get("LoadState")).then_some(unit)
    }

    fn get(&self, key: &str) -> &str {
        self.properties.get(key).map_or("", String::as_str)
    }

    fn is_active(&self) -> bool {
        ["active", "reloading", "activating"].contains(&self.get("ActiveState")) && !self.ends_again_and_again()
    }

    fn ends_again_and_again(&self) -> bool {
        self.get("SubState").starts_with("auto-restart")
    }

    fn is_masked(&self) -> bool {
        self.get("LoadState") == "masked"
    }

    /// The process that it runs.
    pub fn pid(&self) -> Option<u32> {
        self.get("MainPID").parse().ok().filter(|pid| *pid > 0)
    }

    /// Whether it would run the patient's daemon.
    pub fn is_for(&self, patient: &Patient) -> bool {
        match self.manager {
            Manager::System => patient.is_systems(),
            Manager::Mine => !patient.is_systems() && patient.owner == rustix::process::geteuid().as_raw(),
            Manager::Of(_) => true,
        }
    }

    fn is_enabled(&self) -> bool {
        let file = self.get("UnitFileState");
        file.starts_with("enabled") || ["static", "alias", "linked"].contains(&file)
    }

    /// What it is to the patient, whose daemon has this process.
    fn role(&self, patient: &Patient, all: &[Self], pid: Option<u32>) -> Role {
        if !self.is_for(patient) {
            return Role::Others;
        }
        let is_replaced = all.iter().any(|other| other.manager != self.manager && other.is_active());
        match pid {
            Some(pid) if self.pid() == Some(pid) => Role::Running,
            None if !is_replaced || self.is_enabled() => Role::Wanted,
            Some(_) | None => Role::Spare,
        }
    }

    /// Starts it, now and with every start of the machine or of its user's session.
    pub fn start(&self) -> String {
        let enable = self.command("enable --now");
        if self.is_masked() { format!("{} && {enable}", self.command("unmask")) } else { enable }
    }

    /// What `systemctl` does with it.
    pub fn command(&self, verb: &str) -> String {
        let systemctl = match self.manager {
            Manager::Mine => "systemctl --user".to_owned(),
            Manager::Of(_) => format!("sudo systemctl {}", self.manager.flags()),
            Manager::System => "sudo systemctl".to_owned(),
        };
        format!("{systemctl} {verb} meshd")
    }

    /// Shows the end of its log.
    pub fn log(&self) -> String {
        match self.manager {
            Manager::Mine => "journalctl --user -u meshd -n 50".to_owned(),
            Manager::Of(user) => format!("sudo journalctl _UID={user} _SYSTEMD_USER_UNIT=meshd.service -n 50"),
            Manager::System => "sudo journalctl -u meshd -n 50".to_owned(),
        }
    }
}

impl Manager {
    /// What leads `systemctl` to it.
    fn flags(self) -> String {
        match self {
            Self::Mine => "--user".to_owned(),
            Self::Of(user) => format!("--user --machine={user}@"),
            Self::System => "--system".to_owned(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mine | Self::Of(_) => "user unit",
            Self::System => "system unit",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;

    fn unit(properties: &[(&str, &str)]) -> Unit {
        let properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Unit { manager: Manager::Mine, properties }
    }

    fn has(findings: &[Finding], level: Level) -> bool {
        findings.iter().any(|found| found.level == level)
    }

    #[test]
    fn a_unit_that_failed_or_should_run_and_does_not_needs_a_person() {
        let failed = unit(&[("ActiveState", "failed"), ("Result", "watchdog"), ("UnitFileState", "enabled")]);
        let dead = unit(&[("ActiveState", "inactive"), ("UnitFileState", "enabled")]);
        for unit in [&failed, &dead] {
            assert!(has(&of_unit(unit, Role::Wanted), Level::NeedsPerson));
        }
        let off = unit(&[("ActiveState", "inactive"), ("UnitFileState", "disabled")]);
        assert!(of_unit(&off, Role::Wanted).iter().all(|found| found.level == Level::Note));
        assert!(!has(&of_unit(&failed, Role::Others), Level::NeedsPerson), "it is another daemon's");
    }

    #[test]
    fn a_daemon_that_ends_again_and_again_needs_a_person_and_its_log() {
        let looping = [("ActiveState", "activating"), ("SubState", "auto-restart"), ("NRestarts", "1")];
        let found = of_unit(&unit(&looping), Role::Wanted);
        assert!(has(&found, Level::NeedsPerson));
        assert!(found.iter().any(|found| found.found.ends_with("started again 1 time")), "{found:?}");
        assert!(found.iter().any(|found| found.commands == ["journalctl --user -u meshd -n 50"]));
    }

    #[test]
    fn where_another_runs_nobody_is_told_to_start_a_unit() {
        let off = unit(&[("ActiveState", "inactive"), ("UnitFileState", "disabled")]);
        for role in [Role::Spare, Role::Others] {
            assert!(of_unit(&off, role).iter().all(|found| found.level == Level::Ok && found.commands.is_empty()));
        }
    }

    #[test]
    fn a_unit_that_is_masked_is_unmasked_before_it_is_started() {
        let masked = unit(&[("LoadState", "masked"), ("ActiveState", "inactive"), ("UnitFileState", "masked")]);
        let commands = of_unit(&masked, Role::Wanted).remove(0).commands;
        assert_eq!(commands, ["systemctl --user unmask meshd && systemctl --user enable --now meshd"]);
    }

    #[test]
    fn a_unit_that_runs_is_well_only_with_a_watchdog_and_if_it_comes_back() {
        let well =
            [("ActiveState", "active"), ("WatchdogUSec", "1min"), ("UnitFileState", "enabled"), ("NRestarts", "0")];
        assert!(of_unit(&unit(&well), Role::Running).iter().all(|found| found.level == Level::Ok));
        let half =
            [("ActiveState", "active"), ("WatchdogUSec", "0"), ("UnitFileState", "disabled"), ("NRestarts", "3")];
        let found = of_unit(&unit(&half), Role::Running);
        assert_eq!(found.iter().filter(|found| found.level == Level::Note).count(), 2);
    }

    #[test]
    fn another_users_unit_is_asked_through_root() {
        let anns = Unit { manager: Manager::Of(1000), properties: BTreeMap::new() };
        assert_eq!(anns.command("reload"), "sudo systemctl --user --machine=1000@ reload meshd");
    }
}
