//! Writing and deleting a manifest, so that a kill or a failure at any instant leaves the old one or the new one, whole.
//!
//! Beside the manifest there is at most one file, of a fixed name, while a write is under way. In short, with T for it:
//!
//! | what | steps | a kill leaves |
//! |---|---|---|
//! | a fresh manifest | a file without a name is written, synced and linked | nothing, or the new one |
//! | the same on an older file system | T is written, synced and renamed, replacing nothing | nothing, or the new one; perhaps T, new |
//! | another manifest | T is written and synced, the two names are exchanged | the old one or the new one; perhaps T, the other |
//! | the same on an older file system | T is written, synced and renamed over it | the old one or the new one; perhaps T, new |
//! | none any more | the manifest is renamed to T, T is removed | the old one, or nothing; perhaps T, the old one |
//!
//! So where a manifest is there, T is never needed: [`clear_temporary`] removes it. Where none is there, T is the
//! manifest of an agent that was being deleted (or, on an older file system, written for the first time), and the
//! caller says which way that ends.
//!
//! Who writes a manifest has no lock: after an exchange it is looked at what came out, and what was not expected goes
//! back. The gap in which a kill would lose what an editor saved in that very moment is the one look between.

mod content;
mod delete;
mod error;
mod names;
mod site;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use delete::{Deleted, delete};
pub use error::WriteError;

use crate::agent::Fingerprint;
use content::{Content, must_fit};
use names::{Moved, Swapped, Way};
use site::{Origin, Site, in_dork};

/// The one name, in `.dork`, that a file may have while a manifest is written or deleted.
pub const TEMPORARY: &str = ".agent.json.meshd";

/// The manifest, seen from `.dork`.
const FILE: &str = "agent.json";

/// What is in the place of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is.
    Nothing,
    /// A regular file.
    File {
        /// All that is in it.
        bytes: Vec<u8>,
        /// Its permission bits.
        mode: u32,
        /// Which file it was, and when it last changed.
        fingerprint: Fingerprint,
    },
}

/// What became of a temporary file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleared {
    /// There was none.
    Nothing,
    /// It was removed.
    Removed,
    /// It is the manifest again.
    PutBack,
}

/// How an operation ends that a kill broke off, where that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// As if it had not begun: a manifest that was being deleted is there again.
    Undo,
    /// As it was meant.
    Complete,
}

/// Looks at what is in the place of the project's manifest.
///
/// # Errors
/// [`WriteError::NotAManifest`] for whatever is no regular file or too large, [`WriteError::NotADirectory`] for a `.dork`
/// that is none, and for links.
pub fn standing(project: &Path) -> Result<Standing, WriteError> {
    let opened = site::open_project(project)?;
    let Some(dork) = site::open_dork(&opened, project)? else { return Ok(Standing::Nothing) };
    let found = Content::read(&dork, FILE, &in_dork(project, FILE))?;
    Ok(found.map_or(Standing::Nothing, |Content { bytes, mode, fingerprint, .. }| Standing::File {
        bytes,
        mode,
        fingerprint,
    }))
}

/// Writes the project's manifest in place of what is expected there. A fresh one makes `.dork` if there is none.
///
/// It is on disk when this returns. Until [`Placed::keep`] or [`Placed::take_back`] the manifest that was replaced is kept.
///
/// # Errors
/// [`WriteError::Exists`] or [`WriteError::Changed`] if something else is there than was expected.
pub fn place(project: &Path, content: &[u8], expected: &Standing) -> Result<Placed, WriteError> {
    place_by(Way::Newest, project, content, expected)
}

fn place_by(way: Way, project: &Path, content: &[u8], expected: &Standing) -> Result<Placed, WriteError> {
    must_fit(content, &in_dork(project, FILE))?;
    match expected {
        Standing::Nothing => fresh(way, project, content),
        Standing::File { bytes, .. } => replace(way, project, content, bytes),
    }
}

