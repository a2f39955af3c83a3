//! Calls one by one, as long as they are kept: their rows, and the pages in which operators read them.

use std::collections::HashSet;

use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{
    billing::{Basis, Purpose},
    relay::Call,
};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgPool, Postgres, QueryBuilder, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    projector::Recorded,
    rows::StatisticsTokens,
    slot::{channel_of, key_of},
};
use crate::{
    QueryError,
    columns::column,
    page::{Page, bounded, decode},
};

/// One call of a model, as it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct RecordedCall {
    pub id: Uuid,
    pub user_id: Uuid,
    /// Empty if the account is not known (yet).
    pub username: String,
    /// Of a reply in a conversation.
    #[schema(required = true)]
    pub session_id: Option<Uuid>,
    /// Of a reply in a conversation.
    #[schema(required = true)]
    pub run_id: Option<Uuid>,
    /// The key that it was made with.
    #[schema(required = true)]
    pub api_key_id: Option<Uuid>,
    /// By which door it came in: `conversation`, `chat_completions`, `responses`, `messages`, `generate_content`,
    /// `embeddings`, `rerank`, `images`, `speech`, `transcription`, `moderation`.
    pub surface: String,
    /// The model that was asked for; `null` where nobody offers what was named.
    #[schema(required = true)]
    pub model: Option<String>,
    /// The model that answered, as users name it.
    #[schema(required = true)]
    pub answered_model: Option<String>,
    /// The model that answered, as its provider names it.
    #[schema(required = true)]
    pub upstream_model: Option<String>,
    /// Who answered, or was asked last.
    #[schema(required = true)]
    pub channel_id: Option<Uuid>,
    /// Its name.
    #[schema(required = true)]
    pub channel: Option<String>,
    /// Whether the answer was asked for piece by piece.
    pub stream: bool,
    pub started_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    pub duration_ms: i64,
    /// From the question to the first output, of answers that came piece by piece.
    #[schema(required = true)]
    pub first_output_ms: Option<i64>,
    /// `completed`, `cancelled`, `failed`, or `refused` before anybody was asked.
    pub outcome: String,
    /// Why it failed or was refused, in a word for programs.
    #[schema(required = true)]
    pub code: Option<String>,
    /// Everybody who was asked, in order.
    #[schema(value_type = Vec<RecordedTry>)]
    pub tries: Json<Vec<RecordedTry>>,
    /// Who was not asked when somebody was last looked for, and why.
    #[schema(value_type = Vec<RecordedLeftOut>)]
    pub left_out: Json<Vec<RecordedLeftOut>>,
    /// What it consumed, where that is known.
    #[schema(required = true, value_type = Option<StatisticsTokens>)]
    pub tokens: Option<Json<StatisticsTokens>>,
    /// How the tokens are known: `reported`, `counted` or `estimated`.
    #[schema(required = true)]
    pub basis: Option<String>,
    /// What the user paid; `null` before the settlement, and where there is none.
    #[schema(required = true)]
    pub charged_nanos: Option<String>,
    /// What the provider charges us.
    #[schema(required = true)]
    pub cost_nanos: Option<String>,
}

/// One time that somebody was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordedTry {
    pub channel_id: Uuid,
    /// As users name it.
    pub model: String,
    /// The name under which the channel's key is known; nothing of the key itself.
    #[serde(default)]
    #[schema(required = true)]
    pub key: Option<String>,
    /// It was asked while another one kept silent.
    #[serde(default)]
    pub hedge: bool,
    /// `ok`, why it failed, or `pending` of one that was not waited for.
    pub outcome: String,
    /// Until its first output, or its failure.
    pub duration_ms: u64,
    /// What it has cost: `settled` with the call, `nothing`, or `unknown`.
    pub spent: String,
}

/// A channel that was not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordedLeftOut {
    /// As operators call it.
    pub channel: String,
    /// Why, in words.
    pub reason: String,
}

/// Which calls; all where nothing is said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CallFilter {
    /// That ended then or later.
    pub from: Option<DateTime<Utc>>,
    /// That ended before.
    pub to: Option<DateTime<Utc>>,
    pub channel_id: Option<Uuid>,
    /// That was asked for, or answered.
    pub model: Option<String>,
    pub user_id: Option<Uuid>,
    pub api_key_id: Option<Uuid>,
    pub outcome: Option<String>,
    pub code: Option<String>,
}

impl CallFilter {
    fn push(&self, query: &mut QueryBuilder<'_, Postgres>) {
        if let Some(from) = self.from {
            query.push(" AND c.ended_at >= ").push_bind(from);
        }
        if let Some(to) = self.to {
            query.push(" AND c.ended_at < ").push_bind(to);
        }
        if let Some(model) = &self.model {
            query.push(" AND (c.model = ").push_bind(model.clone());
            query.push(" OR c.answered_model = ").push_bind(model.clone()).push(")");
        }
        let ids = [("channel_id", self.channel_id), ("user_id", self.user_id), ("api_key_id", self.api_key_id)];
        for (column, id) in ids.into_iter().filter_map(|(column, id)| Some((column, id?))) {
            query.push(format!(" AND c.{column} = ")).push_bind(id);
        }
        let words = [("outcome", &self.outcome), ("code", &self.code)];
        for (column, word) in words.into_iter().filter_map(|(column, word)| Some((column, word.clone()?))) {
            query.push(format!(" AND c.{column} = ")).push_bind(word);
        }
    }
}

