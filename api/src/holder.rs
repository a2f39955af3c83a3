//! Whose credit and whose numbers: a person with an access token, or a program with one of their API keys.
//!
//! Promise: a key that was revoked is refused from the next request on, on every node, because the event log itself is
//! asked each time; a database that is away makes nobody a stranger (503, never 401).

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, StatusCode, request::Parts},
};
use chrono::Utc;
use domain::{ApiKeyId, UserId, users::Scope};
use projections::users;
use sqlx::PgPool;

use crate::{
    auth::{Auth, bearer},
    problem::Problem,
    users::Key,
};

const X_API_KEY: &str = "x-api-key";

/// Who asks, and how far the key that they ask with reaches.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) user: UserId,
    /// `None`: with an access token, which may do everything of this kind.
    key: Option<Grant>,
}

/// What one key may do.
#[derive(Debug, Clone)]
struct Grant {
    id: ApiKeyId,
    scopes: Vec<String>,
    /// Any model where absent.
    models: Option<Vec<String>>,
}

impl Holder {
    /// The key that was used.
    pub(crate) fn api_key(&self) -> Option<ApiKeyId> {
        self.key.as_ref().map(|key| key.id)
    }

    /// Refuses a key without this scope.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Problem> {
        let has = |key: &Grant| key.scopes.iter().any(|had| had == scope.as_str());
        if self.key.as_ref().is_none_or(has) {
            return Ok(());
        }
        let detail = format!("this API key lacks the scope `{}`; make one that has it", scope.as_str());
        Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail))
    }

    /// Whether the key is not restricted to other models.
    pub(crate) fn may_ask(&self, model: &str) -> bool {
        let models = self.key.as_ref().and_then(|key| key.models.as_ref());
        models.is_none_or(|models| models.iter().any(|allowed| allowed == model))
    }
}

/// Finds the holders of what is presented.
#[derive(Clone)]
pub(crate) struct Holders {
    auth: Auth,
    pool: PgPool,
}

impl Holders {
    pub(crate) const fn new(auth: Auth, pool: PgPool) -> Self {
        Self { auth, pool }
    }

    /// The holder of the bearer of these headers, or of `x-api-key`.
    pub(crate) async fn of(&self, headers: &HeaderMap) -> Result<Holder, Problem> {
        let presented = bearer(headers).or_else(|| headers.get(X_API_KEY)?.to_str().ok());
        let Some(presented) = presented.map(str::trim).filter(|text| !text.is_empty()) else {
            return Err(Problem::unauthenticated(
                "unauthenticated",
                "send an API key or an access token as `Authorization: Bearer …`",
            ));
        };
        if Key::looks_like(presented) {
            return self.of_key(presented).await;
        }
        Ok(Holder { user: self.auth.check(presented).await?.user, key: None })
    }

    async fn of_key(&self, presented: &str) -> Result<Holder, Problem> {
        // One answer for all: whoever guesses learns nothing.
        let invalid = || Problem::unauthenticated("invalid_api_key", "this API key is unknown, revoked or expired");
        let key = Key::read(presented).ok_or_else(invalid)?;
        let access = users::api_key_access(&self.pool, key.id().uuid()).await?;
        let access = access.filter(|access| key.is_of(&access.key_hash)).ok_or_else(invalid)?;
        let expired = access.expires_at.is_some_and(|expires_at| expires_at <= Utc::now());
        if access.revoked || expired {
            return Err(invalid());
        }
        let grant = Grant { id: key.id(), scopes: access.scopes, models: access.models };
        Ok(Holder { user: UserId::new(access.owner), key: Some(grant) })
    }
}

/// Whoever may see a wallet: its owner, or their key with the scope `billing`.
#[derive(Debug, Clone)]
pub(crate) struct Payer {
    pub(crate) user: UserId,
}

impl<S> FromRequestParts<S> for Payer
where
    S: Send + Sync,
    Holders: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let holder = Holders::from_ref(state).of(&parts.headers).await?;
        holder.require(Scope::Billing)?;
        Ok(Self { user: holder.user })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn holder(scopes: &[&str], models: Option<&[&str]>) -> Holder {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let key = Grant { id: ApiKeyId::new(Uuid::nil()), scopes: owned(scopes), models: models.map(owned) };
        Holder { user: UserId::new(Uuid::nil()), key: Some(key) }
    }

    #[test]
    fn a_key_reaches_as_far_as_its_scopes_and_models() {
        let key = holder(&["chat"], Some(&["a"]));
        assert!(key.require(Scope::Chat).is_ok() && key.may_ask("a"));
        assert_eq!(key.require(Scope::Billing).unwrap_err().code(), "scope_missing");
        assert!(!key.may_ask("b"));
        assert!(holder(&[], None).may_ask("b"));
    }

    #[test]
    fn an_access_token_reaches_everything_of_its_owner() {
        let person = Holder { user: UserId::new(Uuid::nil()), key: None };
        assert!(person.require(Scope::Billing).is_ok() && person.may_ask("b"));
    }
}
