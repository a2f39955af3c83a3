//! Events of accounts, names, devices and API keys as rows of `users_v1`.

use async_trait::async_trait;
use domain::users::{ApiKeyEvent, DeviceEvent, NameKind, ReservationEvent, UserEvent};
use domain::{Decider as _, Sealed, users};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::projector::{ProjectedEvent, ProjectionError, Projector, Topic, Touched, storable};

/// Writes `users_v1`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UsersProjector;

#[async_trait]
impl Projector for UsersProjector {
    fn name(&self) -> &'static str {
        "users_v1"
    }

    fn handles(&self, aggregate_type: &str) -> bool {
        [users::User::TYPE, users::Reservation::TYPE, users::Device::TYPE, users::ApiKey::TYPE]
            .contains(&aggregate_type)
    }

    async fn apply(&self, tx: &mut PgConnection, events: &[&ProjectedEvent]) -> Result<Touched, ProjectionError> {
        let mut touched = Touched::default();
        for event in events {
            match event.aggregate_type.as_str() {
                users::User::TYPE => account(tx, event, &mut touched).await?,
                users::Reservation::TYPE => name(tx, event).await?,
                users::Device::TYPE => device(tx, event).await?,
                users::ApiKey::TYPE => api_key(tx, event, &mut touched).await?,
                _ => {}
            }
        }
        Ok(touched)
    }

    async fn reset(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("TRUNCATE users, names, devices, api_keys").execute(tx).await?;
        Ok(())
    }
}

async fn account(tx: &mut PgConnection, event: &ProjectedEvent, touched: &mut Touched) -> Result<(), ProjectionError> {
    let id = event.uuid()?;
    let (email, username, password_hash, role, at) = match event.decode()? {
        UserEvent::Registered { email, username, password_hash, role, at } => {
            (email, username, password_hash, role, at)
        }
        UserEvent::GroupAssigned { group, .. } => return group_assigned(tx, id, &group, touched).await,
    };
    sqlx::query(
        "INSERT INTO users (id, email, username, password_hash, role, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
    )
    .bind(id)
    .bind(open(&email))
    .bind(open(&username))
    .bind(open(&password_hash))
    .bind(role.as_str())
    .bind(at)
    .execute(tx)
    .await?;
    touched.add(id, Topic::Me, None);
    Ok(())
}

async fn group_assigned(
    tx: &mut PgConnection,
    id: Uuid,
    group: &str,
    touched: &mut Touched,
) -> Result<(), ProjectionError> {
    let sql = "UPDATE users SET user_group = $2 WHERE id = $1";
    let done = sqlx::query(sql).bind(id).bind(storable(group)).execute(tx).await?;
    touched.add(id, Topic::Me, None);
    if done.rows_affected() == 1 { Ok(()) } else { Err(ProjectionError::MissingRow) }
}

/// Erased fields read as empty.
fn open(field: &Sealed<String>) -> std::borrow::Cow<'_, str> {
    storable(field.open().map_or("", String::as_str))
}

async fn name(tx: &mut PgConnection, event: &ProjectedEvent) -> Result<(), ProjectionError> {
    match event.decode()? {
        ReservationEvent::Claimed { kind, holder } => {
            let kind = match kind {
                NameKind::Email => "email",
                NameKind::Username => "username",
            };
            sqlx::query(
                "INSERT INTO names (name_hash, kind, user_id) VALUES ($1, $2, $3) \
                 ON CONFLICT (name_hash) DO UPDATE SET kind = EXCLUDED.kind, user_id = EXCLUDED.user_id",
            )
            .bind(&event.aggregate_id)
            .bind(kind)
            .bind(holder.uuid())
            .execute(tx)
            .await?;
        }
        ReservationEvent::Released { holder } => {
            sqlx::query("DELETE FROM names WHERE name_hash = $1 AND user_id = $2")
                .bind(&event.aggregate_id)
                .bind(holder.uuid())
                .execute(tx)
                .await?;
        }
    }
    Ok(())
}

async fn device(tx: &mut PgConnection, event: &ProjectedEvent) -> Result<(), ProjectionError> {
    let id = event.uuid()?;
    let (at, end_reason) = match event.decode()? {
        DeviceEvent::SignedIn { user, at } => {
            sqlx::query(
                "INSERT INTO devices (id, user_id, signed_in_at, last_seen_at) VALUES ($1, $2, $3, $3) \
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(id)
            .bind(user.uuid())
            .bind(at)
            .execute(tx)
            .await?;
            return Ok(());
        }
        DeviceEvent::Rotated { at, .. } => (at, None),
        DeviceEvent::ReuseDetected { at, .. } => (at, Some("reuse_detected")),
        DeviceEvent::SignedOut { at } => (at, Some("signed_out")),
    };
    // Whoever presented a spent token was not the device, so that is no sign of life of it.
    let done = sqlx::query(
        "UPDATE devices SET \
         last_seen_at = CASE WHEN $3 = 'reuse_detected' THEN last_seen_at ELSE $2 END, \
         ended_at = CASE WHEN $3 IS NULL THEN ended_at ELSE coalesce(ended_at, $2) END, \
         end_reason = coalesce(end_reason, $3) WHERE id = $1",
    )
    .bind(id)
    .bind(at)
    .bind(end_reason)
    .execute(tx)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(ProjectionError::MissingRow) }
}

async fn api_key(tx: &mut PgConnection, event: &ProjectedEvent, touched: &mut Touched) -> Result<(), ProjectionError> {
    let id = event.uuid()?;
    let owner: Option<Uuid> = match event.decode()? {
        ApiKeyEvent::Created { owner, name, key_hash, hint, scopes, models, expires_at, at } => {
            let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            let models: Option<Vec<_>> =
                models.as_ref().map(|models| models.iter().map(|model| storable(model)).collect());
            sqlx::query(
                "INSERT INTO api_keys \
                 (id, owner, name, key_hash, hint, scopes, models, expires_at, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
            )
            .bind(id)
            .bind(owner.uuid())
            .bind(open(&name))
            .bind(key_hash)
            .bind(hint)
            .bind(scopes)
            .bind(models)
            .bind(expires_at)
            .bind(at)
            .execute(tx)
            .await?;
            Some(owner.uuid())
        }
        ApiKeyEvent::Revoked { at } => {
            let sql = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING owner";
            sqlx::query_scalar(sql).bind(id).bind(at).fetch_optional(tx).await?
        }
    };
    touched.add(owner.ok_or(ProjectionError::MissingRow)?, Topic::ApiKeys, None);
    Ok(())
}
