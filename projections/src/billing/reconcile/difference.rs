//! What does not agree.

use std::fmt::{self, Display};

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// One thing that is not as the events say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The owner's id; absent for the sums of all wallets.
    pub wallet: Option<Uuid>,
    /// Of the event in the log, where it is about one.
    pub position: Option<i64>,
    pub hold_id: Option<Uuid>,
    /// Where it was found: `<table>.<column>`, or `event.<field>` where an event contradicts itself.
    pub what: String,
    pub expected: String,
    pub found: String,
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wallet {
            Some(wallet) => write!(f, "wallet {wallet}")?,
            None => f.write_str("all wallets")?,
        }
        if let Some(position) = self.position {
            write!(f, ", position {position}")?;
        }
        if let Some(hold) = self.hold_id {
            write!(f, ", hold {hold}")?;
        }
        write!(f, ": {} should be {} and is {}", self.what, self.expected, self.found)
    }
}

/// What a difference is about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About {
    pub(super) wallet: Option<Uuid>,
    pub(super) position: Option<i64>,
    pub(super) hold_id: Option<Uuid>,
}

/// Tells differences on and counts them.
pub(super) struct Findings<'r> {
    report: &'r mut (dyn FnMut(Difference) + Send),
    count: u64,
}

impl<'r> Findings<'r> {
    pub(super) fn new(report: &'r mut (dyn FnMut(Difference) + Send)) -> Self {
        Self { report, count: 0 }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn add(&mut self, about: About, what: impl Display, expected: impl Display, found: impl Display) {
        let About { wallet, position, hold_id } = about;
        let (what, expected, found) = (what.to_string(), expected.to_string(), found.to_string());
        self.count += 1;
        (self.report)(Difference { wallet, position, hold_id, what, expected, found });
    }

    /// Tells if the two are not the same.
    pub(super) fn same<T: PartialEq + Display>(&mut self, about: About, what: impl Display, expected: T, found: T) {
        if expected != found {
            self.add(about, what, expected, found);
        }
    }

    /// Tells every field of two rows of `table` that is not the same.
    pub(super) fn same_row<T: Serialize>(&mut self, about: About, table: &str, expected: &T, found: &T) {
        let (expected, found) = (fields(expected), fields(found));
        for (field, value) in &expected {
            let other = found.get(field).unwrap_or(&Value::Null);
            if value != other {
                self.add(about, format_args!("{table}.{field}"), shown(value), shown(other));
            }
        }
    }
}

fn fields(row: &impl Serialize) -> Map<String, Value> {
    // Records are structs of plain values, which always serialise to objects.
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// A text without its quotes.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
