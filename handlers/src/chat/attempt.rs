//! One lease on one run: from its announcement to the run's ending.
//!
//! Promise: an attempt announces itself (`StartReply`) before it speaks, so from then on the aggregate refuses whatever a
//! former attempt still sends; nothing is asked of a model before credit is held; the ending and its charge are one
//! transaction. A closed browser changes nothing; a stop keeps what was said.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use domain::{
    CallId, Decider as _, HoldId, RunId, Sealed, SessionId, UserId,
    billing::{Answerer, Paid, Purpose, ReleaseReason, WalletCommand},
    chat::{Author, Finish, Session, SessionCommand, Transcript, Usage},
    relay::Surface,
};
use metering::{Begun, Call, Choices, Following, Held, Known, MeterError, Offer, PayerGroup, tokens_of};
use nats::{Body, CommandMessage, LiveError, Outcome, Sent};
use relay::{ChatRequest, RelayError, Role, Turn};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    answer::{Ended, Question, write_answer},
    reply::{AfterDeath, ReplyWorker},
    text::{Address, Done, LiveText},
};
use crate::jobs::Lease;

const ACTOR: &str = "worker:chat-reply";
/// What the aggregate says to an attempt that is not the run's any more.
const OVER: [&str; 4] = ["stale_attempt", "reply_finished", "run_not_found", "session_not_found"];

/// Why an attempt ends without having ended the run.
pub(super) enum Left {
    /// Somebody else has the run, or it is over: nothing more to do here.
    Abandoned,
    /// Its ending was not taken; another attempt may do better.
    Broken(String),
}

/// One lease on one run.
pub(super) struct Attempt<'w> {
    pub(super) worker: &'w ReplyWorker,
    pub(super) session_id: SessionId,
    pub(super) run_id: RunId,
    pub(super) number: u32,
    pub(super) lease: &'w Lease,
}

/// How a run ends, in the words of the aggregate.
enum Ending {
    Completed(Finish),
    Failed { code: String, message: String },
}

/// An ending, what was consumed on the way, and the credit that stays held until both are committed.
struct Answered {
    ending: Ending,
    usage: Option<relay::Usage>,
    /// Who answered, where it was not the one whose price was asked first.
    by: Option<Answerer>,
    held: Option<Held>,
}

impl From<Ending> for Answered {
    /// Nothing was asked of a model.
    fn from(ending: Ending) -> Self {
        Self { ending, usage: None, by: None, held: None }
    }
}