/// Removes the temporary file that a kill left, or puts it back. Nothing is lost: it is only put back where no manifest
/// is, and only removed where one is, where it is none, or where that is what was asked for.
///
/// # Errors
/// [`WriteError::Busy`] if it was left by nobody: another process is just writing. [`WriteError::NotAManifest`] if it is no
/// regular file, which meshd never makes: that is left alone.
pub fn clear_temporary(project: &Path, finish: Finish) -> Result<Cleared, WriteError> {
    match Site::open(project, Way::Newest) {
        Ok(Some(site)) => site.clear(finish),
        Ok(None) | Err(WriteError::Missing(_)) => Ok(Cleared::Nothing),
        Err(error) => Err(error),
    }
}

/// A manifest that was written, and can still be taken back.
#[derive(Debug)]
#[must_use = "keep it or take it back: until then what it replaced is kept"]
pub struct Placed {
    site: Site,
    ours: Vec<u8>,
    before: Before,
}

/// What was there before.
#[derive(Debug)]
enum Before {
    /// No manifest.
    Nothing(Origin),
    /// The manifest that has the temporary name now.
    Aside(Content),
    /// The manifest that was renamed over, since names could not be exchanged.
    Remembered(Content),
}

impl Placed {
    /// Lets what was replaced go. Nothing has to be synced for that: until it is gone it only lies beside.
    ///
    /// # Errors
    /// [`WriteError::Changed`] if somebody who had opened the old manifest before has written to it since. Then that one
    /// is in place again, as if this had come first and they had saved over it.
    pub fn keep(self) -> Result<(), WriteError> {
        let Before::Aside(before) = &self.before else { return Ok(()) };
        let is_as_it_was = self.site.read(TEMPORARY)?.is_none_or(|found| found.bytes == before.bytes);
        if is_as_it_was || !self.site.holds(FILE, &self.ours)? {
            return self.site.remove(TEMPORARY);
        }
        self.site.swap_back(&self.ours)?;
        self.site.sync()?;
        Err(WriteError::Changed(self.site.path(FILE)))
    }

    /// Puts back what was there before, byte for byte and with its mode.
    ///
    /// # Errors
    /// [`WriteError::NotOurs`] if what is there is not what this call wrote. It stays, and what was before it goes.
    pub fn take_back(self) -> Result<(), WriteError> {
        self.put_back()
    }

    fn put_back(&self) -> Result<(), WriteError> {
        let Self { site, ours, before } = self;
        let not_ours = || WriteError::NotOurs(site.path(FILE));
        match before {
            Before::Nothing(origin) => {
                let is_ours = |content: &Content| if content.bytes == *ours { Ok(()) } else { Err(not_ours()) };
                match site.take_out(is_ours) {
                    // Gone is what it was to be.
                    Ok(()) | Err(WriteError::Missing(_)) => {}
                    Err(WriteError::NotAManifest { .. }) => return Err(not_ours()),
                    Err(error) => return Err(error),
                }
                site.remove(TEMPORARY)?;
                let synced = site.sync();
                if *origin == Origin::Made {
                    site.unmake()?;
                }
                synced
            }
            Before::Aside(before) => {
                if !site.holds(FILE, ours)? {
                    site.remove(TEMPORARY)?;
                    return Err(not_ours());
                }
                if site.read(TEMPORARY)?.is_none() {
                    return self.restore(before);
                }
                let swapped = site.swap_back(ours)?;
                site.sync()?;
                if swapped == Swapped::Ours { Ok(()) } else { Err(not_ours()) }
            }
            Before::Remembered(before) => self.restore(before),
        }
    }

    /// Writes what was there before anew.
    fn restore(&self, before: &Content) -> Result<(), WriteError> {
        let site = &self.site;
        site.write_temporary(&before.bytes, Some(before))?;
        let moved = match site.holds(FILE, &self.ours) {
            Ok(true) => site.move_over(),
            Ok(false) => Err(WriteError::NotOurs(site.path(FILE))),
            Err(error) => Err(error),
        };
        moved.map_err(|error| site.undone(error, site.remove(TEMPORARY)))?;
        site.sync()
    }

