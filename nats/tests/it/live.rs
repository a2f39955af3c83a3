//! Live text: order, fences, losses.

use std::time::Duration;

use async_nats::jetstream;
use futures::StreamExt;
use nats::{
    Hint, LiveFrame, LiveKind, LiveReader, LiveWriteError, LiveWriter,
    live::{hint, request_stop, subscribe_hints, subscribe_stops},
    streams::LIVE,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::eventually;

#[derive(Clone, Copy)]
struct Run {
    user: Uuid,
    session: Uuid,
    run: Uuid,
    message: Uuid,
}

impl Run {
    fn of(user: Uuid) -> Self {
        Self { user, session: Uuid::now_v7(), run: Uuid::now_v7(), message: Uuid::now_v7() }
    }

    fn new() -> Self {
        Self::of(Uuid::now_v7())
    }

    async fn open(self, client: &async_nats::Client, attempt: i32) -> Result<LiveWriter, LiveWriteError> {
        LiveWriter::open(client.clone(), self.user, self.session, self.run, self.message, attempt).await
    }
}

async fn next(reader: &mut LiveReader) -> LiveFrame {
    timeout(Duration::from_secs(15), reader.next()).await.expect("a frame comes")
}

/// What a page shows after each frame: the place of `offset` counts, as the protocol says.
fn show(text: &mut String, frame: &LiveFrame) {
    match &frame.kind {
        LiveKind::Reset => text.clear(),
        LiveKind::Delta { text: more } => {
            *text = text.chars().take(usize::try_from(frame.offset).unwrap()).collect();
            text.push_str(more);
        }
        LiveKind::Done { .. } => {}
    }
}

async fn shows(reader: &mut LiveReader, expected: &str) {
    let mut text = String::new();
    while text != expected {
        show(&mut text, &next(reader).await);
    }
}

#[tokio::test]
async fn readers_early_and_late_see_the_same_frames_in_order() {
    let bus = testkit::nats().await;
    let run = Run::new();
    let mut early = LiveReader::of_run(bus.client.clone(), run.user, run.run);
    assert_eq!(early.caught_up().await, Ok(true), "nothing is kept of a run that has not begun");
    let mut writer = run.open(&bus.client, 1).await.unwrap();
    for (offset, text) in [(0, "你好"), (2, ", "), (4, "world")] {
        writer.delta(offset, text).await.unwrap();
    }
    let usage = serde_json::json!({ "output_tokens": 4 });
    writer.done(9, "complete", Some("stop"), None, Some(usage.clone())).await.unwrap();

    let mut late = LiveReader::of_user(bus.client.clone(), run.user);
    assert_eq!(late.caught_up().await, Ok(false));
    for reader in [&mut early, &mut late] {
        let mut frames = Vec::new();
        for _ in 0..4 {
            frames.push(next(reader).await);
        }
        let offsets: Vec<_> = frames.iter().map(|frame| frame.offset).collect();
        assert_eq!(offsets, [0, 2, 4, 9]);
        assert!(frames.iter().all(|frame| frame.run_id == run.run && frame.message_id == run.message));
        let end = LiveKind::Done {
            status: "complete".into(),
            finish_reason: Some("stop".into()),
            error: None,
            usage: Some(usage.clone()),
        };
        assert_eq!(frames[3].kind, end);
    }
    assert_eq!(late.caught_up().await, Ok(true));
}

#[tokio::test]
async fn a_reader_of_a_user_hears_all_runs_of_that_user_and_no_other() {
    let bus = testkit::nats().await;
    let (mine, theirs) = (Run::new(), Run::new());
    let mut reader = LiveReader::of_user(bus.client.clone(), mine.user);
    reader.caught_up().await.unwrap();
    theirs.open(&bus.client, 1).await.unwrap().delta(0, "secret").await.unwrap();
    mine.open(&bus.client, 1).await.unwrap().delta(0, "one").await.unwrap();
    let second = Run::of(mine.user);
    second.open(&bus.client, 1).await.unwrap().delta(0, "two").await.unwrap();
    assert_eq!(next(&mut reader).await.run_id, mine.run);
    assert_eq!(next(&mut reader).await.run_id, second.run);
}

#[tokio::test]
async fn a_paused_writer_cannot_interleave_with_its_successor() {
    let bus = testkit::nats().await;
    let run = Run::new();
    let mut first = run.open(&bus.client, 1).await.unwrap();
    first.delta(0, "lost ").await.unwrap();
    let mut second = run.open(&bus.client, 2).await.unwrap();
    second.delta(0, "kept ").await.unwrap();

    assert_eq!(first.delta(5, "words").await, Err(LiveWriteError::Fenced));
    assert_eq!(first.done(5, "complete", None, None, None).await, Err(LiveWriteError::Fenced));
    assert!(matches!(run.open(&bus.client, 1).await, Err(LiveWriteError::Fenced)), "nor can it begin again");
    second.delta(5, "text").await.unwrap();

    let mut reader = LiveReader::of_run(bus.client.clone(), run.user, run.run);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let frame = next(&mut reader).await;
        seen.push((frame.attempt, frame.kind));
    }
    let delta = |text: &str| LiveKind::Delta { text: text.into() };
    assert_eq!(seen, [(1, delta("lost ")), (2, LiveKind::Reset), (2, delta("kept ")), (2, delta("text"))]);
}

