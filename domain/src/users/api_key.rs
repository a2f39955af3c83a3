//! A key of the API: what a program may do in its owner's name.
//!
//! Promise: the key itself is never stored, only its hash; what it may do is fixed when it is made; once revoked it stays
//! revoked.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    Sealed, UserId,
    decider::{Decider, Refusal},
};

/// Characters of a key's name, at most.
pub const MAX_NAME_CHARS: usize = 80;
/// Models that a key can be restricted to, at most.
pub const MAX_MODELS: usize = 100;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask models.
    Chat,
    /// List models.
    Models,
    /// Read the wallet, the ledger and the charges.
    Billing,
}

impl Scope {
    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Models => "models",
            Self::Billing => "billing",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyCommand {
    CreateApiKey {
        owner: UserId,
        name: Sealed<String>,
        /// Hex of SHA-256 over the key.
        key_hash: String,
        /// The end of the key, by which people know it.
        hint: String,
        scopes: Vec<Scope>,
        /// Only these models; any where absent.
        models: Option<Vec<String>>,
        expires_at: Option<DateTime<Utc>>,
        at: DateTime<Utc>,
    },
    RevokeApiKey {
        by: UserId,
        at: DateTime<Utc>,
    },
}

/// Stored for ever: a change is a new version (see `tests/wire/`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyEvent {
    /// A key was made; only its owner has seen it.
    Created {
        owner: UserId,
        /// What its owner calls it.
        name: Sealed<String>,
        /// Hex of SHA-256 over the key.
        key_hash: String,
        /// The end of the key, by which people know it.
        hint: String,
        scopes: Vec<Scope>,
        /// Only these models; any where absent.
        models: Option<Vec<String>>,
        /// It is refused from then on; never where absent.
        expires_at: Option<DateTime<Utc>>,
        at: DateTime<Utc>,
    },
    /// The key opens nothing any more, and never will again.
    Revoked { at: DateTime<Utc> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ApiKeyRefusal {
    #[error("this key was made already")]
    AlreadyCreated,
    #[error("there is no such key")]
    ApiKeyNotFound,
    #[error("a key's name has 1 to {MAX_NAME_CHARS} characters")]
    InvalidName,
    #[error("a key that may do nothing is of no use: name at least one scope")]
    NoScopes,
    #[error("a key is restricted to 1 to {MAX_MODELS} models, or to none")]
    InvalidModels,
    #[error("a key cannot have expired before it is made")]
    InvalidExpiry,
}

impl Refusal for ApiKeyRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyCreated => "api_key_already_created",
            Self::ApiKeyNotFound => "api_key_not_found",
            Self::InvalidName => "invalid_name",
            Self::NoScopes => "no_scopes",
            Self::InvalidModels => "invalid_models",
            Self::InvalidExpiry => "invalid_expiry",
        }
    }

    fn details(&self) -> Value {
        match self {
            Self::InvalidName => json!({ "limit": MAX_NAME_CHARS }),
            Self::InvalidModels => json!({ "limit": MAX_MODELS }),
            _ => Value::Null,
        }
    }
}

/// Not yet, or of its owner, revoked or not.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub enum ApiKey {
    #[default]
    Unknown,
    Created {
        owner: UserId,
        revoked: bool,
    },
}

impl Decider for ApiKey {
    const CAPABILITY: &'static str = "users";
    const TYPE: &'static str = "api_key";
    type Command = ApiKeyCommand;
    type Event = ApiKeyEvent;
    type Refusal = ApiKeyRefusal;

    fn decide(&self, command: ApiKeyCommand) -> Result<Vec<ApiKeyEvent>, ApiKeyRefusal> {
        match command {
            ApiKeyCommand::CreateApiKey { owner, name, key_hash, hint, scopes, models, expires_at, at } => {
                if *self != Self::Unknown {
                    return Err(ApiKeyRefusal::AlreadyCreated);
                }
                let chars = name.open().map_or(0, |name| name.trim().chars().count());
                if chars == 0 || chars > MAX_NAME_CHARS {
                    return Err(ApiKeyRefusal::InvalidName);
                }
                if scopes.is_empty() {
                    return Err(ApiKeyRefusal::NoScopes);
                }
                if models.as_ref().is_some_and(|models| models.is_empty() || models.len() > MAX_MODELS) {
                    return Err(ApiKeyRefusal::InvalidModels);
                }
                if expires_at.is_some_and(|expires_at| expires_at <= at) {
                    return Err(ApiKeyRefusal::InvalidExpiry);
                }
                Ok(vec![ApiKeyEvent::Created { owner, name, key_hash, hint, scopes, models, expires_at, at }])
            }
            // A stranger learns no more than that there is nothing.
            ApiKeyCommand::RevokeApiKey { by, at } => match self {
                Self::Created { owner, revoked } if *owner == by => {
                    Ok(if *revoked { vec![] } else { vec![ApiKeyEvent::Revoked { at }] })
                }
                _ => Err(ApiKeyRefusal::ApiKeyNotFound),
            },
        }
    }

