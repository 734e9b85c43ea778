//! The daemon under test: the real binary, with what systemd's units would give it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use meshd::clock::monotonic;
use rustix::process::{Pid, Signal, kill_process};

use super::Scratch;

/// The binary under test, built with the bench's own profile.
const MESHD: &str = env!("CARGO_BIN_EXE_meshd");

/// For what must come at all; nothing that is measured is anywhere near.
const DEADLINE: Duration = Duration::from_mins(2);

/// `WatchdogSec=` of the units.
const WATCHDOG_US: &str = "60000000";

/// A daemon that runs until this is dropped.
pub struct Daemon {
    child: Child,
    state_dir: PathBuf,
    socket: PathBuf,
}

impl Daemon {
    /// Starts one on a tree; returns when it says that it is ready, and the time from its start until then.
    pub fn start(scratch: &Scratch, name: &str, tree: &Path, flags: &[&str]) -> anyhow::Result<(Self, Duration)> {
        let (state_dir, socket) = (scratch.join(name), scratch.socket(&format!("{name}.sock")));
        let address = scratch.socket(&format!("{name}.notify"));
        // The one of an earlier daemon of this name.
        let _ = fs::remove_file(&address);
        let notices = UnixDatagram::bind(&address)?;
        let log = fs::File::create(scratch.join(&format!("{name}.log")))?;
        let start = monotonic();
        let child = Command::new(MESHD)
            .arg("run")
            .arg(tree)
            .arg("--state-dir")
            .arg(&state_dir)
            .arg("--socket")
            .arg(&socket)
            .args(flags)
            .env("NOTIFY_SOCKET", &address)
            .env("WATCHDOG_USEC", WATCHDOG_US)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| MESHD.to_owned())?;
        let mut daemon = Self { child, state_dir, socket };
        daemon.ready(&notices, start).with_context(|| {
            let said = fs::read_to_string(scratch.join(&format!("{name}.log"))).unwrap_or_default();
            format!("the daemon did not get ready; it said\n{said}")
        })?;
        Ok((daemon, start.elapsed()))
    }

    fn ready(&mut self, notices: &UnixDatagram, start: Instant) -> anyhow::Result<()> {
        notices.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut message = [0; 4096];
        while start.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            // A timeout is an error here, and means to look whether it still runs.
            let length = notices.recv(&mut message).unwrap_or(0);
            let text = message.get(..length).unwrap_or_default();
            if text.split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                return Ok(());
            }
        }
        bail!("not within {DEADLINE:?}")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its registry.
    pub fn registry(&self) -> PathBuf {
        self.state_dir.join("registry.db")
    }

    /// Asks it through its control socket; returns the body of the answer.
    pub fn ask(&self, method: &str, path: &str) -> anyhow::Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        let body = if method == "POST" { "{}" } else { "" };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {head}\n{body}");
        Ok(body.to_owned())
    }

    /// The value of one of its metrics.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = self.ask("GET", "/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.with_context(|| format!("no metric {name}"))?.parse().context(name.to_owned())
    }

    /// How many events of all names it has told, and how many of them say that notifications were lost.
    pub fn events(&self) -> anyhow::Result<(u64, u64)> {
        let text = self.ask("GET", "/metrics")?;
        let (mut all, mut overflows) = (0, 0);
        for line in text.lines().filter_map(|line| line.strip_prefix("meshd_events_total{")) {
            let count: u64 = line.rsplit(' ').next().unwrap_or_default().parse()?;
            all += count;
            overflows += if line.contains("watch.overflow") { count } else { 0 };
        }
        Ok((all, overflows))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(Some(pid)) = i32::try_from(self.child.id()).map(Pid::from_raw) {
            // It may have ended by itself; then there is nobody to tell.
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
