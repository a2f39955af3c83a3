//! What calls add up to, for operators and, of their own calls, for everybody; and the same as a file for spreadsheets.
//!
//! Promise: how much one question reads and answers is bounded; what users see has no cost of the house in it.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, DurationRound as _, NaiveDate, NaiveTime, TimeDelta, Utc};
use projections::relay::statistics::{self as rows, GroupBy, Statistics, StatisticsFilter, Viewer};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::csv;
use crate::{
    auth::Admin, billing::LedgerCurrency, extract::Query, holder::Payer, openapi::Problems, problem::Problem,
    read::Reads,
};

/// Days of one answer, at most.
const MAX_DAYS: i64 = 366;
/// Days of one answer by the hour, at most.
const MAX_DAYS_BY_HOUR: i64 = 31;
/// The period where nobody names its beginning.
const USUAL_PERIOD: TimeDelta = TimeDelta::hours(24);

/// Which calls, and what rows have in common.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatisticsQuery {
    /// An instant (RFC 3339), whose hour counts whole, or a day in UTC. 24 hours before the end where absent.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// The end: an instant whose hour counts whole, unless it begins one, or a day in UTC that counts whole. Now where
    /// absent. At most 366 days after `from`, 31 by the hour.
    #[param(example = "2026-11-30T12:00:00Z")]
    to: Option<String>,
    /// `channel` (where absent), `model`, `user`, `key`, `hour` or `day`.
    #[param(inline)]
    group_by: Option<GroupBySchema>,
    /// Calls that this channel answered, or was asked last for.
    channel: Option<Uuid>,
    /// Calls that this model answered, or that asked for it.
    model: Option<String>,
    /// Calls of this account.
    user: Option<Uuid>,
    /// Calls with this API key.
    key: Option<Uuid>,
}

/// What rows have in common.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[schema(as = StatisticsGroup)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupBySchema {
    Channel,
    Model,
    User,
    Key,
    Hour,
    Day,
}

impl From<GroupBySchema> for GroupBy {
    fn from(group_by: GroupBySchema) -> Self {
        match group_by {
            GroupBySchema::Channel => Self::Channel,
            GroupBySchema::Model => Self::Model,
            GroupBySchema::User => Self::User,
            GroupBySchema::Key => Self::Key,
            GroupBySchema::Hour => Self::Hour,
            GroupBySchema::Day => Self::Day,
        }
    }
}

impl StatisticsQuery {
    fn read(self, now: DateTime<Utc>) -> Result<(StatisticsFilter, GroupBy), Problem> {
        let group_by = self.group_by.map_or(GroupBy::Channel, GroupBy::from);
        let (from, to) = period(self.from.as_deref(), self.to.as_deref(), now)?;
        let days = if group_by == GroupBy::Hour { MAX_DAYS_BY_HOUR } else { MAX_DAYS };
        if from >= to || to - from > TimeDelta::days(days) {
            let detail = format!("the period ends after it begins, and at most {days} days later");
            return Err(Problem::field("to", "invalid_period", detail));
        }
        let Self { channel: channel_id, model, user: user_id, key: api_key_id, .. } = self;
        Ok((StatisticsFilter { from, to, channel_id, model, user_id, api_key_id }, group_by))
    }
}

/// The whole hours from one text to the other.
fn period(from: Option<&str>, to: Option<&str>, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), Problem> {
    let hour = TimeDelta::hours(1);
    let end = match to {
        Some(text) => instant("to", text, true)?,
        None => now,
    };
    let begun = hour_of("to", end)?;
    let end = if begun == end { end } else { begun + hour };
    let start = match from {
        Some(text) => instant("from", text, false)?,
        None => end - USUAL_PERIOD,
    };
    Ok((hour_of("from", start)?, end))
}

fn hour_of(field: &str, at: DateTime<Utc>) -> Result<DateTime<Utc>, Problem> {
    at.duration_trunc(TimeDelta::hours(1)).map_err(|_| no_instant(field))
}

/// A day, from its beginning or to its end, or an instant. Four digits of a year: rows have no others.
pub(super) fn instant(field: &str, text: &str, is_end: bool) -> Result<DateTime<Utc>, Problem> {
    let day = if text.len() == 10 { text.parse::<NaiveDate>().ok() } else { None };
    let day = day.and_then(|day| if is_end { day.succ_opt() } else { Some(day) });
    let midnight = day.map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let is_usual = text.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let exact = || DateTime::parse_from_rfc3339(text).ok().filter(|_| is_usual).map(|at| at.to_utc());
    midnight.or_else(exact).ok_or_else(|| no_instant(field))
}

fn no_instant(field: &str) -> Problem {
    let detail = format!("`{field}` is a day such as 2026-11-30 or an instant such as 2026-11-30T12:00:00Z");
    Problem::field(field, "invalid_period", detail)
}

/// What calls add up to: requests, errors, tokens, money and durations, by channel, model, account, key, hour or day.
/// At most 1000 rows, the most requests first.
#[utoipa::path(get, path = "/api/v1/admin/statistics", operation_id = "get_statistics", tag = "admin",
    params(StatisticsQuery),
    responses((status = 200, body = Statistics), Problems), security(("bearer" = [])))]
