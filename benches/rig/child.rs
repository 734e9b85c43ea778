//! A floor in a process of its own: the bench's own binary, started once more with a hidden flag.
//!
//! What memory or wake-ups a floor takes can only be told of a process that does nothing else.

use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use super::word;

const FLAG: &str = "--as-floor";

/// A floor that runs until this is dropped.
pub struct Floor(Child);

impl Floor {
    /// Starts it; returns when it is ready. `name` says which floor, `flags` are for it.
    pub fn start(name: &str, flags: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([FLAG, name])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut said)?;
        ensure!(said == "ready\n", "the floor {name} did not get ready");
        Ok(Self(child))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // The end of its input is what it waits for.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Which floor this process is to be; none if it is the bench.
pub fn asked_for() -> Option<String> {
    word(FLAG)
}

/// Says that this floor is ready, and stays until the bench lets it go.
pub fn stay() -> anyhow::Result<()> {
    let mut out = stdout();
    out.write_all(b"ready\n")?;
    out.flush()?;
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
