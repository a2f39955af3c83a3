//! `oblivious events`: the log of all events for operators, analysts and the programs of others.
//!
//! Promise: `tail`, `export` and `verify` read Postgres, the truth, and change nothing there; personal fields stay
//! sealed in whatever they print or write. `republish` and `open-epoch` say what they are about to do. All of them work
//! with `DATABASE_URL` and `NATS_URL` and on the private servers of a running `oblivious up`.

mod decode;
mod export;
mod line;
mod republish;
mod tail;
mod verify;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use nats::{Capabilities, LogFilter};
use sqlx::PgPool;

use crate::config::Config;
use crate::node::Node;
use crate::secret::Secret;
use crate::{answer, connect, embedded};

/// Events that are read at once.
const PAGE: usize = 500;
/// One reads, one looks up keys.
const CONNECTIONS: u32 = 2;
const MISSING: &str = "is not set, and no `oblivious up` with private servers runs on this data directory";

#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    Tail(tail::Tail),
    Export(export::Export),
    Verify(verify::Verify),
    Republish(republish::Republish),
    /// Continue publishing in a new epoch, after the database was restored from a backup or replaced on purpose.
    ///
    /// Until then the publisher refuses: it cannot tell which of the published events this database still knows.
    OpenEpoch {
        /// Why; kept with the epoch.
        #[arg(long)]
        reason: String,
    },
}

/// Which events, by what is known of them.
#[derive(Args, Debug)]
struct Which {
    /// Only events of this capability: users, chat, relay, billing.
    #[arg(long, value_name = "NAME")]
    capability: Option<String>,
    /// Only events of this type, as stored: wallet.charged.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only events of the aggregate with this id.
    #[arg(long, value_name = "ID")]
    aggregate: Option<String>,
}

impl Which {
    /// The filter; a name that no event can have is a mistake, not an empty answer.
    fn filter(&self) -> anyhow::Result<LogFilter> {
        let known = handlers::capabilities();
        if let Some(capability) = &self.capability
            && !known.values().any(|name| name == capability)
        {
            let mut names: Vec<&str> = known.values().map(String::as_str).collect();
            names.sort_unstable();
            names.dedup();
            bail!("there is no capability `{capability}`; there are {}", names.join(", "));
        }
        if let Some(event_type) = &self.event_type {
            let of = event_type.split_once('.').map(|(of, _)| of);
            if of.is_none_or(|of| !known.contains_key(of)) {
                bail!("no event has the type `{event_type}`; types look like wallet.charged");
            }
        }
        Ok(LogFilter {
            capability: self.capability.clone(),
            event_type: self.event_type.clone(),
            aggregate_id: self.aggregate.clone(),
        })
    }
}

/// Runs the command; the exit code is 0 only when it did what it was asked.
pub(crate) async fn run(config: anyhow::Result<Config>, command: Events) -> anyhow::Result<ExitCode> {
    match command {
        Events::Tail(tail) => tail::run(&config?, &tail).await?,
        Events::Export(export) => export::run(&config?, &export).await?,
        Events::Republish(republish) => republish::run(&config?, &republish).await?,
        Events::Verify(verify) => return Ok(verify::run(config, &verify).await),
        Events::OpenEpoch { reason } => open_epoch(&config?, &reason).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn open_epoch(config: &Config, reason: &str) -> anyhow::Result<()> {
    let (database, bus) = (database_url(config)?, nats_url(config)?);
    let node = Node::connect(config, &database, &bus, false).await?;
    let epoch = nats::open_epoch(node.pool.clone(), node.nats.clone(), reason).await?;
    answer(&format!("Epoch {} is open, from position {} on.\n", epoch.epoch, epoch.first_position));
    node.close().await;
    Ok(())
}

fn capabilities() -> Capabilities {
    Capabilities(handlers::capabilities())
}

async fn database(config: &Config) -> anyhow::Result<PgPool> {
    connect::postgres(&database_url(config)?, CONNECTIONS).await
}

fn database_url(config: &Config) -> anyhow::Result<Secret> {
    let running = embedded::running_services(config)?;
    config.database_url.clone().or(running.database_url).with_context(|| format!("DATABASE_URL {MISSING}"))
}

fn nats_url(config: &Config) -> anyhow::Result<Secret> {
    let running = embedded::running_services(config)?;
    config.nats_url.clone().or(running.nats_url).with_context(|| format!("NATS_URL {MISSING}"))
}
