//! Handling deliveries: one aggregate's commands are begun in order, different aggregates at once, within bounds.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_nats::{
    Client, HeaderMap,
    jetstream::{AckKind, Message},
};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{Notify, Semaphore},
    time::{interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::{CommandHandler, ConsumerOptions, Handled};
use crate::{
    command::{CommandMessage, Outcome},
    headers,
};

/// How long a command that can neither be handled nor buried waits between tries.
const LONGEST_KEEP: Duration = Duration::from_secs(5);

/// The type and the id of an aggregate; for a message that is no command, its subject.
type Key = (String, String);

/// One failed attempt, and whether another can help.
struct Failed {
    error: String,
    again: bool,
}

/// Commands of one aggregate that its task has not taken yet.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Message>,
    arrived: Arc<Notify>,
}

pub(super) struct Work {
    client: Client,
    handler: Arc<dyn CommandHandler>,
    options: Arc<ConsumerOptions>,
    cancel: CancellationToken,
    /// One for each aggregate with commands in hand.
    queues: Mutex<HashMap<Key, Queue>>,
    /// Acknowledgement subjects of everything taken and not settled.
    in_hand: Mutex<HashSet<String>>,
    permits: Semaphore,
    tasks: TaskTracker,
}

impl Work {
    pub(super) fn new(
        client: Client,
        handler: Arc<dyn CommandHandler>,
        options: Arc<ConsumerOptions>,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        let work = Arc::new(Self {
            client,
            handler,
            cancel,
            queues: Mutex::default(),
            in_hand: Mutex::default(),
            permits: Semaphore::new(options.concurrency),
            tasks: TaskTracker::new(),
            options,
        });
        tokio::spawn(keep_alive(Arc::downgrade(&work)));
        work
    }