const COLUMNS: &str = "c.id, c.user_id, coalesce(u.username, '') AS username, c.session_id, c.run_id, c.api_key_id, \
    c.surface, c.model, c.answered_model, c.upstream_model, c.channel_id, ch.name AS channel, c.stream, c.started_at, \
    c.ended_at, c.duration_ms, c.first_output_ms, c.outcome, c.code, c.tries, c.left_out, c.tokens, c.basis, \
    m.charged_nanos::text AS charged_nanos, m.cost_nanos::text AS cost_nanos";
const JOINS: &str = "LEFT JOIN users_v1.users u ON u.id = c.user_id \
    LEFT JOIN relay_v1.channels ch ON ch.id = c.channel_id \
    LEFT JOIN billing_v1.charges m ON m.hold_id = coalesce(c.hold_id, c.id) AND m.owner = c.user_id";

/// A page of the calls of `filter`, the last to end first.
///
/// # Errors
/// A cursor of another list, or the database is away.
pub async fn calls(
    pool: &PgPool,
    filter: &CallFilter,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<RecordedCall>, QueryError> {
    let limit = bounded(limit);
    let last: Option<(DateTime<Utc>, Uuid)> = cursor.map(decode).transpose()?;
    // Only what is asked for stands in the query, so that an index can serve it.
    let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM (SELECT * FROM statistics_v1.calls c WHERE true"));
    filter.push(&mut query);
    if let Some((ended_at, id)) = last {
        query.push(" AND (c.ended_at, c.id) < (").push_bind(ended_at).push(", ").push_bind(id).push(")");
    }
    query.push(" ORDER BY c.ended_at DESC, c.id DESC LIMIT ").push_bind(i64::from(limit) + 1);
    query.push(format!(") c {JOINS} ORDER BY c.ended_at DESC, c.id DESC"));
    let rows = query.build_query_as().fetch_all(pool).await?;
    Ok(Page::cut(rows, limit, |call: &RecordedCall| (call.ended_at, call.id)))
}

/// The call `id`, while it is kept.
///
/// # Errors
/// The database is away.
pub async fn call(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<RecordedCall>> {
    let sql = format!("SELECT {COLUMNS} FROM statistics_v1.calls c {JOINS} WHERE c.id = $1");
    sqlx::query_as(&sql).bind(id).fetch_optional(pool).await
}

/// Writes calls down and answers which of them are new.
// tidy: long because it lists every column of a call, in the statement and for it
pub(super) async fn insert(tx: &mut PgConnection, rows: &[Recorded]) -> sqlx::Result<HashSet<Uuid>> {
    let text = |of: fn(&Call) -> Option<&str>| rows.iter().map(|row| of(&row.call)).collect::<Vec<_>>();
    let reply = |of: fn(&Purpose) -> Option<Uuid>| rows.iter().map(|row| of(&row.call.purpose)).collect::<Vec<_>>();
    let new: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO calls (id, position, recorded_at, user_id, session_id, run_id, api_key_id, hold_id, surface, model, \
         answered_model, upstream_model, channel_id, stream, started_at, ended_at, duration_ms, first_output_ms, outcome, \
         code, tries, left_out, tokens, basis) \
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::uuid[], $5::uuid[], $6::uuid[], \
             $7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::text[], $12::text[], $13::uuid[], $14::bool[], \
             $15::timestamptz[], $16::timestamptz[], $17::bigint[], $18::bigint[], $19::text[], $20::text[], \
             $21::jsonb[], $22::jsonb[], $23::jsonb[], $24::text[]) \
         ON CONFLICT (id) DO NOTHING RETURNING id",
    )
    .bind(column!(rows, call.id.uuid()))
    .bind(column!(rows, position))
    .bind(column!(rows, recorded_at))
    .bind(column!(rows, call.user.uuid()))
    .bind(reply(|purpose| match purpose {
        Purpose::Reply { session_id, .. } => Some(session_id.uuid()),
        Purpose::Api { .. } => None,
    }))
    .bind(reply(|purpose| match purpose {
        Purpose::Reply { run_id, .. } => Some(run_id.uuid()),
        Purpose::Api { .. } => None,
    }))
    .bind(reply(key_of))
    .bind(column!(rows, call.hold_id.map(domain::HoldId::uuid)))
    .bind(column!(rows, call.surface.as_str()))
    .bind(text(|call| call.model.as_deref()))
    .bind(text(|call| call.answered.as_ref().map(|by| by.model.as_str())))
    .bind(text(|call| call.answered.as_ref().map(|by| by.upstream.as_str())))
    .bind(rows.iter().map(|row| channel_of(&row.call)).collect::<Vec<_>>())
    .bind(column!(rows, call.stream))
    .bind(column!(rows, call.started_at.trunc_subsecs(6)))
    .bind(column!(rows, call.ended_at().trunc_subsecs(6)))
    .bind(rows.iter().map(|row| number(row.call.duration_ms)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.call.first_output_ms.map(number)).collect::<Vec<_>>())
    .bind(column!(rows, call.outcome.as_str()))
    .bind(text(|call| call.outcome.code()))
    .bind(rows.iter().map(|row| Json(&row.call.tries)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| Json(&row.call.left_out)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.call.tokens.map(Json)).collect::<Vec<_>>())
    .bind(column!(rows, call.basis.map(Basis::as_str)))
    .fetch_all(tx)
    .await?;
    Ok(new.into_iter().collect())
}

/// Forgets the calls that were recorded more than `days` before the newest: which ones follows from the events alone.
pub(super) async fn forget(tx: &mut PgConnection, days: u32) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM calls WHERE recorded_at < (SELECT max(recorded_at) FROM calls) - make_interval(days => $1)",
    )
    .bind(i32::try_from(days).unwrap_or(i32::MAX))
    .execute(tx)
    .await?;
    Ok(())
}

fn number(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}
