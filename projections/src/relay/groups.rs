//! Groups of users as rows of `relay_v1`, and who is in which.

use chrono::{DateTime, Utc};
use domain::{
    billing::Factor,
    relay::{GroupEvent, group},
};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::projector::{ProjectedEvent, ProjectionError, storable};

/// A group of users, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
#[schema(as = UserGroup)]
pub struct Group {
    /// By which channels and accounts name it.
    pub name: String,
    /// As people call it.
    pub title: String,
    /// What its users pay of every price: an exact decimal.
    pub factor: String,
    /// How many accounts are in it.
    pub users: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What the group that an account is in means for its calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOf {
    pub name: String,
    pub factor: Factor,
}

const COLUMNS: &str = "g.name, g.title, g.factor, g.created_at, g.updated_at, \
    (SELECT count(*) FROM users_v1.users u WHERE u.user_group = g.name) AS users";

/// All groups that operators made, by name. They are few.
///
/// # Errors
/// The database is away.
pub async fn groups(pool: &PgPool) -> sqlx::Result<Vec<Group>> {
    let sql = format!("SELECT {COLUMNS} FROM relay_v1.groups g WHERE NOT g.removed ORDER BY g.name");
    sqlx::query_as(&sql).fetch_all(pool).await
}

/// The group `name`.
///
/// # Errors
/// The database is away.
pub async fn group(pool: &PgPool, name: &str) -> sqlx::Result<Option<Group>> {
    let sql = format!("SELECT {COLUMNS} FROM relay_v1.groups g WHERE g.name = $1 AND NOT g.removed");
    sqlx::query_as(&sql).bind(name).fetch_optional(pool).await
}

/// The names of the channels that `group` may use because they name it.
///
/// # Errors
/// The database is away.
pub async fn channels_naming(pool: &PgPool, group: &str) -> sqlx::Result<Vec<String>> {
    let sql = "SELECT name FROM relay_v1.channels WHERE NOT removed AND routing -> 'groups' ? $1 ORDER BY name";
    sqlx::query_scalar(sql).bind(group).fetch_all(pool).await
}

/// The group of the account `user`; the default one of an account that is not known (yet), or whose group is removed.
///
/// # Errors
/// The database is away, or a factor is none.
pub async fn group_of(pool: &PgPool, user: Uuid) -> sqlx::Result<GroupOf> {
    let sql = "SELECT n.name, g.factor FROM (SELECT coalesce(\
            (SELECT u.user_group FROM users_v1.users u LEFT JOIN relay_v1.groups g ON g.name = u.user_group \
             WHERE u.id = $1 AND g.removed IS NOT TRUE), $2) AS name) n \
        LEFT JOIN relay_v1.groups g ON g.name = n.name AND NOT g.removed";
    let (name, factor): (String, Option<String>) =
        sqlx::query_as(sql).bind(user).bind(group::DEFAULT).fetch_one(pool).await?;
    let factor = factor.map(|text| text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))).transpose()?;
    Ok(GroupOf { name, factor: factor.unwrap_or_default() })
}

/// Writes what follows from an event of a group.
pub(super) async fn apply(tx: &mut PgConnection, event: &ProjectedEvent) -> Result<(), ProjectionError> {
    let (id, sequence) = (event.uuid()?, event.sequence);
    let (change, value, at) = match event.decode()? {
        GroupEvent::Added { name, title, factor, at } => {
            // One that was removed is added again under its name.
            let added = sqlx::query(
                "INSERT INTO groups AS g (id, name, title, factor, sequence, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (id) DO UPDATE SET removed = false, \
                 title = $3, factor = $4, sequence = $5, created_at = $6, updated_at = $6 WHERE g.sequence = $5 - 1",
            )
            .bind(id)
            .bind(storable(&name))
            .bind(storable(&title))
            .bind(factor.to_string())
            .bind(sequence)
            .bind(at)
            .execute(&mut *tx)
            .await?;
            return follows(tx, id, sequence, added.rows_affected()).await;
        }
        GroupEvent::Retitled { title, at } => ("title = $4", storable(&title).into_owned(), at),
        GroupEvent::FactorChanged { factor, at } => ("factor = $4", factor.to_string(), at),
        GroupEvent::Removed { at } => ("removed = $4::boolean", true.to_string(), at),
    };
    let sql = format!("UPDATE groups SET {change}, sequence = $2, updated_at = $3 WHERE id = $1 AND sequence = $2 - 1");
    let moved = sqlx::query(&sql).bind(id).bind(sequence).bind(at).bind(value).execute(&mut *tx).await?;
    follows(tx, id, sequence, moved.rows_affected()).await
}

/// Whether an event that moved so many rows was the next one, or is contained already.
async fn follows(tx: &mut PgConnection, id: Uuid, sequence: i64, moved: u64) -> Result<(), ProjectionError> {
    if moved == 1 {
        return Ok(());
    }
    let contained: Option<i64> =
        sqlx::query_scalar("SELECT sequence FROM groups WHERE id = $1").bind(id).fetch_optional(tx).await?;
    match contained {
        Some(contained) if contained >= sequence => Ok(()),
        Some(contained) => Err(ProjectionError::OutOfOrder { contained, found: sequence }),
        None => Err(ProjectionError::MissingRow),
    }
}
