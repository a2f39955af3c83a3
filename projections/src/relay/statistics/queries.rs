//! What calls add up to over any hours, by channel, model, account, key or time.
//!
//! Promise: all numbers of an answer are of one instant; percentiles come from buckets that are added up first, never from
//! other percentiles. How many rows an answer has is bounded, its total is of everything.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::billing::Nanos;
use sqlx::{FromRow, PgConnection, PgPool, Postgres, postgres::PgArguments, query::QueryAs};
use uuid::Uuid;

use super::{
    histogram::Histogram,
    rows::{ErrorCount, Figures, Percentiles, Statistics, StatisticsRow, StatisticsTokens},
};

/// Rows of one answer, at most.
pub const MAX_STATISTICS_ROWS: usize = 1000;
/// Reasons of errors of one row, at most: the most frequent ones.
const MAX_CODES: usize = 20;

/// What rows have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    Channel,
    Model,
    User,
    Key,
    Hour,
    Day,
}

impl GroupBy {
    /// The word in queries and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Model => "model",
            Self::User => "user",
            Self::Key => "key",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// The value that rows have in common, as text.
    const fn expression(self) -> &'static str {
        match self {
            Self::Channel => "h.channel_id::text",
            Self::Model => "h.model",
            Self::User => "h.user_id::text",
            Self::Key => "h.api_key_id::text",
            Self::Hour => r#"to_char(h.hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')"#,
            Self::Day => r#"to_char(h.hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"00:00:00"Z"')"#,
        }
    }

    const fn order(self) -> &'static str {
        match self {
            Self::Hour | Self::Day => "1",
            _ => "requests DESC, charged DESC, 1 NULLS LAST",
        }
    }

    /// Where the names of such ids are.
    const fn names(self) -> Option<&'static str> {
        match self {
            Self::Channel => Some("SELECT id, name FROM relay_v1.channels WHERE id = ANY ($1)"),
            Self::User => Some("SELECT id, username FROM users_v1.users WHERE id = ANY ($1)"),
            Self::Key => Some("SELECT id, name FROM users_v1.api_keys WHERE id = ANY ($1)"),
            Self::Model | Self::Hour | Self::Day => None,
        }
    }
}

/// Which calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatisticsFilter {
    /// The beginning of an hour.
    pub from: DateTime<Utc>,
    /// The end of an hour.
    pub to: DateTime<Utc>,
    pub channel_id: Option<Uuid>,
    /// As users name it.
    pub model: Option<String>,
    pub user_id: Option<Uuid>,
    pub api_key_id: Option<Uuid>,
}

type Asking<'q, T> = QueryAs<'q, Postgres, T, PgArguments>;

impl StatisticsFilter {
    /// As the first parameters of a query.
    fn bind<'q, T>(&'q self, query: Asking<'q, T>) -> Asking<'q, T> {
        let query = query.bind(self.from).bind(self.to).bind(self.channel_id);
        query.bind(self.model.as_deref()).bind(self.user_id).bind(self.api_key_id)
    }
}

/// Whose eyes see the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// Sees what calls cost the house.
    Operator,
    /// Sees their own calls.
    User,
}

/// `h` are the hours that count; `$1` to `$6` are the filter.
const COUNTED: &str = "FROM statistics_v1.hours h WHERE h.hour >= $1 AND h.hour < $2 \
    AND ($3::uuid IS NULL OR h.channel_id = $3) AND ($4::text IS NULL OR h.model = $4) \
    AND ($5::uuid IS NULL OR h.user_id = $5) AND ($6::uuid IS NULL OR h.api_key_id = $6)";

#[derive(FromRow)]
struct Sums {
    common: Option<String>,
    requests: i64,
    completed: i64,
    cancelled: i64,
    errors: i64,
    tries: i64,
    failed_tries: i64,
    unknown_cost_tries: i64,
    #[sqlx(flatten)]
    tokens: StatisticsTokens,
    charged: i64,
    cost: i64,
    lost_cost: i64,
}

/// What hangs on the value that rows have in common.
type By<T> = HashMap<Option<String>, T>;

