//! What a look takes away from a file or directory, to tell later whether it is still the same.

/// Which directory this is. Device and inode are not enough: ext4 gives a directory that is deleted and made anew the
/// same inode every time, so the birth time belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DirIdentity {
    /// The device that it lies on.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
    /// When it was made, nanoseconds since 1970; zero where the file system does not say.
    pub born_ns: i64,
}

/// Which directory a scan root is. What is told apart by it may be another disk with the same device number, and not every
/// file system says when a directory was made: so the file system's type belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootIdentity {
    /// The directory.
    pub directory: DirIdentity,
    /// The number that `statfs` has for the type of the file system; `None` where that is not known.
    pub file_system: Option<i64>,
}

impl RootIdentity {
    /// Whether both are the same directory. A type that is not known is that of any other.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let types = self.file_system.zip(other.file_system);
        self.directory == other.directory && types.is_none_or(|(one, another)| one == another)
    }

    /// Whether this says anything that `known` does not.
    #[must_use]
    pub fn is_new_to(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| !self.is(known) || (known.file_system.is_none() && self.file_system.is_some()))
    }
}

/// What tells whether a file changed, without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The device that it lies on.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Last change of the content, nanoseconds since 1970.
    pub modified_ns: i64,
    /// Last change of the inode, nanoseconds since 1970: nobody can set this one back.
    pub changed_ns: i64,
}

/// A manifest's fingerprint and when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// The file's fingerprint, taken before its content was read.
    pub fingerprint: Fingerprint,
    /// When that was, nanoseconds since 1970 by the wall clock, which is also what file times are taken from.
    pub looked_ns: i64,
}

/// A file that was written this shortly before it was read may have been written again within the same tick of its
/// file system's clock, with the same times (git calls that racy). 2 s is the coarsest clock in use, that of FAT.
const RACY_NS: i64 = 2_000_000_000;

impl Observation {
    /// Whether a file with the fingerprint `now` certainly still has the content that was read then.
    #[must_use]
    pub fn vouches_for(&self, now: &Fingerprint) -> bool {
        let settled = |time_ns: i64| time_ns < self.looked_ns.saturating_sub(RACY_NS);
        self.fingerprint == *now && settled(now.modified_ns) && settled(now.changed_ns)
    }
}

/// What was seen of a manifest that is written into a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The file's fingerprint, and when it was taken; `None` where it was not read in this pass.
    pub observation: Option<Observation>,
    /// Which directory the project is.
    pub home: Option<DirIdentity>,
}
