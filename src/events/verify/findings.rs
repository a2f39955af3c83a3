//! What is wrong, and how it is told.

use std::collections::BTreeMap;
use std::fmt;

use nats::EventRef;
use serde::Serialize;

use super::audit::Summary;

/// What it concerns; for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Positions are missing.
    Gap,
    /// A position without its event.
    NoEvent,
    /// A committed event without a position.
    NoPosition,
    /// An event does not follow the one before it in its aggregate.
    Sequence,
    /// An event that this release cannot read.
    Undecodable,
    /// A personal field that does not open though its person was not erased.
    Sealed,
    /// Nobody knows who asked for it, or for whom.
    Metadata,
    /// The stream `EVENTS` differs.
    Stream,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Absent for an event that has none.
    pub(crate) position: Option<i64>,
    /// `type:id:sequence`, where it is about one.
    #[serde(serialize_with = "as_text")]
    pub(crate) event: Option<EventRef>,
    pub(crate) kind: Kind,
    pub(crate) what: String,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<'l> {
    Finding(&'l Finding),
    Summary(&'l Summary),
}

/// Counts what is wrong and tells the first of it.
pub(super) struct Findings<'f> {
    show: u64,
    tell: Box<dyn Fn(&Finding) + Send + 'f>,
    by_kind: BTreeMap<Kind, u64>,
}

impl<'f> Findings<'f> {
    pub(super) fn new(show: u64, tell: impl Fn(&Finding) + Send + 'f) -> Self {
        Self { show, tell: Box::new(tell), by_kind: BTreeMap::new() }
    }

    pub(super) fn count(&self) -> u64 {
        self.by_kind.values().sum()
    }

    pub(super) fn by_kind(&self) -> BTreeMap<Kind, u64> {
        self.by_kind.clone()
    }

    /// Takes the findings of one part of the log, which come in any order.
    pub(super) fn add(&mut self, mut found: Vec<Finding>) {
        found.sort_by_key(|finding| (finding.position.unwrap_or(i64::MAX), finding.kind));
        for finding in found {
            if self.count() < self.show {
                (self.tell)(&finding);
            }
            *self.by_kind.entry(finding.kind).or_default() += 1;
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.position, &self.event) {
            (Some(position), Some(event)) => write!(f, "position {position} ({event})")?,
            (Some(position), None) => write!(f, "position {position}")?,
            (None, Some(event)) => write!(f, "{event}")?,
            (None, None) => f.write_str("the log")?,
        }
        write!(f, ": {}", self.what)
    }
}

#[expect(clippy::ref_option, reason = "serde hands it over like this")]
fn as_text<S: serde::Serializer>(event: &Option<EventRef>, serializer: S) -> Result<S::Ok, S::Error> {
    event.as_ref().map(ToString::to_string).serialize(serializer)
}
