//! What this subscriber has learnt, and how far it has come: one file, written whole.
//!
//! Promise: sums and place are always those of the same events, because they are one file that is replaced at once. Every
//! event is counted once, and none is passed over: `prev` of each must be the event that was counted last.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An event of billing, from the stream or from an export.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Event {
    pub(crate) epoch: i64,
    pub(crate) position: i64,
    /// The position of the event before it in billing.
    pub(crate) prev: i64,
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    pub(crate) aggregate_id: String,
    pub(crate) payload: Value,
}

/// What an event was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Now,
    /// It was counted before: delivered again, or read again after a restart.
    Before,
}

/// Why counting cannot go on.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Stop {
    #[error(
        "the events of billing after position {after} and up to {prev} are missing: {position} follows {prev}. Nothing was \
         counted since. Get them from the log: `oblivious events tail --capability billing --from {from} | subscriber \
         --import`, or have the operator run `oblivious events republish --from {from}`",
        from = .after + 1
    )]
    Missed { after: i64, prev: i64, position: i64 },
    #[error(
        "the database was restored to a state before position {counted}: epoch {epoch} goes on after {prev}. What was \
         counted in between never happened. Count again from the beginning, into a new file"
    )]
    Restored { counted: i64, prev: i64, epoch: i64 },
    #[error("the settlement at position {position} has no readable amount")]
    Unreadable { position: i64 },
}

/// The file: a place in the log, and the result up to there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Books {
    pub(crate) epoch: i64,
    /// The last event of billing that was counted; 0 before the first.
    pub(crate) position: i64,
    /// Nano-units that were charged, by wallet.
    pub(crate) charged_nanos: BTreeMap<String, i128>,
}

impl Books {
    /// Reads the file; empty books if there is none yet.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes the file so that a crash leaves the old one or the new one.
    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let unfinished = PathBuf::from(format!("{}.unfinished", path.display()));
        let mut file = File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(File::open(folder)?.sync_all()?)
    }

    /// Counts an event, if it is the next one.
    pub(crate) fn count(&mut self, event: &Event) -> Result<Counted, Stop> {
        // Positions are never used twice, also not by a later epoch.
        if event.position <= self.position {
            return Ok(Counted::Before);
        }
        if event.prev > self.position {
            return Err(Stop::Missed { after: self.position, prev: event.prev, position: event.position });
        }
        if event.prev < self.position {
            return Err(Stop::Restored { counted: self.position, prev: event.prev, epoch: event.epoch });
        }
        if event.event_type == "wallet.charged" {
            let amount = &event.payload["charged"]["charged_nanos"];
            let amount: Option<i128> = amount.as_str().and_then(|text| text.parse().ok());
            let amount = amount.ok_or(Stop::Unreadable { position: event.position })?;
            *self.charged_nanos.entry(event.aggregate_id.clone()).or_default() += amount;
        }
        (self.epoch, self.position) = (event.epoch, event.position);
        Ok(Counted::Now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(epoch: i64, prev: i64, position: i64) -> Event {
        let payload = json!({"charged": {"charged_nanos": "10"}});
        let (event_type, aggregate_id) = ("wallet.charged".to_owned(), "w".to_owned());
        Event { epoch, position, prev, event_type, aggregate_id, payload }
    }

    fn counted(events: &[Event]) -> Result<Books, Stop> {
        let mut books = Books::default();
        events.iter().try_for_each(|event| books.count(event).map(drop)).map(|()| books)
    }

    #[test]
    fn what_is_delivered_again_is_counted_once() {
        let (first, second) = (event(1, 0, 3), event(1, 3, 7));
        let books = counted(&[first.clone(), first.clone(), second.clone(), first, second]).unwrap();
        assert_eq!((books.position, books.charged_nanos["w"]), (7, 20));
    }

    #[test]
    fn one_that_is_missing_stops_the_counting() {
        let missed = counted(&[event(1, 0, 3), event(1, 7, 9)]).unwrap_err();
        assert_eq!(missed, Stop::Missed { after: 3, prev: 7, position: 9 });
        assert!(missed.to_string().contains("--from 4"));
        assert_eq!(counted(&[event(1, 7, 9)]).unwrap_err(), Stop::Missed { after: 0, prev: 7, position: 9 });
    }

    #[test]
    fn a_new_epoch_goes_on_after_a_declared_jump_unless_events_were_taken_back() {
        let books = counted(&[event(1, 0, 3), event(2, 3, 1_000_000_001)]).unwrap();
        assert_eq!((books.epoch, books.position), (2, 1_000_000_001));
        let restored = counted(&[event(1, 0, 3), event(1, 3, 5), event(2, 3, 1_000_000_001)]).unwrap_err();
        assert_eq!(restored, Stop::Restored { counted: 5, prev: 3, epoch: 2 });
    }
}
