//! The proof of the books: what the events say against what `billing_v1` says.
//!
//! Promise: everything is read in one snapshot, up to the position that the projection has reached in it. Wallets are
//! folded again by the domain's own aggregate, each settlement is computed again from its tokens and rates, each ledger
//! line is compared with the one expected, and sums are checked without regard to how the lines came about. Every
//! difference is told. Nothing is opened and nothing is written; memory is bounded by the number of wallets.

mod books;
mod compare;
mod difference;
mod events;

use domain::{Decider as _, billing};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub use self::difference::Difference;
use self::difference::Findings;
use self::{books::Books, compare::Range};
use super::projector::BillingProjector;
use crate::{
    parking,
    projector::{ProjectedEvent, Projector as _},
};

/// Events that are compared at a time.
const PAGE: i64 = 500;

/// What was compared, and with which result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// All events up to here, and the rows that follow from them.
    pub position: i64,
    /// How far the log is; what is beyond `position` is not projected yet.
    pub last_position: i64,
    pub events: u64,
    pub wallets: u64,
    pub differences: u64,
    /// Wallets that the projection has left behind; they were not compared, nor were the totals of all wallets then.
    pub parked: Vec<Parked>,
}

/// A wallet that the projection has left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Parked {
    #[sqlx(rename = "aggregate_id")]
    pub wallet: String,
    /// Of the first event that is not applied.
    #[sqlx(rename = "first_position")]
    pub position: i64,
    pub error: String,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error("the database cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    #[error("this database has no read model billing_v1: run `oblivious migrate` with this release first")]
    NoReadModel,
    #[error("the projection billing_v1 has applied nothing here yet, while the log has events: let it run first")]
    NotProjected,
}

/// How far the rows are, and what of them cannot be compared.
struct Scope {
    position: i64,
    last_position: i64,
    parked: Vec<Parked>,
}

/// Compares all money in the read model with the events, and tells every difference to `report` as it is found.
///
/// # Errors
/// Nothing, or not everything, could be compared; differences that were told before stand.
pub async fn reconcile(pool: &PgPool, mut report: impl FnMut(Difference) + Send) -> Result<Summary, ReconcileError> {
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    keep_tables(&mut tx).await?;
    let scope = scope(&mut tx).await?;
    let parked = scope.parked.iter().filter_map(|parked| parked.wallet.parse().ok());
    let mut books = Books::new(parked);
    let mut findings = Findings::new(&mut report);
    let mut range = Range { after: i64::MIN, until: 0 };
    let mut events = 0;
    loop {
        let page = page(&mut tx, range.until, scope.position).await?;
        events += page.len() as u64;
        // Behind the last event there should be no row at all.
        let full = page.len() as i64 == PAGE;
        range.until = page.last().filter(|_| full).map_or(i64::MAX, |event| event.position);
        let expected = books.read(&page, &mut findings);
        compare::charges(&mut tx, range, expected.charges, &books, &mut findings).await?;
        compare::entries(&mut tx, range, expected.entries, &mut books, &mut findings).await?;
        if !full {
            break;
        }
        range.after = range.until;
    }
    compare::wallets(&mut tx, &books, &mut findings).await?;
    compare::holds(&mut tx, &books, &mut findings).await?;
    books.compare_accounts(&mut findings);
    if books.are_complete() {
        compare::totals(&mut tx, &books, &mut findings).await?;
    }
    tx.commit().await?;
    let Scope { position, last_position, parked } = scope;
    let (wallets, differences) = (books.count(), findings.count());
    Ok(Summary { position, last_position, events, wallets, differences, parked })
}

/// Comes before the snapshot: rows that a rebuild puts in their place meanwhile are not in it.
async fn keep_tables(tx: &mut PgConnection) -> Result<(), ReconcileError> {
    let sql = "LOCK TABLE billing_v1.wallets, billing_v1.holds, billing_v1.charges, billing_v1.ledger_entries \
        IN ACCESS SHARE MODE";
    match sqlx::query(sql).execute(tx).await {
        Err(sqlx::Error::Database(error)) if ["3F000", "42P01"].contains(&&*error.code().unwrap_or_default()) => {
            Err(ReconcileError::NoReadModel)
        }
        locked => Ok(locked.map(drop)?),
    }
}

async fn scope(tx: &mut PgConnection) -> Result<Scope, ReconcileError> {
    let name = BillingProjector.name();
    let there: bool = sqlx::query_scalar(
        "SELECT to_regclass('billing_v1.ledger_entries') IS NOT NULL AND to_regclass('public.event_log') IS NOT NULL",
    )
    .fetch_one(&mut *tx)
    .await?;
    if !there {
        return Err(ReconcileError::NoReadModel);
    }
    let (position, last_position): (i64, i64) = sqlx::query_as(
        "SELECT coalesce((SELECT position FROM checkpoints WHERE name = $1), 0), \
         coalesce((SELECT max(position) FROM event_log), 0)",
    )
    .bind(name)
    .fetch_one(&mut *tx)
    .await?;
    if position == 0 && last_position > 0 {
        return Err(ReconcileError::NotProjected);
    }
    let parked = sqlx::query_as(
        "SELECT aggregate_id, first_position, error FROM parked_keys \
         WHERE projection = $1 AND aggregate_type = $2 ORDER BY first_position",
    )
    .bind(name)
    .bind(billing::Wallet::TYPE)
    .fetch_all(tx)
    .await?;
    Ok(Scope { position, last_position, parked })
}

/// Events of wallets after one position and up to another, in order.
async fn page(tx: &mut PgConnection, after: i64, until: i64) -> sqlx::Result<Vec<ProjectedEvent>> {
    let rows = sqlx::query(
        "SELECT l.position, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, e.recorded_at, \
         e.payload::text \
         FROM (SELECT * FROM event_log WHERE aggregate_type = $1 AND position > $2 AND position <= $3 \
               ORDER BY position LIMIT $4) l \
         CROSS JOIN LATERAL (SELECT * FROM events WHERE events.aggregate_type = l.aggregate_type \
             AND events.aggregate_id = l.aggregate_id AND events.sequence = l.sequence LIMIT 1) e ORDER BY l.position",
    )
    .bind(billing::Wallet::TYPE)
    .bind(after)
    .bind(until)
    .bind(PAGE)
    .fetch_all(tx)
    .await?;
    rows.iter().map(parking::stored_event).collect()
}

/// The id of a wallet is its owner's.
type Owner = Uuid;
