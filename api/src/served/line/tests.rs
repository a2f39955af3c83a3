//! Work and its listener, together and apart.

use std::sync::atomic::AtomicU32;

use futures::{FutureExt as _, poll};
use tokio::{sync::oneshot, time::Instant};

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

struct House {
    lines: Lines,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

impl House {
    fn new() -> Self {
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        Self { lines: Lines::new(tracker.clone(), shutdown.clone()), tracker, shutdown }
    }

    /// Waits until every work has ended.
    async fn is_empty(&self) {
        self.tracker.close();
        timeout(PATIENCE, self.tracker.wait()).await.expect("all work ends");
    }
}

#[tokio::test]
async fn what_is_told_is_heard_in_order_and_then_it_is_over() {
    let house = House::new();
    let mut listener = house.lines.open(|speaker| async move {
        for number in 0..3 * MAX_WAITING {
            speaker.tell(number).await;
        }
    });
    for number in 0..3 * MAX_WAITING {
        assert_eq!(listener.recv().await, Some(number));
    }
    assert_eq!((listener.recv().await, listener.recv().await), (None, None));
    house.is_empty().await;
}

#[tokio::test]
async fn a_listener_does_the_work_itself_and_no_further_than_it_listens() {
    let house = House::new();
    let done = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&done);
    let mut listener = house.lines.open(|speaker| async move {
        loop {
            speaker.tell(()).await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    tokio::task::yield_now().await;
    assert_eq!(done.load(Ordering::Relaxed), 0, "nobody has asked for it");
    listener.recv().await;
    tokio::task::yield_now().await;
    assert_eq!(done.load(Ordering::Relaxed), u32::try_from(MAX_WAITING).unwrap());
    drop(listener);
}

#[tokio::test]
async fn work_whose_listener_goes_away_goes_on_where_it_is_and_knows_it() {
    let house = House::new();
    let (ended, told) = oneshot::channel();
    let mut listener = house.lines.open(|speaker| async move {
        speaker.tell("a").await;
        let begun = Instant::now();
        speaker.left(|| Duration::from_millis(20)).await;
        // Nobody is waited for who is not there.
        for _ in 0..2 * MAX_WAITING {
            speaker.tell("b").await;
        }
        let _ = ended.send((speaker.is_alone(), begun.elapsed()));
    });
    assert_eq!(listener.recv().await, Some("a"));
    assert!(!house.tracker.is_empty());
    drop(listener);
    let (is_alone, after) = timeout(PATIENCE, told).await.unwrap().unwrap();
    assert!(is_alone && after >= Duration::from_millis(20), "{after:?}");
    house.is_empty().await;
}

#[tokio::test]
async fn a_listener_that_never_listened_can_go_away_too() {
    let house = House::new();
    let (ended, told) = oneshot::channel();
    drop(house.lines.open(|speaker: Speaker<()>| async move {
        let _ = ended.send(speaker.is_alone());
    }));
    assert!(timeout(PATIENCE, told).await.unwrap().unwrap());
    house.is_empty().await;
}

#[tokio::test(start_paused = true)]
async fn work_whose_listener_does_not_come_by_goes_on_until_much_waits_and_then_counts_it_as_gone() {
    let house = House::new();
    let (gone, is_gone) = oneshot::channel();
    let mut listener = house.lines.open(|speaker| async move {
        for number in 0..=MAX_WAITING {
            sleep(Duration::from_millis(1)).await;
            speaker.tell(number).await;
        }
        let _ = gone.send(speaker.is_alone());
    });
    assert!(listener.recv().now_or_never().is_none());
    let begun = Instant::now();
    assert!(is_gone.await.unwrap(), "the last was not told");
    assert!(begun.elapsed() >= STALLED && begun.elapsed() <= STALLED + 3 * LOOK, "{:?}", begun.elapsed());
    // What waited is still heard.
    for number in 0..MAX_WAITING {
        assert_eq!(listener.recv().await, Some(number));
    }
    assert_eq!(listener.recv().await, None);
    house.is_empty().await;
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_comes_back_late_is_woken_by_what_is_told_and_has_missed_nothing() {
    let house = House::new();
    let mut listener = house.lines.open(|speaker| async move {
        for number in 0..2 * MAX_WAITING {
            speaker.tell(number).await;
            sleep(Duration::from_millis(1)).await;
        }
    });
    let mut first = Box::pin(listener.recv());
    assert!(poll!(&mut first).is_ready());
    drop(first);
    sleep(3 * LOOK).await;
    assert!(listener.work.signs.is_apart());
    for number in 1..2 * MAX_WAITING {
        assert_eq!(listener.recv().await, Some(number));
    }
    assert_eq!(listener.recv().await, None);
    assert!(!listener.work.signs.gone.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_comes_by_now_and_then_keeps_its_work() {
    let house = House::new();
    let mut listener = house.lines.open(|speaker: Speaker<()>| async move {
        speaker.left(|| Duration::ZERO).await;
    });
    for _ in 0..20 {
        assert!(timeout(LOOK / 2, listener.recv()).await.is_err());
    }
    assert!(!listener.work.signs.is_apart());
}

#[tokio::test]
async fn when_the_server_goes_down_work_ends_whether_its_listener_looks_or_not_and_says_so() {
    let house = House::new();
    let work = |speaker: Speaker<&'static str>| async move {
        speaker.left(|| PATIENCE).await;
        speaker.tell("stopped").await;
    };
    let (mut attentive, mut absent) = (house.lines.open(work), house.lines.open(work));
    let shutdown = house.shutdown.clone();
    let (heard, ()) = futures::join!(timeout(PATIENCE, attentive.recv()), async move { shutdown.cancel() });
    assert_eq!(heard.unwrap(), Some("stopped"));
    house.is_empty().await;
    assert_eq!((absent.recv().await, absent.recv().await), (Some("stopped"), None));
    let mut late = house.lines.open(work);
    assert_eq!(timeout(PATIENCE, late.recv()).await.unwrap(), Some("stopped"), "also of work that begins then");
}

#[tokio::test]
async fn work_that_panics_is_over() {
    let house = House::new();
    let mut listener = house.lines.open(|speaker: Speaker<u8>| async move {
        speaker.tell(1).await;
        panic!("a defect");
    });
    assert_eq!((listener.recv().await, listener.recv().await), (Some(1), None));
    house.is_empty().await;
}

#[tokio::test(start_paused = true)]
async fn works_that_have_ended_are_forgotten() {
    let house = House::new();
    for _ in 0..10 * FEW {
        drop(house.lines.open(|_: Speaker<()>| async {}));
    }
    assert!(locked(&house.lines.works).all.len() <= 2 * FEW);
}
