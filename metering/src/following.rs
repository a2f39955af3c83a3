//! A call being followed: what becomes of it is noted on the way and told at its end.
//!
//! Promise: a call that ends is told of once, with everybody who was asked. What was dropped without an end was lost with
//! its task and is not told of.

use std::time::{Duration, Instant};

use chrono::{SubsecRound as _, Utc};
use domain::{
    CallId, UserId,
    billing::{Basis, Purpose, Tokens},
    relay::{Answering, Call, CallOutcome, CallTry, LeftOut, Spent, Surface},
};
use relay::{Dialect, RelayError, Usage};
use routing::{Story, Try};

use crate::{Catalogue, Held, Offer, Recorder, tokens_of};

/// A call as it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// That of its hold where it will have one, so that its story and its price are found together.
    pub id: CallId,
    pub user: UserId,
    pub purpose: Purpose,
    pub surface: Surface,
    /// As users name it; see [`Following::names_one_of`] where nobody knows yet whether there is such a model.
    pub model: Option<String>,
    pub stream: bool,
}

/// A call under way.
pub struct Following {
    recorder: Recorder,
    since: Instant,
    call: Call,
    /// It moves no money: what it consumes is told here alone.
    for_nothing: bool,
}

impl Recorder {
    /// Begins to follow a call, now.
    #[must_use]
    pub fn follow(&self, begun: Begun) -> Following {
        let Begun { id, user, purpose, surface, model, stream } = begun;
        let call = Call {
            id,
            user,
            purpose,
            surface,
            model,
            answered: None,
            stream,
            started_at: Utc::now().trunc_subsecs(6),
            duration_ms: 0,
            first_output_ms: None,
            outcome: CallOutcome::Completed,
            tries: vec![],
            left_out: vec![],
            tokens: None,
            basis: None,
            hold_id: None,
            free_by: None,
        };
        Following { recorder: self.clone(), since: Instant::now(), call, for_nothing: false }
    }
}

impl Following {
    /// What it asks for is told only where somebody offers it: other names are anybody's text.
    pub fn names_one_of(&mut self, catalogue: &Catalogue) {
        let all = catalogue.all();
        self.call.model.take_if(|model| !all.iter().any(|offer| offer.model == *model));
    }

    /// Credit was set apart for it, or it needs none.
    pub fn held(&mut self, held: &Held) {
        self.call.hold_id = held.hold_id();
        self.for_nothing = self.call.hold_id.is_none();
    }

    /// Who was asked, and who was not.
    pub fn tried(&mut self, story: &Story) {
        self.call.tries = story.tries.iter().map(told).collect();
        let left_out = story.left_out.iter();
        self.call.left_out = left_out
            .map(|spared| LeftOut { channel: spared.name.to_string(), reason: spared.reason.words().to_owned() })
            .collect();
    }

    /// Who answers.
    pub fn answers(&mut self, by: &Offer) {
        let (channel_id, model, upstream) = (by.channel_id, by.model.clone(), by.upstream.clone());
        self.call.answered = Some(Answering { channel_id, model, upstream });
        self.call.free_by = self.for_nothing.then_some(by.price_version);
    }

    /// Something was generated; only the first time counts.
    pub fn speaks(&mut self) {
        self.call.first_output_ms.get_or_insert(milliseconds(self.since.elapsed()));
    }

    /// What it consumed.
    pub fn consumed(&mut self, usage: &Usage) {
        self.consumed_all(tokens_of(usage));
    }

    /// The same with what is sold by the piece.
    pub fn consumed_all(&mut self, (tokens, basis): (Tokens, Basis)) {
        (self.call.tokens, self.call.basis) = (Some(tokens), Some(basis));
    }

    /// It went to its end.
    pub fn completed(self) {
        self.end(CallOutcome::Completed);
    }

    /// Whoever asked went away, or stopped it.
    pub fn cancelled(self) {
        self.end(CallOutcome::Cancelled);
    }

    /// It failed; where nobody was asked it was refused.
    pub fn failed(self, error: &RelayError) {
        if *error == RelayError::Cancelled {
            return self.cancelled();
        }
        let code = error.code().to_owned();
        let refused = self.call.tries.is_empty();
        self.end(if refused { CallOutcome::Refused { code } } else { CallOutcome::Failed { code } });
    }

    /// It was refused before anybody was asked, for a reason in a word.
    pub fn refused(self, code: &str) {
        self.end(CallOutcome::Refused { code: code.to_owned() });
    }

    fn end(mut self, outcome: CallOutcome) {
        self.call.duration_ms = milliseconds(self.since.elapsed());
        self.call.outcome = outcome;
        self.call.free_by.take_if(|_| self.call.tokens.is_none());
        self.recorder.record(self.call);
    }
}

/// The door of a served dialect.
#[must_use]
pub const fn surface_of(dialect: Dialect) -> Surface {
    match dialect {
        Dialect::ChatCompletions => Surface::ChatCompletions,
        Dialect::Responses => Surface::Responses,
        Dialect::Messages => Surface::Messages,
        Dialect::GenerateContent => Surface::GenerateContent,
        Dialect::Converse => Surface::Converse,
    }
}

fn told(one: &Try) -> CallTry {
    CallTry {
        channel_id: one.channel,
        model: (*one.model).to_owned(),
        key: one.key.as_ref().map(|key| key.as_str().to_owned()),
        hedge: one.hedge,
        outcome: one.outcome.to_owned(),
        duration_ms: milliseconds(one.took),
        spent: spent(one.outcome),
    }
}

/// What a try with this outcome has cost the house.
fn spent(outcome: &str) -> Spent {
    match outcome {
        "ok" => Spent::Settled,
        // It had the question, and may have begun to answer.
        "pending" | "cancelled" | "timed_out" | "upstream_cut" | "upstream_garbage" => Spent::Unknown,
        _ => Spent::Nothing,
    }
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_try_has_cost_is_only_said_where_it_is_known() {
        assert_eq!(spent("ok"), Spent::Settled);
        for unknown in [RelayError::TimedOut(String::new()), RelayError::UpstreamCut, RelayError::Cancelled] {
            assert_eq!(spent(unknown.code()), Spent::Unknown);
        }
        let limited = RelayError::UpstreamRateLimited { retry_after: None };
        assert_eq!([spent("pending"), spent(limited.code())], [Spent::Unknown, Spent::Nothing]);
    }
}
