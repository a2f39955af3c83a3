//! Child processes that cannot outlive us.
//!
//! Promise: a child started here gets SIGINT when this process dies, in whatever way (Linux; elsewhere the next start
//! finds and stops it by its pid file), is never signalled after it was reaped (its pid may be another process by then),
//! and inherits nothing of our environment. One thread that never ends starts and reaps all children, because Linux
//! ties the death signal to the *thread* that forked, not to the process.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::{oneshot, watch};

/// How often the owner thread looks for ended children.
const REAP_INTERVAL: Duration = Duration::from_millis(20);

/// The unprivileged user that a child runs as when we are root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunAs {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What to start.
#[derive(Debug)]
pub(crate) struct Spec {
    /// Absolute: nothing is looked up on a PATH, machines carry other versions of the same servers.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) run_as: Option<RunAs>,
    /// Takes both output streams.
    pub(crate) log: File,
}

/// A running or ended child.
#[derive(Debug)]
pub(crate) struct Child {
    process: Arc<Mutex<std::process::Child>>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Child {
    /// Starts the program in a process group of its own, so that Ctrl-C in a terminal reaches only us and the children
    /// are stopped in order.
    ///
    /// # Errors
    /// The program is missing or may not be run by that user.
    pub(crate) async fn start(spec: Spec) -> io::Result<Self> {
        let (reply, answer) = oneshot::channel();
        OWNER.send((spec, reply)).map_err(|_| io::Error::other("the thread that owns the children is gone"))?;
        answer.await.map_err(|_| io::Error::other("the thread that owns the children is gone"))?
    }

    /// How it ended, or `None` while it runs.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        // An error means that the owner thread is gone, which happens only when the process ends.
        ended.wait_for(Option::is_some).await.map_or(None, |status| *status)
    }

    /// Sends a signal; nothing happens when the child has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = lock(&self.process);
        if self.exit_status().is_none() {
            // The child is not reaped while we hold its lock, so the pid is still its own.
            let _ = kill(pid(&process), signal);
        }
    }

    /// Sends each signal in turn until the child has ended, waiting the given time after each.
    pub(crate) async fn stop(&self, steps: &[(Signal, Duration)]) {
        for (signal, patience) in steps {
            self.signal(*signal);
            if tokio::time::timeout(*patience, self.ended()).await.is_ok() {
                return;
            }
        }
    }
}

type Request = (Spec, oneshot::Sender<io::Result<Child>>);
type Owned = (Arc<Mutex<std::process::Child>>, watch::Sender<Option<ExitStatus>>);

static OWNER: LazyLock<mpsc::Sender<Request>> = LazyLock::new(|| {
    let (requests, inbox) = mpsc::channel();
    // Without the thread every later `start` answers with an error, which says more than a panic here.
    let _ = std::thread::Builder::new().name("children".into()).spawn(move || own_children(&inbox));
    requests
});

fn own_children(inbox: &mpsc::Receiver<Request>) {
    let mut children: Vec<Owned> = Vec::new();
    loop {
        match inbox.recv_timeout(REAP_INTERVAL) {
            Ok((spec, reply)) => {
                let started = spawn(spec).map(|process| {
                    let (tell, ended) = watch::channel(None);
                    let process = Arc::new(Mutex::new(process));
                    children.push((Arc::clone(&process), tell));
                    Child { process, ended }
                });
                let _ = reply.send(started);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        children.retain(|(process, tell)| {
            let mut process = lock(process);
            match process.try_wait() {
                Ok(None) => true,
                Ok(Some(status)) => {
                    tell.send_replace(Some(status));
                    false
                }
                // Somebody else reaped it; there is nothing left to wait for.
                Err(_) => {
                    tell.send_replace(Some(ExitStatus::default()));
                    false
                }
            }
        });
    }
}

fn spawn(spec: Spec) -> io::Result<std::process::Child> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments).env_clear().current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(spec.log.try_clone()?).stderr(spec.log);
    if let Some(RunAs { uid, gid }) = spec.run_as {
        command.uid(uid).gid(gid);
    }
    die_with_us(&mut command);
    command.spawn()
}

#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    let parent = Pid::this();
    let arm = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGINT)?;
        // The parent may have died between fork and here; then the signal would never come.
        if Pid::parent() == parent { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    };
    #[expect(
        unsafe_code,
        reason = "PDEATHSIG can only be set between fork and exec; prctl and getppid are signal-safe"
    )]
    unsafe {
        // Runs after the change of user, which would clear the signal.
        command.pre_exec(arm);
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_us(_command: &mut Command) {}

fn pid(process: &std::process::Child) -> Pid {
    Pid::from_raw(i32::try_from(process.id()).unwrap_or(i32::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
