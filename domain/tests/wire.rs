//! The stored form of every event, frozen: bytes that were written once must be readable for ever.
//!
//! Each file in `tests/wire/` is one event as it lies in the log (open form). A change of an event is a new version with
//! an upcaster and a new file, never an edit of an old one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in tests a panic is the failure report")]

use std::{collections::BTreeSet, fs, path::Path};

use cqrs_es::DomainEvent;
use domain::{
    chat::SessionEvent,
    users::{DeviceEvent, ReservationEvent, UserEvent},
};
use serde_json::Value;

fn reads_and_writes_the_same<E: DomainEvent>(name: &str, stored: &Value) {
    let (event_type, version) = name.rsplit_once(".v").unwrap();
    let (raised_to, payload) = domain::upcast::upcast(event_type, version, stored.clone());
    let event: E = serde_json::from_value(payload).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!((event.event_type().as_str(), event.event_version().as_str()), (event_type, raised_to), "{name}");
    if raised_to == version {
        assert_eq!(&serde_json::to_value(&event).unwrap(), stored, "{name}");
    }
}

#[test]
fn every_frozen_event_is_read_and_written_as_it_was() {
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
            other => panic!("no aggregate is called {other}"),
        }
        seen.insert(name);
    }
    let expected = [
        "device.reuse_detected.v1",
        "device.rotated.v1",
        "device.signed_in.v1",
        "device.signed_out.v1",
        "reservation.claimed.v1",
        "reservation.released.v1",
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
        "user.registered.v1",
    ];
    assert_eq!(seen, expected.map(str::to_owned).into(), "every event has a frozen form");
}
