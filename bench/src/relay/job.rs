//! What the load generator is told, and what it answers: JSON between two processes of this executable.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Who is asked, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The model's name there.
    pub(crate) model: String,
    /// Callers take them in turn; everybody's own wallet, where there are wallets.
    pub(crate) keys: Vec<String>,
    /// Beside the key and the content's type.
    pub(crate) headers: Vec<(String, String)>,
}

/// In which way it is asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Shape {
    /// So many callers ask for whole answers, each as soon as it has the last one.
    Callers(usize),
    /// Whole answers are asked for at fixed instants, whatever became of the earlier ones.
    Rate { per_second: u32 },
    /// So many callers read streams, each the next one as soon as its last one has ended.
    Streams { streams: usize, script: Script },
}

/// A stream of the upstream.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Script {
    /// Events with text; some frame them.
    pub(crate) events: u32,
    /// Between two events; 0: one after the other, each written as soon as the last one is.
    pub(crate) pace_us: u64,
}

impl Script {
    /// As the upstream reads it in a prompt.
    pub(crate) fn directive(self) -> String {
        format!("[[stream {} {}]]", self.events, self.pace_us)
    }
}

/// Processes that are looked at together: these and all that they started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) roots: Vec<u32>,
}

/// One measurement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) target: Target,
    pub(crate) shape: Shape,
    pub(crate) warm_up_ms: u64,
    pub(crate) measured_ms: u64,
    /// Whose processor time and memory are noted.
    pub(crate) groups: Vec<Group>,
}

/// What one measurement found; everything within its measured span.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Whole answers, or streams that were read to their end.
    pub(crate) answers: u64,
    /// Events of streams.
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    /// From the question to the last byte of a whole answer, or to the first event of a stream.
    pub(crate) latency: Spread,
    /// From an event's writing by the upstream to its reading, in paced streams.
    pub(crate) delay: Spread,
    /// By how much two neighbours of one paced stream came further apart than they were written, at most.
    pub(crate) worst_gap_us: f64,
    /// Answers that were none.
    pub(crate) failed: u64,
    /// The first of them.
    pub(crate) failure: Option<String>,
    /// Processor time of each group, in microseconds.
    pub(crate) cpu_us: BTreeMap<String, f64>,
    /// Resident memory of each group in KiB, the most that was seen.
    pub(crate) memory_kib: BTreeMap<String, u64>,
}

/// Times in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Seen {
    /// Each figure's median over `rounds`; failures are all of theirs.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let Some(first) = rounds.first() else { return Self::default() };
        let of = |figure: &dyn Fn(&Self) -> f64| {
            let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        let whole = |figure: &dyn Fn(&Self) -> u64| {
            let mut figures: Vec<u64> = rounds.iter().map(figure).collect();
            figures.sort_unstable();
            figures[figures.len() / 2]
        };
        let spread = |figure: &dyn Fn(&Self) -> Spread| Spread {
            p50_us: of(&|one| figure(one).p50_us),
            p99_us: of(&|one| figure(one).p99_us),
        };
        let (answers, events) = (whole(&|one| one.answers), whole(&|one| one.events));
        // By what was done meanwhile: rounds differ more in that than in what each answer takes.
        let done = |one: &Self| count((one.answers + one.events).max(1));
        let each = |group: &String| of(&|one| one.cpu_us.get(group).copied().unwrap_or_default() / done(one));
        let cpu = |group: &String| each(group) * count((answers + events).max(1));
        let memory = |group: &String| whole(&|one| one.memory_kib.get(group).copied().unwrap_or_default());
        Self {
            answers,
            events,
            seconds: first.seconds,
            latency: spread(&|one| one.latency),
            delay: spread(&|one| one.delay),
            worst_gap_us: of(&|one| one.worst_gap_us),
            failed: rounds.iter().map(|one| one.failed).sum(),
            failure: rounds.iter().find_map(|one| one.failure.clone()),
            cpu_us: first.cpu_us.keys().map(|group| (group.clone(), cpu(group))).collect(),
            memory_kib: first.memory_kib.keys().map(|group| (group.clone(), memory(group))).collect(),
        }
    }

    pub(crate) fn per_second(&self) -> f64 {
        count(self.answers) / self.seconds
    }

    pub(crate) fn events_per_second(&self) -> f64 {
        count(self.events) / self.seconds
    }

    /// Processor time of a group for each answer.
    pub(crate) fn cpu_us_each(&self, group: &str) -> f64 {
        self.cpu_us.get(group).copied().unwrap_or_default() / count(self.answers.max(1))
    }

    /// Processor time of a group for each event, with its share of what a stream costs besides.
    pub(crate) fn cpu_us_each_event(&self, group: &str) -> f64 {
        self.cpu_us.get(group).copied().unwrap_or_default() / count(self.events.max(1))
    }

    pub(crate) fn memory_mb(&self, group: &str) -> f64 {
        count(self.memory_kib.get(group).copied().unwrap_or_default()) / 1024.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a short measurement")]
fn count(count: u64) -> f64 {
    count as f64
}
