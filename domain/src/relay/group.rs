//! A group of users: which channels they may use is said by the channels; what they pay is said here.
//!
//! Promise: a group is known by one name for ever; its factor is exact, and every change of it is an event. Everybody is
//! in one group, in `default` unless an operator said otherwise. Whoever removes a group has looked that nobody is in it;
//! who is put into it at that very moment is in `default`, until there is a group of that name again.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use crate::{
    GroupId,
    billing::Factor,
    decider::{Decider, Refusal},
};

/// The group of whoever is in no other. It is there before anybody adds it, at the price as it is.
pub const DEFAULT: &str = "default";
/// Characters of a group's name, at most.
pub const MAX_NAME_CHARS: usize = 40;
/// Characters of a group's title, at most.
pub const MAX_TITLE_CHARS: usize = 80;

/// Ids of groups are made from their names, so that no two groups share one.
const NAMES: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_6772_6f75_7073);

/// The id of the group `name`.
#[must_use]
pub fn id_of(name: &str) -> GroupId {
    GroupId::new(Uuid::new_v5(&NAMES, name.as_bytes()))
}

/// Whether a group can be called so: lower-case letters, digits, `-` and `_`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let of_a_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.len() <= MAX_NAME_CHARS && name.bytes().all(of_a_name)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupCommand {
    AddGroup {
        /// By which channels and accounts name it.
        name: String,
        /// As people call it.
        title: String,
        factor: Factor,
        at: DateTime<Utc>,
    },
    /// Change what is given.
    ChangeGroup { title: Option<String>, factor: Option<Factor>, at: DateTime<Utc> },
    /// Remove it: nobody can be put into it any more. A group of the same name can be added again.
    RemoveGroup { at: DateTime<Utc> },
    /// Refuse where there is no such group; changes nothing.
    RequireGroup,
}

/// Stored for ever: a change is a new version (see `tests/wire/`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupEvent {
    /// An operator added a group that users can be put into.
    Added {
        /// By which channels and accounts name it; never changes.
        name: String,
        /// As people call it.
        title: String,
        /// What its users pay of every price.
        factor: Factor,
        at: DateTime<Utc>,
    },
    /// People call the group something else.
    Retitled {
        /// The new one.
        title: String,
        at: DateTime<Utc>,
    },
    /// Its users pay another part of every price, from the next call on.
    FactorChanged {
        /// The new one.
        factor: Factor,
        at: DateTime<Utc>,
    },
    /// An operator removed the group; users can be put into it only after it was added again.
    Removed { at: DateTime<Utc> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GroupRefusal {
    #[error("there is a group of this name")]
    AlreadyAdded,
    #[error("there is no such group")]
    GroupNotFound,
    #[error(
        "a group's name has 1 to {MAX_NAME_CHARS} lower-case letters, digits, `-` or `_`, and its title 1 to {MAX_TITLE_CHARS} characters"
    )]
    InvalidName,
}

impl Refusal for GroupRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyAdded => "group_already_added",
            Self::GroupNotFound => "group_not_found",
            Self::InvalidName => "invalid_name",
        }
    }

    fn details(&self) -> Value {
        Value::Null
    }
}

/// Not there (yet, or any more), or in use.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    #[default]
    Unknown,
    Added {
        title: String,
        factor: Factor,
    },
}

impl Decider for Group {
    const CAPABILITY: &'static str = "relay";
    const TYPE: &'static str = "group";
    type Command = GroupCommand;
    type Event = GroupEvent;
    type Refusal = GroupRefusal;

    fn decide(&self, command: GroupCommand) -> Result<Vec<GroupEvent>, GroupRefusal> {
        match (command, self) {
            (GroupCommand::AddGroup { name, title, factor, at }, Self::Unknown) => {
                let title = checked_title(&title)?;
                if !is_name(&name) {
                    return Err(GroupRefusal::InvalidName);
                }
                Ok(vec![GroupEvent::Added { name, title, factor, at }])
            }
            (GroupCommand::AddGroup { .. }, Self::Added { .. }) => Err(GroupRefusal::AlreadyAdded),
            (GroupCommand::ChangeGroup { title, factor, at }, Self::Added { title: old_title, factor: old_factor }) => {
                let title = title.map(|title| checked_title(&title)).transpose()?.filter(|title| title != old_title);
                let retitled = title.map(|title| GroupEvent::Retitled { title, at });
                let factor = factor.filter(|factor| factor != old_factor);
                Ok(retitled.into_iter().chain(factor.map(|factor| GroupEvent::FactorChanged { factor, at })).collect())
            }
            (GroupCommand::RemoveGroup { at }, Self::Added { .. }) => Ok(vec![GroupEvent::Removed { at }]),
            (GroupCommand::RequireGroup, Self::Added { .. }) => Ok(vec![]),
            (
                GroupCommand::ChangeGroup { .. } | GroupCommand::RemoveGroup { .. } | GroupCommand::RequireGroup,
                Self::Unknown,
            ) => Err(GroupRefusal::GroupNotFound),
        }
    }

