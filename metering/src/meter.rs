//! Credit set apart for a call, before anything is asked of a provider.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Decider as _, HoldId, UserId,
    billing::{Nanos, Purpose, Quote, Wallet, WalletCommand, WalletEvent},
};
use nats::{Body, CommandClient, CommandMessage, EventRef, Outcome, Sent};
use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use crate::{Bounds, Held, Recorder, free::Places, keeper::Keeper};

/// How credit is held.
#[derive(Debug, Clone, Copy)]
pub struct MeterOptions {
    pub bounds: Bounds,
    /// A hold that nobody extends for this long has expired: how long the credit of a call whose process died is out of
    /// reach.
    pub hold_life: Duration,
    /// How long a caller waits for credit to be set apart.
    pub patience: Duration,
    /// Holds that nobody settles are charged: their input must be what was counted, and not a bound of it.
    pub charges_expired: bool,
}

impl Default for MeterOptions {
    fn default() -> Self {
        Self {
            bounds: Bounds::default(),
            hold_life: Duration::from_secs(120),
            patience: Duration::from_secs(5),
            charges_expired: false,
        }
    }
}

/// A call about to be made.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whose wallet pays.
    pub payer: UserId,
    /// The same id is the same hold, also after a crash.
    pub hold_id: HoldId,
    pub purpose: Purpose,
    /// Who acts, as it stands in events: `user:…`, `worker:…`.
    pub actor: String,
    pub correlation_id: Uuid,
    /// A hold is made even where the call costs nothing: somebody else ends it, or waits for its end.
    pub must_hold: bool,
}

/// Why no credit was set apart; nothing was asked of a provider.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MeterError {
    #[error("your credit does not cover this: {available} nano-units are available and {required} are needed")]
    InsufficientCredit { available: Nanos, required: Nanos },
    #[error("{message}")]
    Refused { code: String, message: String, details: Value },
    /// Nothing is wrong with the call; later it will work. A hold that was made after all expires by itself.
    #[error("credit cannot be set apart now: {0}")]
    Unavailable(String),
}

/// Holds credit and settles it. Cheap to clone.
#[derive(Clone)]
pub struct Meter {
    commands: Arc<CommandClient>,
    options: MeterOptions,
    recorder: Recorder,
    keeper: Keeper,
    places: Places,
}

impl Meter {
    #[must_use]
    pub fn new(commands: CommandClient, options: MeterOptions) -> Self {
        let recorder = Recorder::new(commands.clone());
        let commands = Arc::new(commands);
        let keeper = Keeper::new(Arc::clone(&commands), options.hold_life);
        Self { commands, options, recorder, keeper, places: Places::default() }
    }

    /// Where calls are told of, beside their money.
    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// How long answers may be where nobody says it better.
    #[must_use]
    pub const fn bounds(&self) -> &Bounds {
        &self.options.bounds
    }

    /// Whether the input that a hold is made for must be what was counted.
    #[must_use]
    pub const fn charges_expired(&self) -> bool {
        self.options.charges_expired
    }

    /// Sets credit apart for `call`; the answer's bound may be smaller than quoted, as far as credit reaches. For a call
    /// that moves no money nobody is asked, unless it must be held.
    ///
    /// # Errors
    /// See [`MeterError`].
    pub async fn hold(&self, call: Call, quote: Quote) -> Result<Held, MeterError> {
        if is_for_nothing(&call, &quote) {
            return self.for_nothing(&call, quote);
        }
        // Far larger than what is done for a call without money: in a place of their own.
        let (event, _) = Box::pin(self.hold_as("hold", &call, quote)).await?;
        match Box::pin(self.held_event(&event)).await? {
            WalletEvent::Held { max_output_tokens, alternatives, expires_at, .. } => {
                Ok(Held::keep(self, call, (max_output_tokens, alternatives), expires_at))
            }
            _ => Err(MeterError::Unavailable("the hold is no hold".to_owned())),
        }
    }

