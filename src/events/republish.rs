//! `oblivious events republish`: the stream EVENTS made again from the log, while everything runs.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_nats::{Client, Event};
use clap::Args;
use nats::{PublisherOptions, Refill, RefillError, Refilled};
use tokio::sync::mpsc;

use super::{capabilities, database, nats_url};
use crate::config::Config;
use crate::{answer, connect, console};

const PROGRESS: Duration = Duration::from_secs(5);
const NOT_ALLOWED: &str = "the NATS user of NATS_URL may not replace the stream EVENTS, only the publisher's may \
    (with Compose: docker compose exec publisher oblivious events republish --yes)";

/// Make the stream EVENTS again from the log.
///
/// The stream is a cache: it is deleted, made again with position `--from` as its first, and filled by the publisher's
/// own code. Nothing else has to be stopped: projections and reactions read Postgres meanwhile and miss nothing. The
/// durable consumers of subscribers go with the old stream; a subscriber makes its own again from the position that it
/// has (docs/SUBSCRIBING.md). Do it when a subscriber needs older events than EVENTS keeps, or when `events verify` found
/// a difference. Only the current epoch can be published, and EVENTS keeps its newest 1 GiB.
///
/// It needs the NATS user of the publisher.
#[derive(Args, Debug)]
#[command(after_help = "Example: everything again from position 1\n  oblivious events republish --from 1 --yes")]
pub(crate) struct Republish {
    /// The first position of the new stream; if absent, the last 100,000 events are published.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    from: Option<i64>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(config: &Config, command: &Republish) -> anyhow::Result<()> {
    let asks = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !command.yes && !asks {
        bail!("this deletes the stream EVENTS and makes it again: say --yes where nobody can be asked");
    }
    let pool = database(config).await?;
    let (client, mut forbidden) = connected(config).await?;
    let planned = Refill::plan(pool.clone(), client, capabilities(), PublisherOptions::default(), command.from);
    let refill = unless(&mut forbidden, planned).await?;
    let Refilled { first, last } = refill.range();
    console(&format!(
        "EVENTS is deleted and made again with the positions {first} to {last}; everything else runs on."
    ));
    if !command.yes && !agreed()? {
        bail!("nothing was done");
    }
    let mut told = Instant::now();
    let filled = refill.run(|position| {
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            console(&format!("EVENTS is at position {position} of {last}"));
        }
    });
    let Refilled { first, last } = unless(&mut forbidden, filled).await?;
    answer(&format!("EVENTS has the positions from {first} on; {last} was the last when this ended.\n"));
    pool.close().await;
    Ok(())
}

fn agreed() -> anyhow::Result<bool> {
    console("Go on? [y/N]");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(["y", "yes"].contains(&line.trim().to_lowercase().as_str()))
}

/// A client, and where the server tells what its user may not do: the one who asked is not answered then.
async fn connected(config: &Config) -> anyhow::Result<(Client, mpsc::UnboundedReceiver<()>)> {
    let (tell, forbidden) = mpsc::unbounded_channel();
    let url = nats_url(config)?;
    let client = connect::nats_with(&url, |options| {
        options.event_callback(move |event| {
            let tell = tell.clone();
            async move {
                let is_forbidden = |text: &str| text.to_lowercase().contains("permissions violation");
                if matches!(&event, Event::ServerError(error) if is_forbidden(&error.to_string())) {
                    // Its reader ends with the command.
                    let _ = tell.send(());
                }
            }
        })
    });
    Ok((client.await?, forbidden))
}

async fn unless<T>(
    forbidden: &mut mpsc::UnboundedReceiver<()>,
    work: impl Future<Output = Result<T, RefillError>>,
) -> anyhow::Result<T> {
    tokio::select! {
        done = work => done.context("EVENTS could not be made again"),
        Some(()) = forbidden.recv() => bail!(NOT_ALLOWED),
    }
}
