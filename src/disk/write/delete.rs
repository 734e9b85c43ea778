//! Deleting a manifest, only while it carries the id that is expected.

use std::path::Path;

use super::content::Content;
use super::names::{Moved, Way};
use super::site::{Site, in_dork};
use super::{FILE, Finish, TEMPORARY, WriteError};
use crate::agent::{AgentId, Manifest};

/// Deletes the project's manifest if it still carries this id.
///
/// It is gone, on disk too, when this returns. Until [`Deleted::keep`] it has the temporary name, from which
/// [`Deleted::take_back`] brings it back.
///
/// # Errors
/// [`WriteError::Missing`] if there is none, [`WriteError::OtherId`] and [`WriteError::NotAManifest`] if it does not carry the
/// id: then it is left as it is.
pub fn delete(project: &Path, expected_id: &AgentId) -> Result<Deleted, WriteError> {
    delete_by(Way::Newest, project, expected_id)
}

pub(super) fn delete_by(way: Way, project: &Path, expected_id: &AgentId) -> Result<Deleted, WriteError> {
    let path = in_dork(project, FILE);
    let Some(site) = Site::open(project, way)? else { return Err(WriteError::Missing(path)) };
    // One that nobody noted may be anybody's: it never becomes the manifest.
    site.clear(Finish::Complete)?;
    let carries = |content: &Content| match Manifest::parse(&content.bytes) {
        Ok(manifest) if manifest.id == *expected_id => Ok(()),
        Ok(manifest) => Err(WriteError::OtherId { path: path.clone(), found: manifest.id }),
        Err(why) => Err(WriteError::NotAManifest { path: path.clone(), why }),
    };
    site.take_out(carries)?;
    let synced = site.sync();
    let deleted = Deleted { site };
    let Err(error) = synced else { return Ok(deleted) };
    let undo = deleted.put_back();
    Err(deleted.site.undone(error, undo))
}

/// A manifest that was deleted, and can still be brought back.
#[derive(Debug)]
#[must_use = "keep it so or take it back: until then the manifest lies beside its place"]
pub struct Deleted {
    site: Site,
}

impl Deleted {
    /// Lets the manifest go for good.
    pub fn keep(self) -> Result<(), WriteError> {
        self.site.remove(TEMPORARY)?;
        // Else a loss of power brings it back under the temporary name, and whoever clears that may undo.
        self.site.sync()
    }

    /// Puts the manifest back.
    ///
    /// # Errors
    /// [`WriteError::NotOurs`] if there is another one by now. It stays, and the one that was deleted goes.
    pub fn take_back(self) -> Result<(), WriteError> {
        self.put_back()
    }

    fn put_back(&self) -> Result<(), WriteError> {
        match self.site.put_back()? {
            Moved::There => Ok(()),
            Moved::Taken => Err(WriteError::NotOurs(self.site.path(FILE))),
        }
    }
}
