//! The rows of a batch, one statement a table and kind of change.

use std::collections::HashSet;

use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{
    records::{ChargeRecord, HoldRecord},
    step::{Entry, Now, Rows, WalletRow},
};
use crate::columns::column;

impl Rows {
    /// Writes what has changed.
    pub(super) async fn write(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        let wallets: Vec<&WalletRow> = self.wallets.values().filter(|wallet| wallet.changed).collect();
        if !wallets.is_empty() {
            write_wallets(tx, &wallets).await?;
        }
        self.write_holds(tx).await?;
        if !self.charges.is_empty() {
            insert_charges(tx, &self.charges).await?;
        }
        if !self.entries.is_empty() {
            insert_entries(tx, &self.entries).await?;
        }
        Ok(())
    }

    async fn write_holds(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        let (mut ended, mut extended, mut made) = (vec![], vec![], vec![]);
        for ((owner, id), hold) in &self.holds {
            if hold.stored && matches!(hold.now, Now::Gone | Now::Made(_)) {
                ended.push((*owner, *id));
            }
            match &hold.now {
                Now::Extended(expires_at) => extended.push((*owner, *id, *expires_at)),
                Now::Made(record) => made.push(&**record),
                Now::AsStored | Now::Gone => {}
            }
        }
        if !ended.is_empty() {
            let sql = "DELETE FROM holds h USING unnest($1::uuid[], $2::uuid[]) AS e (owner, hold_id) \
                WHERE h.owner = e.owner AND h.hold_id = e.hold_id";
            sqlx::query(sql).bind(column!(ended, 0)).bind(column!(ended, 1)).execute(&mut *tx).await?;
        }
        if !extended.is_empty() {
            let sql = "UPDATE holds h SET expires_at = e.expires_at \
                FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS e (owner, hold_id, expires_at) \
                WHERE h.owner = e.owner AND h.hold_id = e.hold_id";
            let query = sqlx::query(sql).bind(column!(extended, 0)).bind(column!(extended, 1));
            query.bind(column!(extended, 2)).execute(&mut *tx).await?;
        }
        if !made.is_empty() {
            // In the order of the log, so that neighbours in time are neighbours on disk.
            made.sort_unstable_by_key(|hold| hold.position);
            insert_holds(tx, &made).await?;
        }
        Ok(())
    }
}

async fn write_wallets(tx: &mut PgConnection, rows: &[&WalletRow]) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO wallets (owner, currency, granted_nanos, paid_nanos, debt_nanos, held_nanos, sequence) \
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], \
             $7::bigint[]) \
         ON CONFLICT (owner) DO UPDATE SET currency = EXCLUDED.currency, granted_nanos = EXCLUDED.granted_nanos, \
         paid_nanos = EXCLUDED.paid_nanos, debt_nanos = EXCLUDED.debt_nanos, held_nanos = EXCLUDED.held_nanos, \
         sequence = EXCLUDED.sequence",
    )
    .bind(column!(rows, owner))
    .bind(column!(rows, currency.as_deref()))
    .bind(column!(rows, granted_nanos))
    .bind(column!(rows, paid_nanos))
    .bind(column!(rows, debt_nanos))
    .bind(column!(rows, held_nanos))
    .bind(column!(rows, sequence))
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_holds(tx: &mut PgConnection, rows: &[&HoldRecord]) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO holds (owner, hold_id, position, kind, amount_nanos, model, channel_id, price_version, prices, \
         costs, input_tokens, max_output_tokens, session_id, run_id, api_key_id, expires_at, held_at) \
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::uuid[], \
             $8::bigint[], $9::jsonb[], $10::jsonb[], $11::bigint[], $12::bigint[], $13::uuid[], $14::uuid[], \
             $15::uuid[], $16::timestamptz[], $17::timestamptz[])",
    )
    .bind(column!(rows, owner))
    .bind(column!(rows, hold_id))
    .bind(column!(rows, position))
    .bind(column!(rows, kind.as_str()))
    .bind(column!(rows, amount_nanos))
    .bind(column!(rows, model.as_str()))
    .bind(column!(rows, channel_id))
    .bind(column!(rows, price_version))
    .bind(rows.iter().map(|row| Json(&row.prices)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| Json(&row.costs)).collect::<Vec<_>>())
    .bind(column!(rows, input_tokens))
    .bind(column!(rows, max_output_tokens))
    .bind(column!(rows, session_id))
    .bind(column!(rows, run_id))
    .bind(column!(rows, api_key_id))
    .bind(column!(rows, expires_at))
    .bind(column!(rows, held_at))
    .execute(tx)
    .await?;
    Ok(())
}

