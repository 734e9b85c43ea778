//! Where things are: the XDG directories, `~`, and one spelling a directory.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::ConfigError;

/// The most symbolic links on the way to one directory; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// The directories that the environment names.
pub(super) struct Places {
    home: Option<PathBuf>,
    config: Option<PathBuf>,
    state: Option<PathBuf>,
    runtime: Option<PathBuf>,
}

impl Places {
    pub fn from_environment(read: &dyn Fn(&str) -> Option<OsString>) -> Self {
        // The XDG specification has relative paths in these variables ignored.
        let directory = |variable| read(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = directory("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        Self {
            config: directory("XDG_CONFIG_HOME").or_else(|| below_home(".config")),
            state: directory("XDG_STATE_HOME").or_else(|| below_home(".local/state")),
            runtime: directory("XDG_RUNTIME_DIR"),
            home,
        }
    }

    /// The user's configuration file, whether it is there or not.
    pub fn config_file(&self) -> Option<PathBuf> {
        self.config.as_ref().map(|directory| directory.join("meshd/config.toml"))
    }

    /// The default state directory.
    pub fn state_dir(&self) -> Result<PathBuf, ConfigError> {
        let missing = "neither XDG_STATE_HOME nor HOME says where the registry is: give --state-dir";
        let state = self.state.as_ref().ok_or_else(|| ConfigError::NoDefault(missing.to_owned()))?;
        Ok(state.join("meshd"))
    }

    /// The directory for the socket of a user's daemon, where there is one.
    pub fn runtime_dir(&self) -> Option<PathBuf> {
        self.runtime.as_ref().map(|directory| directory.join("meshd"))
    }

    /// `path` from `/` on: `~` is the home, and a relative one is below the current directory.
    pub fn absolute(&self, path: &Path) -> Result<PathBuf, ConfigError> {
        if let Ok(below) = path.strip_prefix("~") {
            let missing = "HOME is not set, so there is no `~`";
            let home = self.home.as_ref().ok_or_else(|| ConfigError::NoDefault(missing.to_owned()))?;
            return Ok(home.join(below));
        }
        std::path::absolute(path)
            .map_err(|error| ConfigError::Unreadable { file: path.to_owned(), why: error.to_string() })
    }

    /// The scan roots that `given` means, each once, in the order in which they were given.
    pub fn roots(&self, given: &[PathBuf]) -> Result<Vec<PathBuf>, ConfigError> {
        let mut roots = Vec::with_capacity(given.len());
        for root in given {
            let root = canonical(&self.absolute(root)?);
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        Ok(roots)
    }
}

/// The one spelling of an absolute `path`: links resolved, `.` and `..` gone, no slash at its end.
///
/// What is missing, or may not be looked at, is taken as it is written, but the links on the way to it are resolved: a
/// root that is a link to a drive is the same root while the drive is not mounted.
#[must_use]
pub fn canonical(path: &Path) -> PathBuf {
    let mut rest: VecDeque<OsString> = names(path).collect();
    let mut resolved = PathBuf::from("/");
    let mut links = 0_usize;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            resolved.pop();
            continue;
        }
        let next = resolved.join(&name);
        match std::fs::read_link(&next) {
            Ok(target) if links < MAX_LINKS => {
                links = links.saturating_add(1);
                if target.is_absolute() {
                    resolved = PathBuf::from("/");
                }
                for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(name);
                }
            }
            // No link, not there, or not to be looked at.
            Ok(_) | Err(_) => resolved = next,
        }
    }
    resolved
}

/// The user's home, as the environment and as the user database has it: agent tools keep their own things there.
#[must_use]
pub fn homes() -> BTreeSet<PathBuf> {
    let said = std::env::var_os("HOME").map(PathBuf::from);
    let user = std::fs::metadata("/proc/self").map(|process| process.uid()).ok();
    let users = std::fs::read("/etc/passwd").unwrap_or_default();
    let recorded = user.and_then(|user| home_of(&users, user));
    said.into_iter().chain(recorded).filter(|home| home.is_absolute()).map(|home| canonical(&home)).collect()
}

/// The home of a user, as the user database has it.
#[must_use]
pub fn home(user: u32) -> Option<PathBuf> {
    home_of(&std::fs::read("/etc/passwd").ok()?, user)
}

/// The home of a user in the text of `/etc/passwd`.
pub(super) fn home_of(users: &[u8], user: u32) -> Option<PathBuf> {
    users.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':').skip(2);
        let is_user = fields.next()? == user.to_string().as_bytes();
        let home = fields.nth(2)?;
        is_user.then(|| PathBuf::from(OsStr::from_bytes(home)))
    })
}

fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::new("..").to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}
