//! The job that answers: one run, from `reply_requested` to its ending.
//!
//! Promise: every run gets exactly one ending. An attempt announces itself (`StartReply`) before it speaks, so from then
//! on the aggregate refuses whatever a former attempt still sends. A closed browser changes nothing; a stop keeps what
//! was said; after a death the next attempt begins again, or ends the run as stopped where the operator chose that.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_nats::Client;
use async_trait::async_trait;
use chrono::Utc;
use domain::{
    Decider as _, RunId, Sealed, SessionId, UserId,
    chat::{Author, Finish, Session, SessionCommand, SessionEvent, Transcript, Usage, transcript},
};
use nats::{CommandClient, CommandMessage, LiveError, LoggedEvent, Outcome, Sent};
use relay::{Catalogue, ChatRequest, Role, Turn};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    answer::{Ended, write_answer},
    text::{Address, Done, LiveText},
};
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
            serde_json::from_value(event.payload[kind]["run_id"].clone())
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
    store: PgEventStore,
    commands: CommandClient,
    client: Client,
    catalogue: Catalogue,
    options: ReplyOptions,
}

/// Why an attempt ends without having ended the run.
enum Left {
    /// Somebody else has the run, or it is over: nothing more to do here.
    Abandoned,
    /// Its ending was not taken; another attempt may do better.
    Broken(String),
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
        match attempt.run(transcript).await {
            Ok(()) | Err(Left::Abandoned) => JobEnd::Done,
            Err(Left::Broken(error)) if job.attempt > self.options.max_attempts => JobEnd::Dead { error },
            Err(Left::Broken(error)) => JobEnd::Retry { error, after: Duration::from_secs(1) },
        }
    }
}

impl ReplyWorker {
    #[must_use]
    pub const fn new(
        store: PgEventStore,
        commands: CommandClient,
        client: Client,
        catalogue: Catalogue,
        options: ReplyOptions,
    ) -> Self {
        Self { store, commands, client, catalogue, options }
    }

    /// This worker among those of [`crate::jobs::run_jobs`].
    #[must_use]
    pub fn shared(self) -> Arc<dyn Worker> {
        Arc::new(self)
    }
}

/// One lease on one run.
struct Attempt<'w> {
    worker: &'w ReplyWorker,
    session_id: SessionId,
    run_id: RunId,
    number: u32,
    lease: &'w Lease,
}

/// How a run ends, in the words of the aggregate.
enum Ending {
    Completed { finish: Finish, usage: Option<Usage> },
    Failed { code: String, message: String },
}

