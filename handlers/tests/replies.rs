//! A reply from request to ending, on real Postgres and NATS, with a scripted model server.

#[path = "support/house.rs"]
mod house;
mod support;

use std::time::Duration;

use async_nats::jetstream;
use domain::chat::{Finish, SessionEvent, Usage};
use handlers::chat::{AfterDeath, ReplyOptions};
use house::{House, LEASE, endings, text};
use nats::{CommandHandler as _, LiveKind, LiveReader, Outcome, Sent};
use serde_json::json;
use testkit::provider::{Outcome as Taken, Script};

fn slowly(text: &str) -> Script {
    text.chars()
        .fold(Script::default(), |script, c| script.chunk(&c.to_string()))
        .pause_between_chunks(Duration::from_millis(40))
}

#[tokio::test]
async fn a_question_gets_the_models_answer_with_its_usage() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::says("你好, world").usage(7, 4));
    let (chat, run) = house.asked("hello").await;
    let SessionEvent::ReplyCompleted { content, finish, usage, attempt, .. } = house.ending(&chat, run).await else {
        panic!("failed")
    };
    assert_eq!(content.open().map(String::as_str), Some("你好, world"));
    assert_eq!((finish, attempt), (Finish::Stop, 1));
    assert_eq!(usage, Some(Usage { input_tokens: 7, output_tokens: 4, basis: "reported".to_owned() }));
}

#[tokio::test]
async fn the_model_sees_the_path_of_the_conversation() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::says("one"));
    let (chat, run) = house.asked("first").await;
    house.ending(&chat, run).await;
    house.provider.enqueue(Script::says("two"));
    let run = house.ask(&chat, "second").await;
    house.ending(&chat, run).await;
    let sent = house.provider.requests()[1].body["messages"].clone();
    assert_eq!(
        sent,
        json!([
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "one"},
            {"role": "user", "content": "second"},
        ])
    );
}

#[tokio::test]
async fn the_live_text_adds_up_to_the_stored_answer() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(slowly("一二三 abc 四五六"));
    let (chat, run) = house.asked("hello").await;
    let mut reader = LiveReader::of_run(house.side.nats.client.clone(), chat.owner.uuid(), run.uuid());
    let mut live = String::new();
    let mut frames = 0;
    loop {
        let frame = reader.next().await;
        match frame.kind {
            LiveKind::Delta { text } => {
                assert_eq!(frame.offset, live.chars().count() as u64, "offsets count code points");
                live.push_str(&text);
                frames += 1;
            }
            LiveKind::Reset => live.clear(),
            LiveKind::Done { status, .. } => {
                assert_eq!(status, "complete");
                break;
            }
        }
    }
    assert_eq!(live, text(&house.ending(&chat, run).await));
    assert!(frames > 3, "it streamed: {frames} frames");
}

#[tokio::test]
async fn a_stop_keeps_what_was_said_and_closes_the_upstream() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::default().chunk("half ").chunk("an answer").stall());
    let (chat, run) = house.asked("hello").await;
    house.provider.wait_until(1, Duration::from_secs(10), |request| request.outcome == Taken::InFlight).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    house.send(chat.stop(run)).await;
    let ending = house.ending(&chat, run).await;
    assert!(matches!(ending, SessionEvent::ReplyCompleted { finish: Finish::Stopped, .. }), "{ending:?}");
    assert_eq!(text(&ending), "half an answer");
    house.provider.wait_until(1, Duration::from_secs(10), |request| request.outcome == Taken::Aborted).await;
}

#[tokio::test]
async fn a_stop_before_any_worker_came_ends_the_run_without_asking_a_model() {
    let house = House::open().await;
    let (chat, run) = house.asked("hello").await;
    house.send(chat.stop(run)).await;
    house.workers(ReplyOptions::default());
    let ending = house.ending(&chat, run).await;
    assert!(matches!(ending, SessionEvent::ReplyCompleted { finish: Finish::Stopped, .. }), "{ending:?}");
    assert_eq!(house.provider.received(), 0);
}

