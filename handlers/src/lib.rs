//! The command side: what makes a decision a committed fact, and what follows from facts.
//!
//! Promise: every command is decided once in effect, however often it is delivered; its events and its outcome are
//! committed together; a refusal is stored only if the state it was decided on is still the newest. Reactions turn
//! events into jobs under leases, and a job that lost its lease can change nothing any more.

pub mod billing;
pub mod bus;
pub mod cache;
pub mod chat;
pub mod dead_letters;
pub mod dispatch;
mod group;
pub mod group_store;
pub mod jobs;
pub mod outcomes;
pub mod reactor;
pub mod relay;
pub mod store;
mod unit;
pub mod users;

use std::collections::HashMap;

use domain::{
    Decider,
    billing::Wallet,
    chat::Session,
    relay::{CallBatch, Channel, Group, Response},
    users::{ApiKey, Device, Reservation, User},
};

pub use bus::{Bus, BusError};
pub use dispatch::{Dispatcher, Plan, Plans};
pub use group::{COMMITTER_CONNECTIONS, GroupOptions};
pub use group_store::GroupStore;
pub use unit::{NotHot, Stop, Unit};

/// Which capability owns each aggregate type: the second token of event subjects.
#[must_use]
pub fn capabilities() -> HashMap<String, String> {
    fn of<D: Decider>() -> (String, String) {
        (D::TYPE.to_owned(), D::CAPABILITY.to_owned())
    }
    HashMap::from([
        of::<User>(),
        of::<Device>(),
        of::<Reservation>(),
        of::<ApiKey>(),
        of::<Session>(),
        of::<Channel>(),
        of::<Group>(),
        of::<CallBatch>(),
        of::<Response>(),
        of::<Wallet>(),
    ])
}

/// Every command of every capability.
#[must_use]
pub fn plans() -> Plans {
    Plans::default().with(users::plans()).with(chat::plans()).with(self::relay::plans()).with(billing::plans())
}