    fn apply(&mut self, event: ApiKeyEvent) {
        match event {
            ApiKeyEvent::Created { owner, .. } => *self = Self::Created { owner, revoked: false },
            ApiKeyEvent::Revoked { .. } => {
                if let Self::Created { revoked, .. } = self {
                    *revoked = true;
                }
            }
        }
    }
}

impl cqrs_es::DomainEvent for ApiKeyEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Created { .. } => "api_key.created",
            Self::Revoked { .. } => "api_key.revoked",
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
    use uuid::Uuid;

    use super::*;
    use crate::Decided;

    const OWNER: UserId = UserId::new(Uuid::from_u128(1));
    const STRANGER: UserId = UserId::new(Uuid::from_u128(2));
    const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn given(events: Vec<ApiKeyEvent>) -> AggregateTestExecutor<Decided<ApiKey>> {
        TestFramework::with(()).given(events)
    }

    fn create(
        name: &str,
        scopes: &[Scope],
        models: Option<&[&str]>,
        expires_at: Option<DateTime<Utc>>,
    ) -> ApiKeyCommand {
        ApiKeyCommand::CreateApiKey {
            owner: OWNER,
            name: Sealed::new(OWNER, name.to_owned()),
            key_hash: "00".repeat(32),
            hint: "wxyz".to_owned(),
            scopes: scopes.to_vec(),
            models: models.map(|models| models.iter().map(|model| (*model).to_owned()).collect()),
            expires_at,
            at: AT,
        }
    }

    fn created() -> ApiKeyEvent {
        match ApiKey::Unknown.decide(create("laptop", &[Scope::Chat], None, None)).as_deref() {
            Ok([event]) => event.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_is_made_with_what_it_may_do_and_only_its_hash() {
        assert!(
            matches!(created(), ApiKeyEvent::Created { owner, scopes, models: None, .. } if owner == OWNER && scopes == [Scope::Chat])
        );
        given(vec![created()])
            .when(create("again", &[Scope::Chat], None, None))
            .then_expect_error(ApiKeyRefusal::AlreadyCreated);
    }

    #[test]
    fn a_key_without_name_scope_or_future_is_refused() {
        let refusals = [
            (create(" ", &[Scope::Chat], None, None), ApiKeyRefusal::InvalidName),
            (create(&"x".repeat(81), &[Scope::Chat], None, None), ApiKeyRefusal::InvalidName),
            (create("x", &[], None, None), ApiKeyRefusal::NoScopes),
            (create("x", &[Scope::Chat], Some(&[]), None), ApiKeyRefusal::InvalidModels),
            (create("x", &[Scope::Chat], None, Some(AT)), ApiKeyRefusal::InvalidExpiry),
        ];
        for (command, refusal) in refusals {
            given(vec![]).when(command).then_expect_error(refusal);
        }
    }

    #[test]
    fn its_owner_revokes_it_once_and_for_ever() {
        let revoke = ApiKeyCommand::RevokeApiKey { by: OWNER, at: AT };
        given(vec![created()]).when(revoke.clone()).then_expect_events(vec![ApiKeyEvent::Revoked { at: AT }]);
        given(vec![created(), ApiKeyEvent::Revoked { at: AT }]).when(revoke).then_expect_events(vec![]);
    }

    #[test]
    fn a_stranger_finds_no_key_to_revoke() {
        let revoke = ApiKeyCommand::RevokeApiKey { by: STRANGER, at: AT };
        given(vec![created()]).when(revoke.clone()).then_expect_error(ApiKeyRefusal::ApiKeyNotFound);
        given(vec![]).when(revoke).then_expect_error(ApiKeyRefusal::ApiKeyNotFound);
    }
}
