//! Holds, settlements and ledger lines as stored: what the projector writes for an event, and what a reconciliation expects to find.

use std::borrow::Cow;

use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{
    ChannelId, HoldId, Sealed,
    billing::{Basis, Pieces, Purpose, Rates, Tokens, WalletEvent},
    relay::Call,
};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::entries::{Account, EntryKind, Line, Movement};
use crate::projector::storable;

/// A row of `billing_v1.holds`.
#[derive(Debug, Clone, PartialEq, Serialize, FromRow)]
pub(super) struct HoldRecord {
    pub(super) owner: Uuid,
    pub(super) hold_id: Uuid,
    pub(super) position: i64,
    pub(super) kind: String,
    pub(super) amount_nanos: i64,
    pub(super) model: String,
    pub(super) channel_id: Uuid,
    pub(super) price_version: i64,
    #[sqlx(json)]
    pub(super) prices: Rates,
    #[sqlx(json)]
    pub(super) costs: Rates,
    pub(super) input_tokens: i64,
    pub(super) max_output_tokens: i64,
    pub(super) session_id: Option<Uuid>,
    pub(super) run_id: Option<Uuid>,
    pub(super) api_key_id: Option<Uuid>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) held_at: DateTime<Utc>,
}

/// A row of `billing_v1.charges`: a settlement, or a call that cost nothing and so had none.
#[derive(Debug, Clone, PartialEq, Serialize, FromRow)]
pub(super) struct ChargeRecord {
    pub(super) position: i64,
    /// 0 of a settlement; which one it was of the calls that were told of together.
    pub(super) line: i32,
    pub(super) owner: Uuid,
    pub(super) hold_id: Uuid,
    pub(super) kind: String,
    pub(super) model: String,
    pub(super) channel_id: Uuid,
    pub(super) input_tokens: i64,
    pub(super) cached_input_tokens: i64,
    pub(super) output_tokens: i64,
    pub(super) reasoning_tokens: i64,
    pub(super) cache_write_tokens: i64,
    pub(super) audio_input_tokens: i64,
    pub(super) image_input_tokens: i64,
    pub(super) cache_write_hour_tokens: i64,
    pub(super) audio_output_tokens: i64,
    pub(super) image_output_tokens: i64,
    #[sqlx(json)]
    pub(super) pieces: Pieces,
    pub(super) basis: String,
    pub(super) price_version: i64,
    #[sqlx(json)]
    pub(super) prices: Rates,
    #[sqlx(json)]
    pub(super) costs: Rates,
    pub(super) charged_nanos: i64,
    pub(super) cost_nanos: i64,
    pub(super) lost_cost_nanos: i64,
    pub(super) session_id: Option<Uuid>,
    pub(super) run_id: Option<Uuid>,
    pub(super) api_key_id: Option<Uuid>,
    pub(super) at: DateTime<Utc>,
}

/// A row of `billing_v1.ledger_entries`, without its reason: that is no matter of money, and sealed in the log.
#[derive(Debug, Clone, PartialEq, Serialize, FromRow)]
pub(super) struct EntryRecord {
    pub(super) position: i64,
    pub(super) line: i32,
    pub(super) owner: Uuid,
    pub(super) account: Account,
    pub(super) amount_nanos: i64,
    pub(super) kind: EntryKind,
    pub(super) hold_id: Option<Uuid>,
    pub(super) model: Option<String>,
    pub(super) at: DateTime<Utc>,
}

impl EntryRecord {
    /// The rows of `movement` at `position` of the log.
    pub(super) fn of(owner: Uuid, position: i64, movement: &Movement<'_>) -> Vec<Self> {
        let entry = |(line, number): (&Line, i32)| Self {
            position,
            line: number,
            owner,
            account: line.account,
            amount_nanos: line.amount.get(),
            kind: movement.kind,
            hold_id: movement.hold_id.map(HoldId::uuid),
            model: movement.model.map(|model| storable(model).into_owned()),
            at: stored(movement.at),
        };
        movement.lines.iter().zip(1..).map(entry).collect()
    }
}

/// Who a call was made for.
struct Parties {
    kind: &'static str,
    session_id: Option<Uuid>,
    run_id: Option<Uuid>,
    api_key_id: Option<Uuid>,
}

impl From<Purpose> for Parties {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Reply { session_id, run_id } => Self {
                kind: "reply",
                session_id: Some(session_id.uuid()),
                run_id: Some(run_id.uuid()),
                api_key_id: None,
            },
            Purpose::Api { api_key_id } => {
                Self { kind: "api", session_id: None, run_id: None, api_key_id: api_key_id.map(domain::ApiKeyId::uuid) }
            }
        }
    }
}

