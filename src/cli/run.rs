//! `meshd run`: the daemon in the foreground.

use std::path::PathBuf;

use clap::Args;

use super::flags::Pass;
use super::{CliError, Exit};
use crate::config::{Given, Settings, interval, loopback, watch_budget};
use crate::daemon;
use crate::telemetry::{Level, Log, Writing};

/// Run the daemon in the foreground
///
/// It is ready when every scan root is watched and was swept once. SIGHUP reads the configuration again, SIGTERM ends it.
#[derive(Debug, Args)]
pub struct Run {
    /// The directories under which agent projects are looked for
    ///
    /// Without any, those of the configuration; without those, the ones that the registry remembers.
    #[arg(value_name = "ROOT")]
    roots: Vec<PathBuf>,
    #[command(flatten)]
    pass: Pass,
    /// How often everything is looked at [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    sweep_interval: Option<std::time::Duration>,
    /// How often what cannot be watched is looked at [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    poll_interval: Option<std::time::Duration>,
    /// The most watches that are used [default: a quarter of what the system grants, 65536 at most]
    #[arg(long, value_name = "COUNT", value_parser = watch_budget)]
    watch_budget: Option<u64>,
    /// Serve the page and the API to this machine, such as at 127.0.0.1:4848; see `meshd open`
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    http: Option<std::net::SocketAddr>,
    /// Do not watch for changes: only sweep
    #[arg(long)]
    no_watch: bool,
}

impl Run {
    pub fn given(&self) -> Given {
        Given {
            roots: (!self.roots.is_empty()).then(|| self.roots.clone()),
            sweep_interval: self.sweep_interval,
            poll_interval: self.poll_interval,
            watch_budget: self.watch_budget,
            http: self.http,
            watch: self.no_watch.then_some(false),
            ..self.pass.given()
        }
    }
}

/// Runs the daemon until it is told to end. `resolve` reads the configuration, now and at every reload.
pub fn run(resolve: &dyn Fn() -> Result<Settings, CliError>) -> Result<Exit, CliError> {
    let settings = resolve()?;
    let log = Log::start(settings.log_level.unwrap_or(Level::Info), settings.log_format, Writing::Aside)?;
    let again = || resolve().map_err(|error| error.to_string());
    let ended = daemon::run(settings, &again, &log);
    log.finish();
    ended?;
    Ok(Exit::Done)
}
