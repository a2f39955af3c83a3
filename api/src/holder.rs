//! Whose credit and whose numbers: a person with an access token, or a program with one of their API keys.
//!
//! Promise: a database that is away makes nobody a stranger (503, never 401). How soon a revoked key is refused stands in
//! `users/key_grants.rs`.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, HeaderName, StatusCode, Uri, request::Parts},
};
use domain::{ApiKeyId, UserId, users::Scope};

use crate::{
    auth::{Auth, bearer},
    problem::Problem,
    users::{Grant, Key, KeyGrants},
};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// By what a client shows its key; the APIs that we serve have each their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `Authorization: Bearer …`
    Bearer,
    /// `x-api-key`
    ApiKeyHeader,
    /// `x-goog-api-key`
    GoogleHeader,
    /// `?key=…`
    Query,
}

/// The way that counts where there are several; `None` without any key or token.
pub(crate) fn way(headers: &HeaderMap, uri: &Uri) -> Option<Way> {
    presented(headers, uri).map(|(way, _)| way)
}

fn presented<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<(Way, &'a str)> {
    let in_query = || uri.query()?.split('&').find_map(|pair| pair.strip_prefix("key="));
    let in_header = |way, name| text_of(headers, name).map(|text| (way, text));
    bearer(headers)
        .map(|text| (Way::Bearer, text))
        .or_else(|| in_header(Way::ApiKeyHeader, X_API_KEY))
        .or_else(|| in_header(Way::GoogleHeader, X_GOOG_API_KEY))
        // Keys and tokens have no character that is encoded in a query.
        .or_else(|| in_query().map(|text| (Way::Query, text)))
        .map(|(way, text)| (way, text.trim()))
        .filter(|(_, text)| !text.is_empty())
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Who asks, and how far the key that they ask with reaches.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) user: UserId,
    /// `None`: with an access token, which may do everything of this kind.
    key: Option<Arc<Grant>>,
}

impl Holder {
    /// The key that was used.
    pub(crate) fn api_key(&self) -> Option<ApiKeyId> {
        self.key.as_ref().map(|key| key.id)
    }

    /// Refuses a key without this scope.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.key.as_ref().is_none_or(|key| key.has(scope)) {
            return Ok(());
        }
        let detail = format!("this API key lacks the scope `{}`; make one that has it", scope.as_str());
        Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail))
    }

    /// Whether the key is not restricted to other models.
    pub(crate) fn may_ask(&self, model: &str) -> bool {
        self.key.as_ref().is_none_or(|key| key.may_ask(model))
    }
}

/// Finds the holders of what is presented.
#[derive(Clone)]
pub(crate) struct Holders {
    auth: Auth,
    keys: KeyGrants,
}

impl Holders {
    pub(crate) const fn new(auth: Auth, keys: KeyGrants) -> Self {
        Self { auth, keys }
    }

    /// The holder of the bearer of these headers, or of `x-api-key`.
    pub(crate) async fn of(&self, headers: &HeaderMap) -> Result<Holder, Problem> {
        self.of_text(bearer(headers).or_else(|| text_of(headers, X_API_KEY))).await
    }

    /// The holder of what is shown in any of the ways of the served APIs.
    pub(crate) async fn of_served(&self, headers: &HeaderMap, uri: &Uri) -> Result<Holder, Problem> {
        self.of_text(presented(headers, uri).map(|(_, text)| text)).await
    }

    async fn of_text(&self, presented: Option<&str>) -> Result<Holder, Problem> {
        let Some(presented) = presented.map(str::trim).filter(|text| !text.is_empty()) else {
            return Err(Problem::unauthenticated(
                "unauthenticated",
                "send an API key or an access token as `Authorization: Bearer …`",
            ));
        };
        if Key::looks_like(presented) {
            return self.of_key(presented).await;
        }
        Ok(Holder { user: Box::pin(self.auth.check(presented)).await?.user, key: None })
    }

    async fn of_key(&self, presented: &str) -> Result<Holder, Problem> {
        // One answer for all: whoever guesses learns nothing.
        let invalid = || Problem::unauthenticated("invalid_api_key", "this API key is unknown, revoked or expired");
        let grant = self.keys.of(presented).await?.ok_or_else(invalid)?;
        Ok(Holder { user: grant.owner, key: Some(grant) })
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

    fn holder(scopes: &[Scope], models: Option<&[&str]>) -> Holder {
        let grant = Grant::of(UserId::new(Uuid::nil()), scopes, models);
        Holder { user: grant.owner, key: Some(Arc::new(grant)) }
    }

    #[test]
    fn a_key_reaches_as_far_as_its_scopes_and_models() {
        let key = holder(&[Scope::Chat], Some(&["a"]));
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

    #[test]
    fn a_key_is_found_in_each_way_and_a_bearer_counts_first() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        let plain: Uri = "/v1/models".parse().unwrap();
        let query: Uri = "/v1beta/models?alt=sse&key=sk-q".parse().unwrap();
        let all = headers(&[("authorization", "Bearer sk-b"), ("x-api-key", "sk-x"), ("x-goog-api-key", "sk-g")]);
        assert_eq!(presented(&all, &query), Some((Way::Bearer, "sk-b")));
        assert_eq!(presented(&headers(&[("x-api-key", " sk-x ")]), &query), Some((Way::ApiKeyHeader, "sk-x")));
        assert_eq!(presented(&headers(&[("x-goog-api-key", "sk-g")]), &plain), Some((Way::GoogleHeader, "sk-g")));
        assert_eq!(presented(&HeaderMap::new(), &query), Some((Way::Query, "sk-q")));
        assert_eq!(presented(&HeaderMap::new(), &plain), None);
        assert_eq!(way(&headers(&[("authorization", "Basic x")]), &plain), None);
    }
}
