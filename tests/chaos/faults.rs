//! What breaks, and how it is put right again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream;
use futures::StreamExt as _;
use nix::sys::signal::Signal;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::plan::{Fault, FaultKind};
use crate::town::Town;

/// Marks what was published again, so that it is not published a third time.
const COPY: &str = "Chaos-Copy";

/// Makes all `faults` happen at their time; when this returns everything is healed.
pub async fn strike(town: Arc<Town>, faults: Vec<Fault>) {
    let began = Instant::now();
    let mut striking = JoinSet::new();
    let copier = Arc::new(Copier::default());
    let copying = copier.clone().run(town.bus.clone()).await;
    for fault in faults {
        let (town, copier) = (Arc::clone(&town), Arc::clone(&copier));
        striking.spawn(async move {
            sleep_until(began + Duration::from_millis(fault.at_ms)).await;
            happen(&town, &copier, fault.kind).await;
        });
    }
    while let Some(struck) = striking.join_next().await {
        struck.expect("a fault is carried out");
    }
    copying.abort();
}

async fn happen(town: &Town, copier: &Copier, kind: FaultKind) {
    match kind {
        FaultKind::Kill { process, down_ms } => town.processes[process].kill(Duration::from_millis(down_ms)),
        FaultKind::KillAll { down_ms } => {
            town.processes.iter().for_each(|process| process.kill(Duration::from_millis(down_ms)));
        }
        FaultKind::Pause { process, for_ms } => {
            town.processes[process].signal(Signal::SIGSTOP);
            sleep(Duration::from_millis(for_ms)).await;
            town.processes[process].signal(Signal::SIGCONT);
        }
        FaultKind::KillNats { down_ms } => {
            let mut nats = town.nats.lock().await;
            nats.kill().await;
            sleep(Duration::from_millis(down_ms)).await;
            nats.start_again().await;
        }
        FaultKind::PauseNats { for_ms } => {
            let nats = town.nats.lock().await;
            nats.pause();
            sleep(Duration::from_millis(for_ms)).await;
            nats.resume();
        }
        FaultKind::KillPostgres { down_ms } => {
            let mut postgres = town.postgres.lock().await;
            postgres.kill().await;
            sleep(Duration::from_millis(down_ms)).await;
            postgres.start_again().await;
        }
        // Where the server is down at this moment they are cut already.
        FaultKind::CutConnections => drop(town.postgres.lock().await.cut_connections().await),
        FaultKind::Wipe { stream } => {
            let context = jetstream::new(town.bus.clone());
            // It may be gone, or its server.
            drop(tokio::time::timeout(Duration::from_secs(2), context.delete_stream(stream)).await);
        }
        FaultKind::Redeliver { for_ms, one_in, later_ms } => {
            copier.later_ms.store(later_ms, Ordering::Relaxed);
            copier.one_in.store(one_in, Ordering::Relaxed);
            sleep(Duration::from_millis(for_ms)).await;
            copier.one_in.store(0, Ordering::Relaxed);
        }
        FaultKind::Upstream { refuses, for_ms } => {
            town.upstream.falls_ill(refuses, Duration::from_millis(for_ms)).await;
        }
    }
}

/// Publishes commands a second time as the queue would deliver them again: same command, another message.
#[derive(Default)]
struct Copier {
    /// 0: none.
    one_in: AtomicU64,
    later_ms: AtomicU64,
}

impl Copier {
    async fn run(self: Arc<Self>, bus: async_nats::Client) -> JoinHandle<()> {
        let mut commands = bus.subscribe("cmd.>").await.expect("the bus is up at the beginning");
        tokio::spawn(async move {
            let mut seen = 0;
            while let Some(command) = commands.next().await {
                let one_in = self.one_in.load(Ordering::Relaxed);
                let Some(mut headers) = command.headers.filter(|headers| headers.get(COPY).is_none()) else { continue };
                seen += 1;
                if one_in == 0 || seen % one_in != 0 {
                    continue;
                }
                let (bus, later) = (bus.clone(), Duration::from_millis(self.later_ms.load(Ordering::Relaxed)));
                headers.insert(COPY, "1");
                headers.insert("Nats-Msg-Id", Uuid::now_v7().to_string().as_str());
                tokio::spawn(async move {
                    sleep(later).await;
                    drop(bus.publish_with_headers(command.subject, headers, command.payload).await);
                });
            }
        })
    }
}
