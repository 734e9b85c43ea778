//! Who starts and ends the daemon, and so what to do with it, as commands: the unit that runs it, else its process.

use super::unit::Unit;
use super::{Patient, process};

/// Who starts and ends the patient's daemon.
pub enum Keeper<'a> {
    /// A unit runs it, or is there to.
    Unit(&'a Unit),
    /// Whoever started the process of this number.
    Process(u32),
    /// Nobody: it does not run, and no unit is there for it.
    Nobody,
}

impl<'a> Keeper<'a> {
    pub fn of(patient: &'a Patient) -> Self {
        let units = patient.units();
        match patient.pid() {
            Some(pid) => units.iter().find(|unit| unit.pid() == Some(pid)).map_or(Self::Process(pid), Self::Unit),
            None => units.iter().find(|unit| unit.is_for(patient)).map_or(Self::Nobody, Self::Unit),
        }
    }

    /// Starts it, now and with every start of the machine where that can be.
    pub fn start(&self, patient: &Patient) -> String {
        match self {
            Self::Unit(unit) => unit.start(),
            Self::Process(_) | Self::Nobody => patient.meshd("run"),
        }
    }

    /// Ends it, and starts it again where that is a unit's to do.
    pub fn restart(&self) -> Option<String> {
        self.command("restart", "")
    }

    /// Has it read its configuration again.
    pub fn reload(&self) -> Option<String> {
        self.command("reload", "-HUP ")
    }

    /// Shows its log; of a process without a unit, where that goes.
    pub fn log(&self) -> Option<String> {
        match self {
            Self::Unit(unit) => Some(unit.log()),
            Self::Process(pid) => Some(format!("ls -l /proc/{pid}/fd/2")),
            Self::Nobody => None,
        }
    }

    /// Changes what it may have.
    pub fn edit(&self) -> Option<String> {
        match self {
            Self::Unit(unit) => Some(unit.command("edit")),
            Self::Process(_) | Self::Nobody => None,
        }
    }

    fn command(&self, verb: &str, signal: &str) -> Option<String> {
        match self {
            Self::Unit(unit) => Some(unit.command(verb)),
            Self::Process(pid) => {
                let me = rustix::process::geteuid().as_raw();
                let sudo = if me == 0 || process::user_of(*pid) == Some(me) { "" } else { "sudo " };
                Some(format!("{sudo}kill {signal}{pid}"))
            }
            Self::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_without_a_unit_is_a_process_that_is_sent_signals() {
        let me = std::process::id();
        let keeper = Keeper::Process(me);
        assert_eq!(keeper.restart(), Some(format!("kill {me}")));
        assert_eq!(keeper.reload(), Some(format!("kill -HUP {me}")));
        assert_eq!(keeper.log(), Some(format!("ls -l /proc/{me}/fd/2")));
    }
}