#[tokio::test]
async fn deleting_a_conversation_stops_its_replies() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::default().chunk("half").stall());
    let (chat, run) = house.asked("hello").await;
    house.provider.wait_until(1, Duration::from_secs(10), |request| request.outcome == Taken::InFlight).await;
    house.send(chat.delete()).await;
    let ending = house.ending(&chat, run).await;
    assert!(matches!(ending, SessionEvent::ReplyCompleted { finish: Finish::Stopped, .. }), "{ending:?}");
}

#[tokio::test]
async fn a_provider_that_is_briefly_away_is_asked_again_before_the_user_sees_an_error() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::fails(503, r#"{"error":{"message":"overloaded"}}"#));
    house.provider.enqueue(Script::says("there I am"));
    let (chat, run) = house.asked("hello").await;
    assert_eq!(text(&house.ending(&chat, run).await), "there I am");
    assert_eq!(house.provider.received(), 2);
    assert_eq!(house.attempts(&chat).await, [1], "one attempt, two tries");
}

#[tokio::test]
async fn a_refused_request_fails_with_the_providers_reason_and_is_not_repeated() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::fails(400, r#"{"error":{"message":"no such model"}}"#));
    let (chat, run) = house.asked("hello").await;
    let SessionEvent::ReplyFailed { code, message, .. } = house.ending(&chat, run).await else { panic!("completed") };
    assert_eq!(code, "upstream_refused");
    assert!(message.open().is_some_and(|message| message.contains("no such model")), "{message:?}");
    assert_eq!(house.provider.received(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_fails_and_keeps_what_was_said() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::default().chunk("half an ").wait(Duration::from_millis(100)).cut());
    let (chat, run) = house.asked("hello").await;
    let ending = house.ending(&chat, run).await;
    assert!(matches!(&ending, SessionEvent::ReplyFailed { code, .. } if code == "upstream_cut"), "{ending:?}");
    assert_eq!(text(&ending), "half an ");
    assert_eq!(house.provider.received(), 1, "after the first byte nothing is repeated");
}

#[tokio::test]
async fn when_a_worker_dies_another_attempt_begins_again_and_readers_are_reset() {
    let house = House::open().await;
    let doomed = house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::default().chunk("lost words").stall());
    house.provider.enqueue(slowly("found words"));
    let (chat, run) = house.asked("hello").await;
    let mut reader = LiveReader::of_run(house.side.nats.client.clone(), chat.owner.uuid(), run.uuid());
    let first = reader.next().await;
    assert!(matches!(&first.kind, LiveKind::Delta { text } if text.starts_with("lost")), "{first:?}");

    doomed.0.cancel();
    house.workers(ReplyOptions::default());
    let reset = reader.next().await;
    assert_eq!((&reset.kind, reset.attempt), (&LiveKind::Reset, 2));
    assert_eq!(text(&house.ending(&chat, run).await), "found words");
    assert_eq!(house.attempts(&chat).await, [1, 2]);
}

#[tokio::test]
async fn an_operator_can_choose_that_a_lost_reply_ends_as_stopped() {
    let house = House::open().await;
    let options = || ReplyOptions { after_death: AfterDeath::Interrupted, ..ReplyOptions::default() };
    let doomed = house.workers(options());
    house.provider.enqueue(Script::default().chunk("lost words").stall());
    let (chat, run) = house.asked("hello").await;
    house.provider.wait_until(1, Duration::from_secs(10), |request| request.outcome == Taken::InFlight).await;
    doomed.0.cancel();
    house.workers(options());
    let ending = house.ending(&chat, run).await;
    assert!(matches!(ending, SessionEvent::ReplyCompleted { finish: Finish::Stopped, attempt: 2, .. }), "{ending:?}");
    assert_eq!(house.provider.received(), 1);
}