/// What the calls of `filter` add up to; `currency` is the ledger's.
///
/// # Errors
/// The database is away.
pub async fn statistics(
    pool: &PgPool,
    filter: &StatisticsFilter,
    group_by: GroupBy,
    viewer: Viewer,
    currency: &str,
) -> sqlx::Result<Statistics> {
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    // A plan for this filter, not one for all: what is not asked for costs nothing then.
    sqlx::query("SET LOCAL plan_cache_mode = 'force_custom_plan'").execute(&mut *tx).await?;
    let total = figures(&mut tx, filter, None, viewer).await?;
    let mut rows = figures(&mut tx, filter, Some(group_by), viewer).await?;
    let truncated = rows.len() > MAX_STATISTICS_ROWS;
    rows.truncate(MAX_STATISTICS_ROWS);
    let mut names = names(&mut tx, group_by, &rows).await?;
    tx.commit().await?;
    let total = total.into_iter().next().map_or_else(|| Figures::of(Sums::none(), viewer), |(_, figures)| figures);
    let row = |(group, figures): (Option<String>, Figures)| StatisticsRow {
        name: group.as_ref().and_then(|group| names.remove(group)),
        group,
        figures,
    };
    Ok(Statistics {
        from: filter.from,
        to: filter.to,
        group_by: group_by.as_str().to_owned(),
        currency: currency.to_owned(),
        total,
        rows: rows.into_iter().map(row).collect(),
        truncated,
    })
}

/// The figures of each group in order, one too many where there are more than are told; of everything without a group.
async fn figures(
    tx: &mut PgConnection,
    filter: &StatisticsFilter,
    group_by: Option<GroupBy>,
    viewer: Viewer,
) -> sqlx::Result<Vec<(Option<String>, Figures)>> {
    let (common, order) = group_by.map_or(("NULL", "1"), |group_by| (group_by.expression(), group_by.order()));
    let sums = sums(tx, filter, common, order).await?;
    let mut errors = errors(tx, filter, common).await?;
    let mut latencies = latencies(tx, filter, common).await?;
    let told = |sums: Sums| {
        let (common, mut figures) = (sums.common.clone(), Figures::of(sums, viewer));
        let [requests, tries] = errors.remove(&common).unwrap_or_default();
        (figures.errors_by_code, figures.failed_tries_by_code) = (requests, tries);
        let [duration, first_output] = latencies.remove(&common).unwrap_or_default();
        (figures.duration, figures.first_output) = (Percentiles::of(&duration), Percentiles::of(&first_output));
        (common, figures)
    };
    Ok(sums.into_iter().map(told).collect())
}

async fn sums(tx: &mut PgConnection, filter: &StatisticsFilter, common: &str, order: &str) -> sqlx::Result<Vec<Sums>> {
    // A sum of very many numbers stays one that can be told.
    let bounded = |column: &str| format!("least(sum(h.{column}), 9223372036854775807)::bigint");
    let counts = ["requests", "completed", "cancelled", "tries", "failed_tries", "unknown_cost_tries"];
    let tokens = ["input", "cached_input", "cache_write", "audio_input", "image_input"];
    let tokens = tokens.into_iter().chain(["output", "reasoning", "audio_output", "image_output"]);
    let amounts = [("charged", "charged_nanos"), ("cost", "cost_nanos"), ("lost_cost", "lost_cost_nanos")];
    let columns: Vec<String> = counts
        .into_iter()
        .map(|name| format!("{} AS {name}", bounded(name)))
        .chain(tokens.map(|name| format!("{0} AS {name}_tokens", bounded(&format!("{name}_tokens")))))
        .chain(amounts.map(|(name, column)| format!("{} AS {name}", bounded(column))))
        .collect();
    let sql = format!(
        "SELECT {common} AS common, {columns}, sum(h.failed + h.refused)::bigint AS errors {COUNTED} \
         GROUP BY 1 ORDER BY {order} LIMIT $7",
        columns = columns.join(", "),
    );
    let most = i64::try_from(MAX_STATISTICS_ROWS + 1).unwrap_or(i64::MAX);
    filter.bind(sqlx::query_as(&sql)).bind(most).fetch_all(tx).await
}

