//! The job that answers: one run, from `reply_requested` to its ending.
//!
//! Promise: every run gets exactly one ending and at most one charge. After a death the next attempt begins again, or ends
//! the run as stopped where the operator chose that.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_nats::Client;
use async_trait::async_trait;
use domain::{
    Decider as _, RunId, SessionId,
    chat::{Session, SessionEvent, transcript},
};
use metering::{Catalogue, Meter};
use nats::{CommandClient, LoggedEvent};
use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Left};
use crate::{
    jobs::{Job, JobEnd, Lease, Worker},
    reactor::{Intent, Reactor},
    store::PgEventStore,
};

/// The kind of the job, and in `key` its run.
pub const REPLY_JOB: &str = "chat.reply";

/// What the operator wants done with a reply whose process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterDeath {
    /// A new attempt begins again; the lost one is on the house.
    #[default]
    Again,
    /// The run ends as stopped.
    Interrupted,
}

/// Turns requests into jobs, and requests to stop into cancellations.
pub struct ReplyReactor;

#[derive(Debug, Serialize, Deserialize)]
struct ReplyJob {
    session_id: SessionId,
    run_id: RunId,
}

impl Reactor for ReplyReactor {
    fn name(&self) -> &'static str {
        "reaction-chat-reply"
    }

    fn react(&self, event: &LoggedEvent) -> anyhow::Result<Option<Intent>> {
        if event.aggregate_type != Session::TYPE {
            return Ok(None);
        }
        let run = |kind: &str| -> anyhow::Result<RunId> {
            serde_json::from_value(event.tree()?[kind]["run_id"].take())
                .with_context(|| format!("{kind} at position {} has no run", event.position))
        };
        match event.event_type.as_str() {
            "session.reply_requested" => {
                let run_id = run("reply_requested")?;
                let job = ReplyJob { session_id: event.aggregate_id.parse()?, run_id };
                let payload = serde_json::to_value(job)?;
                Ok(Some(Intent::Enqueue { kind: REPLY_JOB, key: run_id.to_string(), payload }))
            }
            "session.stop_requested" => {
                Ok(Some(Intent::Cancel { kind: REPLY_JOB, key: run("stop_requested")?.to_string() }))
            }
            _ => Ok(None),
        }
    }
}

/// Limits of the job.
#[derive(Debug, Clone)]
pub struct ReplyOptions {
    pub after_death: AfterDeath,
    /// Leases after which the run is ended as failed.
    pub max_attempts: i32,
    /// Output tokens of one reply, at most; the model's own bound if absent.
    pub max_output_tokens: Option<u32>,
}

impl Default for ReplyOptions {
    fn default() -> Self {
        Self { after_death: AfterDeath::Again, max_attempts: 5, max_output_tokens: None }
    }
}

/// Answers.
pub struct ReplyWorker {
    pub(super) store: PgEventStore,
    pub(super) commands: CommandClient,
    pub(super) client: Client,
    pub(super) catalogue: Catalogue,
    pub(super) meter: Meter,
    pub(super) options: ReplyOptions,
}

#[async_trait]
impl Worker for ReplyWorker {
    fn kind(&self) -> &'static str {
        REPLY_JOB
    }

    #[tracing::instrument(skip_all, fields(run = job.key, attempt = job.attempt))]
    async fn work(&self, job: &Job, lease: &Lease) -> JobEnd {
        let Ok(ReplyJob { session_id, run_id }) = serde_json::from_value(job.payload.clone()) else {
            return JobEnd::Dead { error: "the payload names no run".to_owned() };
        };
        let events = match self.store.events::<Session>(&session_id.to_string()).await {
            Ok(events) => events,
            Err(error) => return JobEnd::Retry { error: error.to_string(), after: Duration::from_secs(1) },
        };
        let events: Vec<SessionEvent> = events.into_iter().map(|event| event.payload).collect();
        let Some(transcript) = transcript(&events, run_id) else {
            return JobEnd::Dead { error: "the session knows no such run".to_owned() };
        };
        let attempt = Attempt { worker: self, session_id, run_id, number: job.attempt.unsigned_abs(), lease };
        let owner = transcript.owner;
        let error = match attempt.run(transcript).await {
            Ok(()) | Err(Left::Abandoned) => return JobEnd::Done,
            Err(Left::Broken(error)) => error,
        };
        if job.attempt <= self.options.max_attempts {
            return JobEnd::Retry { error, after: Duration::from_secs(1) };
        }
        // The run must not stay open for ever because its ending cannot be stored: it ends without its text.
        match attempt.give_up(owner).await {
            Ok(()) | Err(Left::Abandoned) => JobEnd::Done,
            Err(Left::Broken(_)) => JobEnd::Dead { error },
        }
    }
}

impl ReplyWorker {
    #[must_use]
    pub fn new(
        store: PgEventStore,
        commands: CommandClient,
        client: Client,
        (catalogue, meter): (Catalogue, Meter),
        options: ReplyOptions,
    ) -> Self {
        Self { store, commands, client, catalogue, meter, options }
    }

    /// This worker among those of [`crate::jobs::run_jobs`].
    #[must_use]
    pub fn shared(self) -> Arc<dyn Worker> {
        Arc::new(self)
    }
}
