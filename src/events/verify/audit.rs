//! The walk through the log and the stream beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use async_nats::Client;
use nats::{Capabilities, Envelope, LogFault, LogFilter, LogReader, StreamAudit, last_position, last_streamed};
use serde::Serialize;
use sqlx::PgPool;
use vault::{Place, Vault, VaultError};

use super::findings::{Finding, Findings, Kind};
use super::storage::{without_position, without_predecessor};
use crate::console;
use crate::events::PAGE;
use crate::events::decode::Decoders;

/// How often a long look says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// What was looked at, and what it came to.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) from: i64,
    /// The last position that was looked at.
    pub(crate) to: i64,
    pub(crate) events: u64,
    /// Messages of EVENTS that were compared.
    pub(crate) messages: u64,
    pub(crate) findings: u64,
    pub(crate) by_kind: BTreeMap<Kind, u64>,
    /// Why EVENTS, or a part of it, was not compared although it was asked for.
    pub(crate) not_compared: Option<String>,
}

/// The stream as far as it can be looked at.
enum Stream {
    NotAsked,
    Open(Box<StreamAudit>),
    Lost(String, u64),
}

pub(super) struct Audit {
    pool: PgPool,
    vault: Vault,
    capabilities: Capabilities,
    decoders: Decoders,
    bus: Option<Result<Client, String>>,
}

impl Audit {
    /// `bus`: not at all, or the client, or why there is none.
    pub(super) fn new(
        pool: PgPool,
        vault: Vault,
        capabilities: Capabilities,
        bus: Option<Result<Client, String>>,
    ) -> Self {
        Self { pool, vault, capabilities, decoders: Decoders::new(), bus }
    }

    pub(super) async fn run(&self, from: i64, to: Option<i64>, findings: &mut Findings<'_>) -> anyhow::Result<Summary> {
        // What comes later is not looked at: nobody would ever be done.
        let end = last_position(&self.pool).await?.min(to.unwrap_or(i64::MAX));
        let mut stream = self.open_stream(from, end).await;
        let (filter, capabilities) = (LogFilter::default(), self.capabilities.clone());
        let mut reader = LogReader::new(self.pool.clone(), capabilities, filter, from - 1, end);
        let (mut events, mut told) = (0, Instant::now());
        loop {
            let page = reader.next_page(PAGE).await?;
            let mut found: Vec<Finding> = page.faults.iter().map(of_log).collect();
            found.extend(without_predecessor(&self.pool, &page.envelopes).await?);
            for envelope in &page.envelopes {
                found.extend(self.check(envelope).await?);
                found.extend(compare(&mut stream, envelope).await);
            }
            findings.add(found);
            events += page.envelopes.len() as u64;
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                console(&format!("{events} events are verified, up to position {} of {end}", reader.position()));
            }
            if page.is_end {
                break;
            }
        }
        findings.add(self.look_beyond(&mut stream, end).await?);
        if to.is_none() {
            findings.add(without_position(&self.pool).await?);
        }
        let (messages, not_compared) = match stream {
            Stream::NotAsked => (0, None),
            Stream::Open(stream) => (stream.compared(), None),
            Stream::Lost(why, compared) => (compared, Some(why)),
        };
        let (findings, by_kind) = (findings.count(), findings.by_kind());
        Ok(Summary { from, to: end, events, messages, findings, by_kind, not_compared })
    }

    async fn open_stream(&self, from: i64, end: i64) -> Stream {
        let client = match &self.bus {
            None => return Stream::NotAsked,
            Some(Err(why)) => return Stream::Lost(why.clone(), 0),
            Some(Ok(client)) => client,
        };
        match StreamAudit::open(client, from, end).await {
            Ok(Some(audit)) => Stream::Open(Box::new(audit)),
            Ok(None) => Stream::Lost("there is no stream EVENTS".to_owned(), 0),
            Err(error) => Stream::Lost(error.to_string(), 0),
        }
    }

    /// What is left in the stream, within the range and beyond the whole log.
    async fn look_beyond(&self, stream: &mut Stream, end: i64) -> anyhow::Result<Vec<Finding>> {
        let Stream::Open(audit) = stream else { return Ok(vec![]) };
        let rest = match audit.pass(end.saturating_add(1)).await {
            Ok(rest) => rest,
            Err(error) => {
                *stream = Stream::Lost(error.to_string(), audit.compared());
                return Ok(vec![]);
            }
        };
        let mut found: Vec<Finding> = rest.iter().map(|(position, fault)| of_stream(*position, None, fault)).collect();
        let Some(Ok(client)) = &self.bus else { return Ok(found) };
        // In this order: what is published was in the log before. An epoch begins above the end of the log.
        let streamed = last_streamed(client).await.ok().flatten().unwrap_or(0);
        let first: Option<i64> =
            sqlx::query_scalar("SELECT max(first_position) FROM publication_epochs").fetch_one(&self.pool).await?;
        let last = last_position(&self.pool).await?.max(first.unwrap_or(1) - 1);
        if streamed > last {
            let what = format!("EVENTS goes up to here, the log only up to {last}: was the database restored?");
            found.push(Finding { position: Some(streamed), event: None, kind: Kind::Stream, what });
        }
        Ok(found)
    }

    /// What is wrong with one event by itself.
    async fn check(&self, envelope: &Envelope) -> anyhow::Result<Vec<Finding>> {
        let name = envelope.event_ref();
        let finding =
            |kind, what: String| Finding { position: Some(envelope.position()), event: Some(name.clone()), kind, what };
        let event = envelope.event();
        let Ok(mut opened) = event.tree() else {
            return Ok(vec![finding(Kind::Undecodable, "the payload is not JSON".to_owned())]);
        };
        let mut found = Vec::new();
        let place = Place {
            aggregate_type: &event.aggregate_type,
            aggregate_id: &event.aggregate_id,
            sequence: event.sequence,
        };
        match self.vault.unseal(&place, &mut opened).await {
            Ok(()) if self.decoders.know(&event, opened) => {}
            Ok(()) => found.push(finding(
                Kind::Undecodable,
                format!("{} version {} is not known to this release", event.event_type, event.event_version),
            )),
            Err(VaultError::Damaged { path }) => {
                found.push(finding(Kind::Sealed, format!("the personal field {path} does not open")));
            }
            Err(error) => return Err(error.into()),
        }
        let metadata = &event.metadata;
        let required = [
            ("command_id", &metadata.command_id),
            ("actor", &metadata.actor),
            ("tenant", &metadata.tenant),
            ("correlation_id", &metadata.correlation_id),
        ];
        let missing = required.iter().filter(|(_, value)| value.as_ref().is_none_or(String::is_empty));
        let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
        if !missing.is_empty() {
            found.push(finding(Kind::Metadata, format!("its metadata has no {}", missing.join(", no "))));
        }
        Ok(found)
    }
}

