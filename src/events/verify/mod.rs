//! `oblivious events verify`: proves the log and its published form, for people, scripts and alarms.
//!
//! Promise: it reads and never writes; what is wrong is named by position, first things first; the exit code is 0 if
//! nothing is, 1 if something is, and 2 if not everything could be looked at.

mod audit;
mod findings;
mod storage;

use std::process::ExitCode;

use audit::{Audit, Summary};
use clap::Args;
use findings::{Findings, Line};
use vault::Vault;

use super::{capabilities, database, nats_url};
use crate::config::Config;
use crate::{answer, connect, console, master_key};

/// Something is wrong.
const FAULTS: u8 = 1;
/// Nothing, or not everything, was looked at.
const NOT_VERIFIED: u8 = 2;

/// Prove the log, event by event, and that the stream EVENTS is its published form.
///
/// Positions have no gaps; the events of each aggregate are numbered without holes; every event decodes into what this
/// release knows; every personal field opens, or its person was erased; nobody's command, actor or tenant is missing; no
/// committed event was left without a position. Each message that EVENTS keeps has its event's position, subject,
/// headers and payload. Nothing is changed and no content is printed.
///
/// Exits with 0 if all of it holds, 1 if something is wrong, 2 if not everything could be looked at.
#[derive(Args, Debug)]
#[command(after_help = "Example: the whole log every night, without NATS\n  oblivious events verify --log-only --json")]
pub(crate) struct Verify {
    /// Begin with this position.
    #[arg(long, value_name = "POSITION", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    from: i64,
    /// End with this position; with the last one if absent.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    to: Option<i64>,
    /// Do not look at the stream EVENTS.
    #[arg(long)]
    log_only: bool,
    /// One JSON object a line: what is wrong, then the summary.
    #[arg(long)]
    json: bool,
    /// Print this many findings and only count the others.
    #[arg(long, value_name = "N", default_value_t = 100)]
    show: u64,
}

/// Runs the check. A configuration that is not usable is a reason why nothing was looked at.
pub(super) async fn run(config: anyhow::Result<Config>, verify: &Verify) -> ExitCode {
    match look(config, verify).await {
        Ok(summary) if summary.findings > 0 => ExitCode::from(FAULTS),
        Ok(summary) if summary.not_compared.is_some() => ExitCode::from(NOT_VERIFIED),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            console(&format!("oblivious: the log could not be verified: {error:#}"));
            ExitCode::from(NOT_VERIFIED)
        }
    }
}

async fn look(config: anyhow::Result<Config>, verify: &Verify) -> anyhow::Result<Summary> {
    let config = config?;
    let key = master_key::existing(&config)?;
    let pool = database(&config).await?;
    let vault = Vault::open(pool.clone(), key).await?;
    let bus = if verify.log_only { None } else { Some(connected(&config).await) };
    let json = verify.json;
    let mut findings = Findings::new(verify.show, |finding| {
        show(json, &Line::Finding(finding), || finding.to_string());
    });
    let audit = Audit::new(pool.clone(), vault, capabilities(), bus);
    let summary = audit.run(verify.from, verify.to, &mut findings).await?;
    show(json, &Line::Summary(&summary), || summary.to_string());
    pool.close().await;
    Ok(summary)
}

/// The bus, or why it cannot be looked at.
async fn connected(config: &Config) -> Result<async_nats::Client, String> {
    let url = nats_url(config).map_err(|error| error.to_string())?;
    connect::nats(&url).await.map_err(|error| format!("{error:#}"))
}

fn show(json: bool, line: &Line<'_>, text: impl Fn() -> String) {
    let shown = if json { serde_json::to_string(line).unwrap_or_else(|_| text()) } else { text() };
    answer(&(shown + "\n"));
}
