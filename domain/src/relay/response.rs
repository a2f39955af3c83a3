//! A response of the Responses API that is kept, so that its owner reads it again or goes on from it.
//!
//! Promise: what is kept belongs to one account and only that account reads, continues or deletes it; a response ends
//! once; once deleted it stays deleted. One that nobody makes any more is abandoned, and whoever comes back late may still
//! say how it ended. What was asked and answered is sealed, and small enough to be an event: what is
//! larger is refused, never cut. How it is to be read is the business of whoever serves the API.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    ResponseId, Sealed, UserId,
    decider::{Decider, Refusal},
};

/// What is sealed in one event, at most, in bytes as JSON writes them. Encrypted and in base64 that fits an event.
pub const MAX_KEPT_BYTES: usize = 360 * 1024;
/// Characters of the code of a failure, at most.
pub const MAX_CODE_CHARS: usize = 80;

/// Whether these texts can be kept together; [`ResponseRefusal::TooLarge`] otherwise.
#[must_use]
pub fn fits(texts: &[&str]) -> bool {
    texts.iter().map(|text| stored_bytes(text)).sum::<usize>() <= MAX_KEPT_BYTES
}

/// Bytes of a text within JSON.
fn stored_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..=0x1f => 5,
        _ => 0,
    };
    text.len() + text.bytes().map(escaped).sum::<usize>()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseCommand {
    CreateResponse {
        owner: UserId,
        /// The response that it continues.
        previous: Option<ResponseId>,
        /// The items that were its input, as a JSON list, without those of earlier responses.
        input: Sealed<String>,
        /// The object as it was when it began, as JSON.
        response: Sealed<String>,
        at: DateTime<Utc>,
    },
    CompleteResponse {
        /// The object at its end, as JSON.
        response: Sealed<String>,
        at: DateTime<Utc>,
    },
    FailResponse {
        /// Why, in a word for programs.
        code: String,
        /// The object at its end, as JSON.
        response: Sealed<String>,
        at: DateTime<Utc>,
    },
    CancelResponse {
        /// The object at its end, as JSON.
        response: Sealed<String>,
        at: DateTime<Utc>,
    },
    /// Whoever made it was not heard of again.
    AbandonResponse {
        at: DateTime<Utc>,
    },
    DeleteResponse {
        by: UserId,
        at: DateTime<Utc>,
    },
}

/// Stored for ever: a change is a new version (see `tests/wire/`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseEvent {
    /// A model began to answer, and what comes of it is kept.
    Created {
        owner: UserId,
        /// The response that it continues.
        previous: Option<ResponseId>,
        /// The items that were its input, as a JSON list, without those of earlier responses.
        input: Sealed<String>,
        /// The object as it was when it began, as JSON.
        response: Sealed<String>,
        at: DateTime<Utc>,
    },
    /// The model said all, or as much as it was allowed to.
    Completed {
        /// The object at its end, as JSON.
        response: Sealed<String>,
        at: DateTime<Utc>,
    },
    /// The answer broke off.
    Failed {
        /// Why, in a word for programs.
        code: String,
        /// The object at its end, as JSON.
        response: Sealed<String>,
        at: DateTime<Utc>,
    },
    /// Whoever asked went away before the end.
    Cancelled {
        /// The object at its end, as JSON.
        response: Sealed<String>,
        at: DateTime<Utc>,
    },
    /// Whoever made it was not heard of again, so it counts as failed unless its end is told late.
    Abandoned { at: DateTime<Utc> },
    /// Its owner wants it no more.
    Deleted { at: DateTime<Utc> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResponseRefusal {
    #[error("this response was created already")]
    AlreadyCreated,
    #[error("there is no such response")]
    ResponseNotFound,
    #[error("this response has ended")]
    AlreadyEnded,
    #[error("a response that is kept may have at most {MAX_KEPT_BYTES} bytes of input or answer; ask without `store`")]
    TooLarge { size_bytes: usize },
    #[error("the code of a failure has 1 to {MAX_CODE_CHARS} characters")]
    InvalidCode,
}

impl Refusal for ResponseRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyCreated => "response_already_created",
            Self::ResponseNotFound => "response_not_found",
            Self::AlreadyEnded => "response_already_ended",
            Self::TooLarge { .. } => "response_too_large",
            Self::InvalidCode => "invalid_code",
        }
    }

    fn details(&self) -> Value {
        match self {
            Self::TooLarge { size_bytes } => json!({ "size_bytes": size_bytes, "limit_bytes": MAX_KEPT_BYTES }),
            Self::InvalidCode => json!({ "limit": MAX_CODE_CHARS }),
            _ => Value::Null,
        }
    }
}

/// Not yet, or of its owner, at one of its stages.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    #[default]
    Unknown,
    Created {
        owner: UserId,
        stage: Stage,
    },
}

/// How far a response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The model speaks.
    Open,
    /// Nobody makes it any more, as far as is known.
    Abandoned,
    /// Complete, failed or cancelled.
    Ended,
    Deleted,
}

