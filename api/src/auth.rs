//! Who is asking: access tokens and the devices behind them.
//!
//! Promise: a request is known by its token alone, so authentication works while Postgres is away. A device that was
//! signed out is refused within seconds on every node; where that cannot be looked up, the token's own life of 15
//! minutes bounds the harm.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{DeviceId, UserId, users::Role};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use moka::{Expiry, future::Cache};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;
use vault::Vault;

use crate::problem::Problem;

/// The life of an access token.
pub(crate) const ACCESS_TOKEN_LIFE: TimeDelta = TimeDelta::seconds(900);
/// Tells access tokens from any other JWT of the house (RFC 9068).
const TOKEN_TYPE: &str = "at+jwt";
const ISSUER: &str = "oblivious";
const AUDIENCE: &str = "oblivious-api";

/// Who is asking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    /// As it was when the token was made.
    pub(crate) role: Role,
    /// When the token ends.
    pub(crate) until: DateTime<Utc>,
}

/// An operator of this installation. Keys of the API never are one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admin {
    pub(crate) user: UserId,
}

/// Checks and makes access tokens.
#[derive(Clone)]
pub(crate) struct Auth {
    tokens: Arc<AccessTokens>,
    devices: Arc<Devices>,
}

impl Auth {
    pub(crate) fn new(vault: &Vault, pool: PgPool) -> Self {
        let tokens = Arc::new(AccessTokens::new(&vault.access_token_key()));
        Self { tokens, devices: Arc::new(Devices::new(pool)) }
    }

    /// A token for `user` on `device`, valid from `at` for [`ACCESS_TOKEN_LIFE`].
    pub(crate) fn issue(
        &self,
        user: UserId,
        device: DeviceId,
        role: Role,
        at: DateTime<Utc>,
    ) -> Result<String, Problem> {
        self.tokens.issue(user, device, role, at).map_err(|error| Problem::bug(&error))
    }

    /// Whether this device was signed out, as far as is known.
    pub(crate) async fn has_ended(&self, device: DeviceId) -> bool {
        self.devices.has_ended(device.uuid()).await
    }

    /// This node need not wait for the read model to refuse the device.
    pub(crate) async fn forget(&self, device: DeviceId) {
        self.devices.standing.insert(device.uuid(), Standing::Ended).await;
    }

    /// The bearer of these headers.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let token = bearer(headers)
            .ok_or_else(|| Problem::unauthenticated("unauthenticated", "sign in and send `Authorization: Bearer …`"))?;
        self.check(token).await
    }

    /// Who holds this access token.
    pub(crate) async fn check(&self, token: &str) -> Result<Caller, Problem> {
        let caller = self.tokens.check(token)?;
        if self.has_ended(caller.device).await {
            return Err(Problem::unauthenticated("device_signed_out", "this device was signed out; sign in again"));
        }
        Ok(caller)
    }
}

/// What stands behind `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Auth::from_ref(state).caller(&parts.headers).await
    }
}

impl<S> FromRequestParts<S> for Admin
where
    S: Send + Sync,
    Auth: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Auth::from_ref(state).caller(&parts.headers).await?;
        match caller.role {
            Role::Admin => Ok(Self { user: caller.user }),
            Role::User => Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "this is for operators only")),
        }
    }
}

struct AccessTokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    device: DeviceId,
    role: Role,
    exp: i64,
    iat: i64,
    jti: Uuid,
}

impl AccessTokens {
    fn new(key: &[u8; 32]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Made and checked by the same house: its clocks agree.
        validation.leeway = 0;
        Self { encoding: EncodingKey::from_secret(key), decoding: DecodingKey::from_secret(key), validation }
    }

    fn issue(
        &self,
        user: UserId,
        device: DeviceId,
        role: Role,
        at: DateTime<Utc>,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            device,
            role,
            exp: (at + ACCESS_TOKEN_LIFE).timestamp(),
            iat: at.timestamp(),
            jti: Uuid::now_v7(),
        };
        let header = Header { typ: Some(TOKEN_TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &self.encoding)
    }

