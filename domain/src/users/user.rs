//! An account.
//!
//! Promise: an account is registered once, with names that were claimed for it in the same transaction. Its personal
//! fields are sealed with its own key, so destroying that key erases the person and leaves the fact. It is in one group of
//! users, which says what it may use and what it pays.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    Sealed,
    decider::{Decider, Refusal},
    relay::group,
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
    /// Put it into a group, and out of the one that it was in.
    AssignGroup {
        /// Is there: whoever sends this has asked the group.
        group: String,
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
    /// An operator put the account into a group of users; it is in no other.
    GroupAssigned {
        /// The group's name.
        group: String,
        at: DateTime<Utc>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UserRefusal {
    #[error("this account is registered already")]
    AlreadyRegistered,
    #[error("there is no such account")]
    UserNotFound,
}

impl Refusal for UserRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "already_registered",
            Self::UserNotFound => "user_not_found",
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
        /// By name.
        group: String,
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
            (UserCommand::AssignGroup { group, at }, Self::Registered { group: old, .. }) => {
                Ok(if group == *old { vec![] } else { vec![UserEvent::GroupAssigned { group, at }] })
            }
            (UserCommand::AssignGroup { .. }, Self::Unknown) => Err(UserRefusal::UserNotFound),
        }
    }

    fn apply(&mut self, event: UserEvent) {
        match event {
            UserEvent::Registered { role, .. } => *self = Self::Registered { role, group: group::DEFAULT.to_owned() },
            UserEvent::GroupAssigned { group: new, .. } => {
                if let Self::Registered { group, .. } = self {
                    *group = new;
                }
            }
        }
    }
}

impl cqrs_es::DomainEvent for UserEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Registered { .. } => "user.registered",
            Self::GroupAssigned { .. } => "user.group_assigned",
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
        let UserCommand::RegisterUser { email, username, password_hash, role, at } = register() else { unreachable!() };
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

    fn assign(group: &str) -> UserCommand {
        UserCommand::AssignGroup { group: group.to_owned(), at: DateTime::UNIX_EPOCH }
    }

    fn assigned(group: &str) -> UserEvent {
        UserEvent::GroupAssigned { group: group.to_owned(), at: DateTime::UNIX_EPOCH }
    }

    #[test]
    fn an_account_is_in_the_default_group_until_it_is_put_into_another() {
        let given = |events: Vec<UserEvent>| TestFramework::<Decided<User>>::with(()).given(events);
        given(vec![registered()]).when(assign("default")).then_expect_events(vec![]);
        given(vec![registered()]).when(assign("staff")).then_expect_events(vec![assigned("staff")]);
        given(vec![registered(), assigned("staff")]).when(assign("staff")).then_expect_events(vec![]);
        given(vec![registered(), assigned("staff")])
            .when(assign("default"))
            .then_expect_events(vec![assigned("default")]);
        given(vec![]).when(assign("staff")).then_expect_error(UserRefusal::UserNotFound);
    }
}
