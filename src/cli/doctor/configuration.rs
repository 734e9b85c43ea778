//! What meshd is told: whether it can be understood, and where it comes from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Finding, Patient, permissions, shown};
use crate::cli::{CliError, systems};
use crate::config::{self, ConfigError, Given, Settings};
use crate::report::paste;

/// The environment as the daemon that is examined has it. Where root asks about another user's daemon, what root's own
/// says of homes is not that daemon's: `~` is the home of whoever owns the state directory.
pub struct Environment {
    /// The home of the other user; none where it is this one's own.
    home: Option<PathBuf>,
}

impl Environment {
    pub fn of(flags: &Given) -> Self {
        let told = flags.state_dir.clone().or_else(|| std::env::var_os("MESHD_STATE_DIR").map(PathBuf::from));
        let me = rustix::process::geteuid().as_raw();
        let owner = told.map(|state_dir| permissions::owner_of(&state_dir)).filter(|owner| me == 0 && *owner != me);
        // A user that systemd made up for the system's unit is in no database, and has no home of its own.
        Self { home: owner.map(|owner| config::home(owner).unwrap_or_else(|| Path::new("/").to_owned())) }
    }

    pub fn read(&self, variable: &str) -> Option<OsString> {
        match &self.home {
            Some(home) if variable == "HOME" => Some(home.clone().into_os_string()),
            Some(_) if variable.starts_with("XDG_") => None,
            Some(_) | None => std::env::var_os(variable),
        }
    }
}

pub fn check(patient: &Patient) -> Vec<Finding> {
    let Some(error) = &patient.config_error else { return vec![well(patient)] };
    let finding = Finding::needs_person("configuration", format_args!("{error}; what follows goes by the defaults"));
    vec![match error {
        ConfigError::InFile { file, line, .. } => finding
            .advise("correct it there")
            .command(format_args!("${{EDITOR:-vi}} +{line} {}", paste::quoted(file)))
            .command(patient.meshd("check")),
        ConfigError::Unreadable { file, .. } => finding
            .advise("give the permission back, put the file there, or name another one with --config")
            .command(format_args!("ls -ld {}", paste::quoted(file))),
        ConfigError::InEnvironment { variable, .. } => {
            finding.advise("correct the variable where it is set, or take it back").command(format!("unset {variable}"))
        }
        ConfigError::NoDefault(_) => finding.advise("say where things are"),
    }]
}

fn well(patient: &Patient) -> Finding {
    match &patient.settings.file {
        Some(file) => Finding::ok("configuration", shown(file)),
        None => Finding::ok("configuration", "no file: flags, environment and defaults"),
    }
}

/// The settings without what may be wrong with them: first without the file, then without all but where things are.
///
/// # Errors
/// Not even the flags can be used.
pub fn without(flags: &Given, environment: &Environment) -> Result<Settings, CliError> {
    // As a file this one is empty.
    let flags = Given { config: Some(PathBuf::from("/dev/null")), ..flags.clone() };
    let process = |variable: &str| environment.read(variable);
    if let Ok(settings) = Settings::resolve(flags.clone(), &process) {
        return Ok(settings);
    }
    let places = |variable: &str| {
        let is_setting = variable.starts_with("MESHD_") && !["MESHD_STATE_DIR", "MESHD_SOCKET"].contains(&variable);
        process(variable).filter(|_| !is_setting)
    };
    if let Ok(settings) = Settings::resolve(flags.clone(), &places) {
        return Ok(settings);
    }
    // Without a home this is no user's meshd, so it is the system's.
    let system = Given { state_dir: Some(PathBuf::from(systems::STATE_DIR)), ..flags };
    Ok(Settings::resolve(system, &|_| None)?)
}
