//! `oblivious up`: everything in one process.

use anyhow::Context as _;

use crate::config::Config;
use crate::embedded::{self, Embedded};
use crate::signals::Stop;
use crate::{connect, console, master_key};

/// Starts the servers, brings the schema up to date, runs until asked to end, and ends everything in order.
///
/// # Errors
/// Something does not start, or is lost for good while running.
pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    let mut stop = Stop::listen().context("cannot listen for signals")?;
    // Asked to end while starting: the servers end because we do.
    let started = tokio::select! {
        started = embedded::start(config) => started,
        signal = stop.asked() => return Err(anyhow::anyhow!("ended by {signal} while starting")),
    };
    let mut servers = started?;
    for note in &servers.notes {
        console(note);
    }
    let outcome = serve(config, &mut servers, &mut stop).await;
    servers.shutdown().await;
    outcome
}

async fn serve(config: &Config, servers: &mut Embedded, stop: &mut Stop) -> anyhow::Result<()> {
    let _master = master_key::load(config)?;
    let pool = connect::postgres(&servers.database_url, config.database_connections).await?;
    migrations::run(&pool).await.context("the migrations do not apply")?;
    let _bus = connect::nats(&servers.nats_url).await?;
    console("Postgres and NATS are ready.");
    let outcome = tokio::select! {
        signal = stop.asked() => {
            console(&format!("{}: stopping.", signal.as_str()));
            Ok(())
        }
        error = servers.failed() => Err(error),
    };
    pool.close().await;
    outcome
}
