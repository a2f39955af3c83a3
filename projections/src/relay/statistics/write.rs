//! What a batch adds, one statement a table.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::slot::{Slot, Slots, Sums};
use crate::columns::column;

/// A sum as rows hold it; none ever comes near the end of the range.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Adds all of `slots` to what is there.
pub(super) async fn add(tx: &mut PgConnection, slots: &Slots) -> sqlx::Result<()> {
    if slots.0.is_empty() {
        return Ok(());
    }
    // In one order, whatever the map's: neighbours in time are neighbours on disk.
    let mut rows: Vec<(Uuid, &Slot, &Sums)> = slots.0.iter().map(|(slot, sums)| (slot.id(), slot, sums)).collect();
    rows.sort_unstable_by_key(|(id, slot, _)| (slot.hour, *id));
    add_sums(tx, &rows).await?;
    let mut errors = vec![];
    let mut latencies = vec![];
    for (id, _, sums) in rows {
        errors.extend(sums.errors.iter().map(|((kind, code), count)| (id, *kind, code.as_str(), *count)));
        latencies.extend(sums.latencies.iter().map(|((measure, bucket), count)| (id, *measure, *bucket, *count)));
    }
    if !errors.is_empty() {
        let sql = "INSERT INTO errors AS e (slot, kind, code, count) \
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) \
            ON CONFLICT (slot, kind, code) DO UPDATE SET count = e.count + EXCLUDED.count";
        let query = sqlx::query(sql).bind(column!(errors, 0)).bind(column!(errors, 1));
        query.bind(column!(errors, 2)).bind(column!(errors, 3)).execute(&mut *tx).await?;
    }
    if !latencies.is_empty() {
        let sql = "INSERT INTO latencies AS l (slot, measure, bucket, count) \
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::bigint[]) \
            ON CONFLICT (slot, measure, bucket) DO UPDATE SET count = l.count + EXCLUDED.count";
        let query = sqlx::query(sql).bind(column!(latencies, 0)).bind(column!(latencies, 1));
        query.bind(column!(latencies, 2)).bind(column!(latencies, 3)).execute(&mut *tx).await?;
    }
    Ok(())
}

// tidy: long because it lists every column of the sums, in the statement and for it
async fn add_sums(tx: &mut PgConnection, rows: &[(Uuid, &Slot, &Sums)]) -> sqlx::Result<()> {
    let tokens = |of: fn(&Sums) -> u64| rows.iter().map(|(_, _, sums)| number(of(sums))).collect::<Vec<i64>>();
    sqlx::query(
        "INSERT INTO hours AS h (slot, hour, channel_id, model, user_id, api_key_id, requests, completed, cancelled, \
         failed, refused, tries, failed_tries, unknown_cost_tries, input_tokens, cached_input_tokens, cache_write_tokens, \
         audio_input_tokens, image_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, \
         image_output_tokens, charged_nanos, cost_nanos, lost_cost_nanos) \
         SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], \
             $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], \
             $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], \
             $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[], $25::bigint[], $26::bigint[]) \
         ON CONFLICT (slot) DO UPDATE SET requests = h.requests + EXCLUDED.requests, \
         completed = h.completed + EXCLUDED.completed, cancelled = h.cancelled + EXCLUDED.cancelled, \
         failed = h.failed + EXCLUDED.failed, refused = h.refused + EXCLUDED.refused, \
         tries = h.tries + EXCLUDED.tries, failed_tries = h.failed_tries + EXCLUDED.failed_tries, \
         unknown_cost_tries = h.unknown_cost_tries + EXCLUDED.unknown_cost_tries, \
         input_tokens = h.input_tokens + EXCLUDED.input_tokens, \
         cached_input_tokens = h.cached_input_tokens + EXCLUDED.cached_input_tokens, \
         cache_write_tokens = h.cache_write_tokens + EXCLUDED.cache_write_tokens, \
         audio_input_tokens = h.audio_input_tokens + EXCLUDED.audio_input_tokens, \
         image_input_tokens = h.image_input_tokens + EXCLUDED.image_input_tokens, \
         output_tokens = h.output_tokens + EXCLUDED.output_tokens, \
         reasoning_tokens = h.reasoning_tokens + EXCLUDED.reasoning_tokens, \
         audio_output_tokens = h.audio_output_tokens + EXCLUDED.audio_output_tokens, \
         image_output_tokens = h.image_output_tokens + EXCLUDED.image_output_tokens, \
         charged_nanos = h.charged_nanos + EXCLUDED.charged_nanos, cost_nanos = h.cost_nanos + EXCLUDED.cost_nanos, \
         lost_cost_nanos = h.lost_cost_nanos + EXCLUDED.lost_cost_nanos",
    )
    .bind(column!(rows, 0))
    .bind(column!(rows, 1.hour))
    .bind(column!(rows, 1.channel_id))
    .bind(column!(rows, 1.model.as_deref()))
    .bind(column!(rows, 1.user_id))
    .bind(column!(rows, 1.api_key_id))
    .bind(column!(rows, 2.requests))
    .bind(column!(rows, 2.completed))
    .bind(column!(rows, 2.cancelled))
    .bind(column!(rows, 2.failed))
    .bind(column!(rows, 2.refused))
    .bind(column!(rows, 2.tries))
    .bind(column!(rows, 2.failed_tries))
    .bind(column!(rows, 2.unknown_cost_tries))
    .bind(tokens(|sums| sums.tokens.input))
    .bind(tokens(|sums| sums.tokens.cached_input))
    .bind(tokens(|sums| sums.tokens.cache_write))
    .bind(tokens(|sums| sums.tokens.audio_input))
    .bind(tokens(|sums| sums.tokens.image_input))
    .bind(tokens(|sums| sums.tokens.output))
    .bind(tokens(|sums| sums.tokens.reasoning))
    .bind(tokens(|sums| sums.tokens.audio_output))
    .bind(tokens(|sums| sums.tokens.image_output))
    .bind(column!(rows, 2.charged))
    .bind(column!(rows, 2.cost))
    .bind(column!(rows, 2.lost_cost))
    .execute(tx)
    .await?;
    Ok(())
}

/// How far each wallet is contained from now on.
pub(super) async fn wallets(tx: &mut PgConnection, contained: &HashMap<Uuid, i64>) -> sqlx::Result<()> {
    let rows: Vec<(&Uuid, &i64)> = contained.iter().collect();
    sqlx::query(
        "INSERT INTO wallets (owner, sequence) SELECT * FROM unnest($1::uuid[], $2::bigint[]) \
         ON CONFLICT (owner) DO UPDATE SET sequence = EXCLUDED.sequence",
    )
    .bind(rows.iter().map(|(owner, _)| **owner).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, sequence)| **sequence).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
