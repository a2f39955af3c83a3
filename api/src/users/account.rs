//! Opening an account, and looking at one's own.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{SubsecRound as _, Utc};
use domain::{
    Decider as _, UserId,
    users::{Applicant, EmailAddress, InvalidName, RegisterUser, Role, User, UserName, check_password},
};
use projections::users;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use vault::Vault;

use super::{
    passwords::{Password, Passwords},
    throttle::{ClientAddress, Throttle},
};
use crate::{
    auth::Caller,
    billing::LedgerCurrency,
    commands::{Accepted, Actor, Bus, CommandStatus, Envelope, Written},
    extract,
    idempotency::CommandIdentity,
    openapi::Problems,
    problem::{FieldError, Problem},
    read::{After, Fresh, Model, Reads},
    request_id::Origin,
    state::SignupGrant,
};

/// A new account.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Registration {
    #[schema(example = "ann@example.org", max_length = 254)]
    email: String,
    /// Letters of any script, digits, `_`, `-` and `.`.
    #[schema(example = "ann", min_length = 3, max_length = 32)]
    username: String,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256)]
    password: Password,
}

/// The account that was opened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registered {
    user: users::User,
}

/// Opens an account.
///
/// Takes no `Idempotency-Key`: a repeated registration is told that its names are taken.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "accounts", request_body = Registration,
    responses((status = 201, body = Registered), (status = 202, body = CommandStatus), Problems))]
#[expect(clippy::too_many_arguments, reason = "each is one piece of state or of the request")]
pub(super) async fn register(
    State(bus): State<Bus>,
    State(LedgerCurrency(currency)): State<LedgerCurrency>,
    State(passwords): State<Passwords>,
    State(reads): State<Reads>,
    State(SignupGrant(sign_up_grant)): State<SignupGrant>,
    State(throttle): State<Throttle>,
    State(vault): State<Vault>,
    client: ClientAddress,
    origin: Origin,
    extract::Json(request): extract::Json<Registration>,
) -> Result<Written<Json<Registered>>, Problem> {
    throttle.admit(&client)?;
    let (email, username) = check(&request).map_err(Problem::fields)?;
    let password_hash = passwords.hash(request.password).await?;

    let user = UserId::new(Uuid::now_v7());
    // As Postgres keeps it, so that this answer and later reads agree.
    let at = Utc::now().trunc_subsecs(6);
    let applicant = Applicant {
        user,
        email_key: vault.name_hash("email", &email.canonical()),
        username_key: vault.name_hash("username", &username.canonical()),
        email: email.clone(),
        username: username.clone(),
        password_hash,
        role: Role::User,
        sign_up_grant,
        currency,
        at,
    };
    let envelope = Envelope {
        capability: User::CAPABILITY,
        aggregate: User::TYPE,
        verb: "register_user".to_owned(),
        aggregate_id: user.uuid(),
        body: nats::Body::of(&RegisterUser::from(applicant)).map_err(|error| Problem::bug(&error))?,
    };
    match bus.send_envelope(origin, Actor::User(user), CommandIdentity::unique(), envelope).await? {
        Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
        Accepted::Done { event, .. } => {
            // Else a sign-in right after this would find nobody.
            let stale = reads.is_behind(Model::Users, event.as_ref()).await.unwrap_or(true);
            let user = users::User {
                id: user.uuid(),
                email: email.as_str().to_owned(),
                username: username.as_str().to_owned(),
                role: users::Role::User,
                created_at: at,
            };
            Ok(Written::Done { status: StatusCode::CREATED, event, stale, body: Json(Registered { user }) })
        }
    }
}

/// All rules at once, so that a form can show every wrong field.
fn check(request: &Registration) -> Result<(EmailAddress, UserName), Vec<FieldError>> {
    let invalid = |error: InvalidName| match error {
        InvalidName::Email => wrong("email", "invalid_email", &error),
        InvalidName::UserName => wrong("username", "invalid_username", &error),
    };
    let names = (EmailAddress::parse(&request.email), UserName::parse(&request.username));
    let (email, username) = match names {
        (Ok(email), Ok(username)) => (email, username),
        (email, username) => {
            return Err([email.err(), username.err()].into_iter().flatten().map(invalid).collect());
        }
    };
    match check_password(request.password.text(), &email, &username) {
        Ok(()) => Ok((email, username)),
        Err(error) => Err(vec![wrong("password", "weak_password", &error)]),
    }
}

fn wrong(field: &str, code: &'static str, error: &impl std::error::Error) -> FieldError {
    FieldError { field: field.to_owned(), code: code.into(), message: error.to_string() }
}

/// Your account.
#[utoipa::path(get, path = "/api/v1/me", tag = "accounts",
    responses((status = 200, body = users::User), Problems), security(("bearer" = [])))]
pub(super) async fn me(
    caller: Caller,
    After(after): After,
    State(reads): State<Reads>,
) -> Result<Fresh<users::User>, Problem> {
    let stale = reads.is_behind(Model::Users, after.as_ref()).await?;
    let user = users::user(reads.pool(), caller.user.uuid()).await?;
    let body = user.ok_or_else(|| Problem::not_found("user_not_found", "this account does not exist (any more)"))?;
    Ok(Fresh { body, stale })
}
