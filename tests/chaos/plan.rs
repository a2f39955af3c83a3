//! What a run does: who asks for what, and what breaks when. Everything follows from the seed.
//!
//! Promise: the same seed and size give the same plan, on every machine and in every release of this file; nothing of it
//! depends on what happens in the run. (How the operating system interleaves it is not ours to repeat.)

use std::fmt;
use std::ops::RangeInclusive;

use fastrand::Rng;

/// The processes of a run: name and roles.
pub const PROCESSES: [(&str, &str); 8] = [
    ("api-1", "api"),
    ("api-2", "api"),
    ("handlers-1", "handlers"),
    ("handlers-2", "handlers"),
    ("reactions-1", "reactions"),
    ("reactions-2", "reactions"),
    ("projections-1", "projections"),
    ("publisher-1", "publisher"),
];
/// How many of them, from the first on, serve HTTP.
pub const APIS: usize = 2;
/// Who is killed: those with work in their hands more often.
const VICTIMS: [usize; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 2, 3, 4, 5];
/// Longer than leases and redelivery (10 s) and than the pin of a partition (5 s) and a hold (5 s).
const LONG_PAUSE_MS: RangeInclusive<u64> = 11_000..=12_500;

/// How much happens.
#[derive(Clone, Debug)]
pub struct Size {
    pub people: RangeInclusive<usize>,
    pub steps: RangeInclusive<usize>,
    pub faults: RangeInclusive<usize>,
    /// Faults begin within this time.
    pub active_ms: u64,
    /// Of all runs so many in a hundred stop a process for longer than every time-out.
    pub long_pauses: u32,
}

impl Size {
    /// Of a long series.
    pub const LONG: Self = Self { people: 3..=6, steps: 8..=14, faults: 5..=12, active_ms: 7_000, long_pauses: 50 };
    /// Of every build.
    pub const SHORT: Self = Self { people: 3..=3, steps: 5..=7, faults: 3..=4, active_ms: 3_500, long_pauses: 0 };
}

/// The whole of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    /// One list a person, done in order, all people at the same time.
    pub people: Vec<Vec<Step>>,
    /// Who grants credit.
    pub operator: Vec<Step>,
    pub faults: Vec<Fault>,
    /// Things break already while people arrive, else from when they are there.
    pub from_the_first: bool,
}

/// One request, more or less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub after_ms: u64,
    /// Which api process is asked first.
    pub api: usize,
    /// Sent to both api processes at once, under one key.
    pub twice: bool,
    pub act: Act,
}

/// Numbers name one of the things that were made before, counted around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Begin,
    /// `followed`: its answer is read while it is written.
    Say {
        session: usize,
        manner: Manner,
        followed: bool,
    },
    Regenerate {
        question: usize,
    },
    Stop {
        reply: usize,
    },
    Rename {
        session: usize,
    },
    Look {
        session: usize,
    },
    SignIn,
    Call {
        streamed: bool,
        manner: Manner,
        leave_after_ms: Option<u64>,
    },
    Grant {
        person: usize,
    },
    TopUp {
        person: usize,
    },
}

/// How the model answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    Whole { chunks: u64, delay_ms: u64 },
    WithoutUsage { chunks: u64 },
    LateFirstByte { ms: u64 },
    Cut { after: u64 },
    Refused { status: u16 },
}

/// Something breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub at_ms: u64,
    pub kind: FaultKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `kill -9`, and started again.
    Kill {
        process: usize,
        down_ms: u64,
    },
    /// All of them at the same moment.
    KillAll {
        down_ms: u64,
    },
    /// SIGSTOP, then SIGCONT.
    Pause {
        process: usize,
        for_ms: u64,
    },
    KillNats {
        down_ms: u64,
    },
    /// It answers nobody for a while and loses nothing, as a network that is cut.
    PauseNats {
        for_ms: u64,
    },
    /// As `pg_ctl stop -m immediate`.
    KillPostgres {
        down_ms: u64,
    },
    CutConnections,
    Wipe {
        stream: &'static str,
    },
    /// One in so many commands is published once more, under another message id.
    Redeliver {
        for_ms: u64,
        one_in: u64,
        later_ms: u64,
    },
    /// The model's server refuses everything, or waits before every answer.
    Upstream {
        refuses: bool,
        for_ms: u64,
    },
}