    /// This; or if the last step failed, its error, with everything put back.
    fn unless_failed(self, last: Result<(), WriteError>) -> Result<Self, WriteError> {
        match last {
            Ok(()) => Ok(self),
            Err(error) => Err(self.site.undone(error, self.put_back())),
        }
    }
}

fn fresh(way: Way, project: &Path, content: &[u8]) -> Result<Placed, WriteError> {
    let (site, origin) = Site::open_or_make(project, way)?;
    if let Err(error) = put_fresh(&site, content) {
        let unmade = if origin == Origin::Made { site.unmake() } else { Ok(()) };
        return Err(site.undone(error, unmade));
    }
    let synced = site.sync().and_then(|()| if origin == Origin::Made { site.sync_project() } else { Ok(()) });
    let placed = Placed { site, ours: content.to_vec(), before: Before::Nothing(origin) };
    placed.unless_failed(synced)
}

/// Gives a new file the manifest's name, if nothing has it.
fn put_fresh(site: &Site, content: &[u8]) -> Result<(), WriteError> {
    let taken = || Err(WriteError::Exists(site.path(FILE)));
    // One that nobody noted may be anybody's: it never becomes the manifest.
    site.clear(Finish::Complete)?;
    if site.has(FILE)? {
        return taken();
    }
    match site.place_unnamed(content)? {
        Some(Moved::There) => return Ok(()),
        Some(Moved::Taken) => return taken(),
        None => site.write_temporary(content, None)?,
    }
    let moved = match site.move_in() {
        Ok(Moved::There) => return Ok(()),
        Ok(Moved::Taken) => WriteError::Exists(site.path(FILE)),
        Err(error) => error,
    };
    Err(site.undone(moved, site.remove(TEMPORARY)))
}

fn replace(way: Way, project: &Path, content: &[u8], expected: &[u8]) -> Result<Placed, WriteError> {
    let path = in_dork(project, FILE);
    let Some(site) = Site::open(project, way)? else { return Err(WriteError::Changed(path)) };
    // One that nobody noted may be anybody's: it never becomes the manifest.
    site.clear(Finish::Complete)?;
    let before = read_expected(&site, FILE, expected)?;
    site.write_temporary(content, Some(&before))?;
    let exchanged = match site.exchange() {
        Ok(exchanged) => exchanged,
        Err(error) => {
            let error = if matches!(error, WriteError::Missing(_)) { WriteError::Changed(path) } else { error };
            return Err(site.undone(error, site.remove(TEMPORARY)));
        }
    };
    if exchanged.is_some() {
        if let Err(error) = read_expected(&site, TEMPORARY, expected) {
            let swapped = site.swap_back(content).and_then(|_| site.sync());
            return Err(site.undone(error, swapped));
        }
        let synced = site.sync();
        let placed = Placed { site, ours: content.to_vec(), before: Before::Aside(before) };
        return placed.unless_failed(synced);
    }
    let renamed = read_expected(&site, FILE, expected).and_then(|_| site.move_over());
    renamed.map_err(|error| site.undone(error, site.remove(TEMPORARY)))?;
    let synced = site.sync();
    let placed = Placed { site, ours: content.to_vec(), before: Before::Remembered(before) };
    placed.unless_failed(synced)
}

/// The file of this name, if it holds what is expected of the manifest.
fn read_expected(site: &Site, name: &str, expected: &[u8]) -> Result<Content, WriteError> {
    let changed = || WriteError::Changed(site.path(FILE));
    match site.read(name) {
        Ok(Some(found)) if found.bytes == expected => Ok(found),
        Ok(_) | Err(WriteError::NotAManifest { .. }) => Err(changed()),
        Err(error) => Err(error),
    }
}
