//! `oblivious events export`: the log as files, resumable by position.
//!
//! Promise: a file that has its final name is whole, on disk and never changes; `manifest.json` names all of them with
//! positions, count and SHA-256, without gap or overlap. Whatever ends an export, `--resume` goes on after the last file
//! that the manifest names. Personal fields stay sealed.

mod folder;
mod manifest;
mod parquet;
mod part;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use folder::Folder;
use manifest::{Manifest, Selection};
use nats::{EventRef, LogReader};
use part::{Covered, PartWriter};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::line::EventLine;
use super::{PAGE, Which, capabilities, database};
use crate::config::Config;
use crate::{answer, console};

/// Bytes of payload after which a file ends.
const PART_BYTES: usize = 256 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// One JSON object a line, as `events tail` prints them.
    Jsonl,
    /// Apache Parquet with the same keys as columns; the payload is JSON text.
    Parquet,
}

/// Write events to files, for archives and analytics.
///
/// The folder gets `events-<first>-<last>.<format>` for each range of positions, and `manifest.json` with range, number
/// of events and SHA-256 of every file. Ranges follow each other without gap or overlap, so their names tell whether one
/// is missing. A file is complete as soon as it has its name; go by the manifest. When it was interrupted, or to add what
/// happened since, run it again with --resume. Personal fields stay encrypted, as they are stored.
#[derive(Args, Debug)]
#[command(after_help = "Example: every night into a data lake, then look at it\n  \
    oblivious events export --out /lake/billing --format parquet --capability billing --resume\n  \
    duckdb -c \"select type, count(*) from '/lake/billing/*.parquet' group by type\"")]
pub(crate) struct Export {
    /// The folder; made if it does not exist.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    #[arg(long, value_enum)]
    format: Format,
    /// Begin with this position; 1, or where the last export ended, if absent.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    from: Option<i64>,
    /// End with this position; with the last one there is now if absent.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    to: Option<i64>,
    /// Go on after the last file of the folder, if there is one.
    #[arg(long)]
    resume: bool,
    /// Events of one file, at most.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    part_events: u64,
    #[command(flatten)]
    which: Which,
}

/// Exports what was asked for and says what the folder holds now.
pub(super) async fn run(config: &Config, export: &Export) -> anyhow::Result<()> {
    let filter = export.which.filter()?;
    let folder = Folder::open(&export.out)?;
    let selection = Selection::new(export.format, &filter);
    let mut manifest = match (folder.manifest()?, export.resume) {
        (Some(_), false) => bail!("{} holds an export; --resume goes on with it", export.out.display()),
        (Some(manifest), true) => manifest.of(&selection, export.from)?,
        (None, _) => Manifest::new(selection, export.from.unwrap_or(1)),
    };
    let pool = database(config).await?;
    same_log(&pool, &manifest).await?;
    folder.clear(&manifest)?;
    let end = nats::last_position(&pool).await?.min(export.to.unwrap_or(i64::MAX));
    let mut reader = LogReader::new(pool.clone(), capabilities(), filter, manifest.next() - 1, end);
    let mut open: Option<PartWriter> = None;
    loop {
        let page = reader.next_sound_page(PAGE).await?;
        for envelope in &page.envelopes {
            let part = match &mut open {
                Some(part) => part,
                None => open.insert(folder.begin(export.format)?),
            };
            let (line, event) = (EventLine::of(envelope)?, envelope.event_ref());
            part.add(line, event, envelope.payload().len())?;
            if part.events() >= export.part_events || part.payload_bytes() >= PART_BYTES {
                finish(&folder, &mut manifest, open.take())?;
            }
        }
        if page.is_end {
            break;
        }
    }
    finish(&folder, &mut manifest, open.take())?;
    folder.write(&manifest)?;
    answer(&format!("{manifest}\n"));
    pool.close().await;
    Ok(())
}

fn finish(folder: &Folder, manifest: &mut Manifest, part: Option<PartWriter>) -> anyhow::Result<()> {
    let Some(part) = part else { return Ok(()) };
    let first = manifest.next();
    let part = part.finish(first)?;
    folder.publish(&part)?;
    console(&format!("{}: {} events, {} bytes", part.file, part.events, part.bytes));
    manifest.parts.push(part);
    folder.write(manifest)
}

/// Whether the log still has the event that was exported last: else its positions now mean other events.
async fn same_log(pool: &PgPool, manifest: &Manifest) -> anyhow::Result<()> {
    let Some(Covered { last, event, .. }) = manifest.parts.last().map(|part| &part.covered) else { return Ok(()) };
    let event: EventRef = event.parse().context("the manifest is damaged")?;
    if nats::position_of(pool, &event).await? != Some(*last) {
        bail!(
            "position {last} was {event} when it was exported and is not now: the database was restored. Export anew"
        );
    }
    Ok(())
}
