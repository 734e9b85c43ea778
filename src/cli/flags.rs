//! The flags that more than one command takes, as a layer of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::Form;
use crate::config::{Exclude, Given, RelayKind, duration};
use crate::telemetry::{Format, Level};

/// The heading in the help under which these stand, apart from a command's own.
const EVERYWHERE: &str = "Everywhere";

/// What every command takes.
#[allow(clippy::doc_markdown, reason = "it is the help, which is read as it is written")]
#[derive(Debug, Args)]
pub struct Global {
    /// Where the registry is [default: $XDG_STATE_HOME/meshd]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The control socket [default: $XDG_RUNTIME_DIR/meshd/meshd.sock, or in the state directory if that is given]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// The configuration file [default: $XDG_CONFIG_HOME/meshd/config.toml, else /etc/meshd/config.toml]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The least of what is logged [default: info for `run`, else warn]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "LEVEL", value_parser = level())]
    log_level: Option<Level>,
    /// How the log is written [default: the journal when stderr goes there, else text]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FORMAT", value_parser = format())]
    log_format: Option<Format>,
    /// Answer in JSON
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
}

impl Global {
    pub fn given(&self) -> Given {
        Given {
            config: self.config.clone(),
            state_dir: self.state_dir.clone(),
            socket: self.socket.clone(),
            log_level: self.log_level,
            log_format: self.log_format,
            ..Given::default()
        }
    }

    pub fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }
}

/// What a pass goes by: for `run` and `reconcile`.
#[derive(Debug, Args)]
pub struct Pass {
    /// How long an unreachable agent is kept [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    grace_period: Option<Duration>,
    /// How long a contested id waits before it goes to a copy [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    relocate_after: Option<Duration>,
    /// How many directories below its root a project may lie [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=64))]
    max_depth: Option<u8>,
    /// A further directory that is not entered: a name, or a path; may be given often
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    exclude: Vec<String>,
    /// Where agents reach each other [default: local]
    #[arg(long, value_name = "RELAY", value_parser = relay())]
    relay: Option<RelayKind>,
}

impl Pass {
    pub fn given(&self) -> Given {
        // Each pattern was compiled alone when it was parsed.
        let exclude = Exclude::new(self.exclude.clone()).ok().filter(|_| !self.exclude.is_empty());
        Given {
            grace_period: self.grace_period,
            relocate_after: self.relocate_after,
            max_depth: self.max_depth.map(usize::from),
            exclude,
            relay: self.relay,
            ..Given::default()
        }
    }

    /// Whether any of these was given.
    pub fn is_given(&self) -> bool {
        self.given() != Given::default()
    }
}

fn glob(pattern: &str) -> Result<String, String> {
    Exclude::new(vec![pattern.to_owned()]).map(|_| pattern.to_owned())
}

fn relay() -> impl TypedValueParser<Value = RelayKind> {
    PossibleValuesParser::new(RelayKind::NAMES).try_map(|name| name.parse())
}

/// A level of the log.
pub fn level() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(Level::NAMES).try_map(|name| name.parse())
}

fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::NAMES).try_map(|name| name.parse())
}
