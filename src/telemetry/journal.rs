//! The journal's own protocol: every line with its fields, so that programs can search by them.
//!
//! Written by hand, since a library's layer would write on the thread that logs, and wait there for a journal that hangs.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::lines::{Lines, Sink};

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Puts every event into the journal.
pub(super) struct Journal {
    lines: Lines,
}

impl Journal {
    pub fn new(lines: Lines) -> Self {
        Self { lines }
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        fields.put("PRIORITY", priority(*event.metadata().level()));
        fields.put("SYSLOG_IDENTIFIER", "meshd");
        fields.put("TARGET", event.metadata().target());
        event.record(&mut fields);
        self.lines.put(&fields.0);
    }
}

/// The journal, as where lines go.
///
/// # Errors
/// Nobody listens where the journal should.
pub(super) fn sink() -> io::Result<Sink> {
    sink_at(PathBuf::from(SOCKET))
}

fn sink_at(path: PathBuf) -> io::Result<Sink> {
    let socket = UnixDatagram::unbound()?;
    // It drops what has nothing in it. One that hangs listens all the same, and is not waited for.
    socket.set_nonblocking(true)?;
    match socket.send_to(&[], &path) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
        Ok(_) | Err(_) => socket.set_nonblocking(false)?,
    }
    Ok(Box::new(move |entry| match socket.send_to(entry, &path) {
        Err(error) if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) => send_as_file(entry, &path),
        sent => sent.map(drop),
    }))
}

/// What is too large for a datagram goes as a file that nobody can change any more.
fn send_as_file(entry: &[u8], path: &Path) -> io::Result<()> {
    let file = memfd_create("meshd-journal", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(file);
    file.write_all(entry)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    beside.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(&socket, &[], &mut beside, SendFlags::empty())?;
    Ok(())
}

/// Syslog's severities; `info` is what was done, and no notice, which journalctl prints in bold.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// Fields as the journal takes them: a name, how long the value is, and the value, whatever its bytes.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn put(&mut self, name: &str, value: &str) {
        self.0.extend(name.bytes().map(|byte| byte.to_ascii_uppercase()));
        self.0.push(b'\n');
        self.0.extend((value.len() as u64).to_le_bytes());
        self.0.extend(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::super::lines::Writing;
    use super::*;

    #[test]
    fn a_journal_that_takes_nothing_is_there_and_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _journal = UnixDatagram::bind(&path).unwrap();
        let full = UnixDatagram::unbound().unwrap();
        full.set_nonblocking(true).unwrap();
        while full.send_to(b"x", &path).is_ok() {}
        assert!(sink_at(path).is_ok());
        assert!(sink_at(directory.path().join("none")).is_err());
    }

    #[test]
    fn what_is_too_large_for_a_datagram_goes_as_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let journal = UnixDatagram::bind(directory.path().join("socket")).unwrap();
        let entry = vec![b'x'; 3_000_000];
        sink_at(directory.path().join("socket")).unwrap()(&entry).unwrap();
        assert_eq!(journal.recv(&mut [0; 16]).unwrap(), 0, "it asked whether somebody listens");
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = rustix::net::RecvAncillaryBuffer::new(&mut space);
        rustix::net::recvmsg(&journal, &mut [], &mut beside, rustix::net::RecvFlags::empty()).unwrap();
        let Some(rustix::net::RecvAncillaryMessage::ScmRights(mut files)) = beside.drain().next() else {
            panic!("no file came")
        };
        let mut file = std::fs::File::from(files.next().unwrap());
        let mut said = Vec::new();
        file.seek(io::SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut said).unwrap();
        assert!(said == entry && file.write_all(b"x").is_err());
    }

    #[test]
    fn a_line_has_its_fields_whatever_is_in_them() {
        let entries = Arc::new(Mutex::new(Vec::new()));
        let kept = entries.clone();
        let sink = move |entry: &[u8]| {
            kept.lock().unwrap().push(entry.to_vec());
            Ok(())
        };
        let lines = Lines::start(Box::new(sink), Writing::AtOnce).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Journal::new(lines)), || {
            tracing::warn!(agent_id = "a", why = None::<&str>, reason = %"x\nPRIORITY=0", "two\nlines");
        });
        let entries = entries.lock().unwrap();
        let [entry] = entries.as_slice() else { panic!("{entries:?}") };
        let mut expected = Fields::default();
        for (name, value) in [
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "meshd"),
            ("TARGET", "meshd::telemetry::journal::tests"),
            ("MESSAGE", "two\nlines"),
            ("AGENT_ID", "a"),
            ("REASON", "x\nPRIORITY=0"),
        ] {
            expected.put(name, value);
        }
        assert_eq!(String::from_utf8_lossy(entry), String::from_utf8_lossy(&expected.0));
    }
}