#[tokio::test]
async fn a_worker_that_was_only_paused_cannot_end_the_run_after_another_took_over() {
    let house = House::open().await;
    let (chat, run) = house.asked("hello").await;
    // The paused worker had announced its attempt and now comes back with its text.
    house.send(chat.attempt(run, 1)).await;
    house.send(chat.attempt(run, 2)).await;
    let late = house.send(chat.complete(run, 1, "from the grave")).await;
    assert!(matches!(&late, Outcome::Refused { code, .. } if code == "stale_attempt"), "{late:?}");
    house.send(chat.complete(run, 2, "alive")).await;
    assert_eq!(endings(&house.events(&chat).await, run).len(), 1);
}

#[tokio::test]
async fn wiping_the_event_stream_neither_repeats_nor_loses_a_reply() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.answer_with(|prompt| Script::says(&format!("re: {prompt}")));
    let context = jetstream::new(house.side.nats.client.clone());
    let mut asked = vec![];
    for round in 0..6 {
        asked.push(house.asked(&format!("question {round}")).await);
        if round % 2 == 1 {
            // The publisher may still be making it.
            while context.delete_stream(nats::streams::EVENTS).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    for (round, (chat, run)) in asked.iter().enumerate() {
        assert_eq!(text(&house.ending(chat, *run).await), format!("re: question {round}"));
    }
    tokio::time::sleep(LEASE * 2).await;
    for (chat, run) in &asked {
        assert_eq!(endings(&house.events(chat).await, *run).len(), 1);
    }
    assert_eq!(house.provider.received(), 6, "no question was asked twice");
}

#[tokio::test]
async fn losing_the_live_stream_in_the_middle_loses_no_text() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(slowly("abcdefghijklmnopqrstuvwxyz"));
    let (chat, run) = house.asked("hello").await;
    let mut reader = LiveReader::of_run(house.side.nats.client.clone(), chat.owner.uuid(), run.uuid());
    reader.next().await;
    jetstream::new(house.side.nats.client.clone()).delete_stream(nats::streams::LIVE).await.unwrap();
    let mut live = String::new();
    loop {
        let frame = reader.next().await;
        match frame.kind {
            LiveKind::Delta { text } => {
                live = live.chars().take(usize::try_from(frame.offset).unwrap()).chain(text.chars()).collect();
            }
            LiveKind::Reset => live.clear(),
            LiveKind::Done { .. } => break,
        }
    }
    assert_eq!(live, "abcdefghijklmnopqrstuvwxyz");
    assert_eq!(text(&house.ending(&chat, run).await), live);
}

#[tokio::test]
async fn a_dead_letter_that_is_sent_again_takes_effect_once() {
    let house = House::open().await;
    let (chat, _) = house.asked("hello").await;
    let rename = chat.rename("back from the dead");
    house.side.node().bury(&rename, "nothing worked", 6).await.unwrap();
    assert_eq!(house.send(rename.clone()).await, Outcome::Dead);
    let letters = house.side.dead_letters();
    let id = letters.list(1).await.unwrap()[0].id;
    let sent = letters.retry(id, &house.commands, Duration::from_secs(20)).await.unwrap();
    assert!(matches!(sent, Sent::Outcome(Outcome::Done { .. })), "{sent:?}");
    let again = letters.retry(id, &house.commands, Duration::from_secs(20)).await.unwrap();
    assert_eq!(sent, again);
    let renamed = house.events(&chat).await.iter().filter(|e| matches!(e, SessionEvent::Renamed { .. })).count();
    assert_eq!(renamed, 1);
    assert!(letters.list(1).await.unwrap()[0].retried_at.is_some());
}

#[tokio::test]
async fn many_workers_on_many_questions_answer_each_once() {
    let house = House::open().await;
    for _ in 0..3 {
        house.workers(ReplyOptions::default());
    }
    house.provider.answer_with(|prompt| Script::says(&format!("re: {prompt}")));
    let asked = futures::future::join_all((0..20).map(|n| {
        let house = &house;
        async move { house.asked(&format!("question {n}")).await }
    }))
    .await;
    for (n, (chat, run)) in asked.iter().enumerate() {
        assert_eq!(text(&house.ending(chat, *run).await), format!("re: question {n}"));
        assert_eq!(endings(&house.events(chat).await, *run).len(), 1);
    }
    assert_eq!(house.provider.received(), 20);
}
