//! All accounts with their wallets, for operators.

use axum::extract::State;
use projections::{Page, users};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    auth::Admin,
    billing::LedgerCurrency,
    extract::{Id, Query},
    openapi::{AfterParam, Problems},
    problem::Problem,
    read::{After, Fresh, Model, PageQuery, Reads},
};

/// Which accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// The beginning of an e-mail address or a name.
    query: Option<String>,
}

/// All accounts, newest first.
#[utoipa::path(get, path = "/api/v1/admin/users", operation_id = "list_users", tag = "admin",
    params(AfterParam, PageQuery, ListQuery),
    responses((status = 200, body = Page<users::Account>), Problems), security(("bearer" = [])))]
pub(super) async fn list(
    _: Admin,
    After(after): After,
    State(LedgerCurrency(currency)): State<LedgerCurrency>,
    State(reads): State<Reads>,
    Query(page): Query<PageQuery>,
    Query(query): Query<ListQuery>,
) -> Result<Fresh<Page<users::Account>>, Problem> {
    let limit = page.limit()?;
    let stale = reads.is_behind(Model::Billing, after.as_ref()).await?;
    let text = query.query.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let body = users::users(reads.pool(), text, currency.as_str(), page.cursor.as_deref(), limit).await?;
    Ok(Fresh { body, stale })
}

/// One account.
#[utoipa::path(get, path = "/api/v1/admin/users/{id}", operation_id = "get_user", tag = "admin",
    params(AfterParam, ("id" = Uuid, Path)),
    responses((status = 200, body = users::Account), Problems), security(("bearer" = [])))]
pub(super) async fn get(
    _: Admin,
    After(after): After,
    State(LedgerCurrency(currency)): State<LedgerCurrency>,
    State(reads): State<Reads>,
    Id(id): Id,
) -> Result<Fresh<users::Account>, Problem> {
    let stale = reads.is_behind(Model::Billing, after.as_ref()).await?;
    let account = users::account(reads.pool(), id, currency.as_str()).await?;
    let body = account.ok_or_else(|| Problem::not_found("user_not_found", "there is no such account"))?;
    Ok(Fresh { body, stale })
}
