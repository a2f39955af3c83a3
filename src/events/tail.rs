//! `oblivious events tail`: events as lines of JSON, from Postgres, so also while NATS is away.

use std::io::{self, Write as _};
use std::time::Duration;

use clap::Args;
use nats::{LogError, LogPage, LogReader};

use super::line::EventLine;
use super::{PAGE, Which, capabilities, database};
use crate::config::Config;
use crate::console;

/// How often the log is asked for more.
const POLL: Duration = Duration::from_millis(200);
/// The pause while the database is away.
const RETRY: Duration = Duration::from_secs(1);
const DEFAULT_LAST: i64 = 10;

/// Print events, one JSON object a line, oldest first.
///
/// Every line has the same keys: epoch, position, prev, capability, type, version, aggregate_type, aggregate_id,
/// sequence, tenant, actor, command_id, correlation_id, causation_id, traceparent, recorded_at, payload. `prev` is the
/// position of the event before it in the same capability, whatever is printed. Personal fields stay as they are
/// stored: encrypted with the key of the person that they belong to. There is no way to open them here.
///
/// It reads Postgres, so it also works while NATS is away.
#[derive(Args, Debug)]
#[command(after_help = "Example: what every settlement charged, as it happens\n  \
    oblivious events tail --type wallet.charged --follow | jq .payload.charged.charged_nanos")]
pub(crate) struct Tail {
    /// Begin with this position; 1 is the beginning of the log.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    from: Option<i64>,
    /// Begin with the last N events that match; 10 if neither this nor --from is given.
    #[arg(long, value_name = "N", conflicts_with = "from", value_parser = clap::value_parser!(i64).range(0..))]
    last: Option<i64>,
    /// Go on with what happens next, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    which: Which,
}

/// Prints what was asked for; that nobody reads on is no failure.
pub(super) async fn run(config: &Config, tail: &Tail) -> anyhow::Result<()> {
    let filter = tail.which.filter()?;
    let pool = database(config).await?;
    let after = match tail.from {
        Some(from) => from - 1,
        None => nats::before_last(&pool, &capabilities(), &filter, tail.last.unwrap_or(DEFAULT_LAST)).await?,
    };
    let mut reader = LogReader::new(pool.clone(), capabilities(), filter, after, i64::MAX);
    let printed = print(&mut reader, tail.follow).await;
    pool.close().await;
    printed
}

async fn print(reader: &mut LogReader, follow: bool) -> anyhow::Result<()> {
    let mut away = false;
    loop {
        let page = match reader.next_sound_page(PAGE).await {
            Ok(page) => page,
            Err(LogError::Database(error)) if follow => {
                if !away {
                    console(&format!("oblivious: the database is away, waiting for it: {error}"));
                }
                away = true;
                tokio::time::sleep(RETRY).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        away = false;
        if !write(&page)? {
            return Ok(());
        }
        if page.is_end {
            if !follow {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Whether anybody reads on.
fn write(page: &LogPage) -> anyhow::Result<bool> {
    let mut text = String::new();
    for envelope in &page.envelopes {
        text += &EventLine::of(envelope)?.to_json()?;
    }
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}
