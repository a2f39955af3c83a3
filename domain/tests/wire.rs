//! The stored form of every event, frozen: bytes that were written once must be readable for ever.
//!
//! Each file in `tests/wire/` is one event as it lies in the log (open form). A change of an event is a new version with
//! an upcaster and a new file, never an edit of an old one. A version that gained optional fields has another file with
//! them, `<event>.v<version>+<what>.json`; the one without them stays.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in tests a panic is the failure report")]

use std::{collections::BTreeSet, fs, path::Path};

use cqrs_es::DomainEvent;
use domain::{
    billing::WalletEvent,
    chat::SessionEvent,
    relay::{CallBatchEvent, ChannelEvent, GroupEvent, ResponseEvent},
    users::{ApiKeyEvent, DeviceEvent, ReservationEvent, UserEvent},
};
use serde_json::Value;

fn reads_and_writes_the_same<E: DomainEvent>(name: &str, stored: &Value) {
    let (event_type, version) = name.rsplit_once(".v").unwrap();
    let version = version.split('+').next().unwrap();
    let (raised_to, payload) = domain::upcast::upcast(event_type, version, stored.clone());
    let event: E = serde_json::from_value(payload).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!((event.event_type().as_str(), event.event_version().as_str()), (event_type, raised_to), "{name}");
    if raised_to == version {
        assert_eq!(&serde_json::to_value(&event).unwrap(), stored, "{name}");
    }
}

