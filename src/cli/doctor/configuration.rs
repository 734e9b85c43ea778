//! What meshd is told: whether it can be understood, and where it comes from.

use std::path::PathBuf;

use super::{Finding, Patient, shown};
use crate::cli::CliError;
use crate::config::{ConfigError, Given, Settings};
use crate::report::paste;

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
pub fn without(flags: &Given) -> Result<Settings, CliError> {
    // As a file this one is empty.
    let flags = Given { config: Some(PathBuf::from("/dev/null")), ..flags.clone() };
    let process = |variable: &str| std::env::var_os(variable);
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
    let system = Given { state_dir: Some(PathBuf::from("/var/lib/meshd")), ..flags };
    Ok(Settings::resolve(system, &|_| None)?)
}