    /// The same, all of it or nothing: where credit does not cover it the call may be quoted more exactly and held by
    /// [`Self::hold`].
    ///
    /// # Errors
    /// As [`Self::hold`].
    pub async fn hold_whole(&self, call: Call, quote: Quote) -> Result<Held, MeterError> {
        if is_for_nothing(&call, &quote) {
            return self.for_nothing(&call, quote);
        }
        // All of it was held: what stands in the event need not be looked up.
        let held = (quote.max_output_tokens, quote.alternatives.clone());
        let whole = Quote { min_output_tokens: quote.max_output_tokens, ..quote };
        let (_, expires_at) = Box::pin(self.hold_as("hold:whole", &call, whole)).await?;
        Ok(Held::keep(self, call, held, expires_at))
    }

    fn for_nothing(&self, call: &Call, quote: Quote) -> Result<Held, MeterError> {
        let place = self.places.take(call.payer)?;
        Ok(Held::nothing(place, (quote.max_output_tokens, quote.alternatives)))
    }

    /// The event of the hold, and when it expires.
    async fn hold_as(&self, step: &str, call: &Call, quote: Quote) -> Result<(EventRef, DateTime<Utc>), MeterError> {
        let now = Utc::now();
        let expires_at = now + life(self.options.hold_life);
        let (hold_id, purpose) = (call.hold_id, call.purpose);
        let command = WalletCommand::Hold { hold_id, purpose, quote, expires_at, at: now };
        let message = message(call, step, &command)?;
        match self.commands.send(message, self.options.patience).await {
            Ok(Sent::Outcome(Outcome::Done { event: Some(event), .. })) => Ok((event, expires_at)),
            Ok(Sent::Outcome(Outcome::Refused { code, message, details })) => Err(refused(code, message, details)),
            Ok(Sent::Outcome(other)) => Err(MeterError::Unavailable(format!("the hold came to {other:?}"))),
            Ok(Sent::Pending) => Err(MeterError::Unavailable("the command queue is slow".to_owned())),
            Err(error) => Err(MeterError::Unavailable(error.to_string())),
        }
    }

    async fn held_event(&self, event: &EventRef) -> Result<WalletEvent, MeterError> {
        let payload = self.commands.payload_of(event).await;
        let payload = payload.map_err(|error| MeterError::Unavailable(error.to_string()))?;
        let payload = payload.ok_or_else(|| MeterError::Unavailable("the hold cannot be found".to_owned()))?;
        serde_json::from_value(payload).map_err(|error| MeterError::Unavailable(error.to_string()))
    }

    pub(crate) const fn commands(&self) -> &Arc<CommandClient> {
        &self.commands
    }

    pub(crate) const fn keeper(&self) -> &Keeper {
        &self.keeper
    }
}

/// Whether no wallet needs to know of it.
fn is_for_nothing(call: &Call, quote: &Quote) -> bool {
    !call.must_hold && quote.moves_nothing()
}

/// A span of time as clocks take it.
pub(crate) fn life(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::seconds(120))
}

/// `command` on the payer's wallet; `step` names it within its hold, so that a repetition is the same command.
pub(crate) fn message(call: &Call, step: &str, command: &WalletCommand) -> Result<CommandMessage, MeterError> {
    let body = Body::of(command).map_err(|error| MeterError::Unavailable(error.to_string()))?;
    let verb = body.verb().unwrap_or_default().to_owned();
    Ok(CommandMessage {
        command_id: Uuid::new_v5(&call.hold_id.uuid(), step.as_bytes()),
        correlation_id: call.correlation_id,
        fingerprint: Some(format!("{}:{step}", call.hold_id)),
        ..CommandMessage::new((Wallet::CAPABILITY, Wallet::TYPE, &verb), call.payer, call.actor.clone(), body)
    })
}

fn refused(code: String, message: String, details: Value) -> MeterError {
    let amount = |name: &str| details[name].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    match code.as_str() {
        "insufficient_credit" => {
            MeterError::InsufficientCredit { available: amount("available_nanos"), required: amount("required_nanos") }
        }
        _ => MeterError::Refused { code, message, details },
    }
}
