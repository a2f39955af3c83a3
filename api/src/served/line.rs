//! The line between a call and whoever hears of it: one task for both as long as the listener comes by.
//!
//! Promise: a call never depends on its listener. While the listener is there it does the call's work itself, so that what
//! a provider sends wakes one task and not two. When it goes away, does not come by for [`LOOK`], or the server goes down,
//! the work goes on where it is in a task of its own; there it waits for a listener that has stopped reading no longer than
//! [`STALLED`]. From its begin to its end the work is known to the tracker that a shutdown waits for.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker, ready},
    time::Duration,
};

use futures::{future::BoxFuture, task::AtomicWaker};
use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// What waits for a slow listener, at most.
const MAX_WAITING: usize = 256;
/// A listener that takes nothing of what waits for so long counts as gone.
const STALLED: Duration = Duration::from_secs(60);
/// How often it is looked whether listeners came by.
const LOOK: Duration = Duration::from_secs(15);
/// So many works are known before those that have ended are forgotten.
const FEW: usize = 1024;

/// Opens lines, and looks after their listeners until the server goes down.
pub(super) struct Lines {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    works: Arc<Mutex<Works>>,
}

/// The works under way, and some that have ended.
#[derive(Default)]
struct Works {
    all: Vec<Weak<Work>>,
    /// So many are kept before those that have ended are forgotten.
    most: usize,
    is_looked_after: bool,
}

/// A call's end of the line.
pub(super) struct Speaker<T> {
    line: Arc<Line<T>>,
    shutdown: CancellationToken,
}

/// A listener's end of the line. Dropping it is going away.
pub(super) struct Listener<T> {
    line: Arc<Line<T>>,
    work: Arc<Work>,
}

struct Line<T> {
    told: Mutex<VecDeque<T>>,
    signs: Arc<Signs>,
}

/// What both ends know of each other. As a waker it is what the work waits by while its listener does it: a listener that
/// comes by for another reason lets the work rest.
struct Signs {
    /// The work has a task of its own.
    is_apart: AtomicBool,
    is_over: AtomicBool,
    /// The work has something to do, or has not begun.
    is_due: AtomicBool,
    gone: CancellationToken,
    /// Who listens: woken when the work is due, and by what is told where it has a task of its own.
    listener: AtomicWaker,
    /// Something was taken of what waits.
    taken: Notify,
}

/// The work, wherever it is done.
struct Work {
    /// Where the listener does it; `None` once it ended or has a task of its own.
    bench: Mutex<Option<Task>>,
    signs: Arc<Signs>,
    /// The signs again, as the work is told of them.
    waker: Waker,
    came_by: AtomicBool,
    runtime: Handle,
}

/// The work itself.
struct Task {
    work: BoxFuture<'static, ()>,
    signs: Arc<Signs>,
    _tracked: TaskTrackerToken,
}

impl Lines {
    pub(super) fn new(tracker: TaskTracker, shutdown: CancellationToken) -> Self {
        Self { tracker, shutdown, works: Arc::default() }
    }

    /// Begins work that speaks to a listener.
    pub(super) fn open<T, W>(&self, work: impl FnOnce(Speaker<T>) -> W) -> Listener<T>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let signs = Arc::new(Signs::new());
        let line = Arc::new(Line { told: Mutex::default(), signs: Arc::clone(&signs) });
        let speaker = Speaker { line: Arc::clone(&line), shutdown: self.shutdown.clone() };
        let task = Task { work: Box::pin(work(speaker)), signs: Arc::clone(&signs), _tracked: self.tracker.token() };
        let work = Arc::new(Work {
            bench: Mutex::new(Some(task)),
            waker: Waker::from(Arc::clone(&signs)),
            signs,
            came_by: AtomicBool::new(true),
            runtime: Handle::current(),
        });
        self.know(&work);
        Listener { line, work }
    }

    fn know(&self, work: &Arc<Work>) {
        let mut works = locked(&self.works);
        if works.all.len() >= works.most {
            works.all.retain(|work| work.strong_count() > 0);
            works.most = (2 * works.all.len()).max(FEW);
        }
        works.all.push(Arc::downgrade(work));
        if !mem::replace(&mut works.is_looked_after, true) {
            tokio::spawn(look_after(Arc::downgrade(&self.works), self.shutdown.clone()));
        }
    }
}

/// Gives work whose listener does not come by a task of its own, and all work when the server goes down.
async fn look_after(works: Weak<Mutex<Works>>, shutdown: CancellationToken) {
    loop {
        let is_down = timeout(LOOK, shutdown.cancelled()).await.is_ok();
        let Some(works) = works.upgrade() else { return };
        let mut works = locked(&works);
        works.all.retain(|work| {
            let Some(work) = work.upgrade() else { return false };
            if is_down || !work.came_by.swap(false, Ordering::Relaxed) {
                work.set_apart();
            }
            true
        });
        if is_down {
            // Whoever is let in at this very moment has the next one.
            works.is_looked_after = false;
            return;
        }
    }
}

