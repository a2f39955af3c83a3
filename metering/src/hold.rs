//! Credit that is set apart, until it is settled.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::billing::{Answerer, Basis, ReleaseReason, Terms, Tokens, WalletCommand};
use nats::{Outcome, Sent};
use relay::Usage;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use crate::{Call, Meter, Offer, tokens_of};

/// A settlement that the bus has not taken for this long is given up here; the hold then expires by policy, and the
/// operator sees it in the log.
const SETTLE_WITHIN: Duration = Duration::from_secs(600);
/// How long one try to settle waits for its outcome.
const TRY: Duration = Duration::from_secs(5);

/// Credit set apart for one call. While this lives the hold is extended in time; dropped unsettled, it expires.
pub struct Held {
    meter: Meter,
    call: Call,
    max_output_tokens: u32,
    /// Who may answer instead, as it was held.
    alternatives: Vec<Terms>,
    _extending: AbortOnDropHandle<()>,
}

impl Held {
    pub(crate) fn keep(
        meter: Meter,
        call: Call,
        (max_output_tokens, alternatives): (u32, Vec<Terms>),
        expires_at: DateTime<Utc>,
    ) -> Self {
        let extending = tokio::spawn(extend(meter.clone(), call.clone(), expires_at));
        Self { meter, call, max_output_tokens, alternatives, _extending: AbortOnDropHandle::new(extending) }
    }

    /// The most output tokens that the call may be answered with.
    #[must_use]
    pub const fn max_output_tokens(&self) -> u32 {
        self.max_output_tokens
    }

    /// How a settlement names who answered: not at all where it is the one that was quoted, or one that the hold does not
    /// know because channels changed between two attempts at the same call; then the quoted prices count.
    #[must_use]
    pub fn answerer(&self, by: &Offer) -> Option<Answerer> {
        let known = |terms: &&Terms| terms.channel_id == by.channel_id && terms.model == by.model;
        let terms = self.alternatives.iter().find(known)?;
        Some(Answerer { channel_id: terms.channel_id, model: terms.model.clone() })
    }

    fn charge(&self, (tokens, basis): (Tokens, Basis), by: &Offer) -> WalletCommand {
        WalletCommand::ChargeTokens {
            hold_id: self.call.hold_id,
            tokens,
            basis,
            by: self.answerer(by),
            lost_attempts: 0,
            at: Utc::now(),
        }
    }

    fn give_back(&self, reason: ReleaseReason) -> WalletCommand {
        WalletCommand::Release { hold_id: self.call.hold_id, reason, lost_attempts: 0, at: Utc::now() }
    }

    /// Charges what was consumed at the prices of whoever answered. Goes on in the background until it is committed.
    pub fn settle(self, usage: &Usage, by: &Offer) -> Settling {
        self.settle_consumed(tokens_of(usage), by)
    }

    /// The same for a call that is also sold by the piece: what was consumed, and how that is known.
    pub fn settle_consumed(self, consumed: (Tokens, Basis), by: &Offer) -> Settling {
        let command = self.charge(consumed, by);
        self.carry_out("settle", command)
    }

    /// Gives everything back: there was no output. Goes on in the background until it is committed.
    pub fn release(self, reason: ReleaseReason) -> Settling {
        let command = self.give_back(reason);
        self.carry_out("release", command)
    }

    fn carry_out(self, step: &'static str, command: WalletCommand) -> Settling {
        let (done, waiting) = oneshot::channel();
        tokio::spawn(async move {
            let settled =
                tokio::time::timeout(SETTLE_WITHIN, settle(&self, step, &command)).await.unwrap_or_else(|_| {
                    metrics::counter!("settlements_given_up_total").increment(1);
                    tracing::error!(hold = %self.call.hold_id, step, "a settlement was given up; its hold will expire");
                    false
                });
            // Nobody may wait for it any more.
            let _ = done.send(settled);
        });
        Settling(waiting)
    }
}

/// A settlement on its way.
pub struct Settling(oneshot::Receiver<bool>);

impl Settling {
    /// Whether it was committed within `at_most`; it goes on otherwise.
    pub async fn wait(self, at_most: Duration) -> bool {
        matches!(tokio::time::timeout(at_most, self.0).await, Ok(Ok(true)))
    }
}

/// Sends until the command came to something; whether it was committed. While `held` is borrowed its hold does not expire.
async fn settle(held: &Held, step: &str, command: &WalletCommand) -> bool {
    let Ok(message) = held.meter.message(&held.call, step, command) else { return false };
    let mut pause = Duration::from_millis(50);
    loop {
        match held.meter.commands().send(message.clone(), TRY).await {
            Ok(Sent::Outcome(Outcome::Done { .. })) => return true,
            Ok(Sent::Outcome(outcome)) => {
                metrics::counter!("settlements_refused_total").increment(1);
                tracing::error!(hold = %held.call.hold_id, step, ?outcome, "a settlement was refused");
                return false;
            }
            Ok(Sent::Pending) => {}
            Err(error) => tracing::warn!(hold = %held.call.hold_id, step, %error, "a settlement waits for the bus"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Extends the hold whenever a third of its life is over; ends with its [`Held`].
async fn extend(meter: Meter, call: Call, mut expires_at: DateTime<Utc>) {
    let life = meter.hold_life();
    loop {
        let due = expires_at - life * 2 / 3;
        tokio::time::sleep((due - Utc::now()).to_std().unwrap_or_default()).await;
        let at = Utc::now();
        let next = at + life;
        let command = WalletCommand::ExtendHold { hold_id: call.hold_id, expires_at: next, at };
        let step = format!("extend:{}", next.timestamp_millis());
        let Ok(message) = meter.message(&call, &step, &command) else { return };
        match meter.commands().send(message, TRY).await {
            Ok(Sent::Outcome(Outcome::Done { .. })) => expires_at = next,
            Ok(_) | Err(_) => {
                tracing::debug!(hold = %call.hold_id, "a hold could not be extended");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