/// Reasons of failed requests and of failed tries.
async fn errors(
    tx: &mut PgConnection,
    filter: &StatisticsFilter,
    common: &str,
) -> sqlx::Result<By<[Vec<ErrorCount>; 2]>> {
    let sql = format!(
        "SELECT c.common, e.kind, e.code, sum(e.count)::bigint \
         FROM (SELECT h.slot, {common} AS common {COUNTED}) c JOIN statistics_v1.errors e USING (slot) \
         GROUP BY 1, 2, 3 ORDER BY 4 DESC, 3"
    );
    let rows: Vec<(Option<String>, String, String, i64)> = filter.bind(sqlx::query_as(&sql)).fetch_all(tx).await?;
    let mut errors: By<[Vec<ErrorCount>; 2]> = HashMap::new();
    for (common, kind, code, count) in rows {
        let [requests, tries] = errors.entry(common).or_default();
        let list = if kind == "try" { tries } else { requests };
        if list.len() < MAX_CODES {
            list.push(ErrorCount { code, count });
        }
    }
    Ok(errors)
}

/// Durations, and times to the first output.
async fn latencies(tx: &mut PgConnection, filter: &StatisticsFilter, common: &str) -> sqlx::Result<By<[Histogram; 2]>> {
    let sql = format!(
        "SELECT c.common, l.measure, l.bucket, sum(l.count)::bigint \
         FROM (SELECT h.slot, {common} AS common {COUNTED}) c JOIN statistics_v1.latencies l USING (slot) \
         GROUP BY 1, 2, 3"
    );
    let rows: Vec<(Option<String>, String, i16, i64)> = filter.bind(sqlx::query_as(&sql)).fetch_all(tx).await?;
    let mut latencies: By<[Histogram; 2]> = HashMap::new();
    for (common, measure, bucket, count) in rows {
        let [duration, first_output] = latencies.entry(common).or_default();
        let histogram = if measure == "duration" { duration } else { first_output };
        histogram.add(bucket, count.unsigned_abs());
    }
    Ok(latencies)
}

async fn names(
    tx: &mut PgConnection,
    group_by: GroupBy,
    rows: &[(Option<String>, Figures)],
) -> sqlx::Result<HashMap<String, String>> {
    let Some(sql) = group_by.names() else { return Ok(HashMap::new()) };
    let ids: Vec<Uuid> = rows.iter().filter_map(|(group, _)| group.as_ref()?.parse().ok()).collect();
    let names: Vec<(Uuid, String)> = sqlx::query_as(sql).bind(ids).fetch_all(tx).await?;
    Ok(names.into_iter().map(|(id, name)| (id.to_string(), name)).collect())
}

impl Sums {
    fn none() -> Self {
        let tokens = StatisticsTokens::default();
        Self {
            common: None,
            requests: 0,
            completed: 0,
            cancelled: 0,
            errors: 0,
            tries: 0,
            failed_tries: 0,
            unknown_cost_tries: 0,
            tokens,
            charged: 0,
            cost: 0,
            lost_cost: 0,
        }
    }
}

impl Figures {
    /// Without reasons and durations.
    fn of(sums: Sums, viewer: Viewer) -> Self {
        let is_operator = viewer == Viewer::Operator;
        Self {
            requests: sums.requests,
            completed: sums.completed,
            cancelled: sums.cancelled,
            errors: sums.errors,
            error_rate: rate(sums.errors, sums.requests),
            errors_by_code: vec![],
            tries: sums.tries,
            failed_tries: sums.failed_tries,
            failed_tries_by_code: vec![],
            unknown_cost_tries: is_operator.then_some(sums.unknown_cost_tries),
            tokens: sums.tokens,
            charged_nanos: Nanos::new(sums.charged),
            cost_nanos: is_operator.then_some(Nanos::new(sums.cost)),
            lost_cost_nanos: is_operator.then_some(Nanos::new(sums.lost_cost)),
            duration: Percentiles::default(),
            first_output: Percentiles::default(),
        }
    }
}

/// A part of a whole with six decimals.
fn rate(part: i64, whole: i64) -> f64 {
    let millionths = i128::from(part) * 1_000_000 / i128::from(whole.max(1));
    f64::from(i32::try_from(millionths).unwrap_or(1_000_000)) / 1_000_000.0
}

impl Percentiles {
    fn of(histogram: &Histogram) -> Self {
        let [p50_ms, p95_ms, p99_ms] = [500, 950, 990].map(|permille| histogram.permille(permille));
        Self { p50_ms, p95_ms, p99_ms }
    }
}
