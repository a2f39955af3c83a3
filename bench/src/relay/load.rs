//! The load generator: asks as it is told by a [`Job`], and prints what it saw.
//!
//! Promise: it is the same for every contestant. It counts what begins and ends within the measured span; an answer that
//! is no answer (another status, no text, a stream without its end) is counted as failed and never as fast.

mod ask;
mod tally;

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, sleep_until};

use super::job::{Job, Seen, Shape, Target};
use super::processes::look;
use ask::Caller;
use tally::{Notes, Span};

/// Memory is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Callers begin one after the other, because people do.
const STAGGER: Duration = Duration::from_micros(500);
/// What began within the span may end so much later.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does what `job` says (JSON) and prints what was seen.
///
/// # Errors
/// The job cannot be read, or nobody answers at all.
pub(crate) async fn run(job: &str) -> anyhow::Result<()> {
    let job: Job = serde_json::from_str(job).context("no job")?;
    let seen = LocalSet::new().run_until(measure(&Rc::new(job))).await?;
    std::io::Write::write_all(&mut std::io::stdout(), serde_json::to_string(&seen)?.as_bytes())?;
    Ok(())
}

/// Asks so many times, one question after the other, on one connection.
///
/// # Errors
/// An answer was none.
pub(crate) async fn one_after_the_other(target: &Target, shape: Shape, times: u32) -> anyhow::Result<()> {
    let job = Job { target: target.clone(), shape, warm_up_ms: 0, measured_ms: 0, groups: vec![] };
    let now = Instant::now();
    let (notes, mut caller) = (Notes::new(Span { begin: now, end: now })?, Caller::new(&Rc::new(job), 0));
    for _ in 0..times {
        caller.ask(&notes).await;
    }
    match notes.seen(Seen::default(), 0).failure {
        Some(failure) => anyhow::bail!("{shape:?}: {failure}"),
        None => Ok(()),
    }
}

async fn measure(job: &Rc<Job>) -> anyhow::Result<Seen> {
    let begin = Instant::now() + Duration::from_millis(job.warm_up_ms);
    let span = Span { begin, end: begin + Duration::from_millis(job.measured_ms) };
    let notes = Rc::new(Notes::new(span)?);
    let watching = spawn_local(watch(Rc::clone(job), span));
    let asking = async {
        match job.shape {
            Shape::Callers(callers) => again_and_again(job, &notes, callers).await,
            Shape::Streams { streams, .. } => again_and_again(job, &notes, streams).await,
            Shape::Rate { per_second } => at_a_rate(job, &notes, per_second).await,
        }
    };
    let late = tokio::time::timeout_at((span.end + PATIENCE).into(), asking).await.is_err();
    if late {
        notes.fail("answers did not end in time");
    }
    let seen = watching.await?;
    Ok(notes.seen(seen, job.measured_ms))
}

/// Processor time within the span, and memory.
async fn watch(job: Rc<Job>, span: Span) -> Seen {
    sleep_until(span.begin.into()).await;
    let (before, mut memory) = look(&job.groups);
    while Instant::now() + LOOK_EVERY < span.end {
        sleep(LOOK_EVERY).await;
        for (group, kib) in look(&job.groups).1 {
            let most = memory.entry(group).or_default();
            *most = kib.max(*most);
        }
    }
    sleep_until(span.end.into()).await;
    let mut cpu = look(&job.groups).0;
    for (group, us) in &mut cpu {
        *us -= before.get(group).copied().unwrap_or_default();
    }
    Seen { cpu_us: cpu, memory_kib: memory, ..Seen::default() }
}

/// So many callers, each with its next question as soon as it has the answer to its last one.
async fn again_and_again(job: &Rc<Job>, notes: &Rc<Notes>, callers: usize) {
    let mut tasks = vec![];
    for place in 0..callers {
        let (job, notes) = (Rc::clone(job), Rc::clone(notes));
        tasks.push(spawn_local(async move {
            sleep(STAGGER * u32::try_from(place).unwrap_or_default()).await;
            let mut caller = Caller::new(&job, place);
            while Instant::now() < notes.span.end && !notes.is_hopeless() {
                caller.ask(&notes).await;
            }
        }));
    }
    futures::future::join_all(tasks).await;
}

/// A question at each instant, by whoever has nothing to do.
async fn at_a_rate(job: &Rc<Job>, notes: &Rc<Notes>, per_second: u32) {
    let pause = Duration::from_secs(1) / per_second.max(1);
    let (mut due, mut idle, mut asked) = (Instant::now(), Vec::<Caller>::new(), 0);
    let mut under_way = FuturesUnordered::new();
    while due < notes.span.end && !notes.is_hopeless() {
        tokio::select! {
            () = sleep_until(due.into()) => {
                due += pause;
                asked += 1;
                let mut caller = idle.pop().unwrap_or_else(|| Caller::new(job, asked));
                let notes = Rc::clone(notes);
                under_way.push(spawn_local(async move {
                    caller.ask(&notes).await;
                    caller
                }));
            }
            Some(caller) = under_way.next() => idle.extend(caller),
        }
    }
    while under_way.next().await.is_some() {}
}