#[tokio::test]
async fn a_writer_that_never_wrote_is_fenced_too() {
    let bus = testkit::nats().await;
    let run = Run::new();
    let mut first = run.open(&bus.client, 1).await.unwrap();
    let _second = run.open(&bus.client, 2).await.unwrap();
    assert_eq!(first.delta(0, "late").await, Err(LiveWriteError::Fenced));
}

#[tokio::test]
async fn when_the_stream_is_deleted_the_writer_writes_again_and_readers_follow() {
    let bus = testkit::nats().await;
    let run = Run::new();
    let mut writer = run.open(&bus.client, 1).await.unwrap();
    let mut reader = LiveReader::of_run(bus.client.clone(), run.user, run.run);
    writer.delta(0, "one ").await.unwrap();
    shows(&mut reader, "one ").await;

    jetstream::new(bus.client.clone()).delete_stream(LIVE).await.unwrap();
    assert_eq!(writer.delta(4, "two").await, Err(LiveWriteError::Vanished));
    writer.delta(0, "one two").await.unwrap();
    shows(&mut reader, "one two").await;
}

#[tokio::test]
async fn a_writer_notices_that_somebody_else_made_the_lost_stream_again() {
    let bus = testkit::nats().await;
    let run = Run::new();
    let mut writer = run.open(&bus.client, 1).await.unwrap();
    writer.delta(0, "one ").await.unwrap();
    jetstream::new(bus.client.clone()).delete_stream(LIVE).await.unwrap();
    let mut reader = LiveReader::of_run(bus.client.clone(), run.user, run.run);
    assert_eq!(reader.caught_up().await, Ok(true));
    assert_eq!(writer.delta(4, "two").await, Err(LiveWriteError::Vanished));
    writer.delta(0, "one two").await.unwrap();
    shows(&mut reader, "one two").await;
}

#[tokio::test]
async fn an_old_writer_that_comes_first_into_a_new_stream_is_fenced_all_the_same() {
    let bus = testkit::nats().await;
    let run = Run::new();
    let mut first = run.open(&bus.client, 1).await.unwrap();
    first.delta(0, "old").await.unwrap();
    let mut second = run.open(&bus.client, 2).await.unwrap();
    second.delta(0, "new").await.unwrap();
    jetstream::new(bus.client.clone()).delete_stream(LIVE).await.unwrap();
    assert_eq!(first.delta(3, "er").await, Err(LiveWriteError::Vanished));
    first.delta(0, "older").await.unwrap();

    assert_eq!(second.delta(3, "est").await, Err(LiveWriteError::Vanished));
    second.delta(0, "newest").await.unwrap();
    assert_eq!(first.delta(5, "!").await, Err(LiveWriteError::Fenced));
    let mut reader = LiveReader::of_run(bus.client.clone(), run.user, run.run);
    shows(&mut reader, "newest").await;
}

#[tokio::test]
async fn after_a_crash_of_the_bus_writer_and_reader_find_each_other_again() {
    let mut bus = testkit::nats().await;
    let run = Run::new();
    let mut writer = run.open(&bus.client, 1).await.unwrap();
    let mut reader = LiveReader::of_user(bus.client.clone(), run.user);
    writer.delta(0, "one ").await.unwrap();
    shows(&mut reader, "one ").await;

    bus.kill().await;
    eventually("the writer notices", async || {
        matches!(writer.delta(4, "two").await, Err(LiveWriteError::Unavailable(_)))
    })
    .await;
    bus.start_again().await;
    let mut vanished = false;
    eventually("the text is written again", async || {
        let (offset, text) = if vanished { (0, "one two") } else { (4, "two") };
        let written = writer.delta(offset, text).await;
        vanished |= written == Err(LiveWriteError::Vanished);
        vanished && written.is_ok()
    })
    .await;
    shows(&mut reader, "one two").await;
}

#[tokio::test]
async fn hints_and_stops_reach_those_who_listen() {
    let bus = testkit::nats().await;
    let (user, run) = (Uuid::now_v7(), Uuid::now_v7());
    let mut hints = std::pin::pin!(subscribe_hints(&bus.client, user).await.unwrap());
    let mut stops = std::pin::pin!(subscribe_stops(&bus.client).await.unwrap());
    let changed = Hint { topic: "messages".into(), session_id: Some(run), position: 7 };
    hint(&bus.client, Uuid::now_v7(), &Hint { position: 1, ..changed.clone() }).await.unwrap();
    hint(&bus.client, user, &changed).await.unwrap();
    request_stop(&bus.client, run).await.unwrap();
    assert_eq!(timeout(Duration::from_secs(5), hints.next()).await.unwrap(), Some(changed));
    assert_eq!(timeout(Duration::from_secs(5), stops.next()).await.unwrap(), Some(run));
}
