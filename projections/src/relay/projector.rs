//! Events of channels, of groups and of kept responses as rows of `relay_v1`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{
    Decider as _,
    relay::{self, ChannelEvent, ModelPrices, OfferedModel},
};
use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query, types::Json};
use uuid::Uuid;

use crate::projector::{ProjectedEvent, ProjectionError, Projector, Touched, storable};

/// Writes `relay_v1`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RelayProjector;

#[async_trait]
impl Projector for RelayProjector {
    fn name(&self) -> &'static str {
        "relay_v1"
    }

    fn handles(&self, aggregate_type: &str) -> bool {
        [relay::Channel::TYPE, relay::Group::TYPE, relay::Response::TYPE].contains(&aggregate_type)
    }

    async fn apply(&self, tx: &mut PgConnection, events: &[&ProjectedEvent]) -> Result<Touched, ProjectionError> {
        for event in events.iter().filter(|event| self.handles(&event.aggregate_type)) {
            match event.aggregate_type.as_str() {
                relay::Response::TYPE => super::responses::apply(tx, event).await?,
                relay::Group::TYPE => super::groups::apply(tx, event).await?,
                _ => {
                    let mut channel = Step { tx: &mut *tx, id: event.uuid()?, sequence: event.sequence };
                    channel.apply(event.decode()?).await?;
                }
            }
        }
        // Channels are the operators' business and nobody's own; no screen shows responses.
        Ok(Touched::default())
    }

    async fn reset(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("TRUNCATE channels, groups, responses").execute(tx).await?;
        Ok(())
    }
}

/// One event of one channel, being written.
struct Step<'t> {
    tx: &'t mut PgConnection,
    id: Uuid,
    sequence: i64,
}

type Update<'q> = Query<'q, Postgres, PgArguments>;

impl Step<'_> {
    async fn apply(&mut self, event: ChannelEvent) -> Result<(), ProjectionError> {
        use ChannelEvent as E;
        match event {
            E::Added { name, provider, base_url, at } => {
                let base_url = base_url.as_deref().map(storable);
                self.added(&storable(&name), provider.as_str(), base_url.as_deref(), at).await
            }
            E::Renamed { name, at } => {
                self.set("name = $4", at, |query| query.bind(storable(&name).into_owned())).await
            }
            E::AddressChanged { base_url, at } => {
                let base_url = base_url.map(|url| storable(&url).into_owned());
                self.set("base_url = $4", at, |query| query.bind(base_url)).await
            }
            E::KeysReplaced { keys, at } => self.set("keys = $4", at, |query| query.bind(Json(keys))).await,
            E::ModelsOffered { models, at } => self.set("models = $4", at, |query| query.bind(Json(models))).await,
            E::PricesChanged { models, at, .. } => self.prices_changed(models, at).await,
            E::RoutingChanged { routing, at } => self.set("routing = $4", at, |query| query.bind(Json(routing))).await,
            E::OverridesChanged { overrides, at } => {
                self.set("overrides = $4", at, |query| query.bind(Json(overrides))).await
            }
            E::Annotated { tags, note, at } => {
                let tags: Vec<String> = tags.iter().map(|tag| storable(tag).into_owned()).collect();
                self.set("tags = $4, note = $5", at, |query| query.bind(tags).bind(storable(&note).into_owned())).await
            }
            E::KeySuspended { key, code, at } => {
                let change = "suspended = suspended || jsonb_build_object($4::text, jsonb_build_object('code', $5::text, 'at', $3))";
                self.set(change, at, |query| query.bind(key.to_string()).bind(storable(&code).into_owned())).await
            }
            E::KeyResumed { key, at } => {
                self.set("suspended = suspended - $4::text", at, |query| query.bind(key.to_string())).await
            }
            E::Enabled { at } => self.set("enabled = true", at, |query| query).await,
            E::Disabled { at } => self.set("enabled = false", at, |query| query).await,
            // Nothing secret of it stays behind.
            E::Removed { at } => {
                let emptied = "removed = true, enabled = false, base_url = NULL, keys = '[]', models = '[]', \
                    overrides = '{}'";
                self.set(emptied, at, |query| query).await
            }
        }
    }

    /// Gives models other terms, where they stand in the list.
    async fn prices_changed(&mut self, new: Vec<ModelPrices>, at: DateTime<Utc>) -> Result<(), ProjectionError> {
        let stored: Option<Json<Vec<OfferedModel>>> =
            sqlx::query_scalar("SELECT models FROM channels WHERE id = $1 AND sequence = $2 - 1 FOR UPDATE")
                .bind(self.id)
                .bind(self.sequence)
                .fetch_optional(&mut *self.tx)
                .await?;
        let Some(Json(mut models)) = stored else { return self.contained().await };
        for ModelPrices { model: name, terms } in new {
            if let Some(model) = models.iter_mut().find(|model| model.spec.name == name) {
                model.terms = terms;
            }
        }
        self.set("models = $4", at, |query| query.bind(Json(models))).await
    }

    async fn added(
        &mut self,
        name: &str,
        provider: &str,
        base_url: Option<&str>,
        at: DateTime<Utc>,
    ) -> Result<(), ProjectionError> {
        sqlx::query(
            "INSERT INTO channels (id, name, provider, base_url, sequence, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (id) DO NOTHING",
        )
        .bind(self.id)
        .bind(name)
        .bind(provider)
        .bind(base_url)
        .bind(self.sequence)
        .bind(at)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Moves the channel on, if it stands right before this event; `bind` adds what `change` uses.
    async fn set(
        &mut self,
        change: &str,
        at: DateTime<Utc>,
        bind: impl FnOnce(Update<'_>) -> Update<'_>,
    ) -> Result<(), ProjectionError> {
        let sql =
            format!("UPDATE channels SET sequence = $2, updated_at = $3, {change} WHERE id = $1 AND sequence = $2 - 1");
        let query = bind(sqlx::query(&sql).bind(self.id).bind(self.sequence).bind(at));
        let moved = query.execute(&mut *self.tx).await?.rows_affected();
        if moved == 1 { Ok(()) } else { self.contained().await }
    }

    /// Why the channel did not move on: it contains the event, or events before it are missing.
    async fn contained(&mut self) -> Result<(), ProjectionError> {
        let contained: Option<i64> = sqlx::query_scalar("SELECT sequence FROM channels WHERE id = $1")
            .bind(self.id)
            .fetch_optional(&mut *self.tx)
            .await?;
        match contained {
            Some(contained) if contained >= self.sequence => Ok(()),
            Some(contained) => Err(ProjectionError::OutOfOrder { contained, found: self.sequence }),
            None => Err(ProjectionError::MissingRow),
        }
    }
}
