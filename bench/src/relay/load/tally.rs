//! What is counted, and when.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::relay::job::{Seen, Spread};
use crate::write_path::measure::{count, microseconds};

/// Beyond so many failures without a single answer nothing more is to be learnt.
const HOPELESS: u64 = 20;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) begin: Instant,
    pub(super) end: Instant,
}

impl Span {
    fn holds(self, instant: Instant) -> bool {
        instant >= self.begin && instant < self.end
    }
}

/// What all callers write down.
pub(super) struct Notes {
    pub(super) span: Span,
    answers: Cell<u64>,
    ever: Cell<u64>,
    events: Cell<u64>,
    /// In nanoseconds, so that differences of microseconds can be told.
    latency: RefCell<Histogram<u64>>,
    delay: RefCell<Histogram<u64>>,
    worst_gap_us: Cell<f64>,
    failed: Cell<u64>,
    failure: RefCell<Option<String>>,
}

impl Notes {
    pub(super) fn new(span: Span) -> anyhow::Result<Self> {
        Ok(Self {
            span,
            answers: Cell::default(),
            ever: Cell::default(),
            events: Cell::default(),
            latency: RefCell::new(nanoseconds()?),
            delay: RefCell::new(nanoseconds()?),
            worst_gap_us: Cell::default(),
            failed: Cell::default(),
            failure: RefCell::default(),
        })
    }

    /// An answer, or a stream, has come to its end now.
    pub(super) fn answered(&self) {
        self.ever.set(self.ever.get() + 1);
        if self.span.holds(Instant::now()) {
            self.answers.set(self.answers.get() + 1);
        }
    }

    /// What was asked then has been waited for until now.
    pub(super) fn waited(&self, since: Instant) {
        let now = Instant::now();
        if self.span.holds(since) && self.span.holds(now) {
            record(&self.latency, now - since);
        }
    }

    /// So many events have come now.
    pub(super) fn events(&self, many: u64) {
        if self.span.holds(Instant::now()) {
            self.events.set(self.events.get() + many);
        }
    }

    /// An event was under way for so long, and so much longer than the one before it.
    pub(super) fn delayed(&self, delay: Duration, more_us: f64) {
        if self.span.holds(Instant::now()) {
            record(&self.delay, delay);
            self.worst_gap_us.set(self.worst_gap_us.get().max(more_us));
        }
    }

    pub(super) fn fail(&self, what: &str) {
        self.failed.set(self.failed.get() + 1);
        self.failure.borrow_mut().get_or_insert_with(|| what.chars().take(300).collect());
    }

    pub(super) fn is_hopeless(&self) -> bool {
        self.ever.get() == 0 && self.failed.get() >= HOPELESS
    }

    /// With what was `watched` meanwhile.
    pub(super) fn seen(&self, watched: Seen, measured_ms: u64) -> Seen {
        Seen {
            answers: self.answers.get(),
            events: self.events.get(),
            seconds: count(measured_ms) / 1000.0,
            latency: spread(&self.latency.borrow()),
            delay: spread(&self.delay.borrow()),
            worst_gap_us: self.worst_gap_us.get(),
            failed: self.failed.get(),
            failure: self.failure.borrow().clone(),
            ..watched
        }
    }
}

/// As wide as the house's histograms, a thousand times as fine.
fn nanoseconds() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(microseconds()?.high() * 1000, 3)?)
}

fn record(histogram: &RefCell<Histogram<u64>>, time: Duration) {
    histogram.borrow_mut().saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}

fn spread(histogram: &Histogram<u64>) -> Spread {
    let us = |percentile| count(histogram.value_at_percentile(percentile)) / 1000.0;
    Spread { p50_us: us(50.0), p99_us: us(99.0) }
}