impl Attempt<'_> {
    pub(super) async fn run(&self, transcript: Transcript) -> Result<(), Left> {
        let started = SessionCommand::StartReply { run_id: self.run_id, attempt: self.number, at: Utc::now() };
        self.command("start_reply", "start_reply", &started).await?;
        let address = Address {
            user: transcript.owner.uuid(),
            session: self.session_id.uuid(),
            run: self.run_id.uuid(),
            message: transcript.reply_id.uuid(),
            attempt: i32::try_from(self.number).unwrap_or(i32::MAX),
        };
        let mut live = LiveText::new(self.worker.client.clone(), address);
        live.open().await.map_err(|_| Left::Abandoned)?;
        let (owner, answered) = (transcript.owner, self.answer(transcript, &mut live).await?);
        self.finish(owner, answered, live).await
    }

    /// Ends the run without its text, where its real ending cannot be stored.
    pub(super) async fn give_up(&self, owner: UserId) -> Result<(), Left> {
        let sealed = |text: &str| Sealed::new(owner, text.to_owned());
        let command = SessionCommand::FailReply {
            run_id: self.run_id,
            attempt: self.number,
            content: sealed(""),
            code: "worker_failed".to_owned(),
            message: sealed("the answer could not be stored"),
            at: Utc::now(),
        };
        self.command("fail_reply", "give_up", &Paid { command, payer: owner, wallet: self.settlement(None, None) })
            .await
    }

    async fn answer(&self, transcript: Transcript, live: &mut LiveText) -> Result<Answered, Left> {
        let options = &self.worker.options;
        if self.lease.stop.is_cancelled() || (self.number > 1 && options.after_death == AfterDeath::Interrupted) {
            return Ok(Ending::Completed(Finish::Stopped).into());
        }
        if self.number > options.max_attempts.unsigned_abs() {
            let message = format!("{} attempts at this answer were lost", options.max_attempts);
            return Ok(Ending::Failed { code: "worker_failed".to_owned(), message }.into());
        }
        let owner = transcript.owner;
        let mut following = self.follow(&transcript);
        let group = self.group_of(owner).await?;
        let choices = match self.worker.catalogue.choices(Some(&transcript.model), &group).await {
            Ok(choices) => choices,
            Err(error) => {
                following.names_one_of(&self.worker.catalogue);
                following.failed(&error);
                return Ok(failed(&error).into());
            }
        };
        let mut by = Arc::clone(choices.first());
        let mut request = request(&by, transcript);
        let (held, tokens) = match self.hold((owner, &group), &choices, &request).await? {
            Ok(held) => held,
            Err(ending) => {
                if let Ending::Failed { code, .. } = &ending {
                    following.refused(code);
                }
                return Ok(ending.into());
            }
        };
        following.held(&held);
        request.max_output_tokens = Some(held.max_output_tokens());
        let turns = request.turns.clone();
        let stop = self.lease.stop.child_token();
        let hear_stop = self.hear_stop(stop.clone());
        // The number of tokens may be an estimate, by which nobody is left out.
        let known = Known { affinity: Some(self.session_id.to_string()), tokens, exactly: false };
        let question = Question { router: self.worker.catalogue.router(), choices: &choices, known, request };
        let answer = write_answer(question, &mut following, &mut by, live, self.lease, &stop);
        let ended = tokio::select! {
            ended = answer => ended,
            never = hear_stop => match never {},
        };
        let (ending, usage, error) = match ended {
            Ended::Abandoned => return Err(Left::Abandoned),
            Ended::Failed(error) => {
                tracing::info!(run = %self.run_id, code = error.code(), %error, "a reply failed");
                (failed(&error), None, Some(error))
            }
            Ended::Finished { finish, usage } => {
                let stopped = (finish == relay::Finish::Cancelled).then_some(RelayError::Cancelled);
                (ending_of(&finish), usage, stopped)
            }
        };
        let usage = match usage {
            None if !live.as_str().is_empty() => estimate(&by, turns, live.as_str().to_owned()).await,
            usage => usage,
        };
        if let Some(usage) = &usage {
            following.consumed(usage);
        }
        match error {
            Some(error) => following.failed(&error),
            None => following.completed(),
        }
        let answerer = held.answerer(&by);
        Ok(Answered { ending, usage, by: answerer, held: Some(held) })
    }

    /// Each attempt is a call of its own; the first one's id is also that of the hold, which is the run's.
    fn follow(&self, transcript: &Transcript) -> Following {
        let again = || Uuid::new_v5(&self.run_id.uuid(), format!("attempt:{}", self.number).as_bytes());
        self.worker.meter.recorder().follow(Begun {
            id: CallId::new(if self.number <= 1 { self.run_id.uuid() } else { again() }),
            user: transcript.owner,
            purpose: Purpose::Reply { session_id: self.session_id, run_id: self.run_id },
            surface: Surface::Conversation,
            model: Some(transcript.model.clone()),
            stream: true,
        })
    }

    /// What the owner may use and what it costs them.
    async fn group_of(&self, owner: UserId) -> Result<PayerGroup, Left> {
        let mut pause = Duration::from_millis(100);
        loop {
            match self.worker.catalogue.group_of(owner).await {
                Ok(group) => return Ok(group),
                Err(error) => tracing::warn!(run = %self.run_id, %error, "a reply waits for its owner's group"),
            }
            self.pause(&mut pause).await?;
        }
    }

    /// Sets credit apart for `request`, or says how the run ends without; also how many tokens its input has. A run has
    /// one hold, whatever its attempts.
    async fn hold(
        &self,
        (payer, group): (UserId, &PayerGroup),
        choices: &Choices,
        request: &ChatRequest,
    ) -> Result<Result<(Held, u64), Ending>, Left> {
        let offer = choices.first();
        let (provider, model, turns) = (Arc::clone(&offer.provider), offer.upstream.clone(), request.turns.clone());
        let counted = tokio::task::spawn_blocking(move || provider.count_turns(&model, &turns)).await;
        let input_tokens = counted.map_err(|error| Left::Broken(error.to_string()))?;
        let meter = &self.worker.meter;
        let quote = choices.quote(input_tokens, self.worker.options.max_output_tokens, meter.bounds());
        let quote = quote.times(group.factor);
        let call = Call {
            payer,
            hold_id: self.hold_id(),
            purpose: Purpose::Reply { session_id: self.session_id, run_id: self.run_id },
            actor: ACTOR.to_owned(),
            correlation_id: self.run_id.uuid(),
            // It is settled with the reply's ending, and a further attempt must find it.
            must_hold: true,
        };
        let mut pause = Duration::from_millis(100);
        loop {
            let held = tokio::select! {
                () = self.lease.lost.cancelled() => return Err(Left::Abandoned),
                held = meter.hold(call.clone(), quote.clone()) => held,
            };
            let (code, message) = match held {
                Ok(held) => return Ok(Ok((held, input_tokens))),
                Err(error @ MeterError::InsufficientCredit { .. }) => {
                    ("insufficient_credit".to_owned(), error.to_string())
                }
                Err(MeterError::Refused { code, message, .. }) => (code, message),
                Err(MeterError::Unavailable(error)) => {
                    tracing::warn!(run = %self.run_id, error, "a hold waits");
                    self.pause(&mut pause).await?;
                    continue;
                }
            };
            return Ok(Err(Ending::Failed { code, message }));
        }
    }

    /// A run is its own hold: no attempt can hold or charge twice.
    const fn hold_id(&self) -> HoldId {
        HoldId::new(self.run_id.uuid())
    }

    /// What the ending means for the owner's wallet; where nothing was held it changes nothing.
    fn settlement(&self, usage: Option<&relay::Usage>, by: Option<Answerer>) -> WalletCommand {
        let (hold_id, lost_attempts, at) = (self.hold_id(), self.number.saturating_sub(1), Utc::now());
        match usage {
            Some(usage) => {
                let (tokens, basis) = tokens_of(usage);
                WalletCommand::ChargeTokens { hold_id, tokens, basis, by, lost_attempts, at }
            }
            None => {
                let stopped = self.lease.stop.is_cancelled();
                let reason = if stopped { ReleaseReason::Cancelled } else { ReleaseReason::Failed };
                WalletCommand::Release { hold_id, reason, lost_attempts, at }
            }
        }
    }

    /// A hint over the bus stops at once; the cancelled lease does so within a renewal at the latest.
    async fn hear_stop(&self, stop: CancellationToken) -> std::convert::Infallible {
        use futures::StreamExt as _;
        let run = self.run_id.uuid();
        if let Ok(stops) = nats::live::subscribe_stops(&self.worker.client).await
            && std::pin::pin!(stops.filter(|stopped| std::future::ready(*stopped == run))).next().await.is_some()
        {
            stop.cancel();
        }
        std::future::pending().await
    }

    async fn finish(&self, payer: UserId, answered: Answered, mut live: LiveText) -> Result<(), Left> {
        let (run_id, attempt, at) = (self.run_id, self.number, Utc::now());
        let sealed = |text: &str| Sealed::new(payer, text.to_owned());
        let content = sealed(live.as_str());
        let wallet = self.settlement(answered.usage.as_ref(), answered.by.clone());
        let usage = answered.usage.as_ref().map(usage_fact);
        let (verb, command, done) = match answered.ending {
            Ending::Completed(finish) => {
                let (status, finish_reason) = match finish {
                    Finish::Stop => ("complete", "stop"),
                    Finish::Length => ("complete", "length"),
                    Finish::Stopped => ("stopped", "stopped"),
                };
                let shown = usage.as_ref().and_then(|usage| serde_json::to_value(usage).ok());
                let done = Done { status, finish_reason, error: None, usage: shown };
                ("complete_reply", SessionCommand::CompleteReply { run_id, attempt, content, finish, usage, at }, done)
            }
            Ending::Failed { code, message } => {
                let error = Some(LiveError { code: code.clone(), message: message.clone() });
                let done = Done { status: "failed", finish_reason: "error", error, usage: None };
                let message = sealed(&message);
                ("fail_reply", SessionCommand::FailReply { run_id, attempt, content, code, message, at }, done)
            }
        };
        self.command(verb, verb, &Paid { command, payer, wallet }).await?;
        drop(answered.held);
        live.done(done).await;
        Ok(())
    }

    /// Sends until the command came to something: the lease is renewed meanwhile, and the text is only in our memory.
    /// `step` names the command within its attempt.
    async fn command(&self, verb: &str, step: &str, body: &impl Serialize) -> Result<(), Left> {
        let Ok(body) = Body::of(body) else { return Err(Left::Abandoned) };
        let name = format!("{}:{}:{step}", self.run_id, self.number);
        let message = CommandMessage {
            command_id: Uuid::new_v5(&self.run_id.uuid(), name.as_bytes()),
            correlation_id: self.run_id.uuid(),
            fingerprint: Some(name),
            ..CommandMessage::new((Session::CAPABILITY, Session::TYPE, verb), self.session_id, ACTOR, body)
        };
        let mut pause = Duration::from_millis(100);
        loop {
            let sent = tokio::select! {
                () = self.lease.lost.cancelled() => return Err(Left::Abandoned),
                sent = self.worker.commands.send(&message, Duration::from_secs(5)) => sent,
            };
            match sent {
                Ok(Sent::Outcome(Outcome::Done { .. })) => return Ok(()),
                Ok(Sent::Outcome(Outcome::Refused { code, .. })) if OVER.contains(&code.as_str()) => {
                    tracing::info!(run = %self.run_id, attempt = self.number, verb, code, "an attempt ends here");
                    return Err(Left::Abandoned);
                }
                Ok(Sent::Outcome(outcome)) => return Err(Left::Broken(format!("{verb} came to {outcome:?}"))),
                Ok(Sent::Pending) => {}
                Err(error) => tracing::warn!(run = %self.run_id, verb, %error, "a command waits for the bus"),
            }
            self.pause(&mut pause).await?;
        }
    }

    /// Waits a little longer each time, unless the lease is lost.
    async fn pause(&self, pause: &mut Duration) -> Result<(), Left> {
        tokio::select! {
            () = self.lease.lost.cancelled() => return Err(Left::Abandoned),
            () = tokio::time::sleep(*pause) => {}
        }
        *pause = (*pause * 2).min(Duration::from_secs(5));
        Ok(())
    }
}

