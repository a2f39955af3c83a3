//! Tells the log of calls as they went, beside them and never in their way.
//!
//! Promise: whoever records a call waits for nothing. Calls wait in memory, at most [`MAX_WAITING`], and become events in
//! batches, each once however often it is sent; while the bus is away they wait, and what finds no room is counted and
//! lost. A process that is killed takes along what waited. Money does not depend on any of it: it has its own events.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use domain::{
    CallBatchId, Decider as _,
    relay::{
        Call, CallBatch, CallBatchCommand,
        call::{MAX_CALLS, MAX_PARTS_TOGETHER},
    },
};
use nats::{Body, CommandClient, CommandMessage, Outcome, SendError, Sent};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::{Instant, sleep, timeout, timeout_at},
};
use uuid::Uuid;

/// Calls that wait to be told, at most.
pub const MAX_WAITING: usize = 10_000;
/// A call waits so long for others to be told with it.
const COMPANY: Duration = Duration::from_millis(200);
/// How long one try to send a batch waits for its outcome. Once it is queued it will have one.
const TRY: Duration = Duration::from_millis(500);
const ACTOR: &str = "relay";

/// Where calls are told of. Cheap to clone; all clones share one queue.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

struct Shared {
    commands: CommandClient,
    /// Made with the first call, because whoever makes a recorder need not run yet.
    queue: OnceLock<mpsc::Sender<Entry>>,
}

enum Entry {
    Ended(Box<Call>),
    /// Everything before it has been sent.
    Drained(oneshot::Sender<()>),
}

impl Recorder {
    pub(crate) fn new(commands: CommandClient) -> Self {
        Self(Arc::new(Shared { commands, queue: OnceLock::new() }))
    }

    /// Tells of a call, soon. Call it inside a Tokio runtime.
    pub fn record(&self, call: Call) {
        let lost = match self.queue().try_send(Entry::Ended(Box::new(call.cut()))) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "too many wait already",
            Err(TrySendError::Closed(_)) => "nobody sends them any more",
        };
        metrics::counter!("calls_not_recorded_total").increment(1);
        tracing::debug!(lost, "a call will not be told of");
    }

    /// Waits until every call that was recorded before is an event or on its way to be one, at most so long; whether it
    /// is.
    pub async fn drain(&self, at_most: Duration) -> bool {
        let Some(queue) = self.0.queue.get() else { return true };
        let (done, drained) = oneshot::channel();
        let draining = async { queue.send(Entry::Drained(done)).await.is_ok() && drained.await.is_ok() };
        timeout(at_most, draining).await.unwrap_or(false)
    }

    fn queue(&self) -> &mpsc::Sender<Entry> {
        self.0.queue.get_or_init(|| {
            let (queue, entries) = mpsc::channel(MAX_WAITING);
            tokio::spawn(send_all(self.0.commands.clone(), entries));
            queue
        })
    }
}

