//! Credit that is set apart, until it is settled.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::{
    HoldId,
    billing::{Answerer, Basis, ReleaseReason, Terms, Tokens, WalletCommand},
};
use nats::{CommandClient, Outcome, Sent};
use relay::Usage;
use tokio::sync::oneshot;

use crate::{Call, Meter, Offer, free::Place, keeper::Keeping, meter, tokens_of};

/// A settlement that the bus has not taken for this long is given up here; the hold then expires by policy, and the
/// operator sees it in the log.
const SETTLE_WITHIN: Duration = Duration::from_secs(600);
/// How long one try to settle waits for its outcome.
const TRY: Duration = Duration::from_secs(5);

/// Credit set apart for one call. While this lives the hold is extended in time; dropped unsettled, it expires. For a
/// call that moves no money it is nobody's hold, and there is nothing to settle.
pub struct Held {
    max_output_tokens: u32,
    /// Who may answer instead, as it was held.
    alternatives: Vec<Terms>,
    by: By,
}

/// By what a call is covered.
enum By {
    Credit(Credit),
    /// The call is for nothing, and one of not too many.
    Nothing {
        _place: Place,
    },
}

/// A hold of the payer's wallet.
struct Credit {
    commands: Arc<CommandClient>,
    call: Arc<Call>,
    _keeping: Keeping,
}

impl Held {
    pub(crate) fn keep(
        meter: &Meter,
        call: Call,
        (max_output_tokens, alternatives): (u32, Vec<Terms>),
        expires_at: DateTime<Utc>,
    ) -> Self {
        let call = Arc::new(call);
        let keeping = meter.keeper().keep(Arc::clone(&call), expires_at);
        let credit = Credit { commands: Arc::clone(meter.commands()), call, _keeping: keeping };
        Self { max_output_tokens, alternatives, by: By::Credit(credit) }
    }

    pub(crate) fn nothing(place: Place, (max_output_tokens, alternatives): (u32, Vec<Terms>)) -> Self {
        Self { max_output_tokens, alternatives, by: By::Nothing { _place: place } }
    }

    /// The hold; `None` where the call moves no money.
    #[must_use]
    pub fn hold_id(&self) -> Option<HoldId> {
        match &self.by {
            By::Credit(credit) => Some(credit.call.hold_id),
            By::Nothing { .. } => None,
        }
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

    /// Charges what was consumed at the prices of whoever answered. Goes on in the background until it is committed.
    pub fn settle(self, usage: &Usage, by: &Offer) -> Settling {
        self.settle_consumed(tokens_of(usage), by)
    }

    /// The same for a call that is also sold by the piece: what was consumed, and how that is known.
    pub fn settle_consumed(self, (tokens, basis): (Tokens, Basis), by: &Offer) -> Settling {
        let by = self.answerer(by);
        self.carry_out("settle", |hold_id| {
            let at = Utc::now();
            WalletCommand::ChargeTokens { hold_id, tokens, basis, by, lost_attempts: 0, at }
        })
    }

    /// Gives everything back: there was no output. Goes on in the background until it is committed.
    pub fn release(self, reason: ReleaseReason) -> Settling {
        let at = Utc::now();
        self.carry_out("release", |hold_id| WalletCommand::Release { hold_id, reason, lost_attempts: 0, at })
    }

    fn carry_out(self, step: &'static str, command: impl FnOnce(HoldId) -> WalletCommand) -> Settling {
        let By::Credit(credit) = self.by else { return Settling(None) };
        let command = command(credit.call.hold_id);
        let (done, waiting) = oneshot::channel();
        tokio::spawn(async move {
            let settled =
                tokio::time::timeout(SETTLE_WITHIN, settle(&credit, step, &command)).await.unwrap_or_else(|_| {
                    metrics::counter!("settlements_given_up_total").increment(1);
                    let hold = credit.call.hold_id;
                    tracing::error!(%hold, step, "a settlement was given up; its hold will expire");
                    false
                });
            // Nobody may wait for it any more.
            let _ = done.send(settled);
        });
        Settling(Some(waiting))
    }
}

/// A settlement on its way, unless there is nothing to settle.
pub struct Settling(Option<oneshot::Receiver<bool>>);

impl Settling {
    /// Whether it was committed within `at_most`; it goes on otherwise.
    pub async fn wait(self, at_most: Duration) -> bool {
        match self.0 {
            Some(committed) => matches!(tokio::time::timeout(at_most, committed).await, Ok(Ok(true))),
            None => true,
        }
    }
}

/// Sends until the command came to something; whether it was committed. While `credit` is borrowed its hold does not
/// expire.
async fn settle(credit: &Credit, step: &str, command: &WalletCommand) -> bool {
    let hold = credit.call.hold_id;
    let Ok(message) = meter::message(&credit.call, step, command) else { return false };
    let mut pause = Duration::from_millis(50);
    loop {
        match credit.commands.send(&message, TRY).await {
            Ok(Sent::Outcome(Outcome::Done { .. })) => return true,
            Ok(Sent::Outcome(outcome)) => {
                metrics::counter!("settlements_refused_total").increment(1);
                tracing::error!(%hold, step, ?outcome, "a settlement was refused");
                return false;
            }
            Ok(Sent::Pending) => {}
            Err(error) => tracing::warn!(%hold, step, %error, "a settlement waits for the bus"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}
