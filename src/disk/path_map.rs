//! A map from paths, in the order of their bytes, in which everything below a directory is one range.
//!
//! `Path` compares component by component, which made half of the cost of a sweep; bytes compare as one block.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::Bound;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A map from absolute paths without trailing slashes.
#[derive(Debug)]
pub struct PathMap<V>(BTreeMap<Box<OsStr>, V>);

impl<V> Default for PathMap<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> PathMap<V> {
    /// What is at `path`.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&V> {
        self.0.get(path.as_os_str())
    }

    /// What is at `path`, with the map's own path.
    #[must_use]
    pub fn get_pair(&self, path: &Path) -> Option<(&Path, &V)> {
        self.0.get_key_value(path.as_os_str()).map(|(path, value)| (Path::new(path), value))
    }

    /// Everything behind `path` in the order of the map; everything where there is none.
    pub fn behind(&self, path: Option<&Path>) -> impl Iterator<Item = (&Path, &V)> {
        let after = path.map_or(Bound::Unbounded, |path| Bound::Excluded(path.as_os_str()));
        let range: (Bound<&OsStr>, Bound<&OsStr>) = (after, Bound::Unbounded);
        self.0.range::<OsStr, _>(range).map(|(path, value)| (Path::new(path), value))
    }

    /// What is at `path`, to change it.
    pub fn get_mut(&mut self, path: &Path) -> Option<&mut V> {
        self.0.get_mut(path.as_os_str())
    }

    /// Whether there is something at `path`.
    #[must_use]
    pub fn contains(&self, path: &Path) -> bool {
        self.0.contains_key(path.as_os_str())
    }

    /// Puts something at `path`.
    pub fn insert(&mut self, path: PathBuf, value: V) {
        self.0.insert(path.into_os_string().into_boxed_os_str(), value);
    }

    /// What is at `path`, put there if nothing was.
    pub fn entry_or(&mut self, path: PathBuf, make: impl FnOnce() -> V) -> &mut V {
        self.0.entry(path.into_os_string().into_boxed_os_str()).or_insert_with(make)
    }

    /// Takes away what is at `path`.
    pub fn remove(&mut self, path: &Path) -> Option<V> {
        self.0.remove(path.as_os_str())
    }

    /// Takes away everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many paths there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &V)> {
        self.0.iter().map(|(path, value)| (Path::new(path), value))
    }

    /// What is at a directory and below it.
    pub fn below(&self, directory: &Path) -> impl Iterator<Item = (&Path, &V)> {
        let bytes = directory.as_os_str().as_bytes();
        let is_top = bytes.ends_with(b"/");
        let itself = if is_top { None } else { self.0.get_key_value(directory.as_os_str()) };
        // `0` is the byte after `/`: between the two lies everything that begins with the directory and a slash.
        let (mut first, mut after) = (bytes.to_vec(), bytes.to_vec());
        if is_top {
            after.pop();
        } else {
            first.push(b'/');
        }
        after.push(b'0');
        let (first, after) = (OsString::from_vec(first), OsString::from_vec(after));
        let range: (Bound<&OsStr>, Bound<&OsStr>) = (Bound::Included(&first), Bound::Excluded(&after));
        itself.into_iter().chain(self.0.range::<OsStr, _>(range)).map(|(path, value)| (Path::new(path), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_a_directory_is_that_and_what_its_path_begins() {
        let mut map = PathMap::default();
        for path in ["/r", "/r/a", "/r/a-b", "/r/a/b", "/r/a/b/c", "/r/a0", "/r/b"] {
            map.insert(path.into(), ());
        }
        let below = |directory: &str| map.below(Path::new(directory)).map(|(path, ())| path).collect::<Vec<_>>();
        assert_eq!(below("/r/a"), ["/r/a", "/r/a/b", "/r/a/b/c"].map(Path::new));
        assert_eq!(below("/r/b"), [Path::new("/r/b")]);
        assert_eq!(below("/").len(), 7);
        assert_eq!(below("/x"), [] as [&Path; 0]);
    }
}