fn request(offer: &Offer, transcript: Transcript) -> ChatRequest {
    let turn = |turn: domain::chat::Turn| Turn {
        role: match turn.author {
            Author::User => Role::User,
            Author::Assistant => Role::Assistant,
        },
        content: turn.text,
    };
    ChatRequest {
        model: offer.upstream.clone(),
        turns: transcript.turns.into_iter().map(turn).collect(),
        max_output_tokens: None,
        temperature: None,
        user_tag: None,
        key: None,
    }
}

fn failed(error: &relay::RelayError) -> Ending {
    Ending::Failed { code: error.code().to_owned(), message: error.to_string() }
}

fn ending_of(finish: &relay::Finish) -> Ending {
    match finish {
        relay::Finish::ContentFilter => Ending::Failed {
            code: "content_filtered".to_owned(),
            message: "the model provider withheld the rest of the answer".to_owned(),
        },
        relay::Finish::Length => Ending::Completed(Finish::Length),
        relay::Finish::Cancelled => Ending::Completed(Finish::Stopped),
        relay::Finish::Stop | relay::Finish::Other(_) => Ending::Completed(Finish::Stop),
    }
}

/// What was consumed where the provider did not live to say it.
async fn estimate(offer: &Offer, turns: Vec<Turn>, text: String) -> Option<relay::Usage> {
    let model = offer.upstream.clone();
    let counted = tokio::task::spawn_blocking(move || {
        let answer = [Turn { role: Role::Assistant, content: text }];
        (relay::count_turns(&model, &turns), relay::count_turns(&model, &answer))
    });
    let (input, output) = counted.await.ok()?;
    Some(relay::Usage::new(input, output, relay::Basis::Estimated))
}

fn usage_fact(usage: &relay::Usage) -> Usage {
    let (_, basis) = tokens_of(usage);
    Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens, basis: basis.as_str().to_owned() }
}
