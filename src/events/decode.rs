//! Whether a stored event is one of the domain's, today.

use std::collections::HashMap;

use cqrs_es::DomainEvent;
use domain::Decider;
use domain::billing::Wallet;
use domain::chat::Session;
use domain::relay::{CallBatch, Channel, Group, Response};
use domain::users::{ApiKey, Device, Reservation, User};
use nats::LoggedEvent;
use serde_json::Value;

type Check = fn(&str, &str, Value) -> bool;

/// Every aggregate type with the check of its events.
pub(super) struct Decoders(HashMap<&'static str, Check>);

impl Decoders {
    pub(super) fn new() -> Self {
        fn of<D: Decider>() -> (&'static str, Check) {
            (D::TYPE, is_event::<D::Event>)
        }
        Self(HashMap::from([
            of::<User>(),
            of::<Device>(),
            of::<Reservation>(),
            of::<ApiKey>(),
            of::<Session>(),
            of::<Channel>(),
            of::<Group>(),
            of::<Response>(),
            of::<CallBatch>(),
            of::<Wallet>(),
        ]))
    }

    /// Whether the event, already opened, is known to this release. An aggregate type that nobody knows is not.
    pub(super) fn know(&self, event: &LoggedEvent, opened: Value) -> bool {
        let check = self.0.get(event.aggregate_type.as_str());
        check.is_some_and(|check| check(&event.event_type, &event.event_version, opened))
    }
}

/// Raised from its old version, it decodes and says of itself what was stored about it.
fn is_event<E: DomainEvent>(event_type: &str, version: &str, payload: Value) -> bool {
    let (raised_to, payload) = domain::upcast::upcast(event_type, version, payload);
    let event: Option<E> = serde_json::from_value(payload).ok();
    event.is_some_and(|event| event.event_type() == event_type && event.event_version() == raised_to)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_events_of_every_aggregate_can_be_checked() {
        let published: BTreeSet<String> = handlers::capabilities().into_keys().collect();
        let checked: BTreeSet<String> = Decoders::new().0.into_keys().map(str::to_owned).collect();
        assert_eq!(checked, published);
    }
}
