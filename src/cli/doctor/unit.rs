//! The service: whether systemd runs the daemon, starts it again, and keeps it when its user logs out.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Finding, Patient, process};
use crate::agent::Shown;

/// Whose service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    User,
    System,
}

/// What is asked of a unit.
const ASKED: &str = "--property=LoadState,ActiveState,SubState,UnitFileState,MainPID,WatchdogUSec,NRestarts,Result";

/// What systemd says of one unit.
struct Unit {
    scope: Scope,
    properties: BTreeMap<String, String>,
}

pub fn check(patient: &Patient) -> Vec<Finding> {
    if !Path::new("/run/systemd/system").is_dir() {
        return vec![Finding::ok(
            "unit",
            "this machine was not started by systemd: whoever starts meshd watches over it",
        )];
    }
    let units: Vec<Unit> = [Scope::User, Scope::System].into_iter().filter_map(Unit::ask).collect();
    let running = patient.facts().map(|facts| facts.pid);
    let mut findings: Vec<Finding> = units.iter().flat_map(|unit| of_unit(unit, running)).collect();
    if units.is_empty() {
        findings.push(
            Finding::note("unit", "no unit `meshd` is installed, or its service manager does not answer")
                .advise("with one, the daemon starts by itself and again after a failure; the README says how"),
        );
    }
    if let Some(pid) = running
        && !units.iter().any(|unit| unit.pid() == Some(pid))
        && !units.is_empty()
    {
        findings
            .push(Finding::note("unit", format_args!("the daemon that answers (pid {pid}) was not started by a unit")));
    }
    if units.iter().any(|unit| unit.scope == Scope::User) {
        findings.push(linger());
    }
    findings
}

fn of_unit(unit: &Unit, running: Option<u32>) -> Vec<Finding> {
    let (name, state, file) = (unit.scope.name(), unit.get("ActiveState"), unit.get("UnitFileState"));
    let systemctl = unit.scope.systemctl();
    let mut findings = Vec::new();
    let is_enabled = file.starts_with("enabled") || ["static", "alias", "linked"].contains(&file);
    match state {
        "active" | "reloading" | "activating" => {
            let again = unit.get("NRestarts");
            let restarts =
                if again == "0" { String::new() } else { format!(", started again {} times", Shown::text(again)) };
            findings.push(Finding::ok(name, format_args!("{}{restarts}", Shown::text(state))));
            if ["0", "infinity"].contains(&unit.get("WatchdogUSec")) {
                findings.push(
                    Finding::note(name, "it has no watchdog: a daemon that hangs is not started again")
                        .advise("take the unit that comes with meshd, or add `WatchdogSec=60`")
                        .command(format!("{systemctl} edit meshd")),
                );
            }
            if !is_enabled {
                findings.push(
                    Finding::note(name, "it is not enabled: it does not come back after the next start of the machine")
                        .command(format!("{systemctl} enable meshd")),
                );
            }
        }
        "failed" => findings.push(
            Finding::needs_person(name, format_args!("failed ({})", Shown::text(unit.get("Result"))))
                .advise("its log says why; correct that, and start it")
                .command(unit.scope.journalctl())
                .command(format!("{systemctl} reset-failed meshd && {systemctl} start meshd")),
        ),
        // Enabled and not running, and nothing else runs in its place.
        _ if is_enabled && running.is_none() => findings.push(
            Finding::needs_person(name, "enabled, and it does not run").command(format!("{systemctl} start meshd")),
        ),
        _ => findings.push(
            Finding::note(name, format_args!("installed and {}", Shown::text(state)))
                .command(format!("{systemctl} enable --now meshd")),
        ),
    }
    findings
}

/// A user's services end when that user logs out, unless they linger.
fn linger() -> Finding {
    let user = rustix::process::geteuid().as_raw().to_string();
    let said = process::properties("loginctl", &["show-user", &user, "--property=Linger"]);
    match said.as_ref().and_then(|said| said.get("Linger")).map(String::as_str) {
        Some("yes") => Finding::ok("linger", "the daemon goes on when you log out"),
        Some(_) => Finding::note("linger", "the daemon ends when you log out, and starts when you log in")
            .advise("if it is to run all the time:")
            .command("loginctl enable-linger"),
        None => Finding::note("linger", "not known: logind does not say whether the daemon goes on when you log out"),
    }
}

impl Unit {
    /// What the service manager says; `None` where it does not answer or has no such unit.
    fn ask(scope: Scope) -> Option<Self> {
        let properties = process::properties("systemctl", &[scope.flag(), "show", "meshd.service", ASKED])?;
        let unit = Self { scope, properties };
        (unit.get("LoadState") == "loaded").then_some(unit)
    }

    fn get(&self, key: &str) -> &str {
        self.properties.get(key).map_or("", String::as_str)
    }

    fn pid(&self) -> Option<u32> {
        self.get("MainPID").parse().ok().filter(|pid| *pid > 0)
    }
}

impl Scope {
    fn flag(self) -> &'static str {
        match self {
            Self::User => "--user",
            Self::System => "--system",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::User => "user unit",
            Self::System => "system unit",
        }
    }

    fn systemctl(self) -> &'static str {
        match self {
            Self::User => "systemctl --user",
            Self::System => "sudo systemctl",
        }
    }

    fn journalctl(self) -> &'static str {
        match self {
            Self::User => "journalctl --user -u meshd -n 50",
            Self::System => "sudo journalctl -u meshd -n 50",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;

    fn unit(properties: &[(&str, &str)]) -> Unit {
        let properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Unit { scope: Scope::User, properties }
    }

    #[test]
    fn a_unit_that_failed_or_should_run_and_does_not_needs_a_person() {
        let failed = unit(&[("ActiveState", "failed"), ("Result", "watchdog"), ("UnitFileState", "enabled")]);
        let dead = unit(&[("ActiveState", "inactive"), ("UnitFileState", "enabled")]);
        for unit in [failed, dead] {
            assert!(of_unit(&unit, None).iter().any(|found| found.level == Level::NeedsPerson));
        }
        let off = unit(&[("ActiveState", "inactive"), ("UnitFileState", "disabled")]);
        assert!(of_unit(&off, None).iter().all(|found| found.level == Level::Note));
    }

    #[test]
    fn a_unit_that_runs_is_well_only_with_a_watchdog_and_if_it_comes_back() {
        let well =
            [("ActiveState", "active"), ("WatchdogUSec", "1min"), ("UnitFileState", "enabled"), ("NRestarts", "0")];
        assert!(of_unit(&unit(&well), Some(1)).iter().all(|found| found.level == Level::Ok));
        let half =
            [("ActiveState", "active"), ("WatchdogUSec", "0"), ("UnitFileState", "disabled"), ("NRestarts", "3")];
        let found = of_unit(&unit(&half), Some(1));
        assert_eq!(found.iter().filter(|found| found.level == Level::Note).count(), 2);
    }
}