    fn apply(&mut self, event: GroupEvent) {
        match (event, self) {
            (GroupEvent::Added { title, factor, .. }, group) => *group = Self::Added { title, factor },
            (GroupEvent::Retitled { title: new, .. }, Self::Added { title, .. }) => *title = new,
            (GroupEvent::FactorChanged { factor: new, .. }, Self::Added { factor, .. }) => *factor = new,
            (GroupEvent::Removed { .. }, group) => *group = Self::Unknown,
            (GroupEvent::Retitled { .. } | GroupEvent::FactorChanged { .. }, Self::Unknown) => {}
        }
    }
}

fn checked_title(title: &str) -> Result<String, GroupRefusal> {
    let title = title.trim();
    let fits = !title.is_empty() && title.chars().count() <= MAX_TITLE_CHARS && !title.contains(char::is_control);
    if fits { Ok(title.to_owned()) } else { Err(GroupRefusal::InvalidName) }
}

impl cqrs_es::DomainEvent for GroupEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Added { .. } => "group.added",
            Self::Retitled { .. } => "group.retitled",
            Self::FactorChanged { .. } => "group.factor_changed",
            Self::Removed { .. } => "group.removed",
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

    use super::*;
    use crate::Decided;

    const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn given(events: Vec<GroupEvent>) -> AggregateTestExecutor<Decided<Group>> {
        TestFramework::with(()).given(events)
    }

    fn factor(text: &str) -> Factor {
        text.parse().unwrap()
    }

    fn add(name: &str, title: &str) -> GroupCommand {
        GroupCommand::AddGroup { name: name.to_owned(), title: title.to_owned(), factor: factor("0.8"), at: AT }
    }

    fn added() -> GroupEvent {
        GroupEvent::Added { name: "staff".to_owned(), title: "Our people".to_owned(), factor: factor("0.8"), at: AT }
    }

    #[test]
    fn a_group_is_added_under_its_name() {
        given(vec![]).when(add("staff", " Our people ")).then_expect_events(vec![added()]);
    }

    #[test]
    fn a_group_cannot_be_added_twice() {
        given(vec![added()]).when(add("staff", "Others")).then_expect_error(GroupRefusal::AlreadyAdded);
    }

    #[test]
    fn a_name_is_short_and_plain() {
        for name in ["", "Staff", "our people", "a/b", "é", &"a".repeat(41)] {
            given(vec![]).when(add(name, "Title")).then_expect_error(GroupRefusal::InvalidName);
        }
        given(vec![]).when(add("staff", " ")).then_expect_error(GroupRefusal::InvalidName);
    }

    #[test]
    fn only_what_changes_is_told() {
        let change = |title: Option<&str>, new: Option<&str>| GroupCommand::ChangeGroup {
            title: title.map(str::to_owned),
            factor: new.map(factor),
            at: AT,
        };
        given(vec![added()])
            .when(change(Some("Our people"), Some("0.5")))
            .then_expect_events(vec![GroupEvent::FactorChanged { factor: factor("0.5"), at: AT }]);
        given(vec![added()])
            .when(change(Some("Friends"), None))
            .then_expect_events(vec![GroupEvent::Retitled { title: "Friends".to_owned(), at: AT }]);
        given(vec![added()]).when(change(None, Some("0.80"))).then_expect_events(vec![]);
        given(vec![]).when(change(None, None)).then_expect_error(GroupRefusal::GroupNotFound);
    }

    #[test]
    fn a_group_that_is_removed_is_there_no_more_until_it_is_added_again() {
        let remove = || GroupCommand::RemoveGroup { at: AT };
        let removed = || GroupEvent::Removed { at: AT };
        given(vec![added()]).when(remove()).then_expect_events(vec![removed()]);
        given(vec![]).when(remove()).then_expect_error(GroupRefusal::GroupNotFound);
        given(vec![added(), removed()]).when(remove()).then_expect_error(GroupRefusal::GroupNotFound);
        given(vec![added(), removed()]).when(GroupCommand::RequireGroup).then_expect_error(GroupRefusal::GroupNotFound);
        given(vec![added(), removed()]).when(add("staff", "Our people")).then_expect_events(vec![added()]);
    }

    #[test]
    fn whoever_needs_a_group_is_told_that_there_is_none() {
        given(vec![]).when(GroupCommand::RequireGroup).then_expect_error(GroupRefusal::GroupNotFound);
        given(vec![added()]).when(GroupCommand::RequireGroup).then_expect_events(vec![]);
    }

    #[test]
    fn a_name_has_one_id_for_ever() {
        assert_eq!(id_of("staff").to_string(), "37c366fc-3521-5b88-a56c-d696be0a74b9");
    }
}
