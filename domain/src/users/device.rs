//! A device: one browser or API client that signed in to an account.
//!
//! Promise: a device stays signed in by exchanging its refresh token, generation after generation, and a token that
//! comes back after its successor was used ends the device (RFC 9700, 4.14.2: rotation with reuse detection). Within a
//! short grace the previous generation is answered with the *same* successor: two tabs that refresh at once, and an
//! answer lost on the way, sign nobody out. The aggregate knows generations, never tokens.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    UserId,
    decider::{Decider, Refusal},
};

/// How long the previous generation still gets the current one.
pub const GRACE: TimeDelta = TimeDelta::seconds(30);
/// A device that does not refresh for this long must sign in again.
pub const IDLE_LIFETIME: TimeDelta = TimeDelta::days(30);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceCommand {
    /// The password (or another proof) of `user` was checked.
    SignIn { user: UserId, at: DateTime<Utc> },
    /// A refresh token of `generation` was presented and its signature checked.
    RotateRefresh { generation: u32, at: DateTime<Utc> },
    /// End this device.
    SignOut { at: DateTime<Utc> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceEvent {
    /// Somebody signed in to an account with a browser or client, and may stay signed in there.
    SignedIn {
        /// Whose account.
        user: UserId,
        at: DateTime<Utc>,
    },
    /// The refresh token was exchanged for the next one.
    Rotated {
        /// The one that is valid from now on; a device begins with 0.
        generation: u32,
        at: DateTime<Utc>,
    },
    /// A spent token came back: whoever has its successor may be a thief, so the device is ended.
    ReuseDetected {
        /// The one that came back.
        generation: u32,
        at: DateTime<Utc>,
    },
    /// The device was signed out and must sign in again.
    SignedOut { at: DateTime<Utc> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeviceRefusal {
    #[error("this device is not signed in; sign in again")]
    NotSignedIn,
    #[error("this device was not used for 30 days; sign in again")]
    Expired,
    #[error("this device is signed in already")]
    AlreadySignedIn,
}

impl Refusal for DeviceRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotSignedIn => "not_signed_in",
            Self::Expired => "refresh_token_expired",
            Self::AlreadySignedIn => "already_signed_in",
        }
    }
}

/// Not yet, signed in at some generation, or over.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Device {
    #[default]
    Unknown,
    SignedIn {
        user: UserId,
        generation: u32,
        since: DateTime<Utc>,
    },
    Ended,
}

impl Decider for Device {
    const CAPABILITY: &'static str = "users";
    const TYPE: &'static str = "device";
    type Command = DeviceCommand;
    type Event = DeviceEvent;
    type Refusal = DeviceRefusal;

    fn decide(&self, command: DeviceCommand) -> Result<Vec<DeviceEvent>, DeviceRefusal> {
        match (command, self) {
            (DeviceCommand::SignIn { user, at }, Self::Unknown) => Ok(vec![DeviceEvent::SignedIn { user, at }]),
            (DeviceCommand::SignIn { .. }, _) => Err(DeviceRefusal::AlreadySignedIn),
            (DeviceCommand::RotateRefresh { generation, at }, Self::SignedIn { generation: current, since, .. }) => {
                rotate(generation, *current, *since, at)
            }
            (DeviceCommand::RotateRefresh { .. }, _) => Err(DeviceRefusal::NotSignedIn),
            (DeviceCommand::SignOut { at }, Self::SignedIn { .. }) => Ok(vec![DeviceEvent::SignedOut { at }]),
            (DeviceCommand::SignOut { .. }, _) => Ok(vec![]),
        }
    }

    fn apply(&mut self, event: DeviceEvent) {
        match (event, &mut *self) {
            (DeviceEvent::SignedIn { user, at }, _) => *self = Self::SignedIn { user, generation: 0, since: at },
            (DeviceEvent::Rotated { generation: next, at }, Self::SignedIn { generation, since, .. }) => {
                *generation = next;
                *since = at;
            }
            (DeviceEvent::Rotated { .. }, _) => {}
            (DeviceEvent::ReuseDetected { .. } | DeviceEvent::SignedOut { .. }, _) => *self = Self::Ended,
        }
    }
}

fn rotate(
    presented: u32,
    current: u32,
    since: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<Vec<DeviceEvent>, DeviceRefusal> {
    if at - since > IDLE_LIFETIME {
        return Err(DeviceRefusal::Expired);
    }
    if presented == current {
        return Ok(vec![DeviceEvent::Rotated { generation: current.saturating_add(1), at }]);
    }
    if presented.checked_add(1) == Some(current) && at - since <= GRACE {
        return Ok(vec![]);
    }
    if presented < current {
        return Ok(vec![DeviceEvent::ReuseDetected { generation: presented, at }]);
    }
    // A generation that was never given out: only an older database can have forgotten it.
    Err(DeviceRefusal::NotSignedIn)
}

impl cqrs_es::DomainEvent for DeviceEvent {
    fn event_type(&self) -> String {
        match self {
            Self::SignedIn { .. } => "device.signed_in",
            Self::Rotated { .. } => "device.rotated",
            Self::ReuseDetected { .. } => "device.reuse_detected",
            Self::SignedOut { .. } => "device.signed_out",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[cfg(test)]
mod spec;
