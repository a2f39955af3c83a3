//! The end of kept responses whose maker died.
//!
//! Promise: a response that is kept has an ending, whoever dies. Whoever makes one holds credit under the response's own
//! id, so the end of that hold without a settlement means that nobody makes it any more; and each has an appointment for
//! when even the longest answer is over. The aggregate decides: what has ended needs nothing, and an end that is told
//! late still counts.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Decider as _,
    billing::Wallet,
    relay::{Response, ResponseCommand},
};
use nats::{CommandClient, CommandMessage, LoggedEvent, Outcome, Sent};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    jobs::{Job, JobEnd, Lease, Worker},
    reactor::{Intent, Reactor},
};

/// The kind of the job, and in `key` its response.
pub const ABANDON_RESPONSE_JOB: &str = "relay.abandon_response";

/// No answer takes longer: half an hour is the longest that an upstream is read (`relay/src/http/`), and its end is
/// written within moments.
const LONGEST: TimeDelta = TimeDelta::minutes(35);
const WAIT: Duration = Duration::from_secs(5);
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// What is read of `response.created`.
#[derive(Deserialize)]
struct Created {
    created: CreatedAt,
}

#[derive(Deserialize)]
struct CreatedAt {
    at: DateTime<Utc>,
}

/// What is read of `wallet.expired`.
#[derive(Deserialize)]
struct Expired {
    expired: Hold,
}

#[derive(Deserialize)]
struct Hold {
    hold_id: String,
}

/// Makes and withdraws the appointments.
pub struct UnfinishedReactor;

impl Reactor for UnfinishedReactor {
    fn name(&self) -> &'static str {
        "reaction-relay-unfinished"
    }

    fn react(&self, event: &LoggedEvent) -> anyhow::Result<Option<Intent>> {
        let (kind, payload) = (ABANDON_RESPONSE_JOB, Value::Null);
        let key = event.aggregate_id.clone();
        match event.event_type.as_str() {
            "response.created" => {
                let Created { created: CreatedAt { at } } = event
                    .payload
                    .read()
                    .with_context(|| format!("the response at position {} has no time", event.position))?;
                Ok(Some(Intent::Schedule { kind, key, payload, at: at + LONGEST }))
            }
            "response.completed" | "response.failed" | "response.cancelled" | "response.deleted" => {
                Ok(Some(Intent::Withdraw { kind, key }))
            }
            // Most holds are no response's; the bus knows.
            "wallet.expired" if event.aggregate_type == Wallet::TYPE => {
                let Expired { expired: Hold { hold_id } } = event
                    .payload
                    .read()
                    .with_context(|| format!("the event at position {} names no hold", event.position))?;
                Ok(Some(Intent::Enqueue { kind, key: hold_id, payload }))
            }
            _ => Ok(None),
        }
    }
}

/// Keeps the appointments.
pub struct UnfinishedWorker {
    commands: CommandClient,
}

impl UnfinishedWorker {
    #[must_use]
    pub const fn new(commands: CommandClient) -> Self {
        Self { commands }
    }

    /// This worker among those of [`crate::jobs::run_jobs`].
    #[must_use]
    pub fn shared(self) -> Arc<dyn Worker> {
        Arc::new(self)
    }
}

fn message(job: &Job) -> anyhow::Result<CommandMessage> {
    let response: Uuid = job.key.parse()?;
    let name = format!("abandon:{}", job.id);
    Ok(CommandMessage {
        command_id: Uuid::new_v5(&response, name.as_bytes()),
        correlation_id: response,
        fingerprint: Some(name),
        ..CommandMessage::new(
            (Response::CAPABILITY, Response::TYPE, "abandon_response"),
            response,
            "worker:relay-unfinished",
            serde_json::to_value(ResponseCommand::AbandonResponse { at: Utc::now() })?,
        )
    })
}

#[async_trait]
impl Worker for UnfinishedWorker {
    fn kind(&self) -> &'static str {
        ABANDON_RESPONSE_JOB
    }

    async fn work(&self, job: &Job, lease: &Lease) -> JobEnd {
        let message = match message(job) {
            Ok(message) => message,
            Err(error) => return JobEnd::Dead { error: error.to_string() },
        };
        let sent = tokio::select! {
            () = lease.lost.cancelled() => return JobEnd::Later { after: AFTER_FAILURE },
            sent = self.commands.send(message, WAIT) => sent,
        };
        match sent {
            Ok(Sent::Outcome(Outcome::Done { events, .. })) => {
                if !events.is_empty() {
                    tracing::warn!(response = job.key, "a response was abandoned: its maker was not heard of again");
                }
                JobEnd::Done
            }
            // The hold was another call's, or of a response that never began.
            Ok(Sent::Outcome(Outcome::Refused { code, .. })) if code == "response_not_found" => JobEnd::Done,
            Ok(Sent::Outcome(outcome)) => JobEnd::Dead { error: format!("the end came to {outcome:?}") },
            Ok(Sent::Pending) => JobEnd::Later { after: AFTER_FAILURE },
            Err(error) => JobEnd::Retry { error: error.to_string(), after: AFTER_FAILURE },
        }
    }
}

#[cfg(test)]
mod tests {
    use nats::Metadata;

    use super::*;

    const ID: &str = "0197a0c0-0000-7000-8000-000000000014";

    /// The frozen event of this name, as it lies in the log.
    fn react(name: &str) -> Option<Intent> {
        let path = format!("{}/../domain/tests/wire/{name}.v1.json", env!("CARGO_MANIFEST_DIR"));
        let event = LoggedEvent {
            epoch: 1,
            position: 7,
            aggregate_type: name.split('.').next().unwrap_or_default().to_owned(),
            aggregate_id: ID.to_owned(),
            sequence: 1,
            event_type: name.to_owned(),
            event_version: "1".to_owned(),
            payload: nats::Body::read_from(std::fs::read(path).unwrap()).unwrap(),
            metadata: Metadata::default(),
            recorded_at: DateTime::UNIX_EPOCH,
            tenant: String::new(),
        };
        UnfinishedReactor.react(&event).unwrap()
    }

    #[test]
    fn a_response_has_an_appointment_for_after_the_longest_answer_until_it_ends() {
        let Some(Intent::Schedule { key, at, .. }) = react("response.created") else { panic!("no appointment") };
        assert_eq!((key.as_str(), at.to_rfc3339().as_str()), (ID, "2026-11-22T10:35:00+00:00"));
        for end in ["response.completed", "response.failed", "response.cancelled", "response.deleted"] {
            let withdrawn = Intent::Withdraw { kind: ABANDON_RESPONSE_JOB, key: ID.to_owned() };
            assert_eq!(react(end), Some(withdrawn), "{end}");
        }
        assert_eq!(react("response.abandoned"), None);
    }

    #[test]
    fn a_hold_that_expired_asks_at_once_whether_it_was_a_responses() {
        let Some(Intent::Enqueue { key, payload, .. }) = react("wallet.expired") else { panic!("no job") };
        assert!(key.parse::<Uuid>().is_ok() && payload.is_null(), "{key}");
        assert_eq!(react("wallet.charged"), None);
    }
}