impl Plan {
    /// The plan of `seed`.
    pub fn new(seed: u64, size: &Size) -> Self {
        let mut rng = Rng::with_seed(seed);
        let people = (0..rng.usize(size.people.clone())).map(|_| person(&mut rng, size)).collect::<Vec<_>>();
        let operator = (0..rng.usize(3..=6)).map(|_| operation(&mut rng, people.len())).collect();
        let mut faults: Vec<Fault> =
            (0..rng.usize(size.faults.clone())).map(|_| fault(&mut rng, size.active_ms)).collect();
        if rng.u32(0..100) < size.long_pauses {
            let (process, for_ms) = (rng.usize(0..PROCESSES.len()), rng.u64(LONG_PAUSE_MS));
            faults.push(Fault { at_ms: rng.u64(300..=2_500), kind: FaultKind::Pause { process, for_ms } });
        }
        faults.sort_by_key(|fault| fault.at_ms);
        let from_the_first = rng.u8(0..5) == 0;
        Self { seed, people, operator, faults, from_the_first }
    }
}

fn person(rng: &mut Rng, size: &Size) -> Vec<Step> {
    let begin = Step { after_ms: rng.u64(0..200), api: rng.usize(0..APIS), twice: rng.u8(0..4) == 0, act: Act::Begin };
    let rest = rng.usize(size.steps.clone());
    let mut steps = vec![begin];
    steps.extend((0..rest).map(|_| step(rng)));
    steps
}

fn step(rng: &mut Rng) -> Step {
    let any = rng.usize(0..1_000);
    let act = match rng.u32(0..100) {
        0..8 => Act::Begin,
        8..42 => Act::Say { session: any, manner: manner(rng), followed: rng.bool() },
        42..50 => Act::Regenerate { question: any },
        50..58 => Act::Stop { reply: any },
        58..66 => Act::Rename { session: any },
        66..72 => Act::Look { session: any },
        72..75 => Act::SignIn,
        _ => {
            let streamed = rng.bool();
            let manner = match manner(rng) {
                // Half a document is nothing, so it is asked for again: how often is not the caller's to know.
                Manner::Cut { .. } if !streamed => Manner::Whole { chunks: 5, delay_ms: 20 },
                manner => manner,
            };
            let leaves = rng.u8(0..4) == 0;
            Act::Call { streamed, manner, leave_after_ms: leaves.then(|| rng.u64(30..900)) }
        }
    };
    Step { after_ms: rng.u64(20..600), api: rng.usize(0..APIS), twice: rng.u8(0..5) == 0, act }
}

fn operation(rng: &mut Rng, people: usize) -> Step {
    let person = rng.usize(0..people);
    let act = if rng.bool() { Act::Grant { person } } else { Act::TopUp { person } };
    Step { after_ms: rng.u64(100..1_200), api: rng.usize(0..APIS), twice: rng.u8(0..3) == 0, act }
}

fn manner(rng: &mut Rng) -> Manner {
    match rng.u32(0..100) {
        0..40 => Manner::Whole { chunks: rng.u64(2..12), delay_ms: rng.u64(0..30) },
        40..70 => Manner::Whole { chunks: rng.u64(15..40), delay_ms: rng.u64(40..110) },
        70..78 => Manner::WithoutUsage { chunks: rng.u64(3..20) },
        78..85 => Manner::LateFirstByte { ms: rng.u64(500..2_500) },
        85..93 => Manner::Cut { after: rng.u64(1..8) },
        _ => Manner::Refused { status: rng.choice([400, 429, 500, 503]).unwrap_or(500) },
    }
}