/// A provider may report any number of tokens; beyond the column it is as many as the column can say.
fn counted(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// As precise as Postgres keeps it.
pub(super) fn stored(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

/// An operator's note; none where its subject was erased.
pub(super) fn open_note(note: &Sealed<String>) -> Option<Cow<'_, str>> {
    note.open().map(|text| storable(text))
}

impl HoldRecord {
    /// The row of a `Held` of `owner` at `position`; `None` for every other event.
    pub(super) fn of(owner: Uuid, position: i64, event: &WalletEvent) -> Option<Self> {
        let WalletEvent::Held {
            hold_id,
            purpose,
            amount_nanos,
            model,
            channel_id,
            price_version,
            prices,
            costs,
            input_tokens,
            max_output_tokens,
            expires_at,
            at,
            // Those who did not answer are nobody's business; who did is in the settlement.
            alternatives: _,
            // Of a hold only its amount is shown; what was consumed is in the settlement.
            pieces: _,
        } = event
        else {
            return None;
        };
        let Parties { kind, session_id, run_id, api_key_id } = (*purpose).into();
        Some(Self {
            owner,
            hold_id: hold_id.uuid(),
            position,
            kind: kind.to_owned(),
            amount_nanos: amount_nanos.get(),
            model: storable(model).into_owned(),
            channel_id: channel_id.uuid(),
            price_version: i64::from(*price_version),
            prices: prices.clone(),
            costs: costs.clone(),
            input_tokens: counted(*input_tokens),
            max_output_tokens: i64::from(*max_output_tokens),
            session_id,
            run_id,
            api_key_id,
            expires_at: stored(*expires_at),
            held_at: stored(*at),
        })
    }
}

impl ChargeRecord {
    /// The row of a `Charged` of `owner` at `position`; `None` for every other event.
    pub(super) fn of(owner: Uuid, position: i64, event: &WalletEvent) -> Option<Self> {
        let WalletEvent::Charged {
            hold_id,
            purpose,
            model,
            channel_id,
            tokens,
            basis,
            price_version,
            prices,
            costs,
            charged_nanos,
            cost_nanos,
            lost_cost_nanos,
            at,
            ..
        } = event
        else {
            return None;
        };
        let consumed = Consumed { tokens, basis: *basis, model, channel_id: *channel_id, purpose: *purpose };
        Some(Self {
            price_version: i64::from(*price_version),
            prices: prices.clone(),
            costs: costs.clone(),
            charged_nanos: charged_nanos.get(),
            cost_nanos: cost_nanos.get(),
            lost_cost_nanos: lost_cost_nanos.get(),
            ..Self::free((position, 0), (owner, hold_id.uuid()), &consumed, *at)
        })
    }

    /// The row of `call`, the `line`th of those at `position`, if it cost nothing and no wallet tells of it. Its own id is
    /// the one that its hold would have had.
    pub(super) fn of_call(position: i64, line: i32, call: &Call) -> Option<Self> {
        let (by, price_version, tokens, basis) = call.for_nothing()?;
        let (model, channel_id, purpose) = (by.model.as_str(), by.channel_id, call.purpose);
        let consumed = Consumed { tokens, basis, model, channel_id, purpose };
        let free = Self::free((position, line), (call.user.uuid(), call.id.uuid()), &consumed, call.ended_at());
        Some(Self { price_version: i64::from(price_version), ..free })
    }

    fn free(
        (position, line): (i64, i32),
        (owner, hold_id): (Uuid, Uuid),
        what: &Consumed<'_>,
        at: DateTime<Utc>,
    ) -> Self {
        let Consumed { tokens, basis, model, channel_id, purpose } = *what;
        let Parties { kind, session_id, run_id, api_key_id } = purpose.into();
        Self {
            position,
            line,
            owner,
            hold_id,
            kind: kind.to_owned(),
            model: storable(model).into_owned(),
            channel_id: channel_id.uuid(),
            input_tokens: counted(tokens.input),
            cached_input_tokens: counted(tokens.cached_input),
            output_tokens: counted(tokens.output),
            reasoning_tokens: counted(tokens.reasoning),
            cache_write_tokens: counted(tokens.cache_write),
            audio_input_tokens: counted(tokens.audio_input),
            image_input_tokens: counted(tokens.image_input),
            cache_write_hour_tokens: counted(tokens.cache_write_hour),
            audio_output_tokens: counted(tokens.audio_output),
            image_output_tokens: counted(tokens.image_output),
            pieces: tokens.pieces,
            basis: basis.as_str().to_owned(),
            price_version: 0,
            prices: Rates::default(),
            costs: Rates::default(),
            charged_nanos: 0,
            cost_nanos: 0,
            lost_cost_nanos: 0,
            session_id,
            run_id,
            api_key_id,
            at: stored(at),
        }
    }
}

/// What a call consumed, and of whom.
#[derive(Clone, Copy)]
struct Consumed<'e> {
    tokens: &'e Tokens,
    basis: Basis,
    model: &'e str,
    channel_id: ChannelId,
    purpose: Purpose,
}
