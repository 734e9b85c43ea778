//! The environment's layer: one variable a setting, lists separated by colons as in `PATH`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{ConfigError, Exclude, Given, value};

/// What the environment gives.
pub(super) fn given(read: &dyn Fn(&str) -> Option<OsString>) -> Result<Given, ConfigError> {
    // A variable that is set to nothing is how a shell or a unit takes one back.
    let text = |variable: &str| read(variable).filter(|text| !text.is_empty());
    Ok(Given {
        config: text("MESHD_CONFIG").map(PathBuf::from),
        roots: text("MESHD_ROOTS").map(|roots| std::env::split_paths(&roots).collect()),
        state_dir: text("MESHD_STATE_DIR").map(PathBuf::from),
        socket: text("MESHD_SOCKET").map(PathBuf::from),
        http: parsed("MESHD_HTTP", text, value::loopback)?,
        grace_period: parsed("MESHD_GRACE_PERIOD", text, value::duration)?,
        relocate_after: parsed("MESHD_RELOCATE_AFTER", text, value::duration)?,
        sweep_interval: parsed("MESHD_SWEEP_INTERVAL", text, value::interval)?,
        poll_interval: parsed("MESHD_POLL_INTERVAL", text, value::interval)?,
        watch_budget: parsed("MESHD_WATCH_BUDGET", text, value::watch_budget)?,
        max_depth: parsed("MESHD_MAX_DEPTH", text, |depth| {
            depth.parse().map_err(|_| format!("`{depth}` is no number of directories")).and_then(value::depth)
        })?,
        exclude: parsed("MESHD_EXCLUDE", text, |globs| Exclude::new(globs.split(':').map(str::to_owned).collect()))?,
        log_level: parsed("MESHD_LOG_LEVEL", text, str::parse)?,
        log_format: parsed("MESHD_LOG_FORMAT", text, str::parse)?,
        watch: parsed("MESHD_WATCH", text, |watch| {
            watch.parse().map_err(|_| format!("`{watch}` is neither true nor false"))
        })?,
        relay: parsed("MESHD_RELAY", text, str::parse)?,
    })
}

/// What `parse` makes of a variable; an error names it.
fn parsed<T>(
    variable: &str,
    read: impl Fn(&str) -> Option<OsString>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = read(variable) else { return Ok(None) };
    let parsed = value.to_str().ok_or_else(|| "not UTF-8".to_owned()).and_then(parse);
    parsed.map(Some).map_err(|what| ConfigError::InEnvironment { variable: variable.to_owned(), what })
}
