//! The rows of `users_v1` and how they are found.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

/// What an account may do beyond its own things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    User,
    Admin,
}

impl From<Role> for domain::users::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Admin => Self::Admin,
        }
    }
}

/// An account, as its owner sees it.
#[derive(Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct User {
    pub id: Uuid,
    /// Empty once the account was erased.
    pub email: String,
    /// Empty once the account was erased.
    pub username: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
}

/// Never prints names: logs must not carry personal data.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// What a login is checked against. Not serialisable on purpose.
#[derive(Clone, FromRow)]
pub struct Credentials {
    #[sqlx(flatten)]
    pub user: User,
    /// argon2id in PHC form; empty, and so never matching, once the account was erased.
    pub password_hash: String,
}

/// Never prints the hash.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The account that holds the e-mail address with this keyed hash (the id of the address's reservation).
///
/// # Errors
/// The database is away.
pub async fn by_email_hash(pool: &PgPool, email_hash: &str) -> sqlx::Result<Option<Credentials>> {
    sqlx::query_as(
        "SELECT u.id, u.email, u.username, u.role, u.created_at, u.password_hash \
         FROM users_v1.names n JOIN users_v1.users u ON u.id = n.user_id \
         WHERE n.name_hash = $1 AND n.kind = 'email'",
    )
    .bind(email_hash)
    .fetch_optional(pool)
    .await
}

/// The account `id`.
///
/// # Errors
/// The database is away.
pub async fn user(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<User>> {
    sqlx::query_as("SELECT id, email, username, role, created_at FROM users_v1.users WHERE id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await
}

/// Whether the device `id` was signed out or revoked; `None` if it is not known (yet).
///
/// # Errors
/// The database is away.
pub async fn device_ended(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<bool>> {
    sqlx::query_scalar("SELECT ended_at IS NOT NULL FROM users_v1.devices WHERE id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await
}

/// The account that signed in on the device `id`, ended or not.
///
/// # Errors
/// The database is away.
pub async fn user_of_device(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<User>> {
    sqlx::query_as(
        "SELECT u.id, u.email, u.username, u.role, u.created_at \
         FROM users_v1.devices d JOIN users_v1.users u ON u.id = d.user_id WHERE d.id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}