    fn check(&self, token: &str) -> Result<Caller, Problem> {
        let invalid = || Problem::unauthenticated("invalid_token", "the access token is not valid; sign in again");
        let token =
            jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation).map_err(|error| {
                match error.kind() {
                    ErrorKind::ExpiredSignature => {
                        Problem::unauthenticated("token_expired", "the access token has expired; refresh it")
                    }
                    _ => invalid(),
                }
            })?;
        if token.header.typ.as_deref() != Some(TOKEN_TYPE) {
            return Err(invalid());
        }
        let until = DateTime::from_timestamp(token.claims.exp, 0).ok_or_else(invalid)?;
        let Claims { sub: user, device, role, .. } = token.claims;
        Ok(Caller { user, device, role, until })
    }
}

/// Which devices were signed out; remembered briefly.
struct Devices {
    pool: PgPool,
    standing: Cache<Uuid, Standing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    SignedIn,
    /// For ever.
    Ended,
    /// The database did not say.
    Unknown,
}

/// How long each answer is believed.
struct Belief;

impl Expiry<Uuid, Standing> for Belief {
    fn expire_after_create(&self, _: &Uuid, standing: &Standing, _: Instant) -> Option<Duration> {
        Some(match standing {
            Standing::SignedIn => Duration::from_secs(5),
            // No token of this device outlives this.
            Standing::Ended => Duration::from_secs(1800),
            Standing::Unknown => Duration::from_secs(2),
        })
    }

    fn expire_after_update(
        &self,
        id: &Uuid,
        standing: &Standing,
        at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(id, standing, at)
    }
}

impl Devices {
    const MAX_REMEMBERED: u64 = 100_000;
    /// A request is not held up longer than this for a database that is away.
    const PATIENCE: Duration = Duration::from_millis(300);

    fn new(pool: PgPool) -> Self {
        let standing = Cache::builder().max_capacity(Self::MAX_REMEMBERED).expire_after(Belief).build();
        Self { pool, standing }
    }

    async fn has_ended(&self, device: Uuid) -> bool {
        self.standing.get_with(device, self.look_up(device)).await == Standing::Ended
    }

    async fn look_up(&self, device: Uuid) -> Standing {
        let query = projections::users::device_ended(&self.pool, device);
        match tokio::time::timeout(Self::PATIENCE, query).await {
            Ok(Ok(Some(true))) => Standing::Ended,
            // Not known yet: its token was made by us, so its sign-in is on the way to the read model.
            Ok(Ok(Some(false) | None)) => Standing::SignedIn,
            Ok(Err(_)) | Err(_) => Standing::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId::new(Uuid::from_u128(1));
    const PHONE: DeviceId = DeviceId::new(Uuid::from_u128(2));

    fn code(result: Result<Caller, Problem>) -> String {
        result.map_or_else(|problem| problem.code().to_owned(), |_| "accepted".to_owned())
    }

    #[test]
    fn a_token_of_the_house_is_accepted_until_it_expires() {
        let tokens = AccessTokens::new(&[1; 32]);
        let token = tokens.issue(ANN, PHONE, Role::User, Utc::now()).unwrap();
        let caller = tokens.check(&token).unwrap();
        assert_eq!((caller.user, caller.device), (ANN, PHONE));
        let old = tokens.issue(ANN, PHONE, Role::User, Utc::now() - TimeDelta::seconds(901)).unwrap();
        assert_eq!(code(tokens.check(&old)), "token_expired");
    }

    #[test]
    fn a_token_of_another_house_key_algorithm_or_type_is_refused() {
        let tokens = AccessTokens::new(&[1; 32]);
        let foreign = AccessTokens::new(&[2; 32]).issue(ANN, PHONE, Role::User, Utc::now()).unwrap();
        assert_eq!(code(tokens.check(&foreign)), "invalid_token");

        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: ANN,
            device: PHONE,
            role: Role::Admin,
            exp: Utc::now().timestamp() + 60,
            iat: 0,
            jti: Uuid::nil(),
        };
        let encode = |header: &Header| jsonwebtoken::encode(header, &claims, &tokens.encoding).unwrap();
        assert_eq!(code(tokens.check(&encode(&Header::new(Algorithm::HS256)))), "invalid_token", "a plain JWT");
        assert_eq!(code(tokens.check(&encode(&Header::new(Algorithm::HS512)))), "invalid_token", "another algorithm");
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.";
        assert_eq!(code(tokens.check(unsigned)), "invalid_token");
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case_and_must_be_bearer() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([(header::AUTHORIZATION, axum::http::HeaderValue::from_static(text))])
        };
        assert_eq!(bearer(&headers("bearer abc")), Some("abc"));
        assert_eq!(bearer(&headers("Basic abc")), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