    pub(super) fn stopping(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Takes a delivery; returns at once.
    pub(super) fn submit(self: &Arc<Self>, message: Message) {
        if let Some(ack) = &message.reply {
            lock(&self.in_hand).insert(ack.to_string());
        }
        let key = key_of(&message);
        let mut queues = lock(&self.queues);
        if let Some(queue) = queues.get_mut(&key) {
            queue.waiting.push_back(message);
            queue.arrived.notify_one();
            return;
        }
        let queue = Queue::default();
        let arrived = Arc::clone(&queue.arrived);
        queues.insert(key.clone(), queue);
        drop(queues);
        self.tasks.spawn(Arc::clone(self).serve(key, message, arrived));
    }

    /// Handles what comes for one aggregate until there is no more. One task polls all of it, and what is new in the order
    /// in which it came, so that is the order in which the handler hears of it.
    async fn serve(self: Arc<Self>, key: Key, first: Message, arrived: Arc<Notify>) {
        let mut under_way = FuturesUnordered::new();
        under_way.push(self.settle(first));
        loop {
            let has_room = under_way.len() < self.options.per_aggregate;
            tokio::select! {
                _ = under_way.next(), if !under_way.is_empty() => {}
                () = arrived.notified(), if has_room => {}
            }
            let mut queues = lock(&self.queues);
            let Some(queue) = queues.get_mut(&key) else { return };
            while under_way.len() < self.options.per_aggregate
                && let Some(message) = queue.waiting.pop_front()
            {
                under_way.push(self.settle(message));
            }
            if under_way.is_empty() {
                queues.remove(&key);
                return;
            }
        }
    }

    /// Returns a delivery to the queue untouched, for another process.
    pub(super) async fn give_back(&self, message: &Message) {
        acknowledge(message, AckKind::Nak(None)).await;
    }

    /// Waits for what is in hand, up to the drain time.
    pub(super) async fn drain(&self) {
        self.tasks.close();
        if timeout(self.options.drain_timeout, self.tasks.wait()).await.is_err() {
            tracing::warn!("commands still in hand are left to redelivery");
        }
    }

    async fn settle(&self, delivery: Message) {
        // Without this the aggregate's task would end with everything else that it has in hand.
        if AssertUnwindSafe(self.handle_delivery(&delivery)).catch_unwind().await.is_err() {
            tracing::error!("a delivery panicked; it comes again");
        }
        if let Some(ack) = &delivery.reply {
            lock(&self.in_hand).remove(ack.as_str());
        }
    }

    async fn handle_delivery(&self, delivery: &Message) {
        let Ok(_permit) = self.permits.acquire().await else { return };
        let attempt = delivery.info().ok().and_then(|info| u32::try_from(info.delivered).ok()).unwrap_or(1);
        let none = HeaderMap::new();
        let map = delivery.headers.as_ref().unwrap_or(&none);
        let reply_to = headers::text(map, headers::REPLY_TO);
        let (command, unreadable) = match CommandMessage::from_parts(&delivery.subject, map, &delivery.payload) {
            Ok(command) => (Arc::new(command), None),
            Err(error) => {
                let salvaged = CommandMessage::salvage(&delivery.subject, map, &delivery.payload);
                (Arc::new(salvaged), Some(format!("unreadable command: {error}")))
            }
        };
        let span = tracing::info_span!(
            "command", command_id = %command.command_id, aggregate = %command.aggregate, verb = %command.verb,
            correlation_id = %command.correlation_id, attempt
        );
        let settled = self.settle_command(delivery, &command, unreadable, attempt).instrument(span);
        if let (Some(outcome), Some(inbox)) = (settled.await, reply_to) {
            self.reply(inbox, &outcome).await;
        }
    }

    /// Ends with the delivery acknowledged, sent back or terminated; the outcome if there is one.
    async fn settle_command(
        &self,
        delivery: &Message,
        command: &Arc<CommandMessage>,
        unreadable: Option<String>,
        attempt: u32,
    ) -> Option<Outcome> {
        let readable = unreadable.is_none();
        let mut error = match unreadable {
            Some(error) => error,
            // Redelivered over and over without ever ending: it probably takes its process with it.
            None if attempt > self.options.max_attempts.saturating_mul(3) => {
                format!("never ended in {attempt} deliveries")
            }
            None => match self.handle(command, attempt).await {
                Ok(outcome) => {
                    acknowledge(delivery, AckKind::Ack).await;
                    return Some(outcome);
                }
                Err(Failed { error, again: true }) if attempt < self.options.max_attempts => {
                    let delay = self.delay(attempt);
                    tracing::warn!(error, delay_ms = delay.as_millis(), "command will be retried");
                    metrics::counter!("command_retries_total").increment(1);
                    acknowledge(delivery, AckKind::Nak(Some(delay))).await;
                    return None;
                }
                Err(failed) => failed.error,
            },
        };
        loop {
            let Err(failure) = self.handler.bury(command, &error, attempt).await else {
                tracing::error!(error, "command is dead");
                metrics::counter!("commands_dead_total").increment(1);
                acknowledge(delivery, AckKind::Term).await;
                return Some(Outcome::Dead);
            };
            // Nothing works just now, most likely Postgres is away. The command is kept here, alive, without using up
            // deliveries, and may well succeed when everything is back.
            let delay = self.delay(attempt).min(LONGEST_KEEP);
            tracing::warn!(%failure, error, "command cannot be buried; kept");
            tokio::select! {
                () = self.cancel.cancelled() => {
                    acknowledge(delivery, AckKind::Nak(Some(delay))).await;
                    return None;
                }
                () = sleep(delay) => {}
            }
            // What could not be read must never be decided on.
            if !readable {
                continue;
            }
            match self.handle(command, attempt).await {
                Ok(outcome) => {
                    acknowledge(delivery, AckKind::Ack).await;
                    return Some(outcome);
                }
                Err(failed) => error = failed.error,
            }
        }
    }

    /// A panic of the handler is a failure like any other.
    async fn handle(&self, command: &Arc<CommandMessage>, attempt: u32) -> Result<Outcome, Failed> {
        let started = tokio::time::Instant::now();
        let result = AssertUnwindSafe(self.handler.handle(command, attempt)).catch_unwind().await;
        let labels = [
            ("aggregate", command.aggregate.clone()),
            ("verb", command.verb.clone()),
            ("outcome", outcome_of(&result).to_owned()),
        ];
        metrics::histogram!("command_seconds", &labels).record(started.elapsed());
        match result {
            Ok(Handled::Reply(outcome)) => Ok(outcome),
            Ok(Handled::Retry { error }) => Err(Failed { error, again: true }),
            Ok(Handled::GiveUp { error }) => Err(Failed { error, again: false }),
            Err(_) => Err(Failed { error: "the handler panicked".into(), again: true }),
        }
    }

    /// Doubles per attempt, plus up to half of it at random so that what failed together does not return together.
    fn delay(&self, attempt: u32) -> Duration {
        let doubled = self.options.retry_base.saturating_mul(1 << (attempt.saturating_sub(1)).min(16));
        doubled.min(self.options.retry_max).mul_f64(1.0 + fastrand::f64() / 2.0)
    }

    async fn reply(&self, inbox: String, outcome: &Outcome) {
        let Ok(payload) = serde_json::to_vec(outcome) else { return };
        if let Err(error) = self.client.publish(inbox, payload.into()).await {
            tracing::debug!(%error, "reply not sent; the stored outcome answers");
        }
    }
}

/// What one try to decide came to, as a label.
fn outcome_of<Panic>(result: &Result<Handled, Panic>) -> &'static str {
    match result {
        Ok(Handled::Reply(Outcome::Done { .. })) => "done",
        Ok(Handled::Reply(Outcome::Refused { .. } | Outcome::KeyReused)) => "refused",
        Ok(Handled::Reply(Outcome::Dead) | Handled::GiveUp { .. }) => "dead",
        Ok(Handled::Retry { .. }) | Err(_) => "retry",
    }
}

/// Tells the server that deliveries in hand are alive, else it would deliver them again elsewhere. Ends with the work.
async fn keep_alive(work: Weak<Work>) {
    let Some(period) = work.upgrade().map(|work| work.options.ack_wait / 4) else { return };
    let mut beat = interval(period);
    loop {
        beat.tick().await;
        let Some(work) = work.upgrade() else { return };
        let acks: Vec<String> = lock(&work.in_hand).iter().cloned().collect();
        for ack in acks {
            if let Err(error) = work.client.publish(ack, AckKind::Progress.into()).await {
                tracing::debug!(%error, "no sign of progress sent");
            }
        }
    }
}

fn key_of(message: &Message) -> Key {
    let id = message.headers.as_ref().and_then(|map| headers::text(map, headers::AGGREGATE_ID));
    match (message.subject.split('.').nth(3), id) {
        (Some(aggregate), Some(id)) => (aggregate.to_owned(), id),
        _ => (message.subject.to_string(), String::new()),
    }
}

/// A lost acknowledgement means a redelivery, which handlers bear.
async fn acknowledge(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        tracing::debug!(%error, "not acknowledged; it will be delivered again");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