/// Calls that cost nothing, each once: no wallet knows which of them are there already.
pub(super) async fn insert_free(tx: &mut PgConnection, rows: Vec<ChargeRecord>) -> sqlx::Result<()> {
    let there: Vec<Uuid> = sqlx::query_scalar("SELECT hold_id FROM charges WHERE hold_id = ANY ($1)")
        .bind(column!(rows, hold_id))
        .fetch_all(&mut *tx)
        .await?;
    let mut seen: HashSet<Uuid> = there.into_iter().collect();
    let new: Vec<ChargeRecord> = rows.into_iter().filter(|row| seen.insert(row.hold_id)).collect();
    if new.is_empty() { Ok(()) } else { insert_charges(tx, &new).await }
}

async fn insert_charges(tx: &mut PgConnection, rows: &[ChargeRecord]) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO charges (position, line, owner, hold_id, kind, model, channel_id, input_tokens, cached_input_tokens, \
         output_tokens, reasoning_tokens, cache_write_tokens, audio_input_tokens, image_input_tokens, audio_output_tokens, \
         image_output_tokens, pieces, basis, price_version, prices, costs, charged_nanos, cost_nanos, \
         lost_cost_nanos, session_id, run_id, api_key_id, at, cache_write_hour_tokens) \
         SELECT * FROM unnest($1::bigint[], $2::int[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], \
             $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], \
             $15::bigint[], $16::bigint[], $17::jsonb[], $18::text[], $19::bigint[], $20::jsonb[], $21::jsonb[], \
             $22::bigint[], $23::bigint[], $24::bigint[], $25::uuid[], $26::uuid[], $27::uuid[], $28::timestamptz[], \
             $29::bigint[])",
    )
    .bind(column!(rows, position))
    .bind(column!(rows, line))
    .bind(column!(rows, owner))
    .bind(column!(rows, hold_id))
    .bind(column!(rows, kind.as_str()))
    .bind(column!(rows, model.as_str()))
    .bind(column!(rows, channel_id))
    .bind(column!(rows, input_tokens))
    .bind(column!(rows, cached_input_tokens))
    .bind(column!(rows, output_tokens))
    .bind(column!(rows, reasoning_tokens))
    .bind(column!(rows, cache_write_tokens))
    .bind(column!(rows, audio_input_tokens))
    .bind(column!(rows, image_input_tokens))
    .bind(column!(rows, audio_output_tokens))
    .bind(column!(rows, image_output_tokens))
    .bind(rows.iter().map(|row| Json(row.pieces)).collect::<Vec<_>>())
    .bind(column!(rows, basis.as_str()))
    .bind(column!(rows, price_version))
    .bind(rows.iter().map(|row| Json(&row.prices)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| Json(&row.costs)).collect::<Vec<_>>())
    .bind(column!(rows, charged_nanos))
    .bind(column!(rows, cost_nanos))
    .bind(column!(rows, lost_cost_nanos))
    .bind(column!(rows, session_id))
    .bind(column!(rows, run_id))
    .bind(column!(rows, api_key_id))
    .bind(column!(rows, at))
    .bind(column!(rows, cache_write_hour_tokens))
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_entries(tx: &mut PgConnection, rows: &[Entry]) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO ledger_entries (position, line, owner, account, amount_nanos, kind, hold_id, model, reason, at) \
         SELECT * FROM unnest($1::bigint[], $2::int[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::uuid[], \
             $8::text[], $9::text[], $10::timestamptz[])",
    )
    .bind(column!(rows, position))
    .bind(column!(rows, line))
    .bind(column!(rows, owner))
    .bind(column!(rows, account))
    .bind(column!(rows, amount_nanos))
    .bind(column!(rows, kind))
    .bind(column!(rows, hold_id))
    .bind(column!(rows, model.as_deref()))
    .bind(column!(rows, reason.as_deref()))
    .bind(column!(rows, at))
    .execute(tx)
    .await?;
    Ok(())
}
