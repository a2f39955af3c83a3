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
    relay::{Call, CallBatch, call::MAX_CALLS},
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
/// Bytes of a batch from which on it takes no further call. With the largest call on top it still is an event.
const FULL_BYTES: usize = 320 * 1024;
/// A batch of calls as serde writes `CallBatchCommand::RecordCalls`: this, the calls with commas between them, and
/// [`END`]. Each call is written once, when it comes, so that it is known how large the batch is.
const BEGIN: &[u8] = br#"{"record_calls":{"calls":["#;
const END: &[u8] = b"]}}";
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
                Some(Entry::Ended(call)) => batch.take(&call),
                Some(Entry::Drained(done)) => break Some(done),
                None => break None,
            }
            if batch.is_full() {
                break None;
            }
            next = timeout_at(until, entries.recv()).await.unwrap_or_default();
        };
        send(&commands, batch).await;
        if let Some(done) = drained {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}

/// Calls that will be one event.
#[derive(Default)]
struct Batch {
    /// With [`BEGIN`] and without [`END`].
    json: Vec<u8>,
    calls: usize,
}

impl Batch {
    fn take(&mut self, call: &Call) {
        let before = self.json.len();
        self.json.extend_from_slice(if before == 0 { BEGIN } else { b"," });
        match serde_json::to_writer(&mut self.json, call) {
            Ok(()) => self.calls += 1,
            Err(error) => {
                self.json.truncate(before);
                lost(1, &error);
            }
        }
    }

    const fn is_full(&self) -> bool {
        self.calls >= MAX_CALLS || self.json.len() >= FULL_BYTES
    }

    /// As a command; its id is the batch's, so that it counts once.
    fn message(mut self, id: CallBatchId) -> CommandMessage {
        self.json.extend_from_slice(END);
        let aim = (CallBatch::CAPABILITY, CallBatch::TYPE, "record_calls");
        CommandMessage {
            command_id: id.uuid(),
            // Nobody else has the id, so it stands for what is in the batch.
            fingerprint: Some(id.to_string()),
            ..CommandMessage::new(aim, id, ACTOR, Body::known(self.json))
        }
    }
}

/// Sends one batch until it is queued, or came to something.
async fn send(commands: &CommandClient, batch: Batch) {
    let (id, calls) = (CallBatchId::new(Uuid::now_v7()), batch.calls);
    if calls == 0 {
        return;
    }
    let message = batch.message(id);
    let mut pause = Duration::from_millis(50);
    loop {
        match commands.send(&message, TRY).await {
            Ok(Sent::Outcome(Outcome::Done { .. }) | Sent::Pending) => return,
            Ok(Sent::Outcome(outcome)) => return lost(calls, &format_args!("{outcome:?}")),
            // It would never be taken.
            Err(error @ (SendError::TooLarge { .. } | SendError::Invalid(_))) => return lost(calls, &error),
            Err(error) => tracing::debug!(batch = %id, %error, "calls wait for the bus"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

fn lost(calls: usize, reason: &dyn std::fmt::Display) {
    metrics::counter!("calls_not_recorded_total").increment(calls as u64);
    tracing::error!(calls, %reason, "calls will not be told of");
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::{
        CallId, ChannelId, UserId,
        billing::Purpose,
        relay::{CallBatchCommand, CallBatchEvent, CallOutcome, CallTry, LeftOut, Spent, Surface},
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

    fn batch(calls: &[Call]) -> Batch {
        let mut batch = Batch::default();
        calls.iter().for_each(|call| batch.take(call));
        batch
    }

    #[test]
    fn a_full_batch_of_the_largest_calls_is_an_event() {
        for parts in [0, 1, 2, 3, 24] {
            let (call, mut batch) = (large(parts), Batch::default());
            while !batch.is_full() {
                batch.take(&call);
            }
            let event = CallBatchEvent::Recorded { calls: vec![call; batch.calls] };
            let size = serde_json::to_string(&event).unwrap().len();
            // The store sets room apart for encryption, which an event of this kind never has.
            assert!(size / 3 * 4 + 1024 <= 512 * 1024, "{size} bytes with {parts} parts");
        }
    }

    #[test]
    fn a_batch_is_the_command_with_its_calls_and_has_its_id() {
        let id = CallBatchId::new(Uuid::now_v7());
        for calls in [vec![large(1)], vec![large(0), large(2), large(1)]] {
            let message = batch(&calls).message(id);
            let command = CallBatchCommand::RecordCalls { calls };
            assert_eq!(message.body.bytes(), Body::of(&command).unwrap().bytes());
            assert_eq!((message.command_id, message.aggregate_id.as_str()), (id.uuid(), id.to_string().as_str()));
            assert_eq!(
                message.subject(32).unwrap().split('.').skip(2).collect::<Vec<_>>(),
                ["relay", "call_batch", "record_calls"]
            );
        }
    }
}
