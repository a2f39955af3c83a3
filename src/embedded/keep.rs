//! Keeps a server running: one that ends by itself is started again, a few times.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::child::Child;
use super::{nats, postgres};

/// A server that ends more often than this within [`WINDOW`] is broken, and so are we.
const RESTARTS: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);
const RESTART_DELAY: Duration = Duration::from_millis(200);

/// What both servers have in common.
pub(super) trait Server: Sized + Send + Sync + 'static {
    const NAME: &'static str;
    type Options: Send + Sync + 'static;
    fn start(options: &Self::Options) -> impl Future<Output = anyhow::Result<Self>> + Send;
    fn stop(&self) -> impl Future<Output = ()> + Send;
    fn child(&self) -> &Child;
}

/// A server in the care of a task.
#[derive(Debug)]
pub(super) struct Kept {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Kept {
    /// Takes care of `server`. Its end, when it cannot be helped, is told to `failed`.
    pub(super) fn new<S: Server>(server: S, options: S::Options, failed: mpsc::Sender<anyhow::Error>) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(server, options, stop.clone(), failed));
        Self { stop, task }
    }

    /// Stops the server in order and waits for its end.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // A panic in the task was printed already; the server dies with this process then.
        let _ = self.task.await;
    }
}

async fn keep<S: Server>(
    mut server: S,
    options: S::Options,
    stop: CancellationToken,
    failed: mpsc::Sender<anyhow::Error>,
) {
    let mut restarts: Vec<Instant> = Vec::new();
    loop {
        let status = tokio::select! {
            () = stop.cancelled() => return server.stop().await,
            status = server.child().ended() => status.map(|status| status.to_string()).unwrap_or_default(),
        };
        restarts.retain(|at| at.elapsed() < WINDOW);
        restarts.push(Instant::now());
        if restarts.len() > RESTARTS {
            let _ = failed.send(anyhow::anyhow!("{} ended {RESTARTS} times within a minute ({status})", S::NAME)).await;
            return;
        }
        tracing::warn!(server = S::NAME, status, "the server ended by itself and is started again");
        tokio::time::sleep(RESTART_DELAY).await;
        server = match S::start(&options).await {
            Ok(server) => server,
            Err(error) => {
                let _ = failed.send(error.context(format!("{} ended and could not be started again", S::NAME))).await;
                return;
            }
        };
    }
}

impl Server for postgres::Postgres {
    const NAME: &'static str = "Postgres";
    type Options = postgres::Options;

    async fn start(options: &Self::Options) -> anyhow::Result<Self> {
        Self::start(options).await
    }

    async fn stop(&self) {
        self.stop().await;
    }

    fn child(&self) -> &Child {
        &self.child
    }
}

impl Server for nats::Nats {
    const NAME: &'static str = "NATS";
    type Options = nats::Options;

    async fn start(options: &Self::Options) -> anyhow::Result<Self> {
        Self::start(options).await
    }

    async fn stop(&self) {
        self.stop().await;
    }

    fn child(&self) -> &Child {
        &self.child
    }
}
