//! What an event says, parsed no further than it must be.
//!
//! Most events hold nothing sealed: their text becomes the domain's event at once, without a tree of JSON in between, which
//! is most of the work of applying them.

use cqrs_es::DomainEvent;
use domain::sealed::SEALED_KEY;
use nats::Body;
use serde_json::Value;
use vault::{Place, Vault, VaultError};

/// The payload of an event.
#[derive(Clone)]
pub(crate) enum Payload {
    /// As stored; nothing in it is sealed once it was opened.
    Text(Body),
    Parsed(Value),
}

impl Payload {
    /// Opens all `$sealed` fields in it.
    ///
    /// # Errors
    /// The key store is away, or a field was altered or moved.
    pub(crate) async fn open(&mut self, vault: &Vault, place: &Place<'_>) -> Result<(), VaultError> {
        if let Self::Text(text) = self {
            // JSON may write any character as an escape; `$` is never written so here, and would be noticed.
            if !text.text().is_some_and(|text| text.contains(SEALED_KEY) || text.contains("\\u0024")) {
                return Ok(());
            }
            // What is no JSON is at fault when it is decoded.
            let Ok(value) = text.read() else { return Ok(()) };
            *self = Self::Parsed(value);
        }
        match self {
            Self::Text(_) => Ok(()),
            Self::Parsed(value) => vault.unseal(place, value).await,
        }
    }

    /// The domain's event, if its payload is of today's version.
    pub(crate) fn decode<E: DomainEvent>(&self) -> Option<E> {
        match self {
            Self::Text(text) => text.read().ok(),
            Self::Parsed(value) => E::deserialize(value).ok(),
        }
    }

    /// As a tree, to be raised from an old version.
    pub(crate) fn parsed(&self) -> Value {
        match self {
            Self::Text(text) => text.read().unwrap_or_default(),
            Self::Parsed(value) => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        Sealed, UserId,
        users::{ApiKeyEvent, NameKind, ReservationEvent},
    };
    use uuid::Uuid;
    use vault::MasterKey;

    use super::*;

    const PLACE: Place<'_> = Place { aggregate_type: "a", aggregate_id: "b", sequence: 1 };

    #[tokio::test]
    async fn a_text_without_anything_sealed_is_decoded_as_it_is_and_a_sealed_one_after_it_was_opened() {
        let database = testkit::database().await;
        let vault = Vault::open(database.pool.clone(), MasterKey::generate().unwrap()).await.unwrap();
        let holder = UserId::new(Uuid::from_u128(7));
        let plain = ReservationEvent::Claimed { kind: NameKind::Email, holder };
        let mut payload = Payload::Text(Body::of(&plain).unwrap());
        payload.open(&vault, &PLACE).await.unwrap();
        assert!(matches!(payload, Payload::Text(_)));
        assert_eq!(payload.decode::<ReservationEvent>(), Some(plain));

        let secret = serde_json::to_value(Sealed::new(holder, "a name".to_owned())).unwrap();
        let mut created = serde_json::json!({"created": {"owner": holder, "name": secret, "key_hash": "", "hint": "",
            "scopes": [], "models": null, "expires_at": null, "at": "2026-01-01T00:00:00Z"}});
        vault.seal(&PLACE, &mut created).await.unwrap();
        for text in [created.to_string(), created.to_string().replace("$sealed", "\\u0024sealed")] {
            let mut payload = Payload::Text(Body::read_from(text).unwrap());
            payload.open(&vault, &PLACE).await.unwrap();
            let Some(ApiKeyEvent::Created { name, .. }) = payload.decode() else { panic!("it decodes") };
            assert_eq!(name.open().map(String::as_str), Some("a name"));
        }
    }
}