/// Sends what comes, in batches, until nobody can record any more.
async fn send_all(commands: CommandClient, mut entries: mpsc::Receiver<Entry>) {
    while let Some(first) = entries.recv().await {
        let mut batch = Batch::default();
        let mut next = Some(first);
        let until = Instant::now() + COMPANY;
        let drained = loop {
            match next {
                Some(Entry::Ended(call)) => batch.take(*call),
                Some(Entry::Drained(done)) => break Some(done),
                None => break None,
            }
            if batch.is_full() {
                break None;
            }
            next = timeout_at(until, entries.recv()).await.unwrap_or_default();
        };
        send(&commands, batch.calls).await;
        if let Some(done) = drained {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}

/// Calls that will be one event.
#[derive(Default)]
struct Batch {
    calls: Vec<Call>,
    /// Of their tries and channels that were left out.
    parts: usize,
}

impl Batch {
    fn take(&mut self, call: Call) {
        self.parts += call.tries.len() + call.left_out.len();
        self.calls.push(call);
    }

    const fn is_full(&self) -> bool {
        self.calls.len() >= MAX_CALLS || self.parts >= MAX_PARTS_TOGETHER
    }
}

/// Sends one batch until it is queued, or came to something.
async fn send(commands: &CommandClient, calls: Vec<Call>) {
    if calls.is_empty() {
        return;
    }
    let (id, count) = (CallBatchId::new(Uuid::now_v7()), calls.len() as u64);
    let lost = |reason: String| {
        metrics::counter!("calls_not_recorded_total").increment(count);
        tracing::error!(batch = %id, reason, "calls will not be told of");
    };
    let message = match message(id, calls) {
        Ok(message) => message,
        Err(error) => return lost(error.to_string()),
    };
    let mut pause = Duration::from_millis(50);
    loop {
        match commands.send(&message, TRY).await {
            Ok(Sent::Outcome(Outcome::Done { .. }) | Sent::Pending) => return,
            Ok(Sent::Outcome(outcome)) => return lost(format!("{outcome:?}")),
            // It would never be taken.
            Err(error @ (SendError::TooLarge { .. } | SendError::Invalid(_))) => return lost(error.to_string()),
            Err(error) => tracing::debug!(batch = %id, %error, "calls wait for the bus"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// A batch as a command; its id is the batch's, so that it counts once.
fn message(id: CallBatchId, calls: Vec<Call>) -> serde_json::Result<CommandMessage> {
    let body = Body::of(&CallBatchCommand::RecordCalls { calls })?;
    let aim = (CallBatch::CAPABILITY, CallBatch::TYPE, "record_calls");
    Ok(CommandMessage { command_id: id.uuid(), ..CommandMessage::new(aim, id, ACTOR, body) })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::{
        CallId, ChannelId, UserId,
        billing::Purpose,
        relay::{CallBatchEvent, CallOutcome, CallTry, LeftOut, Spent, Surface},
    };

    use super::*;

    /// The largest there is, with so many tries and channels that were left out.
    fn large(parts: usize) -> Call {
        let text = || "模".repeat(1000);
        let one = CallTry {
            channel_id: ChannelId::new(Uuid::nil()),
            model: text(),
            key: Some(text()),
            hedge: true,
            outcome: text(),
            duration_ms: u64::MAX,
            spent: Spent::Unknown,
        };
        let call = Call {
            id: CallId::new(Uuid::nil()),
            user: UserId::new(Uuid::nil()),
            purpose: Purpose::Api { api_key_id: None },
            surface: Surface::Messages,
            model: Some(text()),
            answered: None,
            stream: true,
            started_at: DateTime::UNIX_EPOCH,
            duration_ms: u64::MAX,
            first_output_ms: Some(u64::MAX),
            outcome: CallOutcome::Failed { code: text() },
            tries: vec![one; parts],
            left_out: vec![LeftOut { channel: text(), reason: text() }; parts],
            tokens: None,
            basis: None,
            hold_id: None,
            free_by: None,
        };
        call.cut()
    }

    #[test]
    fn a_full_batch_of_the_largest_calls_is_an_event() {
        for parts in [0, 1, 2, 3, 24] {
            let mut batch = Batch::default();
            while !batch.is_full() {
                batch.take(large(parts));
            }
            let event = CallBatchEvent::Recorded { calls: batch.calls };
            let size = serde_json::to_string(&event).unwrap().len();
            assert!(size < 500 * 1024, "{size} bytes with {parts} parts");
        }
    }

    #[test]
    fn the_command_of_a_batch_has_its_id() {
        let id = CallBatchId::new(Uuid::now_v7());
        let message = message(id, vec![large(1)]).unwrap();
        assert_eq!((message.command_id, message.aggregate_id.as_str()), (id.uuid(), id.to_string().as_str()));
        assert_eq!(
            message.subject(32).unwrap().split('.').skip(2).collect::<Vec<_>>(),
            ["relay", "call_batch", "record_calls"]
        );
    }
}