impl Decider for Response {
    const CAPABILITY: &'static str = "relay";
    const TYPE: &'static str = "response";
    type Command = ResponseCommand;
    type Event = ResponseEvent;
    type Refusal = ResponseRefusal;

    fn decide(&self, command: ResponseCommand) -> Result<Vec<ResponseEvent>, ResponseRefusal> {
        use ResponseCommand as C;
        match command {
            C::CreateResponse { owner, previous, input, response, at } => {
                if *self != Self::Unknown {
                    return Err(ResponseRefusal::AlreadyCreated);
                }
                check_size(&[&input, &response])?;
                Ok(vec![ResponseEvent::Created { owner, previous, input, response, at }])
            }
            C::CompleteResponse { response, at } => self.end(ResponseEvent::Completed { response, at }),
            C::FailResponse { code, response, at } => {
                if code.is_empty() || code.chars().count() > MAX_CODE_CHARS {
                    return Err(ResponseRefusal::InvalidCode);
                }
                self.end(ResponseEvent::Failed { code, response, at })
            }
            C::CancelResponse { response, at } => self.end(ResponseEvent::Cancelled { response, at }),
            C::AbandonResponse { at } => match self {
                Self::Unknown => Err(ResponseRefusal::ResponseNotFound),
                Self::Created { stage: Stage::Open, .. } => Ok(vec![ResponseEvent::Abandoned { at }]),
                Self::Created { .. } => Ok(vec![]),
            },
            // A stranger learns no more than that there is nothing.
            C::DeleteResponse { by, at } => match self {
                Self::Created { owner, stage } if *owner == by => {
                    Ok(if *stage == Stage::Deleted { vec![] } else { vec![ResponseEvent::Deleted { at }] })
                }
                _ => Err(ResponseRefusal::ResponseNotFound),
            },
        }
    }

    fn apply(&mut self, event: ResponseEvent) {
        use ResponseEvent as E;
        if let E::Created { owner, .. } = event {
            *self = Self::Created { owner, stage: Stage::Open };
            return;
        }
        let Self::Created { stage, .. } = self else { return };
        *stage = match event {
            E::Created { .. } => return,
            E::Completed { .. } | E::Failed { .. } | E::Cancelled { .. } => Stage::Ended,
            E::Abandoned { .. } => Stage::Abandoned,
            E::Deleted { .. } => Stage::Deleted,
        };
    }
}

impl Response {
    /// The one ending of a response. What was deleted while the model spoke needs none; what was abandoned was not.
    fn end(&self, ending: ResponseEvent) -> Result<Vec<ResponseEvent>, ResponseRefusal> {
        match self {
            Self::Unknown => Err(ResponseRefusal::ResponseNotFound),
            Self::Created { stage: Stage::Ended, .. } => Err(ResponseRefusal::AlreadyEnded),
            Self::Created { stage: Stage::Deleted, .. } => Ok(vec![]),
            Self::Created { stage: Stage::Open | Stage::Abandoned, .. } => {
                if let ResponseEvent::Completed { response, .. }
                | ResponseEvent::Failed { response, .. }
                | ResponseEvent::Cancelled { response, .. } = &ending
                {
                    check_size(&[response])?;
                }
                Ok(vec![ending])
            }
        }
    }
}

fn check_size(texts: &[&Sealed<String>]) -> Result<(), ResponseRefusal> {
    let size_bytes = texts.iter().map(|text| text.open().map_or(0, |text| stored_bytes(text))).sum();
    if size_bytes > MAX_KEPT_BYTES { Err(ResponseRefusal::TooLarge { size_bytes }) } else { Ok(()) }
}

impl cqrs_es::DomainEvent for ResponseEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Created { .. } => "response.created",
            Self::Completed { .. } => "response.completed",
            Self::Failed { .. } => "response.failed",
            Self::Cancelled { .. } => "response.cancelled",
            Self::Abandoned { .. } => "response.abandoned",
            Self::Deleted { .. } => "response.deleted",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[cfg(test)]
mod spec {
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::Decided;

    const OWNER: UserId = UserId::new(Uuid::from_u128(1));
    const STRANGER: UserId = UserId::new(Uuid::from_u128(2));
    const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn given(events: Vec<ResponseEvent>) -> AggregateTestExecutor<Decided<Response>> {
        TestFramework::with(()).given(events)
    }

    fn sealed(text: &str) -> Sealed<String> {
        Sealed::new(OWNER, text.to_owned())
    }

    fn create(input: &str) -> ResponseCommand {
        let previous = Some(ResponseId::new(Uuid::from_u128(9)));
        ResponseCommand::CreateResponse { owner: OWNER, previous, input: sealed(input), response: sealed("{}"), at: AT }
    }

    fn created() -> ResponseEvent {
        let previous = Some(ResponseId::new(Uuid::from_u128(9)));
        ResponseEvent::Created { owner: OWNER, previous, input: sealed("[]"), response: sealed("{}"), at: AT }
    }

    fn complete(text: &str) -> ResponseCommand {
        ResponseCommand::CompleteResponse { response: sealed(text), at: AT }
    }

    fn completed(text: &str) -> ResponseEvent {
        ResponseEvent::Completed { response: sealed(text), at: AT }
    }