impl Attempt<'_> {
    async fn run(&self, transcript: Transcript) -> Result<(), Left> {
        let started = SessionCommand::StartReply { run_id: self.run_id, attempt: self.number, at: Utc::now() };
        self.command("start_reply", &started).await?;
        let address = Address {
            user: transcript.owner.uuid(),
            session: self.session_id.uuid(),
            run: self.run_id.uuid(),
            message: transcript.reply_id.uuid(),
            attempt: i32::try_from(self.number).unwrap_or(i32::MAX),
        };
        let mut live = LiveText::new(self.worker.client.clone(), address);
        if live.open().await.is_err() {
            return Err(Left::Abandoned);
        }
        let owner = transcript.owner;
        let ending = self.ending(transcript, &mut live).await?;
        self.finish(owner, ending, live).await
    }

    async fn ending(&self, transcript: Transcript, live: &mut LiveText) -> Result<Ending, Left> {
        let options = &self.worker.options;
        let stopped = Ending::Completed { finish: Finish::Stopped, usage: None };
        if self.lease.stop.is_cancelled() || (self.number > 1 && options.after_death == AfterDeath::Interrupted) {
            return Ok(stopped);
        }
        if self.number > options.max_attempts.unsigned_abs() {
            return Ok(Ending::Failed {
                code: "worker_failed".to_owned(),
                message: format!("{} attempts at this answer were lost", options.max_attempts),
            });
        }
        let stop = self.lease.stop.child_token();
        let hear_stop = self.hear_stop(stop.clone());
        let answer = write_answer(&self.worker.catalogue, self.request(transcript), live, self.lease, &stop);
        let ended = tokio::select! {
            ended = answer => ended,
            never = hear_stop => match never {},
        };
        match ended {
            Ended::Abandoned => Err(Left::Abandoned),
            Ended::Failed(error) => {
                tracing::info!(run = %self.run_id, code = error.code(), %error, "a reply failed");
                Ok(Ending::Failed { code: error.code().to_owned(), message: error.to_string() })
            }
            Ended::Finished { finish: relay::Finish::ContentFilter, .. } => Ok(Ending::Failed {
                code: "content_filtered".to_owned(),
                message: "the model provider withheld the rest of the answer".to_owned(),
            }),
            Ended::Finished { finish, usage } => {
                let finish = match finish {
                    relay::Finish::Length => Finish::Length,
                    relay::Finish::Cancelled => Finish::Stopped,
                    relay::Finish::Stop | relay::Finish::Other(_) | relay::Finish::ContentFilter => Finish::Stop,
                };
                Ok(Ending::Completed { finish, usage: usage.map(usage_fact) })
            }
        }
    }

    /// A hint over the bus stops at once; the cancelled lease does so within a renewal at the latest.
    async fn hear_stop(&self, stop: tokio_util::sync::CancellationToken) -> std::convert::Infallible {
        use futures::StreamExt as _;
        let run = self.run_id.uuid();
        if let Ok(stops) = nats::live::subscribe_stops(&self.worker.client).await
            && std::pin::pin!(stops.filter(|stopped| std::future::ready(*stopped == run))).next().await.is_some()
        {
            stop.cancel();
        }
        std::future::pending().await
    }

    fn request(&self, transcript: Transcript) -> ChatRequest {
        let turn = |turn: domain::chat::Turn| Turn {
            role: match turn.author {
                Author::User => Role::User,
                Author::Assistant => Role::Assistant,
            },
            content: turn.text,
        };
        ChatRequest {
            model: transcript.model,
            turns: transcript.turns.into_iter().map(turn).collect(),
            max_output_tokens: self.worker.options.max_output_tokens,
            temperature: None,
            user_tag: None,
        }
    }

    async fn finish(&self, owner: UserId, ending: Ending, mut live: LiveText) -> Result<(), Left> {
        let (run_id, attempt, at) = (self.run_id, self.number, Utc::now());
        let sealed = |text: &str| Sealed::new(owner, text.to_owned());
        let content = sealed(live.as_str());
        let (verb, command, done) = match ending {
            Ending::Completed { finish, usage } => {
                let (status, finish_reason) = match finish {
                    Finish::Stop => ("complete", "stop"),
                    Finish::Length => ("complete", "length"),
                    Finish::Stopped => ("stopped", "stopped"),
                };
                let done = Done {
                    status,
                    finish_reason,
                    error: None,
                    usage: usage.as_ref().and_then(|usage| serde_json::to_value(usage).ok()),
                };
                ("complete_reply", SessionCommand::CompleteReply { run_id, attempt, content, finish, usage, at }, done)
            }
            Ending::Failed { code, message } => {
                let done = Done {
                    status: "failed",
                    finish_reason: "error",
                    error: Some(LiveError { code: code.clone(), message: message.clone() }),
                    usage: None,
                };
                let message = sealed(&message);
                ("fail_reply", SessionCommand::FailReply { run_id, attempt, content, code, message, at }, done)
            }
        };
        self.command(verb, &command).await?;
        live.done(done).await;
        Ok(())
    }

    /// Sends until the command came to something: the lease is renewed meanwhile, and the text is only in our memory.
    async fn command(&self, verb: &str, command: &SessionCommand) -> Result<(), Left> {
        let Ok(body) = serde_json::to_value(command) else { return Err(Left::Abandoned) };
        let name = format!("{}:{}:{verb}", self.run_id, self.number);
        let message = CommandMessage {
            command_id: Uuid::new_v5(&self.run_id.uuid(), name.as_bytes()),
            capability: Session::CAPABILITY.to_owned(),
            aggregate: Session::TYPE.to_owned(),
            verb: verb.to_owned(),
            aggregate_id: self.session_id.to_string(),
            actor: "worker:chat-reply".to_owned(),
            tenant: "default".to_owned(),
            correlation_id: self.run_id.uuid(),
            causation_id: None,
            deadline: None,
            traceparent: None,
            fingerprint: Some(name),
            body,
        };
        let mut pause = Duration::from_millis(100);
        loop {
            let sent = tokio::select! {
                () = self.lease.lost.cancelled() => return Err(Left::Abandoned),
                sent = self.worker.commands.send(message.clone(), Duration::from_secs(5)) => sent,
            };
            match sent {
                Ok(Sent::Outcome(Outcome::Done { .. })) => return Ok(()),
                Ok(Sent::Outcome(Outcome::Refused { code, .. })) if code != "event_too_large" => {
                    tracing::info!(run = %self.run_id, attempt = self.number, verb, code, "an attempt ends here");
                    return Err(Left::Abandoned);
                }
                Ok(Sent::Outcome(outcome)) => return Err(Left::Broken(format!("{verb} came to {outcome:?}"))),
                Ok(Sent::Pending) => {}
                Err(error) => tracing::warn!(run = %self.run_id, verb, %error, "a command waits for the bus"),
            }
            tokio::select! {
                () = self.lease.lost.cancelled() => return Err(Left::Abandoned),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
            }
        }
    }
}

fn usage_fact(usage: relay::Usage) -> Usage {
    let basis = match usage.basis {
        relay::Basis::Reported => "reported",
        relay::Basis::Counted => "counted",
        relay::Basis::Estimated => "estimated",
    };
    Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens, basis: basis.to_owned() }
}
