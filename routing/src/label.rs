//! What operators call a channel, and what is counted under that name.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use metrics::Counter;

/// The outcome of a try that went well.
pub(crate) const OK: &str = "ok";

/// The name of a channel as the label of metrics. It is looked up among all metrics once. Cheap to clone.
#[derive(Clone)]
pub struct Label(Arc<Labelled>);

struct Labelled {
    name: Arc<str>,
    /// Of the outcomes, which are many, that of nearly all tries.
    ok: OnceLock<Counter>,
}

impl Label {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// A try of the channel ended so.
    pub(crate) fn count(&self, outcome: &'static str) {
        let tries =
            || metrics::counter!("routing_tries_total", "channel" => Arc::clone(self.name()), "outcome" => outcome);
        if outcome == OK { self.0.ok.get_or_init(tries).increment(1) } else { tries().increment(1) }
    }
}

impl<T: Into<Arc<str>>> From<T> for Label {
    fn from(name: T) -> Self {
        Self(Arc::new(Labelled { name: name.into(), ok: OnceLock::new() }))
    }
}

impl Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.name
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