    const fn delete(by: UserId) -> ResponseCommand {
        ResponseCommand::DeleteResponse { by, at: AT }
    }

    #[test]
    fn a_response_is_kept_from_its_begin_on_and_only_once() {
        given(vec![]).when(create("[]")).then_expect_events(vec![created()]);
        given(vec![created()]).when(create("[]")).then_expect_error(ResponseRefusal::AlreadyCreated);
    }

    #[test]
    fn a_response_ends_once() {
        given(vec![created()]).when(complete("{}")).then_expect_events(vec![completed("{}")]);
        let fail = ResponseCommand::FailResponse { code: "upstream_cut".to_owned(), response: sealed("{}"), at: AT };
        let failed = ResponseEvent::Failed { code: "upstream_cut".to_owned(), response: sealed("{}"), at: AT };
        given(vec![created()]).when(fail).then_expect_events(vec![failed.clone()]);
        let cancel = ResponseCommand::CancelResponse { response: sealed("{}"), at: AT };
        let cancelled = ResponseEvent::Cancelled { response: sealed("{}"), at: AT };
        given(vec![created()]).when(cancel.clone()).then_expect_events(vec![cancelled]);
        given(vec![created(), failed]).when(complete("{}")).then_expect_error(ResponseRefusal::AlreadyEnded);
        given(vec![created(), completed("{}")]).when(cancel).then_expect_error(ResponseRefusal::AlreadyEnded);
        given(vec![]).when(complete("{}")).then_expect_error(ResponseRefusal::ResponseNotFound);
    }

    #[test]
    fn a_response_that_nobody_makes_any_more_is_abandoned_once_and_may_still_end() {
        let abandon = || ResponseCommand::AbandonResponse { at: AT };
        let abandoned = || ResponseEvent::Abandoned { at: AT };
        given(vec![]).when(abandon()).then_expect_error(ResponseRefusal::ResponseNotFound);
        given(vec![created()]).when(abandon()).then_expect_events(vec![abandoned()]);
        for later in [abandoned(), completed("{}"), ResponseEvent::Deleted { at: AT }] {
            given(vec![created(), later]).when(abandon()).then_expect_events(vec![]);
        }
        given(vec![created(), abandoned()]).when(complete("{}")).then_expect_events(vec![completed("{}")]);
        let ended = given(vec![created(), abandoned(), completed("{}")]);
        ended.when(complete("{}")).then_expect_error(ResponseRefusal::AlreadyEnded);
    }

    #[test]
    fn what_is_too_large_for_an_event_is_refused_and_never_cut() {
        let largest = "x".repeat(MAX_KEPT_BYTES - 2);
        assert!(matches!(Response::Unknown.decide(create(&largest)).as_deref(), Ok([ResponseEvent::Created { .. }])));
        let size_bytes = MAX_KEPT_BYTES + 1;
        let refusal = ResponseRefusal::TooLarge { size_bytes };
        given(vec![]).when(create(&"x".repeat(size_bytes - 2))).then_expect_error(refusal);
        given(vec![created()]).when(complete(&"x".repeat(size_bytes))).then_expect_error(refusal);
        // Quotes take two bytes each within JSON.
        assert!(fits(&["x", &"\"".repeat(MAX_KEPT_BYTES / 2 - 1)]) && !fits(&[&"\"".repeat(MAX_KEPT_BYTES / 2 + 1)]));
        assert_eq!(refusal.details()["limit_bytes"], MAX_KEPT_BYTES);
    }

    proptest! {
        #[test]
        fn the_size_of_a_text_is_that_which_json_writes(text in ".{0,60}|[\\x00-\\x7f]{0,60}") {
            let written = serde_json::to_string(&text).unwrap().len() - 2;
            prop_assert!(stored_bytes(&text) >= written && stored_bytes(&text) <= written + 4 * text.len());
        }
    }

    #[test]
    fn a_failure_has_a_code() {
        for code in [String::new(), "x".repeat(MAX_CODE_CHARS + 1)] {
            let fail = ResponseCommand::FailResponse { code, response: sealed("{}"), at: AT };
            given(vec![created()]).when(fail).then_expect_error(ResponseRefusal::InvalidCode);
        }
    }

    #[test]
    fn its_owner_deletes_it_at_any_time_and_for_ever() {
        let deleted = ResponseEvent::Deleted { at: AT };
        given(vec![created()]).when(delete(OWNER)).then_expect_events(vec![deleted.clone()]);
        given(vec![created(), completed("{}")]).when(delete(OWNER)).then_expect_events(vec![deleted.clone()]);
        given(vec![created(), deleted.clone()]).when(delete(OWNER)).then_expect_events(vec![]);
        // The model spoke on.
        given(vec![created(), deleted]).when(complete("{}")).then_expect_events(vec![]);
    }

    #[test]
    fn a_stranger_finds_no_response_to_delete() {
        given(vec![created()]).when(delete(STRANGER)).then_expect_error(ResponseRefusal::ResponseNotFound);
        given(vec![]).when(delete(OWNER)).then_expect_error(ResponseRefusal::ResponseNotFound);
    }
}
