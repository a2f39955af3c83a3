//! Every movement as its double entry, and every settled call.

use axum::extract::State;
use projections::{
    Page,
    billing::{self, Charge, LedgerEntry, Lines},
};
use uuid::Uuid;

use super::wallet::is_behind;
use crate::{
    auth::Admin,
    extract::{Id, Query},
    holder::Payer,
    openapi::{AfterParam, Problems},
    problem::Problem,
    read::{After, Fresh, PageQuery, Reads},
};

/// The double entries of your wallet, newest first.
#[utoipa::path(get, path = "/api/v1/ledger/entries", operation_id = "list_ledger_entries", tag = "billing",
    params(AfterParam, PageQuery),
    responses((status = 200, body = Page<LedgerEntry>), Problems), security(("bearer" = [])))]
pub(super) async fn entries(
    payer: Payer,
    After(after): After,
    State(reads): State<Reads>,
    Query(page): Query<PageQuery>,
) -> Result<Fresh<Page<LedgerEntry>>, Problem> {
    let limit = page.limit()?;
    let stale = is_behind(&reads, payer.user.uuid(), after.as_ref()).await?;
    page_of(&reads, payer.user.uuid(), Lines::Own, page.cursor.as_deref(), limit, stale).await
}

/// The double entries of an account's wallet with what its calls cost the house, newest first.
#[utoipa::path(get, path = "/api/v1/admin/users/{id}/ledger", operation_id = "list_ledger_entries_of_user", tag = "admin",
    params(AfterParam, ("id" = Uuid, Path), PageQuery),
    responses((status = 200, body = Page<LedgerEntry>), Problems), security(("bearer" = [])))]
pub(super) async fn entries_of_user(
    _: Admin,
    After(after): After,
    State(reads): State<Reads>,
    Id(user): Id,
    Query(page): Query<PageQuery>,
) -> Result<Fresh<Page<LedgerEntry>>, Problem> {
    let limit = page.limit()?;
    super::movements::require_account(&reads, user).await?;
    let stale = is_behind(&reads, user, after.as_ref()).await?;
    page_of(&reads, user, Lines::All, page.cursor.as_deref(), limit, stale).await
}

async fn page_of(
    reads: &Reads,
    user: Uuid,
    lines: Lines,
    cursor: Option<&str>,
    limit: u32,
    stale: bool,
) -> Result<Fresh<Page<LedgerEntry>>, Problem> {
    let body = billing::ledger_entries(reads.pool(), user, lines, cursor, limit).await?;
    Ok(Fresh { body, stale })
}

/// Your settled calls, newest first.
#[utoipa::path(get, path = "/api/v1/charges", operation_id = "list_charges", tag = "billing",
    params(AfterParam, PageQuery),
    responses((status = 200, body = Page<Charge>), Problems), security(("bearer" = [])))]
pub(super) async fn charges(
    payer: Payer,
    After(after): After,
    State(reads): State<Reads>,
    Query(page): Query<PageQuery>,
) -> Result<Fresh<Page<Charge>>, Problem> {
    let limit = page.limit()?;
    let stale = is_behind(&reads, payer.user.uuid(), after.as_ref()).await?;
    let body = billing::charges(reads.pool(), payer.user.uuid(), page.cursor.as_deref(), limit).await?;
    Ok(Fresh { body, stale })
}
