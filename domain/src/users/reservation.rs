//! A name that only one account may have: an e-mail address or a user name.
//!
//! Promise: of any number of claims on one name exactly one holder wins, until that holder releases it. The aggregate's
//! id is a keyed hash (HMAC-SHA-256) of the canonical name, so the log does not tell names to who has no key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    UserId,
    decider::{Decider, Refusal},
};

/// Which of an account's names is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NameKind {
    /// An e-mail address.
    Email,
    /// A user name.
    Username,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationCommand {
    /// Take the name for `holder`; taking it twice changes nothing.
    ClaimName { kind: NameKind, holder: UserId },
    /// Give the name back; only its holder can.
    ReleaseName { holder: UserId },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReservationEvent {
    /// The name belongs to `holder` alone from now on.
    Claimed { kind: NameKind, holder: UserId },
    /// The name was given back; anybody may claim it.
    Released { holder: UserId },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReservationRefusal {
    #[error("this e-mail address already has an account; sign in instead")]
    EmailTaken,
    #[error("this user name is taken; choose another")]
    UsernameTaken,
    #[error("this name is held by another account")]
    NotTheHolder,
}

impl Refusal for ReservationRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::EmailTaken => "email_taken",
            Self::UsernameTaken => "username_taken",
            Self::NotTheHolder => "not_the_holder",
        }
    }
}

/// Free, or held by one account.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reservation {
    #[default]
    Free,
    Held {
        holder: UserId,
    },
}

impl Decider for Reservation {
    const CAPABILITY: &'static str = "users";
    const TYPE: &'static str = "reservation";
    type Command = ReservationCommand;
    type Event = ReservationEvent;
    type Refusal = ReservationRefusal;

    fn decide(&self, command: ReservationCommand) -> Result<Vec<ReservationEvent>, ReservationRefusal> {
        match (command, self) {
            (ReservationCommand::ClaimName { kind, holder }, Self::Free) => {
                Ok(vec![ReservationEvent::Claimed { kind, holder }])
            }
            (ReservationCommand::ClaimName { holder, .. }, Self::Held { holder: current }) if holder == *current => {
                Ok(vec![])
            }
            (ReservationCommand::ClaimName { kind: NameKind::Email, .. }, _) => Err(ReservationRefusal::EmailTaken),
            (ReservationCommand::ClaimName { kind: NameKind::Username, .. }, _) => {
                Err(ReservationRefusal::UsernameTaken)
            }
            (ReservationCommand::ReleaseName { holder }, Self::Held { holder: current }) if holder == *current => {
                Ok(vec![ReservationEvent::Released { holder }])
            }
            (ReservationCommand::ReleaseName { .. }, Self::Free) => Ok(vec![]),
            (ReservationCommand::ReleaseName { .. }, Self::Held { .. }) => Err(ReservationRefusal::NotTheHolder),
        }
    }

    fn apply(&mut self, event: ReservationEvent) {
        *self = match event {
            ReservationEvent::Claimed { holder, .. } => Self::Held { holder },
            ReservationEvent::Released { .. } => Self::Free,
        };
    }
}

impl cqrs_es::DomainEvent for ReservationEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Claimed { .. } => "reservation.claimed",
            Self::Released { .. } => "reservation.released",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[cfg(test)]
mod spec {
    use cqrs_es::test::TestFramework;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::Decided;

    fn someone(n: u128) -> UserId {
        UserId::new(Uuid::from_u128(n))
    }

    fn claimed(n: u128) -> ReservationEvent {
        ReservationEvent::Claimed { kind: NameKind::Email, holder: someone(n) }
    }

    fn given(events: Vec<ReservationEvent>) -> cqrs_es::test::AggregateTestExecutor<Decided<Reservation>> {
        TestFramework::with(()).given(events)
    }

    #[test]
    fn a_free_name_can_be_claimed() {
        given(vec![])
            .when(ReservationCommand::ClaimName { kind: NameKind::Email, holder: someone(1) })
            .then_expect_events(vec![claimed(1)]);
    }

    #[test]
    fn a_name_cannot_be_claimed_by_a_second_account() {
        given(vec![claimed(1)])
            .when(ReservationCommand::ClaimName { kind: NameKind::Username, holder: someone(2) })
            .then_expect_error(ReservationRefusal::UsernameTaken);
    }

    #[test]
    fn claiming_ones_own_name_again_changes_nothing() {
        given(vec![claimed(1)])
            .when(ReservationCommand::ClaimName { kind: NameKind::Email, holder: someone(1) })
            .then_expect_events(vec![]);
    }

    #[test]
    fn only_the_holder_can_release_a_name() {
        given(vec![claimed(1)])
            .when(ReservationCommand::ReleaseName { holder: someone(2) })
            .then_expect_error(ReservationRefusal::NotTheHolder);
    }

    #[test]
    fn a_released_name_is_free_for_others() {
        given(vec![claimed(1), ReservationEvent::Released { holder: someone(1) }])
            .when(ReservationCommand::ClaimName { kind: NameKind::Email, holder: someone(2) })
            .then_expect_events(vec![claimed(2)]);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_a_name_never_changes_hands_without_a_release(
            asks in proptest::collection::vec((any::<bool>(), 0u128..4), 0..64)
        ) {
            let mut state = Reservation::default();
            for (claim, who) in asks {
                let holder = someone(who);
                let command = if claim {
                    ReservationCommand::ClaimName { kind: NameKind::Email, holder }
                } else {
                    ReservationCommand::ReleaseName { holder }
                };
                let before = state.clone();
                for event in state.decide(command).unwrap_or_default() {
                    state.apply(event);
                }
                if let (Reservation::Held { holder: old }, Reservation::Held { holder: new }) = (&before, &state) {
                    prop_assert_eq!(old, new);
                }
            }
        }
    }
}
