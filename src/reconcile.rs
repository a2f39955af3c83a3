//! `oblivious reconcile`: proves read models by the events, for people, scripts and alarms.
//!
//! Promise: it reads and never writes; every difference is one line; the exit code is 0 if there is none, 1 if there is,
//! and 2 if not everything could be compared.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use projections::billing::reconcile::{Difference, Summary, reconcile};
use serde::Serialize;
use sqlx::PgPool;

use crate::config::Config;
use crate::{answer, connect, console, embedded};

/// Differences were found.
const DRIFT: u8 = 1;
/// Nothing, or not everything, was compared.
const NOT_COMPARED: u8 = 2;

#[derive(Debug, Subcommand)]
pub(crate) enum Reconcile {
    /// Compute all balances, settlements and ledger lines again from the events and compare them with what is shown.
    ///
    /// Exits with 0 if everything agrees, 1 if something differs, 2 if not everything could be compared.
    Billing(Billing),
}

#[derive(Args, Debug)]
pub(crate) struct Billing {
    /// One JSON object a line: the differences, then the summary.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line<'l> {
    Difference(&'l Difference),
    Summary(&'l Summary),
}

/// Runs the comparison. A configuration that is not usable is a reason why nothing was compared.
pub(crate) async fn run(config: anyhow::Result<Config>, command: &Reconcile) -> ExitCode {
    let Reconcile::Billing(Billing { json }) = command;
    match billing(config, *json).await {
        Ok(summary) if summary.differences > 0 => ExitCode::from(DRIFT),
        Ok(summary) if !summary.parked.is_empty() => ExitCode::from(NOT_COMPARED),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            console(&format!("oblivious: the books could not be compared: {error:#}"));
            ExitCode::from(NOT_COMPARED)
        }
    }
}

async fn billing(config: anyhow::Result<Config>, json: bool) -> anyhow::Result<Summary> {
    let pool = database(&config?).await?;
    let show = |line: &Line<'_>, text: String| {
        let shown = if json { serde_json::to_string(line).unwrap_or(text) } else { text };
        answer(&(shown + "\n"));
    };
    let summary = reconcile(&pool, |difference| show(&Line::Difference(&difference), difference.to_string())).await?;
    show(&Line::Summary(&summary), told(&summary));
    pool.close().await;
    Ok(summary)
}

async fn database(config: &Config) -> anyhow::Result<PgPool> {
    let running = embedded::running_services(config)?;
    let url =
        config.database_url.clone().or(running.database_url).context(
            "DATABASE_URL is not set, and no `oblivious up` with private servers runs on this data directory",
        )?;
    connect::postgres(&url, 1).await
}

fn told(summary: &Summary) -> String {
    let Summary { position, last_position, events, wallets, differences, parked } = summary;
    let number = |n: u64, noun: &str| if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") };
    let result = if *differences == 0 { "no difference".to_owned() } else { number(*differences, "difference") };
    let (events, wallets) = (number(*events, "event"), number(*wallets, "wallet"));
    let mut text = format!("{events} of {wallets} up to position {position} of {last_position}: {result}.");
    for parked in parked {
        let (wallet, position, error) = (&parked.wallet, parked.position, &parked.error);
        text += &format!("\nNot compared: wallet {wallet}, parked by the projection at position {position}: {error}");
    }
    text
}

#[cfg(test)]
mod tests {
    use projections::billing::reconcile::Parked;

    use super::*;

    #[test]
    fn the_summary_says_what_was_compared_and_what_was_not() {
        let parked = Parked { wallet: "w".to_owned(), position: 7, error: "unknown".to_owned() };
        let summary =
            Summary { position: 9, last_position: 12, events: 5, wallets: 2, differences: 0, parked: vec![parked] };
        assert_eq!(
            told(&summary),
            "5 events of 2 wallets up to position 9 of 12: no difference.\n\
             Not compared: wallet w, parked by the projection at position 7: unknown"
        );
    }
}