fn fault(rng: &mut Rng, active_ms: u64) -> Fault {
    let at_ms = rng.u64(200..active_ms);
    let down_ms = rng.u64(0..1_500);
    let kind = match rng.u32(0..100) {
        0..34 => FaultKind::Kill { process: rng.choice(VICTIMS).unwrap_or(0), down_ms },
        34..38 => FaultKind::KillAll { down_ms },
        38..48 => FaultKind::Pause { process: rng.usize(0..PROCESSES.len()), for_ms: rng.u64(300..3_000) },
        48..56 => FaultKind::KillNats { down_ms },
        56..60 => FaultKind::PauseNats { for_ms: rng.u64(500..4_000) },
        60..66 => FaultKind::KillPostgres { down_ms: down_ms / 2 },
        66..72 => FaultKind::CutConnections,
        72..78 => FaultKind::Wipe { stream: "EVENTS" },
        78..84 => FaultKind::Wipe { stream: "LIVE" },
        84..94 => {
            let (for_ms, one_in, later_ms) = (rng.u64(500..4_000), rng.u64(1..4), rng.u64(0..1_500));
            FaultKind::Redeliver { for_ms, one_in, later_ms }
        }
        _ => FaultKind::Upstream { refuses: rng.bool(), for_ms: rng.u64(300..2_000) },
    };
    Fault { at_ms, kind }
}

impl Manner {
    /// As the scripted provider reads it.
    pub fn directives(&self) -> String {
        match self {
            Self::Whole { chunks, delay_ms } => format!("[[chunks {chunks}]] [[delay {delay_ms}]]"),
            Self::WithoutUsage { chunks } => format!("[[chunks {chunks}]] [[delay 20]] [[no-usage]]"),
            Self::LateFirstByte { ms } => format!("[[chunks 6]] [[slow {ms}]]"),
            Self::Cut { after } => format!("[[chunks 20]] [[delay 30]] [[cut {after}]]"),
            Self::Refused { status } => format!("[[error {status}]]"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (person, steps) in self.people.iter().enumerate() {
            writeln!(f, "u{person}: registers, signs in, makes a key")?;
            steps.iter().try_for_each(|step| writeln!(f, "u{person}: {step}"))?;
        }
        self.operator.iter().try_for_each(|step| writeln!(f, "operator: {step}"))?;
        writeln!(f, "faults from {}", if self.from_the_first { "the first" } else { "when people are there" })?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "{fault}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after_ms, api, twice, act } = self;
        write!(f, "after {after_ms} ms, {}{}: {act:?}", PROCESSES[*api].0, if *twice { " and the other" } else { "" })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |process: &usize| PROCESSES[*process].0;
        write!(f, "at {} ms: ", self.at_ms)?;
        match &self.kind {
            FaultKind::Kill { process, down_ms } => write!(f, "kill {} for {down_ms} ms", name(process)),
            FaultKind::Pause { process, for_ms } => write!(f, "stop {} for {for_ms} ms", name(process)),
            kind => write!(f, "{kind:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_plan_again_and_another_seed_another_one() {
        assert_eq!(Plan::new(7, &Size::LONG), Plan::new(7, &Size::LONG));
        assert_ne!(Plan::new(7, &Size::LONG).to_string(), Plan::new(8, &Size::LONG).to_string());
    }

    #[test]
    fn every_act_every_manner_and_every_fault_comes_up() {
        let plans: String = (0..50).map(|seed| Plan::new(seed, &Size::LONG).to_string()).collect();
        let acts = ["Begin", "Say", "Regenerate", "Stop", "Rename", "Look", "SignIn", "Call", "Grant", "TopUp"];
        let manners = ["Whole", "WithoutUsage", "LateFirstByte", "Cut", "Refused"];
        let faults = [
            "kill ",
            "stop ",
            "KillNats",
            "KillAll",
            "PauseNats",
            "KillPostgres",
            "CutConnections",
            "Redeliver",
            "Upstream",
        ];
        for word in acts.into_iter().chain(manners).chain(faults).chain(["EVENTS", "LIVE", "and the other"]) {
            assert!(plans.contains(word), "{word} never happens");
        }
        for (process, _) in PROCESSES {
            assert!(plans.contains(&format!("kill {process}")) && plans.contains(&format!("stop {process}")));
        }
    }
}
