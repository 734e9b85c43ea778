//! Lines of the log on their way to whoever reads it: written at once by a command, and by a thread of its own where a daemon
//! logs. Whoever does not read holds nobody up: what has no room any more is lost, and that is said.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

/// Bytes that may wait: a hundred thousand lines.
const MOST_WAITING: usize = 32 * 1024 * 1024;

/// Where a line goes, all of it at once.
pub(super) type Sink = Box<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// Who writes the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Whoever logs: a command, which has time.
    AtOnce,
    /// A thread of its own: a daemon, which has none.
    Aside,
}

/// Takes lines. Cheap to clone.
#[derive(Clone)]
pub(super) enum Lines {
    AtOnce(Arc<Sink>),
    Aside(Queue),
}

/// Lines that wait to be written.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    lines: Sender<Waiting>,
    bytes: Arc<AtomicUsize>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Waiting {
    Line(Vec<u8>),
    /// Somebody wants to know when everything before was written.
    Mark(Sender<()>),
}

impl Lines {
    /// Lines that go into `sink`.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(sink: Sink, writing: Writing) -> io::Result<Self> {
        if writing == Writing::AtOnce {
            return Ok(Self::AtOnce(Arc::new(sink)));
        }
        let (sender, lines) = unbounded();
        let queue = Queue { lines: sender, bytes: Arc::default(), lost: Arc::default() };
        let (bytes, lost) = (queue.bytes.clone(), queue.lost.clone());
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&lines, &sink, &bytes, &lost))?;
        Ok(Self::Aside(queue))
    }

    /// Takes one line.
    pub fn put(&self, line: &[u8]) {
        match self {
            // A log that nobody reads any more is no reason to end.
            Self::AtOnce(sink) => drop(sink(line)),
            Self::Aside(queue) => queue.put(line),
        }
    }

    /// Waits until everything was written, but not for ever.
    pub fn flush(&self, within: Duration) {
        let Self::Aside(queue) = self else { return };
        let (mark, written) = bounded(1);
        if queue.lines.send(Waiting::Mark(mark)).is_ok() {
            let _ = written.recv_timeout(within);
        }
    }

    /// Lines that had no room, or that nobody took, since the start.
    pub fn lost(&self) -> u64 {
        match self {
            Self::AtOnce(_) => 0,
            Self::Aside(queue) => queue.lost.load(Ordering::Relaxed),
        }
    }
}

impl Queue {
    fn put(&self, line: &[u8]) {
        let waiting = self.bytes.fetch_add(line.len(), Ordering::Relaxed);
        let has_room = waiting.saturating_add(line.len()) <= MOST_WAITING;
        if !has_room || self.lines.send(Waiting::Line(line.to_vec())).is_err() {
            self.bytes.fetch_sub(line.len(), Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(lines: &Receiver<Waiting>, sink: &Sink, bytes: &AtomicUsize, lost: &AtomicU64) {
    let (mut told, mut is_read) = (0, true);
    for waiting in lines {
        match waiting {
            Waiting::Line(line) => {
                is_read = sink(&line).is_ok();
                bytes.fetch_sub(line.len(), Ordering::Relaxed);
                lost.fetch_add(u64::from(!is_read), Ordering::Relaxed);
            }
            Waiting::Mark(mark) => drop(mark.send(())),
        }
        // Once there is room for it, and somebody who would read it.
        if is_read && lines.is_empty() {
            let all = lost.load(Ordering::Relaxed);
            if all > told {
                tracing::warn!(
                    "{} lines of the log were lost: whoever reads it was too slow, or was not there",
                    all - told
                );
                told = all;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_read_holds_nobody_up_and_what_has_no_room_is_counted() {
        let (reader, gate) = bounded::<()>(0);
        let (written, read) = unbounded();
        let sink = move |line: &[u8]| {
            let _ = gate.recv();
            written.send(line.len()).map_err(io::Error::other)
        };
        let lines = Lines::start(Box::new(sink), Writing::Aside).unwrap();
        let line = vec![b'x'; MOST_WAITING / 4];
        for _ in 0..10 {
            lines.put(&line);
        }
        assert_eq!(lines.lost(), 6);
        lines.flush(Duration::from_millis(1));
        drop(reader);
        lines.flush(Duration::from_secs(20));
        assert_eq!(read.try_iter().count(), 4);
        lines.put(&line);
        lines.flush(Duration::from_secs(20));
        assert_eq!((read.try_iter().count(), lines.lost()), (1, 6));
    }
}
