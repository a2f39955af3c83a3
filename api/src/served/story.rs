//! What is told of a served call: who was asked, how it ended, why it was refused. Nothing that anybody said.

use std::sync::{Mutex, PoisonError};

use metering::{Following, Offer};
use relay::Usage;

use super::{call::Heard, refusals::NO_CREDIT};
use crate::problem::Problem;

/// A call that several places tell of while it runs.
pub(super) struct Story(Mutex<Option<Following>>);

impl Story {
    pub(super) const fn new(following: Following) -> Self {
        Self(Mutex::new(Some(following)))
    }

    /// Who was asked, and who answers, if anybody.
    pub(super) fn asked(&self, tries: &routing::Story, by: Option<&Offer>) {
        self.note(|following| {
            following.tried(tries);
            if let Some(by) = by {
                following.answers(by);
            }
        });
    }

    /// Something was generated.
    pub(super) fn speaks(&self) {
        self.note(Following::speaks);
    }

    /// What it consumed, where anything will be charged, and the last word to the client.
    pub(super) fn ends(&self, usage: Option<&Usage>, last: &Heard) {
        let Some(mut following) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if let Some(usage) = usage {
            following.consumed(usage);
        }
        match last {
            Heard::Failed(error) => following.failed(error),
            _ => following.completed(),
        }
    }

    fn note(&self, note: impl FnOnce(&mut Following)) {
        if let Some(following) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            note(following);
        }
    }
}

/// Why a call was refused, in the word that is also told of those that fail later for the same reason.
pub(super) fn kind_of(problem: &Problem) -> &str {
    match problem.code() {
        NO_CREDIT => "insufficient_credit",
        "context_length_exceeded" => "context_too_long",
        "model_not_found" => "unknown_model",
        code => code,
    }
}

#[cfg(test)]
mod tests {
    use relay::RelayError;

    use super::{super::refusals::of_upstream, *};

    #[test]
    fn what_is_refused_before_and_what_fails_later_has_one_word() {
        for error in [RelayError::ContextTooLong, RelayError::UnknownModel("m".to_owned())] {
            let code = error.code();
            assert_eq!(kind_of(&of_upstream(error)), code);
        }
    }
}