fn frozen(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/wire/{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Every form in which an event was ever stored.
const FROZEN: [&str; 65] = [
    "api_key.created.v1",
    "api_key.revoked.v1",
    "call_batch.recorded.v1",
    "call_batch.recorded.v1+free",
    "channel.added.v1",
    "channel.address_changed.v1",
    "channel.address_changed.v1+own",
    "channel.annotated.v1",
    "channel.disabled.v1",
    "channel.enabled.v1",
    "channel.key_resumed.v1",
    "channel.key_suspended.v1",
    "channel.keys_replaced.v1",
    "channel.models_offered.v1",
    "channel.models_offered.v1+hedge",
    "channel.models_offered.v1+traits",
    "channel.overrides_changed.v1",
    "channel.prices_changed.v1",
    "channel.removed.v1",
    "channel.renamed.v1",
    "channel.routing_changed.v1",
    "channel.routing_changed.v1+told",
    "device.reuse_detected.v1",
    "device.rotated.v1",
    "device.signed_in.v1",
    "device.signed_out.v1",
    "group.added.v1",
    "group.factor_changed.v1",
    "group.removed.v1",
    "group.retitled.v1",
    "reservation.claimed.v1",
    "reservation.released.v1",
    "response.abandoned.v1",
    "response.cancelled.v1",
    "response.completed.v1",
    "response.created.v1",
    "response.deleted.v1",
    "response.failed.v1",
    "session.deleted.v1",
    "session.message_sent.v1",
    "session.renamed.v1",
    "session.reply_completed.v1",
    "session.reply_failed.v1",
    "session.reply_failed.v2",
    "session.reply_requested.v1",
    "session.reply_started.v1",
    "session.restored.v1",
    "session.started.v1",
    "session.stop_requested.v1",
    "user.group_assigned.v1",
    "user.registered.v1",
    "wallet.adjusted.v1",
    "wallet.charged.v1",
    "wallet.charged.v1+hour",
    "wallet.charged.v1+pieces",
    "wallet.charged.v1+tiers",
    "wallet.expired.v1",
    "wallet.granted.v1",
    "wallet.held.v1",
    "wallet.held.v1+alternatives",
    "wallet.held.v1+pieces",
    "wallet.held.v1+tiers",
    "wallet.hold_extended.v1",
    "wallet.released.v1",
    "wallet.topped_up.v1",
];

#[test]
fn every_frozen_event_is_read_and_written_as_it_was() {
    // tidy: long because it lists every event that was ever frozen
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let stored: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        match name.split('.').next().unwrap() {
            "user" => reads_and_writes_the_same::<UserEvent>(&name, &stored),
            "device" => reads_and_writes_the_same::<DeviceEvent>(&name, &stored),
            "reservation" => reads_and_writes_the_same::<ReservationEvent>(&name, &stored),
            "session" => reads_and_writes_the_same::<SessionEvent>(&name, &stored),
            "wallet" => reads_and_writes_the_same::<WalletEvent>(&name, &stored),
            "call_batch" => reads_and_writes_the_same::<CallBatchEvent>(&name, &stored),
            "channel" => reads_and_writes_the_same::<ChannelEvent>(&name, &stored),
            "response" => reads_and_writes_the_same::<ResponseEvent>(&name, &stored),
            "group" => reads_and_writes_the_same::<GroupEvent>(&name, &stored),
            "api_key" => reads_and_writes_the_same::<ApiKeyEvent>(&name, &stored),
            other => panic!("no aggregate is called {other}"),
        }
        seen.insert(name);
    }
    assert_eq!(seen, FROZEN.map(str::to_owned).into(), "every event has a frozen form");
}

#[test]
fn the_sentence_of_an_old_failure_belongs_to_whoever_owns_its_text() {
    let (version, payload) = domain::upcast::upcast("session.reply_failed", "1", frozen("session.reply_failed.v1"));
    let event: SessionEvent = serde_json::from_value(payload.clone()).unwrap();
    let SessionEvent::ReplyFailed { content, message, .. } = event else { panic!("another event: {payload}") };
    assert_eq!((version, message.subject()), ("2", content.subject()));
    assert_eq!(payload, frozen("session.reply_failed.v2"), "the same as if it had been written today");
}

#[test]
fn the_sentence_of_an_old_failure_outlives_the_key_of_its_text() {
    let mut stored = frozen("session.reply_failed.v1");
    // What the store hands over once the person's key was destroyed.
    stored["reply_failed"]["content"]["$sealed"].as_object_mut().unwrap().remove("open");
    let (_, payload) = domain::upcast::upcast("session.reply_failed", "1", stored);
    let event: SessionEvent = serde_json::from_value(payload).unwrap();
    let SessionEvent::ReplyFailed { content, message, .. } = event else { panic!("{event:?}") };
    assert_eq!(content.open(), None);
    assert!(message.open().is_some_and(|sentence| sentence.contains("broke off")), "it was never sealed at rest");
}

#[test]
fn an_event_of_today_or_of_the_future_is_not_raised() {
    for version in ["2", "3"] {
        let stored = frozen("session.reply_failed.v2");
        assert_eq!(domain::upcast::upcast("session.reply_failed", version, stored.clone()), (version, stored));
    }
}

#[test]
fn what_a_stored_settlement_charged_can_be_computed_again_from_it_alone() {
    for name in ["wallet.charged.v1", "wallet.charged.v1+hour", "wallet.charged.v1+pieces", "wallet.charged.v1+tiers"] {
        let event: WalletEvent = serde_json::from_value(frozen(name)).unwrap();
        let WalletEvent::Charged { tokens, prices, costs, charged_nanos, cost_nanos, effect, .. } = event else {
            panic!("{event:?}")
        };
        assert_eq!((prices.cost(&tokens), costs.cost(&tokens)), (Some(charged_nanos), Some(cost_nanos)), "{name}");
        let taken = effect.debt_nanos.get() - effect.granted_nanos.get() - effect.paid_nanos.get();
        assert_eq!(taken, charged_nanos.get(), "gifts, payments and debt bear all of it");
    }
}

#[test]
fn amounts_are_written_as_strings_and_rates_as_decimals() {
    for name in WALLET_EVENTS_WITH_AMOUNTS {
        let stored = frozen(name);
        let mut found = 0;
        each_field(&stored, &mut |key, value| {
            if key.ends_with("_nanos") {
                found += 1;
                assert!(value.as_str().is_some_and(|text| text.parse::<i64>().is_ok()), "{name} {key}: {value}");
            }
        });
        assert!(found > 0, "{name} has amounts");
    }
}

const WALLET_EVENTS_WITH_AMOUNTS: [&str; 7] = [
    "wallet.adjusted.v1",
    "wallet.charged.v1",
    "wallet.expired.v1",
    "wallet.granted.v1",
    "wallet.held.v1",
    "wallet.released.v1",
    "wallet.topped_up.v1",
];

fn each_field(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                visit(key, value);
                each_field(value, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_field(item, visit)),
        _ => {}
    }
}
