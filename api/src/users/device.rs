//! Signing in, staying signed in, signing out: the life of a device.
//!
//! The page keeps its refresh token in a cookie that no script can read and no other site can send; API clients get it
//! in the body.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use axum_extra::extract::CookieJar;
use chrono::Utc;
use domain::{
    DeviceId, UserId,
    users::{Device, DeviceCommand, EmailAddress, device::IDLE_LIFETIME},
};
use projections::users;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use vault::Vault;

use super::{
    passwords::{Password, Passwords},
    refresh_token::RefreshToken,
    throttle::{ClientAddress, Throttle},
};
use crate::{
    auth::{ACCESS_TOKEN_LIFE, Auth},
    commands::{self, Accepted, Actor, Bus, CommandStatus, Written},
    extract,
    idempotency::CommandIdentity,
    openapi::Problems,
    problem::Problem,
    read::{Model, Reads},
    request_id::Origin,
};

const COOKIE: &str = "oblivious_refresh";
const REUSE_DETECTED: &str = "device.reuse_detected";

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Login {
    email: String,
    #[schema(value_type = String, format = Password)]
    password: Password,
    /// Keep the refresh token in a cookie instead of the body: for pages.
    #[serde(default)]
    #[schema(default = false)]
    cookie: bool,
}

/// The token to be exchanged or given up; absent where it is in the cookie.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct RefreshBody {
    #[schema(value_type = Option<String>, format = Password)]
    refresh_token: Option<Password>,
}

/// What a signed-in device needs.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedIn {
    user: users::User,
    /// For `Authorization: Bearer`.
    access_token: String,
    /// For `auth/refresh`; `null` where it is in the cookie.
    #[schema(required = true)]
    refresh_token: Option<String>,
    /// Seconds until the access token expires.
    expires_in: i64,
}

/// Signs in a new device.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "accounts", request_body = Login,
    responses((status = 200, body = SignedIn), Problems))]
#[expect(clippy::too_many_arguments, reason = "each is one piece of state or of the request")]
pub(super) async fn login(
    State(auth): State<Auth>,
    State(bus): State<Bus>,
    State(cookies): State<Cookies>,
    State(passwords): State<Passwords>,
    State(reads): State<Reads>,
    State(throttle): State<Throttle>,
    State(vault): State<Vault>,
    client: ClientAddress,
    origin: Origin,
    extract::Json(request): extract::Json<Login>,
) -> Result<Response, Problem> {
    // An address of the wrong form belongs to nobody, and costs the same work.
    let canonical = EmailAddress::parse(&request.email).map_or_else(|_| String::new(), |email| email.canonical());
    let account = vault.name_hash("email", &canonical);
    throttle.admit_to(&client, &account)?;

    let found = users::by_email_hash(reads.pool(), &account).await?;
    let (user, hash) = found.map_or((None, None), |found| (Some(found.user), Some(found.password_hash)));
    let is_right = passwords.check(request.password, hash).await?;
    let Some(user) = user.filter(|_| is_right) else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "invalid_credentials",
            "the e-mail address or the password is wrong",
        ));
    };

    let (device, owner, now) = (DeviceId::new(Uuid::now_v7()), UserId::new(user.id), Utc::now());
    let command = DeviceCommand::SignIn { user: owner, at: now };
    let identity = CommandIdentity::unique();
    let sent = bus.send::<Device>(origin, Actor::User(owner), identity, device.uuid(), &command).await?;
    let Accepted::Done { event, .. } = sent else { return Err(too_slow()) };
    // Else the first refresh, or a sign-out elsewhere, would not find this device.
    let stale = reads.is_behind(Model::Users, event.as_ref()).await.unwrap_or(true);
    let access_token = auth.issue(owner, device, user.role.into(), now)?;
    let refresh_token = RefreshToken { device, generation: 0 }.write(&vault);
    let mut response = cookies.sign_in(user, access_token, refresh_token, request.cookie);
    commands::mark(&mut response, event.as_ref(), stale);
    Ok(response)
}

/// Exchanges a refresh token for its successor and a new access token.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "accounts", request_body = Option<RefreshBody>,
    responses((status = 200, body = SignedIn), Problems))]
