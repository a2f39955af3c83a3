//! An account.
//!
//! Promise: an account is registered once, with names that were claimed for it in the same transaction. Its personal
//! fields are sealed with its own key, so destroying that key erases the person and leaves the fact.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    Sealed,
    decider::{Decider, Refusal},
};

/// What an account may do beyond its own things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Uses the house.
    User,
    /// Runs it: channels, prices, accounts.
    Admin,
}

impl Role {
    /// The word in rows, tokens and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserCommand {
    /// Open an account. The password arrives as its argon2id hash: no secret travels in a command.
    RegisterUser {
        email: Sealed<String>,
        username: Sealed<String>,
        password_hash: Sealed<String>,
        role: Role,
        at: DateTime<Utc>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserEvent {
    /// An account was opened, with names that were claimed for it in the same transaction.
    Registered {
        /// The address as it was typed.
        email: Sealed<String>,
        /// The name that others see.
        username: Sealed<String>,
        /// Argon2id in its usual text form.
        password_hash: Sealed<String>,
        role: Role,
        at: DateTime<Utc>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UserRefusal {
    #[error("this account is registered already")]
    AlreadyRegistered,
}

impl Refusal for UserRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "already_registered",
        }
    }
}

/// Not yet, or registered.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    #[default]
    Unknown,
    Registered {
        role: Role,
    },
}

impl Decider for User {
    const CAPABILITY: &'static str = "users";
    const TYPE: &'static str = "user";
    type Command = UserCommand;
    type Event = UserEvent;
    type Refusal = UserRefusal;

    fn decide(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserRefusal> {
        match (command, self) {
            (UserCommand::RegisterUser { email, username, password_hash, role, at }, Self::Unknown) => {
                Ok(vec![UserEvent::Registered { email, username, password_hash, role, at }])
            }
            (UserCommand::RegisterUser { .. }, Self::Registered { .. }) => Err(UserRefusal::AlreadyRegistered),
        }
    }

    fn apply(&mut self, event: UserEvent) {
        match event {
            UserEvent::Registered { role, .. } => *self = Self::Registered { role },
        }
    }
}

impl cqrs_es::DomainEvent for UserEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Registered { .. } => "user.registered",
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
    use uuid::Uuid;

    use super::*;
    use crate::{Decided, UserId};

    fn register() -> UserCommand {
        let me = UserId::new(Uuid::from_u128(1));
        UserCommand::RegisterUser {
            email: Sealed::new(me, "ann@example.org".to_owned()),
            username: Sealed::new(me, "ann".to_owned()),
            password_hash: Sealed::new(me, "$argon2id$…".to_owned()),
            role: Role::User,
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn registered() -> UserEvent {
        let UserCommand::RegisterUser { email, username, password_hash, role, at } = register();
        UserEvent::Registered { email, username, password_hash, role, at }
    }

    #[test]
    fn an_unknown_account_can_be_registered() {
        TestFramework::<Decided<User>>::with(())
            .given_no_previous_events()
            .when(register())
            .then_expect_events(vec![registered()]);
    }

    #[test]
    fn an_account_cannot_be_registered_twice() {
        TestFramework::<Decided<User>>::with(())
            .given(vec![registered()])
            .when(register())
            .then_expect_error(UserRefusal::AlreadyRegistered);
    }
}
