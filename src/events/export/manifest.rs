//! What the folder of an export holds: the file `manifest.json`, a contract with whoever reads exports.

use std::fmt;

use anyhow::bail;
use nats::LogFilter;
use serde::{Deserialize, Serialize};

use super::Format;
use super::part::Part;

/// Which events were exported, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Selection {
    pub(super) format: Format,
    capability: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    aggregate_id: Option<String>,
}

impl Selection {
    pub(super) fn new(format: Format, filter: &LogFilter) -> Self {
        let LogFilter { capability, event_type, aggregate_id } = filter.clone();
        Self { format, capability, event_type, aggregate_id }
    }
}

/// The files, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    #[serde(flatten)]
    selection: Selection,
    /// The position that the export begins with.
    from: i64,
    pub(super) parts: Vec<Part>,
}

impl Manifest {
    pub(super) fn new(selection: Selection, from: i64) -> Self {
        Self { selection, from, parts: Vec::new() }
    }

    /// This one, if it is that of the same events.
    ///
    /// # Errors
    /// The folder holds an export of others.
    pub(super) fn of(self, selection: &Selection, from: Option<i64>) -> anyhow::Result<Self> {
        if self.selection != *selection || from.is_some_and(|from| from != self.from) {
            let held = serde_json::to_string(&self.selection)?;
            bail!("the folder holds another export, of {held} from position {}: take another folder", self.from);
        }
        Ok(self)
    }

    /// The first position that no file covers.
    pub(super) fn next(&self) -> i64 {
        self.parts.last().map_or(self.from, |part| part.covered.last + 1)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events: u64 = self.parts.iter().map(|part| part.events).sum();
        match self.parts.last() {
            Some(last) => {
                let (files, from, to) = (self.parts.len(), self.from, last.covered.last);
                let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
                write!(f, "{events} events in {files}, from position {from} to {to}")
            }
            None => write!(f, "no event matches from position {} on", self.from),
        }
    }
}