async fn compare(stream: &mut Stream, envelope: &Envelope) -> Vec<Finding> {
    let Stream::Open(audit) = stream else { return vec![] };
    match audit.compare(envelope).await {
        Ok(faults) => faults.iter().map(|(position, fault)| of_stream(*position, Some(envelope), fault)).collect(),
        Err(error) => {
            *stream = Stream::Lost(error.to_string(), audit.compared());
            vec![]
        }
    }
}

fn of_stream(position: i64, envelope: Option<&Envelope>, fault: &nats::StreamFault) -> Finding {
    let event = envelope.filter(|envelope| envelope.position() == position).map(Envelope::event_ref);
    Finding { position: Some(position), event, kind: Kind::Stream, what: fault.to_string() }
}

fn of_log(fault: &LogFault) -> Finding {
    let (position, event, kind) = match fault {
        LogFault::Gap { found, .. } => (*found, None, Kind::Gap),
        LogFault::NoEvent { position, event } => (*position, Some(event.clone()), Kind::NoEvent),
        LogFault::UnknownAggregate { position, .. } => (*position, None, Kind::Undecodable),
    };
    Finding { position: Some(position), event, kind, what: fault.to_string() }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, events, messages, findings, .. } = self;
        let result = match findings {
            0 => "nothing is wrong".to_owned(),
            1 => "1 finding".to_owned(),
            many => format!("{many} findings"),
        };
        write!(f, "{events} events from position {from} to {to}, {messages} of them compared with EVENTS: {result}.")?;
        for (kind, count) in &self.by_kind {
            write!(f, "\n  {}: {count}", serde_json::to_value(kind).unwrap_or_default().as_str().unwrap_or_default())?;
        }
        if let Some(why) = &self.not_compared {
            write!(f, "\nNot everything in EVENTS was compared: {why}")?;
        }
        Ok(())
    }
}
