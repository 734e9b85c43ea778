//! One inotify instance, as the kernel gives it.

use std::mem::MaybeUninit;
use std::path::Path;

use anyhow::bail;
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// What a watcher must hear of in a directory of the scan.
const MOVES: WatchFlags =
    WatchFlags::CREATE.union(WatchFlags::DELETE).union(WatchFlags::MOVED_FROM).union(WatchFlags::MOVED_TO);

/// One inotify instance.
pub struct Watch {
    instance: OwnedFd,
}

/// What the kernel says.
pub struct Event<'buffer> {
    /// The number of the watch.
    pub number: i32,
    /// What happened.
    pub what: ReadFlags,
    /// To which entry of the directory.
    pub name: &'buffer [u8],
}

/// Who hears it.
pub trait Listener {
    /// One event.
    fn happened(&mut self, event: &Event) -> anyhow::Result<()>;
    /// All that was read is told: what comes next may be a long time off.
    fn drained(&mut self) -> anyhow::Result<()>;
}

impl Watch {
    /// An instance that watches nothing yet.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { instance: inotify::init(CreateFlags::CLOEXEC)? })
    }

    /// Watches a directory too; returns the number under which its events come, or none if it is gone.
    pub fn add(&self, directory: &Path) -> anyhow::Result<Option<i32>> {
        // Only the files of a `.dork` are heard being written: those of a whole project would wake it for nothing.
        let written = if directory.ends_with(".dork") { WatchFlags::CLOSE_WRITE } else { WatchFlags::empty() };
        match inotify::add_watch(&self.instance, directory, MOVES | written | WatchFlags::ONLYDIR) {
            Ok(number) => Ok(Some(number)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOSPC) => bail!("more watches than fs.inotify.max_user_watches"),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells all that happens, for ever.
    pub fn follow(&self, listener: &mut impl Listener) -> anyhow::Result<()> {
        let mut buffer = vec![MaybeUninit::uninit(); 64 * 1024];
        let mut reader = Reader::new(&self.instance, &mut buffer);
        loop {
            if reader.is_buffer_empty() {
                listener.drained()?;
            }
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(std::ffi::CStr::to_bytes).unwrap_or_default();
                    listener.happened(&Event { number: event.wd(), what: event.events(), name })?;
                }
                Err(Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
