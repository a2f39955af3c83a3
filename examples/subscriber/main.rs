//! An example of a program that follows events: it adds up what every wallet was charged, and can prove that it missed
//! nothing. Take it as a pattern; docs/SUBSCRIBING.md explains it.
//!
//! ```text
//! NATS_URL=nats://subscriber:password@127.0.0.1:4222 NATS_API_PREFIX=oblivious.API subscriber books.json
//! oblivious events tail --capability billing --from 1 | subscriber books.json --import
//! ```
//!
//! The place in the stream is kept beside the result, in one file, and only afterwards are messages acknowledged. So a
//! crash at any moment, a message that comes twice, a consumer or a whole stream that is gone change nothing. A message
//! that is really missing ends the program with what to do.

mod books;

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, Message};
use async_nats::{ConnectOptions, HeaderValue, ServerAddr};
use books::{Books, Counted, Event, Stop};
use futures::StreamExt as _;

const STREAM: &str = "EVENTS";
const FILTER: &str = "evt.billing.>";
/// Messages that are counted and saved together.
const BATCH: usize = 200;
const WAIT: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    eprintln!("subscriber: {error:#}");
    ExitCode::FAILURE
}

async fn run() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = PathBuf::from(arguments.next().context("say which file keeps the result: subscriber books.json")?);
    if arguments.next().as_deref() == Some("--import") {
        return import(&file);
    }
    let name = std::env::var("SUBSCRIBER_NAME").unwrap_or_else(|_| "subscriber".to_owned());
    let url = std::env::var("NATS_URL").context("NATS_URL is not set")?;
    let events = Events { context: connect(&url, &name).await?, name };
    follow(&events, &file).await
}

/// Counts events from the log, one JSON object a line.
fn import(file: &Path) -> anyhow::Result<()> {
    let mut books = Books::open(file)?;
    for line in std::io::stdin().lock().lines() {
        books.count(&serde_json::from_str(&line?).context("a line is not an event")?)?;
    }
    books.save(file)?;
    eprintln!("up to position {}", books.position);
    Ok(())
}

/// Counts whatever comes, for ever.
async fn follow(events: &Events, file: &Path) -> anyhow::Result<()> {
    let mut books = Books::open(file)?;
    let mut consumer = events.consumer(&books).await;
    // A gap may be that of the consumer: it is made again once, exactly behind the last event that was counted.
    let mut made_for = None;
    loop {
        let messages = events.next(&consumer).await;
        if messages.is_empty() && !events.is_there(&consumer).await {
            consumer = events.consumer(&books).await;
            continue;
        }
        let before = books.position;
        let counted = messages.iter().try_for_each(|message| match books.count(&read(message)?) {
            Ok(Counted::Now | Counted::Before) => Ok(()),
            Err(stop) => Err(anyhow::Error::from(stop)),
        });
        // First the result, then the acknowledgement: what is acknowledged never comes again.
        if books.position > before {
            books.save(file)?;
        }
        match counted {
            Ok(()) => {
                for message in &messages {
                    // Not acknowledged: it comes again, and is known.
                    let _ = message.ack().await;
                }
            }
            Err(stop) if is_gap(&stop) && made_for != Some(books.position) => {
                made_for = Some(books.position);
                events.forget().await;
                consumer = events.consumer(&books).await;
            }
            Err(stop) => return Err(stop),
        }
    }
}

fn is_gap(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Stop::Missed { .. }))
}

fn read(message: &Message) -> anyhow::Result<Event> {
    let headers = message.headers.as_ref().context("a message without headers")?;
    let text = |name: &str| headers.get(name).map(HeaderValue::as_str).with_context(|| format!("no header {name}"));
    let number = |name: &str| -> anyhow::Result<i64> {
        text(name)?.parse().with_context(|| format!("header {name} is no number"))
    };
    let aggregate = text("Aggregate")?;
    Ok(Event {
        epoch: number("Epoch")?,
        position: number("Position")?,
        prev: number("Prev")?,
        event_type: text("Type")?.to_owned(),
        aggregate_id: aggregate.split_once(':').map_or(aggregate, |(_, id)| id).to_owned(),
        payload: serde_json::from_slice(&message.payload).context("a payload is not JSON")?,
    })
}

/// The stream as it is granted to this program.
struct Events {
    context: jetstream::Context,
    name: String,
}

impl Events {
    /// The durable consumer: the one that is there, else a new one behind the last counted event. Waits for the stream.
    async fn consumer(&self, books: &Books) -> PullConsumer {
        loop {
            match self.context.get_consumer_from_stream(&self.name, STREAM).await {
                Ok(consumer) => return consumer,
                Err(_) => match self.context.create_consumer_on_stream(self.config(books.position), STREAM).await {
                    Ok(consumer) => return consumer,
                    Err(error) => eprintln!("waiting for the stream: {error}"),
                },
            }
            tokio::time::sleep(WAIT).await;
        }
    }

    fn config(&self, position: i64) -> pull::Config {
        pull::Config {
            durable_name: Some(self.name.clone()),
            filter_subject: FILTER.to_owned(),
            // Stream sequence = position.
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: position.unsigned_abs() + 1 },
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(30),
            ..pull::Config::default()
        }
    }

    /// Messages that are there, in order; none after a while, or when something is wrong with the consumer.
    async fn next(&self, consumer: &PullConsumer) -> Vec<Message> {
        let Ok(batch) = consumer.batch().max_messages(BATCH).expires(WAIT).messages().await else {
            tokio::time::sleep(WAIT).await;
            return Vec::new();
        };
        let mut messages: Vec<Message> = batch.filter_map(async |message| message.ok()).collect().await;
        // One that comes again may come after later ones.
        messages.sort_by_key(|message| message.info().map_or(u64::MAX, |info| info.stream_sequence));
        messages
    }

    /// Whether the consumer still exists: it goes with its stream.
    async fn is_there(&self, consumer: &PullConsumer) -> bool {
        consumer.get_info().await.is_ok()
    }

    async fn forget(&self) {
        // If it is gone already, so much the better.
        let _ = self.context.delete_consumer_from_stream(&self.name, STREAM).await;
    }
}

/// With the user and password of the URL; inboxes begin with the user's own name, others it may not hear.
async fn connect(url: &str, name: &str) -> anyhow::Result<jetstream::Context> {
    let server: ServerAddr = url.parse().ok().context("NATS_URL is not a nats:// URL")?;
    let mut options = ConnectOptions::new().name(name).custom_inbox_prefix(format!("_INBOX_{name}"));
    match (server.username(), server.password()) {
        (Some(user), Some(password)) => options = options.user_and_password(user.to_owned(), password.to_owned()),
        (Some(token), None) => options = options.token(token.to_owned()),
        _ => {}
    }
    let Ok(client) = options.connect(server).await else { bail!("NATS does not answer, or refuses the password") };
    let prefix = std::env::var("NATS_API_PREFIX").unwrap_or_else(|_| "$JS.API".to_owned());
    Ok(jetstream::with_prefix(client, &prefix))
}
