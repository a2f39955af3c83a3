//! What ends an answer from outside: its caller's word, too long a silence, too long an answer.
//!
//! Promise: each of them ends it in time, and until one of them stirs, looking at all three costs a glance at a flag. They
//! have a waker of their own for that, which is passed on to whoever reads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::http::Limits;

/// Watches over one answer.
pub(super) struct Alarm {
    cancel: CancellationToken,
    /// One for the whole answer.
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The end of the whole time.
    deadline: Instant,
    /// One for the whole answer, too; it may ring too early and never rings too late.
    clock: Pin<Box<Sleep>>,
    /// Since when it is silent.
    since: Option<Instant>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rung {
    Cancelled,
    TooLate,
    Silent,
}

/// Wakes whoever reads, who then sees who it was.
struct Bell {
    rang: AtomicBool,
    reader: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.reader.wake();
    }
}

impl Alarm {
    /// From now on.
    pub(super) fn new(limits: Limits, cancel: CancellationToken) -> Self {
        let now = Instant::now();
        // Nobody was looked at yet.
        let bell = Arc::new(Bell { rang: AtomicBool::new(true), reader: AtomicWaker::new() });
        Self {
            cancelled: Box::pin(cancel.clone().cancelled_owned()),
            cancel,
            deadline: now + limits.total,
            clock: Box::pin(sleep_until(now + limits.total.min(limits.idle))),
            since: None,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        }
    }

    /// Whether the caller wants no more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.bell.rang.load(Ordering::Acquire) && self.cancel.is_cancelled()
    }

    /// An event came: silence begins anew with the next wait.
    pub(super) fn event(&mut self) {
        self.since = None;
    }

    /// Waits for an end while nothing comes, of which `is_alive` says whether it only is no event.
    pub(super) fn poll(&mut self, is_alive: bool, idle: Duration, context: &mut Context<'_>) -> Poll<Rung> {
        let silent_since = match self.since {
            Some(since) if !is_alive => since,
            _ => *self.since.insert(Instant::now()),
        };
        let due = self.deadline.min(silent_since + idle);
        self.bell.reader.register(context.waker());
        if due < self.clock.deadline() {
            self.clock.as_mut().reset(due);
            self.bell.rang.store(true, Ordering::Release);
        }
        if !self.bell.rang.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let mut context = Context::from_waker(&self.waker);
        if self.cancelled.as_mut().poll(&mut context).is_ready() {
            return Poll::Ready(Rung::Cancelled);
        }
        while self.clock.as_mut().poll(&mut context).is_ready() {
            match Instant::now() {
                now if now >= self.deadline => return Poll::Ready(Rung::TooLate),
                now if now >= due => return Poll::Ready(Rung::Silent),
                _ => self.clock.as_mut().reset(due),
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::{FutureExt as _, poll};

    use super::*;

    const IDLE: Duration = Duration::from_secs(10);
    const TOTAL: Duration = Duration::from_secs(60);

    fn alarm(cancel: &CancellationToken) -> Alarm {
        Alarm::new(Limits { idle: IDLE, total: TOTAL, ..Limits::default() }, cancel.clone())
    }

    /// Waits for the end, alive or not, and tells it with the time that it took.
    async fn ends(alarm: &mut Alarm, is_alive: bool, idle: Duration) -> (Rung, Duration) {
        let begun = Instant::now();
        let rung = poll_fn(|context| alarm.poll(is_alive, idle, context)).await;
        (rung, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_at_its_limit_and_each_event_begins_it_anew() {
        let mut alarm = alarm(&CancellationToken::new());
        for _ in 0..3 {
            assert!(tokio::time::timeout(IDLE / 2, ends(&mut alarm, false, IDLE)).await.is_err());
            alarm.event();
        }
        let (rung, after) = ends(&mut alarm, false, IDLE).await;
        assert!(rung == Rung::Silent && after >= IDLE && after < IDLE + Duration::from_secs(1), "{rung:?} {after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_limit_holds_from_when_it_is_told() {
        let mut alarm = alarm(&CancellationToken::new());
        assert!(ends(&mut alarm, false, IDLE).now_or_never().is_none());
        let (rung, after) = ends(&mut alarm, false, IDLE / 5).await;
        assert!(rung == Rung::Silent && after < IDLE / 4, "{rung:?} {after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_lives_and_never_ends_is_ended_by_the_whole_time() {
        let mut alarm = alarm(&CancellationToken::new());
        let (rung, after) = ends(&mut alarm, true, IDLE).await;
        assert!(rung == Rung::TooLate && after >= TOTAL && after < TOTAL + IDLE, "{rung:?} {after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn its_callers_word_is_seen_at_once_and_wakes_whoever_waits() {
        let cancel = CancellationToken::new();
        let mut alarm = alarm(&cancel);
        assert!(!alarm.is_cancelled());
        let mut waiting = Box::pin(ends(&mut alarm, false, IDLE));
        assert!(poll!(&mut waiting).is_pending());
        let (ended, ()) = futures::join!(waiting, async { cancel.cancel() });
        assert_eq!(ended, (Rung::Cancelled, Duration::ZERO));
        let cancelled = self::alarm(&cancel);
        assert!(cancelled.is_cancelled(), "before anybody waited");
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_between_two_waits_is_seen_before_the_next_one() {
        let cancel = CancellationToken::new();
        let mut alarm = alarm(&cancel);
        assert!(ends(&mut alarm, false, IDLE).now_or_never().is_none());
        assert!(!alarm.is_cancelled());
        cancel.cancel();
        assert!(alarm.is_cancelled());
    }
}
