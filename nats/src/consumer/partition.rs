//! Reading the partitions that are ours: one durable pinned consumer each.
//!
//! A reader that has to let go unpins first and then drains what the server had already sent, because a delivery that
//! nobody reads only comes back after the acknowledgement wait.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use async_nats::{
    Client,
    jetstream::{
        self,
        consumer::{
            AckPolicy, DeliverPolicy, PriorityPolicy, PullConsumer,
            pull::{self, MessagesErrorKind},
        },
    },
};
use futures::StreamExt;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{ConsumerOptions, work::Work};
use crate::streams;

/// The one priority group that every consumer has.
const PIN_GROUP: &str = "one";
/// The next owner opens its pull before the pin is given up, so that it is first in line.
const LET_THE_NEXT_QUEUE: Duration = Duration::from_millis(500);
/// Deliveries that were under way when the pin was given up have arrived by then.
const UNDER_WAY: Duration = Duration::from_millis(250);
const REOPEN_PAUSE: Duration = Duration::from_millis(500);
/// Errors in a row after which a stream of pulls is opened anew.
const ERRORS_TO_REOPEN: u32 = 3;

struct Reader {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

pub(super) struct Readers {
    client: Client,
    work: Arc<Work>,
    options: Arc<ConsumerOptions>,
    running: HashMap<u16, Reader>,
}

impl Readers {
    pub(super) fn new(client: Client, work: Arc<Work>, options: Arc<ConsumerOptions>) -> Self {
        Self { client, work, options, running: HashMap::new() }
    }

    /// Starts and stops readers so that exactly `owned` are read soon.
    pub(super) fn assign(&mut self, owned: &BTreeSet<u16>) {
        self.running.retain(|_, reader| !reader.task.is_finished());
        for (partition, reader) in &self.running {
            if !owned.contains(partition) {
                reader.stop.cancel();
            }
        }
        for partition in owned {
            // One that is still letting go is started again at a later call.
            if !self.running.contains_key(partition) {
                self.running.insert(*partition, self.start(*partition));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "at most a few hundred partitions")]
        metrics::gauge!("command_partitions_owned").set(owned.len() as f64);
    }

    /// Lets go of everything.
    pub(super) async fn stop(mut self, wait_for_others: bool) {
        if wait_for_others {
            sleep(LET_THE_NEXT_QUEUE).await;
        }
        for reader in self.running.values() {
            reader.stop.cancel();
        }
        for (_, reader) in std::mem::take(&mut self.running) {
            if let Err(error) = reader.task.await {
                tracing::warn!(%error, "a reader ended badly");
            }
        }
    }

    fn start(&self, partition: u16) -> Reader {
        let stop = CancellationToken::new();
        let client = self.client.clone();
        let (work, options) = (Arc::clone(&self.work), Arc::clone(&self.options));
        let task = tokio::spawn(read(client, work, options, partition, stop.clone()));
        Reader { stop, task }
    }
}

async fn read(client: Client, work: Arc<Work>, options: Arc<ConsumerOptions>, partition: u16, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match open(&client, &options, partition).await {
            Ok(mut messages) => {
                forward(&mut messages, &work, &stop).await;
                if stop.is_cancelled() {
                    let_go(&client, &options, partition, messages, &work).await;
                }
            }
            Err(error) => tracing::warn!(partition, %error, "the partition cannot be read now"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(REOPEN_PAUSE) => {}
        }
    }
}

/// Passes deliveries on until told to stop or until the stream of pulls has to be opened anew.
async fn forward(messages: &mut pull::Stream, work: &Arc<Work>, stop: &CancellationToken) {
    let mut errors = 0;
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = messages.next() => next,
        };
        match next {
            Some(Ok(message)) => {
                errors = 0;
                work.submit(message);
            }
            Some(Err(error)) if error.kind() == MessagesErrorKind::ConsumerDeleted => return,
            Some(Err(error)) => {
                errors += 1;
                tracing::debug!(%error, errors, "reading commands");
                if errors >= ERRORS_TO_REOPEN {
                    return;
                }
                sleep(Duration::from_millis(100)).await;
            }
            None => return,
        }
    }
}

async fn open(client: &Client, options: &ConsumerOptions, partition: u16) -> anyhow::Result<pull::Stream> {
    let context = jetstream::new(client.clone());
    let config = config(options, partition);
    let consumer: PullConsumer = match context.create_consumer_on_stream(config.clone(), streams::COMMANDS).await {
        Ok(consumer) => consumer,
        Err(_) => {
            // The queue may be gone (or never have been): make it and try once more.
            streams::ensure(client, &options.streams).await?;
            context.create_consumer_on_stream(config, streams::COMMANDS).await?
        }
    };
    let renew = options.pin_timeout.mul_f64(0.4);
    Ok(consumer
        .stream()
        .group(PIN_GROUP)
        .max_messages_per_batch(options.max_pending_per_partition)
        .expires(renew)
        .heartbeat(renew / 2)
        .messages()
        .await?)
}

fn config(options: &ConsumerOptions, partition: u16) -> pull::Config {
    pull::Config {
        durable_name: Some(consumer_name(options, partition)),
        filter_subject: format!("cmd.{partition:02}.>"),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: options.ack_wait,
        // Attempts are counted by us: a limit here would strand a command whose burial failed.
        max_deliver: -1,
        max_ack_pending: i64::try_from(options.max_pending_per_partition).unwrap_or(i64::MAX),
        priority_policy: PriorityPolicy::PinnedClient,
        priority_groups: vec![PIN_GROUP.into()],
        priority_timeout: options.pin_timeout,
        num_replicas: options.streams.replicas,
        ..pull::Config::default()
    }
}

fn consumer_name(options: &ConsumerOptions, partition: u16) -> String {
    format!("{}-{partition:02}", options.group)
}

async fn let_go(
    client: &Client,
    options: &ConsumerOptions,
    partition: u16,
    mut messages: pull::Stream,
    work: &Arc<Work>,
) {
    if !work.stopping() {
        sleep(LET_THE_NEXT_QUEUE).await;
    }
    let unpin = async {
        let stream = jetstream::new(client.clone()).get_stream_no_info(streams::COMMANDS).await?;
        stream.unpin_consumer(&consumer_name(options, partition), PIN_GROUP).await.map_err(anyhow::Error::from)
    };
    if let Ok(Err(error)) = timeout(Duration::from_secs(2), unpin).await {
        tracing::debug!(partition, %error, "not unpinned; the pin runs out by itself");
    }
    let until = tokio::time::Instant::now() + UNDER_WAY;
    while let Ok(Some(message)) = tokio::time::timeout_at(until, messages.next()).await {
        match message {
            Ok(message) if work.stopping() => work.give_back(&message).await,
            Ok(message) => work.submit(message),
            Err(_) => break,
        }
    }
}
