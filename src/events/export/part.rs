//! One file of an export, while it is written and when it is done.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use nats::EventRef;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Format;
use super::parquet::ParquetFile;
use crate::events::line::EventLine;

/// A file that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) file: String,
    #[serde(flatten)]
    pub(super) covered: Covered,
    pub(super) events: u64,
    pub(super) bytes: u64,
    /// In hexadecimal.
    pub(super) sha256: String,
}

/// The positions that a file stands for: all events in them that match are in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Covered {
    pub(super) first: i64,
    pub(super) last: i64,
    /// Of the last event.
    pub(super) epoch: i64,
    /// The one at `last`: `type:id:sequence`.
    #[serde(rename = "last_event")]
    pub(super) event: String,
}

/// A file that is being written.
pub(super) struct PartWriter {
    format: Format,
    body: Body,
    events: u64,
    payload_bytes: usize,
    last: Option<(i64, i64, EventRef)>,
}

enum Body {
    Jsonl(Hashed),
    Parquet(Box<ParquetFile<Hashed>>),
}

impl PartWriter {
    pub(super) fn create(path: &Path, format: Format) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let file = Hashed { file: BufWriter::with_capacity(1 << 20, file), hash: Sha256::new(), bytes: 0 };
        let body = match format {
            Format::Jsonl => Body::Jsonl(file),
            Format::Parquet => Body::Parquet(Box::new(ParquetFile::begin(file)?)),
        };
        Ok(Self { format, body, events: 0, payload_bytes: 0, last: None })
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }

    pub(super) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    pub(super) fn add(&mut self, line: EventLine, event: EventRef, payload_bytes: usize) -> anyhow::Result<()> {
        self.last = Some((line.position, line.epoch, event));
        self.events += 1;
        self.payload_bytes += payload_bytes;
        match &mut self.body {
            Body::Jsonl(file) => file.write_all(line.to_json()?.as_bytes())?,
            Body::Parquet(file) => file.add(line, payload_bytes)?,
        }
        Ok(())
    }

    /// Everything is on disk afterwards, still under its temporary name.
    ///
    /// # Errors
    /// The disk is full or broken; or nothing was added.
    pub(super) fn finish(self, first: i64) -> anyhow::Result<Part> {
        let mut file = match self.body {
            Body::Jsonl(file) => file,
            Body::Parquet(file) => file.end()?,
        };
        file.flush()?;
        file.file.get_ref().sync_all()?;
        let (last, epoch, event) = self.last.context("a file without events")?;
        Ok(Part {
            file: file_name(first, last, self.format),
            covered: Covered { first, last, epoch, event: event.to_string() },
            events: self.events,
            bytes: file.bytes,
            sha256: hex::encode(file.hash.finalize()),
        })
    }
}

/// With leading zeros, so that the order of names is that of positions.
pub(super) fn file_name(first: i64, last: i64, format: Format) -> String {
    format!("events-{first:012}-{last:012}.{}", extension(format))
}

pub(super) fn extension(format: Format) -> &'static str {
    match format {
        Format::Jsonl => "jsonl",
        Format::Parquet => "parquet",
    }
}

/// Knows the digest of what went through.
pub(super) struct Hashed {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
