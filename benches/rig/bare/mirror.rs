//! The floor of all that is told by events: one thread that mirrors the manifests of a tree into rows.
//!
//! One inotify instance, watch first and list then, every manifest that is named is read, and what one read of the
//! instance brought is one commit. It does not parse, decide, log, or forget a row.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::Context;
use rustix::fs::inotify::ReadFlags;

use super::rows::{Rows, Synchronous};
use super::walk::{Walked, is_pruned};
use super::watch::{Event, Listener, Watch};
use crate::rig::process::Thread;

/// A thread that lives as long as the bench.
pub struct Mirror {
    task: PathBuf,
}

impl Mirror {
    /// Starts it; returns when all that is there is watched and in the registry.
    pub fn start(registry: &Path, tree: &Path, synchronous: Synchronous) -> anyhow::Result<Self> {
        let mut mirroring = Mirroring {
            tree: tree.to_owned(),
            watch: Arc::new(Watch::new()?),
            places: HashMap::new(),
            rows: Rows::open(registry, synchronous)?,
        };
        mirroring.take_in(tree.to_owned())?;
        mirroring.rows.commit()?;
        let (say, said) = mpsc::channel();
        thread::spawn(move || {
            // Nobody who started it would go away before it answered.
            let _ = say.send(Thread::own());
            let watch = Arc::clone(&mirroring.watch);
            if let Err(error) = watch.follow(&mut mirroring) {
                eprintln!("the floor stopped: {error:#}");
            }
        });
        Ok(Self { task: said.recv().context("the floor's thread ended")?? })
    }

    /// What its thread did so far.
    pub fn thread(&self) -> anyhow::Result<Thread> {
        Thread::at(&self.task)
    }
}

/// What the thread works on.
struct Mirroring {
    tree: PathBuf,
    watch: Arc<Watch>,
    places: HashMap<i32, PathBuf>,
    rows: Rows,
}

impl Mirroring {
    /// Watches a directory with all that is below it, and reads the manifests that are there.
    fn take_in(&mut self, top: PathBuf) -> anyhow::Result<()> {
        let (watch, places) = (&self.watch, &mut self.places);
        let walked = Walked::walk(&[top], |directory| {
            if let Some(number) = watch.add(directory)? {
                places.insert(number, directory.to_owned());
            }
            Ok(())
        })?;
        for manifest in &walked.manifests {
            self.read(manifest)?;
        }
        Ok(())
    }

    fn read(&self, manifest: &Path) -> anyhow::Result<()> {
        let project = manifest.ancestors().nth(2).context("a manifest without a project")?;
        // One that is gone, or not there yet, is not told by this floor.
        fs::read(manifest).map_or(Ok(()), |text| self.rows.put(project, &text))
    }
}

impl Listener for Mirroring {
    fn happened(&mut self, event: &Event) -> anyhow::Result<()> {
        const CAME: ReadFlags = ReadFlags::CREATE.union(ReadFlags::MOVED_TO);
        const WRITTEN: ReadFlags = ReadFlags::CLOSE_WRITE.union(ReadFlags::MOVED_TO);
        if event.what.contains(ReadFlags::QUEUE_OVERFLOW) {
            return self.take_in(self.tree.clone());
        }
        if event.what.contains(ReadFlags::IGNORED) {
            self.places.remove(&event.number);
            return Ok(());
        }
        let name = OsStr::from_bytes(event.name);
        let Some(place) = self.places.get(&event.number) else { return Ok(()) };
        if event.what.contains(ReadFlags::ISDIR) {
            if event.what.intersects(CAME) && !is_pruned(name) {
                return self.take_in(place.join(name));
            }
        } else if name == "agent.json" && event.what.intersects(WRITTEN) {
            return self.read(&place.join(name));
        }
        Ok(())
    }

    fn drained(&mut self) -> anyhow::Result<()> {
        self.rows.commit()
    }
}
