//! What is counted together, and what it adds up to within one batch of events.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use domain::{
    billing::{Nanos, Purpose, Tokens, WalletEvent},
    relay::{Call, CallOutcome, Spent},
};
use uuid::Uuid;

use super::histogram::bucket_of;

/// More of anything in one event is nobody's honest report, and sums must stay numbers.
const MOST: u64 = 1_000_000_000_000;

/// An hour of one channel, model, account and key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) hour: DateTime<Utc>,
    pub(super) channel_id: Option<Uuid>,
    pub(super) model: Option<String>,
    pub(super) user_id: Uuid,
    pub(super) api_key_id: Option<Uuid>,
}

impl Slot {
    /// The name of its row, which follows from what it is.
    pub(super) fn id(&self) -> Uuid {
        let text = |id: Option<Uuid>| id.map_or_else(String::new, |id| id.to_string());
        let (channel, key) = (text(self.channel_id), text(self.api_key_id));
        // The model is last and has whatever characters it likes; that it is absent is a mark before it.
        let (mark, model) = self.model.as_deref().map_or(("-", ""), |model| ("+", model));
        let name = format!("{}/{channel}/{}/{key}/{mark}{model}", self.hour.timestamp(), self.user_id);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
    }
}

/// What is added to a slot.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) requests: i64,
    pub(super) completed: i64,
    pub(super) cancelled: i64,
    pub(super) failed: i64,
    pub(super) refused: i64,
    pub(super) tries: i64,
    pub(super) failed_tries: i64,
    pub(super) unknown_cost_tries: i64,
    pub(super) tokens: Tokens,
    pub(super) charged: i64,
    pub(super) cost: i64,
    pub(super) lost_cost: i64,
    /// By kind and code.
    pub(super) errors: BTreeMap<(&'static str, String), i64>,
    /// By measure and bucket.
    pub(super) latencies: BTreeMap<(&'static str, i16), i64>,
}

/// All slots that a batch adds to.
#[derive(Debug, Default)]
pub(super) struct Slots(pub(super) HashMap<Slot, Sums>);

impl Slots {
    fn at(&mut self, slot: Slot) -> &mut Sums {
        self.0.entry(slot).or_default()
    }

    /// One call, and every try at it where it was made.
    pub(super) fn count(&mut self, call: &Call) {
        let slot = |channel_id: Option<Uuid>, model: Option<&str>| Slot {
            hour: hour_of(call.ended_at()),
            channel_id,
            model: model.map(str::to_owned),
            user_id: call.user.uuid(),
            api_key_id: key_of(&call.purpose),
        };
        let sums = self.at(slot(channel_of(call), model_of(call)));
        sums.requests += 1;
        match &call.outcome {
            CallOutcome::Completed => sums.completed += 1,
            CallOutcome::Cancelled => sums.cancelled += 1,
            CallOutcome::Failed { .. } => sums.failed += 1,
            CallOutcome::Refused { .. } => sums.refused += 1,
        }
        if let Some(code) = call.outcome.code() {
            *sums.errors.entry(("request", code.to_owned())).or_default() += 1;
        }
        if call.outcome == CallOutcome::Completed {
            *sums.latencies.entry(("duration", bucket_of(call.duration_ms))).or_default() += 1;
        }
        if let Some(first_output_ms) = call.first_output_ms {
            *sums.latencies.entry(("first_output", bucket_of(first_output_ms))).or_default() += 1;
        }
        // Of every other call its wallet tells.
        if let Some((_, _, tokens, _)) = call.for_nothing() {
            sums.add_tokens(&tokens.at_most(MOST));
        }
        for one in &call.tries {
            let sums = self.at(slot(Some(one.channel_id.uuid()), Some(&one.model)));
            sums.tries += 1;
            sums.unknown_cost_tries += i64::from(one.spent == Spent::Unknown);
            if !["ok", "pending", "cancelled"].contains(&one.outcome.as_str()) {
                sums.failed_tries += 1;
                *sums.errors.entry(("try", one.outcome.clone())).or_default() += 1;
            }
        }
    }

    /// What an event of the wallet of `owner` says about a call's money.
    pub(super) fn settle(&mut self, owner: Uuid, event: &WalletEvent) {
        let slot = |at: &DateTime<Utc>, channel_id, model: &str, purpose| Slot {
            hour: hour_of(*at),
            channel_id,
            model: Some(model.to_owned()),
            user_id: owner,
            api_key_id: key_of(purpose),
        };
        match event {
            WalletEvent::Charged {
                purpose,
                model,
                channel_id,
                tokens,
                charged_nanos,
                cost_nanos,
                lost_cost_nanos,
                at,
                ..
            } => {
                let sums = self.at(slot(at, Some(channel_id.uuid()), model, purpose));
                sums.add_tokens(&tokens.at_most(MOST));
                sums.charged = sums.charged.saturating_add(charged_nanos.get());
                sums.cost = sums.cost.saturating_add(cost_nanos.get());
                sums.lost_cost = sums.lost_cost.saturating_add(lost_cost_nanos.get());
            }
            WalletEvent::Released { purpose, model, lost_cost_nanos: lost, at, .. }
            | WalletEvent::Expired { purpose, model, cost_nanos: lost, at, .. }
                if *lost != Nanos::ZERO =>
            {
                let sums = self.at(slot(at, None, model, purpose));
                sums.lost_cost = sums.lost_cost.saturating_add(lost.get());
            }
            _ => {}
        }
    }
}

impl Sums {
    fn add_tokens(&mut self, more: &Tokens) {
        let Tokens {
            input,
            cached_input,
            output,
            reasoning,
            cache_write,
            audio_input,
            image_input,
            audio_output,
            image_output,
            cache_write_hour: _,
            pieces: _,
        } = &mut self.tokens;
        for (sum, more) in [
            (input, more.input),
            (cached_input, more.cached_input),
            (output, more.output),
            (reasoning, more.reasoning),
            // For however long: what that costs is in the amounts.
            (cache_write, more.cache_write.saturating_add(more.cache_write_hour)),
            (audio_input, more.audio_input),
            (image_input, more.image_input),
            (audio_output, more.audio_output),
            (image_output, more.image_output),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Who answered, or was asked last.
pub(super) fn channel_of(call: &Call) -> Option<Uuid> {
    let last = || call.tries.last().map(|one| one.channel_id);
    call.answered.as_ref().map(|by| by.channel_id).or_else(last).map(domain::ChannelId::uuid)
}

/// The model that answered, or was asked last, or for.
fn model_of(call: &Call) -> Option<&str> {
    let last = || call.tries.last().map(|one| one.model.as_str());
    call.answered.as_ref().map(|by| by.model.as_str()).or_else(last).or(call.model.as_deref())
}

pub(super) fn key_of(purpose: &Purpose) -> Option<Uuid> {
    match purpose {
        Purpose::Api { api_key_id } => api_key_id.map(domain::ApiKeyId::uuid),
        Purpose::Reply { .. } => None,
    }
}

fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    // Only an instant beyond the calendar has no hour.
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Slot {
        let hour = DateTime::UNIX_EPOCH;
        Slot { hour, channel_id: None, model: None, user_id: Uuid::from_u128(1), api_key_id: None }
    }

    #[test]
    fn slots_that_differ_in_anything_have_different_rows() {
        let id = Some(Uuid::from_u128(2));
        let others = [
            slot(),
            Slot { hour: DateTime::UNIX_EPOCH + TimeDelta::hours(1), ..slot() },
            Slot { channel_id: id, ..slot() },
            Slot { model: Some(String::new()), ..slot() },
            Slot { model: Some("-".to_owned()), ..slot() },
            Slot { user_id: Uuid::from_u128(2), ..slot() },
            Slot { api_key_id: id, ..slot() },
        ];
        let ids: std::collections::HashSet<Uuid> = others.iter().map(Slot::id).collect();
        assert_eq!(ids.len(), others.len());
    }

    #[test]
    fn an_hour_begins_at_its_first_second_before_the_epoch_too() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(hour_of(at("2026-11-22T10:59:59.999Z")), at("2026-11-22T10:00:00Z"));
        assert_eq!(hour_of(at("1969-12-31T23:30:00Z")), at("1969-12-31T23:00:00Z"));
    }
}