pub(super) async fn get(
    _: Admin,
    State(LedgerCurrency(currency)): State<LedgerCurrency>,
    State(reads): State<Reads>,
    Query(query): Query<StatisticsQuery>,
) -> Result<Json<Statistics>, Problem> {
    let (filter, group_by) = query.read(Utc::now())?;
    let body = rows::statistics(reads.pool(), &filter, group_by, Viewer::Operator, currency.as_str()).await?;
    Ok(Json(body))
}

/// The rows of the statistics as CSV (RFC 4180, UTF-8 with its mark), for spreadsheets. Amounts are nano-units.
#[utoipa::path(get, path = "/api/v1/admin/statistics.csv", operation_id = "export_statistics", tag = "admin",
    params(StatisticsQuery),
    responses((status = 200, body = String, content_type = "text/csv"), Problems), security(("bearer" = [])))]
pub(super) async fn export(
    admin: Admin,
    currency: State<LedgerCurrency>,
    reads: State<Reads>,
    query: Query<StatisticsQuery>,
) -> Result<Csv, Problem> {
    let Json(statistics) = get(admin, currency, reads, query).await?;
    Ok(Csv { name: format!("statistics-by-{}.csv", statistics.group_by), text: csv::statistics(&statistics) })
}

/// What your own calls add up to, without what they cost the house.
#[utoipa::path(get, path = "/api/v1/statistics", operation_id = "get_own_statistics", tag = "billing",
    params(StatisticsQuery),
    responses((status = 200, body = Statistics), Problems), security(("bearer" = [])))]
pub(super) async fn own(
    payer: Payer,
    State(LedgerCurrency(currency)): State<LedgerCurrency>,
    State(reads): State<Reads>,
    Query(query): Query<StatisticsQuery>,
) -> Result<Json<Statistics>, Problem> {
    let group_by = query.group_by.or(Some(GroupBySchema::Model));
    // Channels are the operators' business, and nobody else's calls are a user's.
    if matches!(group_by, Some(GroupBySchema::Channel | GroupBySchema::User)) {
        let detail = "`group_by` is `model`, `key`, `hour` or `day` here";
        return Err(Problem::field("group_by", "invalid_group", detail));
    }
    let query = StatisticsQuery { group_by, channel: None, user: None, ..query };
    let (filter, group_by) = query.read(Utc::now())?;
    let filter = StatisticsFilter { user_id: Some(payer.user.uuid()), ..filter };
    let body = rows::statistics(reads.pool(), &filter, group_by, Viewer::User, currency.as_str()).await?;
    Ok(Json(body))
}

/// A file for spreadsheets.
pub(super) struct Csv {
    name: String,
    text: String,
}

impl IntoResponse for Csv {
    fn into_response(self) -> Response {
        let kind = HeaderValue::from_static("text/csv; charset=utf-8");
        let disposition = HeaderValue::try_from(format!("attachment; filename=\"{}\"", self.name));
        let mut response = ([(header::CONTENT_TYPE, kind)], self.text).into_response();
        if let Ok(disposition) = disposition {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn read(from: Option<&str>, to: Option<&str>, group_by: GroupBySchema) -> Result<(String, String), String> {
        let query = StatisticsQuery {
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            group_by: Some(group_by),
            ..StatisticsQuery::default()
        };
        let (filter, _) = query.read(at("2026-11-22T10:30:00Z")).map_err(|problem| problem.code().to_owned())?;
        let text = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M").to_string();
        Ok((text(filter.from), text(filter.to)))
    }

    fn hours(from: &str, to: &str) -> Result<(String, String), String> {
        Ok((from.to_owned(), to.to_owned()))
    }

    #[test]
    fn a_period_is_whole_hours_and_the_last_day_where_nothing_is_said() {
        let by = GroupBySchema::Model;
        assert_eq!(read(None, None, by), hours("2026-11-21T11:00", "2026-11-22T11:00"));
        assert_eq!(read(Some("2026-11-01"), Some("2026-11-02"), by), hours("2026-11-01T00:00", "2026-11-03T00:00"));
        let (from, to) = (Some("2026-11-01T10:59:59Z"), Some("2026-11-01T13:00:00+01:00"));
        assert_eq!(read(from, to, by), hours("2026-11-01T10:00", "2026-11-01T12:00"));
    }

    #[test]
    fn a_period_that_is_none_or_too_long_is_refused() {
        let by = GroupBySchema::Day;
        for (from, to) in [
            ("2026-11-02", "2026-11-01"),
            ("2025-11-01", "2026-11-02"),
            ("yesterday", "2026-11-02"),
            ("2026-11-01T10:00:00", "2026-11-02"),
            ("+262142-01-01", "+262142-01-01"),
            ("0001-01-01", "9999-12-31"),
        ] {
            assert_eq!(read(Some(from), Some(to), by), Err("invalid_period".to_owned()), "{from} {to}");
        }
        assert!(read(Some("2026-10-01"), Some("2026-10-31"), GroupBySchema::Hour).is_ok());
        assert!(read(Some("2026-10-01"), Some("2026-11-01"), GroupBySchema::Hour).is_err());
    }
}