#[expect(clippy::too_many_arguments, reason = "each is one piece of state or of the request")]
pub(super) async fn refresh(
    State(auth): State<Auth>,
    State(bus): State<Bus>,
    State(cookies): State<Cookies>,
    State(reads): State<Reads>,
    State(throttle): State<Throttle>,
    State(vault): State<Vault>,
    client: ClientAddress,
    origin: Origin,
    headers: HeaderMap,
    extract::OptionalJson(request): extract::OptionalJson<RefreshBody>,
) -> Result<Response, Problem> {
    throttle.admit(&client)?;
    let (text, from_cookie) = match request.refresh_token {
        Some(token) => (Some(token.text().to_owned()), false),
        None => (cookie(&headers), true),
    };
    let token = text.and_then(|text| RefreshToken::read(&text, &vault)).ok_or_else(invalid_refresh_token)?;
    // Before the token is spent: a database that is away must not cost the device its session.
    let user = users::user_of_device(reads.pool(), token.device.uuid()).await?;
    let user = user.ok_or_else(|| if token.is_new(Utc::now()) { too_slow() } else { invalid_refresh_token() })?;

    let now = Utc::now();
    let command = DeviceCommand::RotateRefresh { generation: token.generation, at: now };
    let actor = Actor::Device(token.device);
    let sent = bus.send::<Device>(origin, actor, CommandIdentity::unique(), token.device.uuid(), &command).await;
    let events = match sent {
        Ok(Accepted::Done { events, .. }) => events,
        Ok(Accepted::Pending(_)) => return Err(too_slow()),
        Err(problem) if matches!(problem.code(), "not_signed_in" | "refresh_token_expired") => {
            return Err(invalid_refresh_token());
        }
        Err(problem) => return Err(problem),
    };
    if events.iter().any(|event| event == REUSE_DETECTED) {
        auth.forget(token.device).await;
        return Err(Problem::unauthenticated(
            "refresh_token_reused",
            "this refresh token was used before; the device was signed out to protect you, sign in again",
        ));
    }
    // Either just rotated, or within the grace of the previous generation: the successor is the same.
    let successor = RefreshToken { generation: token.generation.saturating_add(1), ..token };
    let access_token = auth.issue(UserId::new(user.id), token.device, user.role.into(), now)?;
    Ok(cookies.sign_in(user, access_token, successor.write(&vault), from_cookie))
}

/// Ends a device: the one of the refresh token, else of the cookie, else of the bearer token.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "accounts", request_body = Option<RefreshBody>,
    responses((status = 204, description = "Signed out"), (status = 202, body = CommandStatus), Problems))]
pub(super) async fn logout(
    State(auth): State<Auth>,
    State(bus): State<Bus>,
    State(cookies): State<Cookies>,
    State(vault): State<Vault>,
    origin: Origin,
    headers: HeaderMap,
    extract::OptionalJson(request): extract::OptionalJson<RefreshBody>,
) -> Result<Response, Problem> {
    let text = request.refresh_token.map(|token| token.text().to_owned()).or_else(|| cookie(&headers));
    let device = match text.and_then(|text| RefreshToken::read(&text, &vault)) {
        Some(token) => Some(token.device),
        None => auth.caller(&headers).await.ok().map(|caller| caller.device),
    };
    let mut response = match device {
        // Nobody is signed in here, which is what was asked for.
        None => StatusCode::NO_CONTENT.into_response(),
        Some(device) => {
            let command = DeviceCommand::SignOut { at: Utc::now() };
            let (actor, identity) = (Actor::Device(device), CommandIdentity::unique());
            let accepted = bus.send::<Device>(origin, actor, identity, device.uuid(), &command).await?;
            // Not before: who is told that it failed must be able to ask again.
            auth.forget(device).await;
            match accepted {
                Accepted::Pending(command_id) => Written::<()>::Pending(command_id).into_response(),
                Accepted::Done { event, .. } => {
                    Written::Done { status: StatusCode::NO_CONTENT, event, stale: false, body: () }.into_response()
                }
            }
        }
    };
    cookies.set(&mut response, "", 0);
    Ok(response)
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(COOKIE).map(|cookie| cookie.value().to_owned())
}

fn invalid_refresh_token() -> Problem {
    Problem::unauthenticated("invalid_refresh_token", "this device is not signed in any more; sign in again")
}

/// Signing in cannot be finished later: the answer is what it is about.
fn too_slow() -> Problem {
    Problem::unavailable("sign_in_busy", "signing in takes too long right now; try again in a moment")
}

/// Writes the refresh cookie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookies {
    secure: bool,
}

impl Cookies {
    pub(crate) fn new(public_url: &str) -> Self {
        Self { secure: public_url.starts_with("https:") }
    }

    fn sign_in(self, user: users::User, access_token: String, refresh_token: String, in_cookie: bool) -> Response {
        let body = |refresh_token| {
            Json(SignedIn { user, access_token, refresh_token, expires_in: ACCESS_TOKEN_LIFE.num_seconds() })
        };
        if !in_cookie {
            return body(Some(refresh_token)).into_response();
        }
        let mut response = body(None).into_response();
        self.set(&mut response, &refresh_token, IDLE_LIFETIME.num_seconds());
        response
    }

    fn set(self, response: &mut Response, token: &str, max_age_seconds: i64) {
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!(
            "{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/api/v1/auth; Max-Age={max_age_seconds}{secure}"
        );
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}