impl<T> Speaker<T> {
    /// Says it, and waits while the listener is slow.
    pub(super) async fn tell(&self, what: T) {
        let Line { told, signs } = &*self.line;
        let mut what = Some(what);
        poll_fn(|_| {
            if signs.is_apart() {
                return Poll::Ready(());
            }
            let mut told = locked(told);
            if told.len() < MAX_WAITING {
                told.extend(what.take());
                return Poll::Ready(());
            }
            // Whoever listens takes all that waits before the work goes on.
            signs.is_due.store(true, Ordering::Release);
            Poll::Pending
        })
        .await;
        if let Some(what) = what {
            self.tell_apart(what).await;
        }
    }

    async fn tell_apart(&self, what: T) {
        let Line { told, signs } = &*self.line;
        while !signs.gone.is_cancelled() && locked(told).len() >= MAX_WAITING {
            tokio::select! {
                () = signs.taken.notified() => {}
                () = signs.gone.cancelled() => {}
                () = sleep(STALLED) => signs.gone.cancel(),
            }
        }
        if !signs.gone.is_cancelled() {
            locked(told).push_back(what);
            signs.listener.wake();
        }
    }

    /// Nobody listens any more.
    pub(super) fn is_alone(&self) -> bool {
        // Who goes away leaves the work to a task of its own.
        self.line.signs.is_apart() && self.line.signs.gone.is_cancelled()
    }

    /// Nobody has listened for the time that is said then, or the server goes down.
    pub(super) async fn left(&self, drain: impl FnOnce() -> Duration) {
        let signs = &self.line.signs;
        // Nobody has to wake this: before either comes true, another task takes the work and looks.
        poll_fn(|_| if signs.is_apart() { Poll::Ready(()) } else { Poll::Pending }).await;
        let gone = async {
            signs.gone.cancelled().await;
            sleep(drain()).await;
        };
        tokio::select! {
            () = gone => {}
            () = self.shutdown.cancelled() => {}
        }
    }
}

impl<T> Listener<T> {
    /// What is told next; `None` once the work ended and all was heard.
    pub(super) async fn recv(&mut self) -> Option<T> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    pub(super) fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.work.came_by.store(true, Ordering::Relaxed);
        if let Some(told) = self.try_recv() {
            return Poll::Ready(Some(told));
        }
        let signs = &self.work.signs;
        signs.listener.register(context.waker());
        if signs.is_due.swap(false, Ordering::AcqRel) {
            self.work.go_on();
        }
        let is_over = signs.is_over.load(Ordering::Acquire);
        match self.try_recv() {
            None if !is_over => Poll::Pending,
            told => Poll::Ready(told),
        }
    }

    /// What was told already.
    pub(super) fn try_recv(&mut self) -> Option<T> {
        let told = locked(&self.line.told).pop_front()?;
        if self.line.signs.is_apart() {
            self.line.signs.taken.notify_one();
        }
        Some(told)
    }
}

impl<T> Drop for Listener<T> {
    fn drop(&mut self) {
        self.line.signs.gone.cancel();
        self.work.set_apart();
    }
}

impl Signs {
    fn new() -> Self {
        Self {
            is_apart: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            is_due: AtomicBool::new(true),
            gone: CancellationToken::new(),
            listener: AtomicWaker::new(),
            taken: Notify::new(),
        }
    }

    fn is_apart(&self) -> bool {
        self.is_apart.load(Ordering::Acquire)
    }
}

impl Wake for Signs {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_due.store(true, Ordering::Release);
        self.listener.wake();
    }
}

impl Work {
    /// Does some of it, unless it has a task of its own.
    fn go_on(&self) {
        let mut bench = locked(&self.bench);
        let Some(task) = &mut *bench else { return };
        if Pin::new(task).poll(&mut Context::from_waker(&self.waker)).is_ready() {
            *bench = None;
        }
    }

    /// Gives it a task of its own, unless it has one or has ended.
    fn set_apart(&self) {
        let Some(task) = locked(&self.bench).take() else { return };
        self.signs.is_apart.store(true, Ordering::Release);
        self.runtime.spawn(task);
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Work that panics has ended; the connection of its listener serves other calls.
        let polled = catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(context)));
        ready!(polled.unwrap_or(Poll::Ready(())));
        Poll::Ready(())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.signs.is_over.store(true, Ordering::Release);
        self.signs.listener.wake();
    }
}

/// What is guarded is whole whoever panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
