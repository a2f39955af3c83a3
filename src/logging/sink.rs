//! Where lines of the log go: to standard error, many with one call of the system.
//!
//! Promise: lines are written in the order in which they came; one waits no longer than [`SOON`], a warning or an error not
//! at all, and nothing waits when the process ends by itself. A process that is killed takes what it said in that time
//! along. When standard error is slow, whoever logs waits for it, as without this.

use std::io::{self, Write, stderr};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait for others.
const SOON: Duration = Duration::from_millis(20);
/// So many bytes wait for nobody.
const FULL: usize = 64 * 1024;

/// Takes lines. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sink(Arc<Shared>);

struct Shared {
    waiting: Mutex<Vec<u8>>,
    /// Something waits that did not before.
    begun: Condvar,
    writing: Mutex<Writing>,
}

/// Whoever holds it writes, one after the other.
struct Writing {
    bytes: Vec<u8>,
    to: Box<dyn Write + Send>,
}

/// Where one line goes.
pub(super) struct Entry<'a> {
    sink: &'a Sink,
    is_urgent: bool,
}

impl Sink {
    fn new(to: Box<dyn Write + Send>) -> Self {
        let writing = Mutex::new(Writing { bytes: vec![], to });
        Self(Arc::new(Shared { waiting: Mutex::default(), begun: Condvar::new(), writing }))
    }

    /// With a thread that writes what waits.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start() -> io::Result<Self> {
        let sink = Self::new(Box::new(stderr()));
        let writer = sink.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                writer.wait();
                thread::sleep(SOON);
                writer.flush();
            }
        })?;
        Ok(sink)
    }

    /// Writes everything that waits. That it cannot be written is told to nobody: there is no other place for it.
    pub(super) fn flush(&self) {
        let mut writing = locked(&self.0.writing);
        let Writing { bytes, to } = &mut *writing;
        mem::swap(bytes, &mut *locked(&self.0.waiting));
        let _ = to.write_all(bytes);
        bytes.clear();
    }

    fn wait(&self) {
        let waiting = locked(&self.0.waiting);
        drop(self.0.begun.wait_while(waiting, |waiting| waiting.is_empty()));
    }

    fn take(&self, line: &[u8], is_urgent: bool) {
        let mut waiting = locked(&self.0.waiting);
        let is_first = waiting.is_empty();
        waiting.extend_from_slice(line);
        let is_full = waiting.len() >= FULL;
        drop(waiting);
        if is_urgent || is_full {
            self.flush();
        } else if is_first {
            self.0.begun.notify_one();
        }
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Entry<'a>;

    fn make_writer(&'a self) -> Entry<'a> {
        Entry { sink: self, is_urgent: true }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Entry<'a> {
        Entry { sink: self, is_urgent: *of.level() <= Level::WARN }
    }
}

impl Write for Entry<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.sink.take(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush();
        Ok(())
    }
}

/// What is guarded is whole whoever panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use tracing::{info, warn};

    use super::*;

    /// Passes on what is written with one call.
    struct Calls(Sender<String>);

    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_wait_for_each_other_and_a_warning_for_nothing() {
        let (sender, written) = channel();
        let sink = Sink::new(Box::new(Calls(sender)));
        let subscriber = tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false);
        tracing::subscriber::with_default(subscriber.with_writer(sink.clone()).finish(), || {
            info!("one");
            info!("two");
            assert!(written.try_recv().is_err(), "they wait");
            warn!("three");
            info!("four");
        });
        sink.flush();
        let calls: Vec<String> = written.try_iter().collect();
        assert_eq!(calls, [" INFO one\n INFO two\n WARN three\n", " INFO four\n"]);
    }

    #[test]
    fn so_much_does_not_wait() {
        let (sender, written) = channel();
        let sink = Sink::new(Box::new(Calls(sender)));
        let line = vec![b'x'; FULL / 2];
        sink.take(&line, false);
        assert!(written.try_recv().is_err());
        sink.take(&line, false);
        assert_eq!(written.try_recv().unwrap().len(), FULL);
    }
}
