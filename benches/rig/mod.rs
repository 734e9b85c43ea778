//! What the benches share: trees, a daemon that really runs, bare ways to watch and to look, and numbers.
//!
//! A floor does only the system calls and the SQL that nobody can do without. It runs in the same process, on the same
//! file system and in turn with meshd, so that the ratio of the two says something about meshd and not about the machine.

#![allow(dead_code, reason = "each bench uses a part of it")]

pub mod bare;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use meshd::clock::monotonic;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The binary under test, built with the bench's own profile.
const MESHD: &str = env!("CARGO_BIN_EXE_meshd");

/// For what must come at all; nothing that is measured is anywhere near.
const DEADLINE: Duration = Duration::from_mins(1);

/// The value of a flag of the command line, or what is taken without it.
pub fn option(name: &str, default: usize) -> anyhow::Result<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map_or(Ok(default), |value| value.parse().with_context(|| format!("{name} {value}")))
}

/// Whether a flag was given.
pub fn given(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// A directory on the file system of the build, and a short one for sockets, whose addresses must be; gone at the end.
pub struct Scratch {
    disk: PathBuf,
    short: PathBuf,
}

impl Scratch {
    /// Makes both.
    pub fn new() -> anyhow::Result<Self> {
        let name = format!("meshd-bench-{}", std::process::id());
        let scratch =
            Self { disk: Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name), short: std::env::temp_dir().join(&name) };
        fs::create_dir_all(&scratch.disk)?;
        fs::create_dir_all(&scratch.short)?;
        Ok(scratch)
    }

    /// A path on the file system of the build.
    pub fn join(&self, name: &str) -> PathBuf {
        self.disk.join(name)
    }

    /// Makes a tree of so many agents, always the same one.
    pub fn tree(&self, name: &str, agents: usize) -> anyhow::Result<PathBuf> {
        let tools = std::env::var_os("MESHD_TOOLS")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tools"), PathBuf::from);
        let tree = self.join(name);
        let made = Command::new("python3")
            .arg(tools.join("mktree.py"))
            .arg(&tree)
            .arg(agents.to_string())
            .stdout(Stdio::null())
            .status()
            .context("python3")?;
        ensure!(made.success(), "mktree.py failed: set MESHD_TOOLS to the directory of the shared tools");
        Ok(tree)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind costs space and nothing else.
        let _ = fs::remove_dir_all(&self.disk);
        let _ = fs::remove_dir_all(&self.short);
    }
}

/// A project of a tree.
pub struct Project {
    /// The directory.
    pub path: PathBuf,
    /// Its manifest as it was made.
    pub manifest: Value,
}

impl Project {
    /// The agent's id.
    pub fn id(&self) -> &str {
        self.manifest.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// Where its manifest is.
    pub fn file(&self) -> PathBuf {
        self.path.join(".dork/agent.json")
    }
}

/// The projects of a tree, in order.
pub fn projects(tree: &Path) -> anyhow::Result<Vec<Project>> {
    let mut found = Vec::new();
    for namespace in fs::read_dir(tree)? {
        for project in fs::read_dir(namespace?.path())? {
            let path = project?.path();
            let manifest = serde_json::from_slice(&fs::read(path.join(".dork/agent.json"))?)?;
            found.push(Project { path, manifest });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// A daemon that runs until this is dropped.
pub struct Daemon {
    child: Child,
    state_dir: PathBuf,
    socket: PathBuf,
}

impl Daemon {
    /// Starts one on a tree; returns when it says that it is ready, and the time from its start until then.
    pub fn start(scratch: &Scratch, name: &str, tree: &Path, flags: &[&str]) -> anyhow::Result<(Self, Duration)> {
        let (state_dir, socket) = (scratch.join(name), scratch.short.join(format!("{name}.sock")));
        let address = scratch.short.join(format!("{name}.notify"));
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

/// Times of one thing.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that `percent` of them do not exceed, in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}
