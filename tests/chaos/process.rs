//! One process of the real executable in the care of a supervisor: killed, stopped, started again, ended.
//!
//! Promise: whatever happens to it, it is started again until it is asked to end; no signal goes to a process that was
//! reaped; its log is in the run's folder. A process that ends by itself is noted: allowed while its servers are away.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

/// As supervisors of services do it.
const RESTART_AFTER: Duration = Duration::from_millis(300);
/// How long an orderly end may take.
const END_WITHIN: Duration = Duration::from_secs(20);

/// What is done to it.
enum Order {
    Kill { down: Duration },
    Signal(Signal),
    End(oneshot::Sender<Result<(), String>>),
}

/// A handle; dropped, the process is killed.
pub struct Process {
    orders: mpsc::UnboundedSender<Order>,
    /// Where it answers HTTP; empty until it is ready, and while it is down.
    pub ready: watch::Receiver<Option<String>>,
    /// When it was killed, since `began`.
    deaths: Arc<Mutex<Vec<Instant>>>,
    supervisor: tokio::task::JoinHandle<()>,
}

/// How to start it.
#[derive(Clone)]
pub struct Start {
    pub name: &'static str,
    pub program: PathBuf,
    pub roles: &'static str,
    pub environment: Vec<(&'static str, String)>,
    pub log: PathBuf,
}

impl Process {
    pub fn start(start: Start) -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (tell, ready) = watch::channel(None);
        let deaths = Arc::<Mutex<Vec<Instant>>>::default();
        let supervisor = tokio::spawn(supervise(start, inbox, tell, Arc::clone(&deaths)));
        Self { orders, ready, deaths, supervisor }
    }

    /// `kill -9`, and started again after `down`.
    pub fn kill(&self, down: Duration) {
        self.order(Order::Kill { down });
    }

    pub fn signal(&self, signal: Signal) {
        self.order(Order::Signal(signal));
    }

    /// Ends it in order for good.
    ///
    /// # Errors
    /// It did not end in time, or not with success.
    pub async fn end(&self) -> Result<(), String> {
        let (tell, told) = oneshot::channel();
        self.order(Order::End(tell));
        told.await.unwrap_or_else(|_| Err("its supervisor is gone".to_owned()))
    }

    /// When it ended without having been asked to end in order.
    pub fn deaths(&self) -> Vec<Instant> {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn order(&self, order: Order) {
        // Only a supervisor that has ended does not hear; then there is nothing to do.
        drop(self.orders.send(order));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

async fn supervise(
    start: Start,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    ready: watch::Sender<Option<String>>,
    deaths: Arc<Mutex<Vec<Instant>>>,
) {
    loop {
        let mut child = spawn(&start, &ready);
        let down = loop {
            let order = tokio::select! {
                status = child.wait() => {
                    note(&start, &format!("ended by itself: {status:?}"));
                    break RESTART_AFTER;
                }
                order = inbox.recv() => order,
            };
            match order {
                Some(Order::Signal(signal)) => {
                    note(&start, signal.as_str());
                    send(&child, signal);
                }
                Some(Order::Kill { down }) => {
                    note(&start, "kill -9");
                    drop(child.kill().await);
                    break down;
                }
                Some(Order::End(tell)) => {
                    drop(tell.send(end(&mut child).await));
                    return;
                }
                None => return,
            }
        };
        ready.send_replace(None);
        deaths.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        sleep(down).await;
    }
}

fn spawn(start: &Start, ready: &watch::Sender<Option<String>>) -> Child {
    note(start, "started");
    let mut child = Command::new(&start.program)
        .args(["serve", "--roles", start.roles])
        .envs(start.environment.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the executable runs");
    let output = child.stderr.take().expect("it is piped");
    let (start, ready) = (start.clone(), ready.clone());
    tokio::spawn(async move {
        let mut log = OpenOptions::new().append(true).create(true).open(&start.log).expect("a log");
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(rest) = line.strip_prefix("Ready") {
                let address = rest.split_once(": ").map_or("", |(_, address)| address).to_owned();
                ready.send_replace(Some(address));
            }
            drop(writeln!(log, "{line}"));
        }
    });
    child
}

fn note(start: &Start, what: &str) {
    if let Ok(mut log) = OpenOptions::new().append(true).create(true).open(&start.log) {
        drop(writeln!(log, "---- {} {}: {what}", chrono::Utc::now().to_rfc3339(), start.name));
    }
}

fn send(child: &Child, signal: Signal) {
    // A child that was not waited for keeps its pid.
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

async fn end(child: &mut Child) -> Result<(), String> {
    send(child, Signal::SIGTERM);
    match timeout(END_WITHIN, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(status) => Err(format!("it ended with {status:?}")),
        Err(_) => {
            drop(child.kill().await);
            Err(format!("it did not end within {} s", END_WITHIN.as_secs()))
        }
    }
}
