//! Which file systems are mounted where, as the kernel tells this process.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The kernel's list of mounts. `poll` on it wakes when the list changes.
pub const MOUNT_TABLE: &str = "/proc/self/mountinfo";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// The kernel's number: one that is mounted anew has another, mostly.
    pub id: u64,
    /// Where it is mounted.
    pub point: PathBuf,
    /// The type of its file system.
    pub file_system: String,
    /// What of it is mounted, and from where: tells two mounts apart that have the same number after each other.
    pub source: String,
}

/// Who says where file systems are mounted.
pub trait MountTable: Send {
    /// The directories at which one is mounted now; `None` where that cannot be told.
    fn points(&self) -> Option<BTreeSet<PathBuf>>;
}

/// The kernel says it.
#[derive(Debug, Clone, Copy)]
pub struct KernelMounts;

impl MountTable for KernelMounts {
    fn points(&self) -> Option<BTreeSet<PathBuf>> {
        // Something is always mounted at the top.
        Some(mounts()).filter(|mounts| !mounts.is_empty()).map(|mounts| mounts.into_iter().map(|is| is.point).collect())
    }
}

/// All mounts, in the order in which they were made: a later one covers an earlier one at the same place. Empty where the
/// kernel does not tell.
#[must_use]
pub fn mounts() -> Vec<Mount> {
    let text = fs::read(MOUNT_TABLE).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(parse).collect()
}

impl Mount {
    /// Whether changes that others make to this file system, or that it makes by itself, are announced to nobody.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        const QUIET: [&str; 17] = [
            "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "afs", "ncpfs", "coda", "gfs2", "ocfs2",
            "lustre", "beegfs", "orangefs", "fuse",
        ];
        QUIET.contains(&self.file_system.as_str()) || self.file_system.starts_with("fuse.")
    }

    /// Whether what is mounted here is seen at `path`, or below it.
    #[must_use]
    pub fn concerns(&self, path: &Path) -> bool {
        path.starts_with(&self.point) || self.point.starts_with(path)
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`, as proc(5) has it.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = fields.nth(1)?;
    let top = fields.next()?;
    let point = PathBuf::from(OsString::from_vec(unescape(fields.next()?)));
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let file_system = String::from_utf8_lossy(rest.next()?).into_owned();
    let source = String::from_utf8_lossy(&[device, top].join(&b' ')).into_owned();
    Some(Mount { id, point, file_system, source })
}

/// Spaces and the like are `\040`: a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(byte);
            rest = after.get(3..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_mount_table_is_read_with_and_without_optional_fields() {
        let mount = parse(br"36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 shared:2 - fuse.sshfs host:/ rw").unwrap();
        assert_eq!((mount.id, mount.point.as_path()), (36, Path::new("/mnt 2")));
        assert_eq!((mount.file_system.as_str(), mount.source.as_str()), ("fuse.sshfs", "98:0 /mnt1"));
        assert!(mount.is_quiet());
        let mount = parse(b"1 0 0:2 / / rw - ext4 /dev/vda rw").unwrap();
        assert!(!mount.is_quiet() && mount.concerns(Path::new("/home")));
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn the_kernel_tells_what_is_mounted_at_the_top() {
        assert!(mounts().iter().any(|mount| mount.point == Path::new("/")));
    }
}
