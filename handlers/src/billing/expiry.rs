//! The end of holds whose call was never heard of again.
//!
//! Promise: every hold has an appointment in the `jobs` table when it expires, kept by whichever node lives then; its
//! settlement or release withdraws the appointment. The wallet decides: a hold that was extended is looked at again at
//! its new end, one that is gone needs nothing.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{
    Decider as _, HoldId, UserId,
    billing::{ExpiryPolicy, Wallet, WalletCommand},
};
use nats::{CommandClient, CommandMessage, LoggedEvent, Outcome, Sent};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    jobs::{Job, JobEnd, Lease, Worker},
    reactor::{Intent, Reactor},
};

/// The kind of the job, and in `key` its hold.
pub const EXPIRE_HOLD_JOB: &str = "billing.expire_hold";

const WAIT: Duration = Duration::from_secs(5);
const AFTER_FAILURE: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize, Deserialize)]
struct ExpireHold {
    payer: UserId,
    hold_id: HoldId,
}

/// What is read of the events that begin and end a hold.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OfHold {
    Held { hold_id: HoldId, expires_at: DateTime<Utc> },
    Charged { hold_id: HoldId },
    Released { hold_id: HoldId },
    Expired { hold_id: HoldId },
}

/// Makes and withdraws the appointments.
pub struct ExpiryReactor;

impl Reactor for ExpiryReactor {
    fn name(&self) -> &'static str {
        "reaction-billing-expiry"
    }

    fn react(&self, event: &LoggedEvent) -> anyhow::Result<Option<Intent>> {
        if event.aggregate_type != Wallet::TYPE {
            return Ok(None);
        }
        let unreadable = || format!("the event at position {} names no hold", event.position);
        if !["wallet.held", "wallet.charged", "wallet.released", "wallet.expired"].contains(&event.event_type.as_str())
        {
            return Ok(None);
        }
        let kind = EXPIRE_HOLD_JOB;
        Ok(Some(match event.payload.read().with_context(unreadable)? {
            OfHold::Held { hold_id, expires_at } => {
                let payload = serde_json::to_value(ExpireHold { payer: event.aggregate_id.parse()?, hold_id })?;
                Intent::Schedule { kind, key: hold_id.to_string(), payload, at: expires_at }
            }
            OfHold::Charged { hold_id } | OfHold::Released { hold_id } | OfHold::Expired { hold_id } => {
                Intent::Withdraw { kind, key: hold_id.to_string() }
            }
        }))
    }

    fn committed(&self, events: &[LoggedEvent]) {
        super::counted::count(events);
    }
}

/// Keeps the appointments.
pub struct ExpiryWorker {
    commands: CommandClient,
    policy: ExpiryPolicy,
}

impl ExpiryWorker {
    #[must_use]
    pub const fn new(commands: CommandClient, policy: ExpiryPolicy) -> Self {
        Self { commands, policy }
    }

    /// This worker among those of [`crate::jobs::run_jobs`].
    #[must_use]
    pub fn shared(self) -> Arc<dyn Worker> {
        Arc::new(self)
    }

    fn message(&self, job: &Job, ExpireHold { payer, hold_id }: &ExpireHold) -> anyhow::Result<CommandMessage> {
        let command = WalletCommand::Expire { hold_id: *hold_id, policy: self.policy, at: Utc::now() };
        // Each look is a command of its own: an earlier one may have come too early.
        let name = format!("expire:{}", job.attempt);
        Ok(CommandMessage {
            command_id: Uuid::new_v5(&hold_id.uuid(), name.as_bytes()),
            correlation_id: hold_id.uuid(),
            fingerprint: Some(name),
            ..CommandMessage::new(
                (Wallet::CAPABILITY, Wallet::TYPE, "expire"),
                payer,
                "worker:billing-expiry",
                serde_json::to_value(command)?,
            )
        })
    }
}

#[async_trait]
impl Worker for ExpiryWorker {
    fn kind(&self) -> &'static str {
        EXPIRE_HOLD_JOB
    }

    async fn work(&self, job: &Job, lease: &Lease) -> JobEnd {
        let Ok(expire) = serde_json::from_value::<ExpireHold>(job.payload.clone()) else {
            return JobEnd::Dead { error: "the payload names no hold".to_owned() };
        };
        let message = match self.message(job, &expire) {
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
                    tracing::warn!(hold = %expire.hold_id, "a hold expired: its call was never settled");
                }
                JobEnd::Done
            }
            Ok(Sent::Outcome(Outcome::Refused { code, details, .. })) if code == "hold_not_expired" => {
                JobEnd::Later { after: until(&details) }
            }
            Ok(Sent::Outcome(outcome)) => JobEnd::Dead { error: format!("the expiry came to {outcome:?}") },
            Ok(Sent::Pending) => JobEnd::Later { after: AFTER_FAILURE },
            Err(error) => JobEnd::Retry { error: error.to_string(), after: AFTER_FAILURE },
        }
    }
}

/// How long the hold still lives.
fn until(details: &Value) -> Duration {
    let expires_at = serde_json::from_value::<DateTime<Utc>>(details["expires_at"].clone());
    let left = expires_at.ok().and_then(|at| (at - Utc::now()).to_std().ok());
    left.unwrap_or_default().max(Duration::from_millis(200))
}
