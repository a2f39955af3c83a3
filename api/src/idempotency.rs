//! `Idempotency-Key`: the same key with the same body answers the same.
//!
//! Promise: a keyed request becomes a command whose id, and whose every new id, follow from the actor and the key alone,
//! so a retry meets the stored outcome instead of acting twice. What the key was used for is remembered as a
//! fingerprint of method, path and body; the instant of the request is no part of it.

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, Method, StatusCode, request::Parts},
};
use domain::UserId;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{commands::Actor, problem::Problem};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_CHARS: usize = 128;
/// The name space of keyed command ids; never changes, else a retry across a release acts twice.
const COMMANDS: Uuid = Uuid::from_u128(0x0b11_7105_c0de_5000_8000_1de3_907e_2c1e);

/// What the client sent, if anything, and for which address.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey {
    key: Option<String>,
    method: Method,
    path: String,
}

/// A key that this route cannot do without.
#[derive(Debug, Clone)]
pub(crate) struct RequiredIdempotencyKey(pub(crate) IdempotencyKey);

/// The identity of one command, and of what it creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandIdentity {
    pub(crate) command_id: Uuid,
    /// Hex of SHA-256 over what was asked; absent where no key was sent.
    pub(crate) fingerprint: Option<String>,
}

impl CommandIdentity {
    /// Of a request that cannot be repeated as the same.
    pub(crate) fn unique() -> Self {
        Self { command_id: Uuid::now_v7(), fingerprint: None }
    }

    /// The id of the `thing` that this command makes: the same again for the same key.
    pub(crate) fn new_id(&self, thing: &str) -> Uuid {
        match self.fingerprint {
            Some(_) => Uuid::new_v5(&self.command_id, thing.as_bytes()),
            None => Uuid::now_v7(),
        }
    }
}

impl IdempotencyKey {
    /// The identity of `user` asking for `request` here.
    pub(crate) fn identify(&self, user: UserId, request: &impl Serialize) -> Result<CommandIdentity, Problem> {
        let Some(key) = &self.key else { return Ok(CommandIdentity::unique()) };
        // A type's fields always come in the same order, so spaces and order of the client's JSON do not matter.
        let body = serde_json::to_vec(request).map_err(|error| Problem::bug(&error))?;
        let mut hash = Sha256::new();
        for part in [self.method.as_str().as_bytes(), self.path.as_bytes(), &body] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Ok(CommandIdentity {
            command_id: Uuid::new_v5(&COMMANDS, format!("{}:{key}", Actor::User(user)).as_bytes()),
            fingerprint: Some(hex::encode(hash.finalize())),
        })
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let key = match parts.headers.get(HEADER) {
            None => None,
            Some(value) => {
                let text = value.to_str().ok().filter(|text| {
                    (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
                });
                Some(text.map(str::to_owned).ok_or_else(|| {
                    Problem::new(
                        StatusCode::BAD_REQUEST,
                        "invalid_idempotency_key",
                        "`Idempotency-Key` has 1 to 128 printable ASCII characters",
                    )
                })?)
            }
        };
        Ok(Self { key, method: parts.method.clone(), path: parts.uri.path().to_owned() })
    }
}

impl<S: Sync> FromRequestParts<S> for RequiredIdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let key = IdempotencyKey::from_request_parts(parts, state).await?;
        if key.key.is_none() {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "idempotency_key_required",
                "send an `Idempotency-Key` of your choice, so that a repeated request cannot act twice",
            ));
        }
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: Option<&str>) -> IdempotencyKey {
        IdempotencyKey { key: text.map(str::to_owned), method: Method::POST, path: "/x".to_owned() }
    }

    const ANN: UserId = UserId::new(Uuid::from_u128(1));
    const BOB: UserId = UserId::new(Uuid::from_u128(2));

    #[test]
    fn a_repeated_key_gives_the_same_ids_and_another_person_other_ones() {
        let first = key(Some("k")).identify(ANN, &"body").unwrap();
        let again = key(Some("k")).identify(ANN, &"body").unwrap();
        assert_eq!(first, again);
        assert_eq!(first.new_id("message"), again.new_id("message"));
        assert_ne!(first.new_id("message"), first.new_id("reply"));
        assert_ne!(first.command_id, key(Some("k")).identify(BOB, &"body").unwrap().command_id);
    }

    #[test]
    fn another_body_or_address_under_the_same_key_has_another_fingerprint() {
        let first = key(Some("k")).identify(ANN, &"body").unwrap();
        let other_body = key(Some("k")).identify(ANN, &"other").unwrap();
        let other_path = IdempotencyKey { path: "/y".to_owned(), ..key(Some("k")) }.identify(ANN, &"body").unwrap();
        assert_eq!(first.command_id, other_body.command_id);
        assert_ne!(first.fingerprint, other_body.fingerprint);
        assert_ne!(first.fingerprint, other_path.fingerprint);
    }

    #[test]
    fn without_a_key_every_request_is_a_new_one() {
        let (one, two) = (key(None).identify(ANN, &"b").unwrap(), key(None).identify(ANN, &"b").unwrap());
        assert_ne!(one.command_id, two.command_id);
        assert_ne!(one.new_id("message"), one.new_id("message"));
    }
}
