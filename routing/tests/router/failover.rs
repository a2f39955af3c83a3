//! Who answers when somebody fails, and what is never tried twice.

use std::time::Duration;

use futures::StreamExt as _;
use relay::{RelayError, ReplyDelta};
use routing::{BudgetOptions, Part, RouterOptions, State, Tries};
use testkit::provider::{Outcome, Script};

use crate::house::{House, PATIENCE, quick, read, refuses};

#[tokio::test]
async fn a_request_goes_on_to_the_next_channel_and_the_story_tells_it() {
    let house = House::start(3, &[]).await;
    house.upstream(0).enqueue(Script::fails(500, ""));
    house.upstream(1).enqueue(Script::fails(503, ""));
    house.upstream(2).enqueue(Script::says("from the third"));
    let answered = house.begin().await.unwrap();
    let tries: Vec<_> = answered.story.tries.iter().map(|one| (&*one.name, one.outcome)).collect();
    let expected = [("channel 0", "upstream_unavailable"), ("channel 1", "upstream_unavailable"), ("channel 2", "ok")];
    assert_eq!((answered.story.asked(), tries), (3, expected.to_vec()));
    assert_eq!(read(answered.answer).await.unwrap(), "from the third");
}

#[tokio::test]
async fn an_answer_that_breaks_off_before_its_first_word_is_asked_of_another() {
    for broken in [Script::default().cut(), Script::default().without_end(), Script::default().garbage()] {
        let house = House::start(2, &[]).await;
        house.upstream(0).enqueue(broken);
        house.upstream(1).enqueue(Script::says("whole"));
        assert_eq!(house.ask().await.unwrap(), ("whole".to_owned(), 1));
    }
}

#[tokio::test]
async fn after_the_first_word_nobody_else_is_asked() {
    let house = House::start(2, &[]).await;
    house.upstream(0).enqueue(Script::default().chunk("half").cut());
    let mut answer = house.begin().await.unwrap().answer;
    assert_eq!(answer.next().await, Some(Ok(ReplyDelta::Text("half".to_owned()))));
    assert!(answer.next().await.unwrap().is_err());
    assert_eq!(house.received(), [1, 0]);
}

#[tokio::test]
async fn answers_that_break_off_after_their_first_word_shut_the_channel_too() {
    let house = House::start(1, &[]).await;
    for _ in 0..3 {
        house.upstream(0).enqueue(Script::default().chunk("half").cut());
        assert!(house.ask().await.is_err());
    }
    let state = house.router.state(house.channels[0].id, &Part::Model { name: "mock-1".into() });
    assert!(matches!(state, State::Open { .. }), "{state:?}");
}

#[tokio::test]
async fn a_request_that_is_wrong_is_not_tried_elsewhere() {
    let house = House::start(2, &[]).await;
    house.upstream(0).enqueue(refuses(400, "invalid_value"));
    let unanswered = house.begin().await.err().unwrap();
    assert_eq!((unanswered.error.code(), house.received()), ("upstream_refused", vec![1, 0]));
}

#[tokio::test]
async fn a_channel_alone_is_asked_again_after_a_pause_and_not_more_often_than_allowed() {
    let house = House::start(1, &[]).await;
    house.upstream(0).enqueue(Script::fails(500, ""));
    assert!(house.ask().await.is_ok());
    for _ in 0..9 {
        house.upstream(0).enqueue(Script::fails(500, ""));
    }
    assert_eq!(house.ask().await.unwrap_err().code(), "upstream_unavailable");
    assert_eq!(house.received(), [5], "once and again, then three times");
}

#[tokio::test]
async fn one_request_that_breaks_an_upstream_does_not_shut_it_for_others() {
    let mut house = House::start(1, &[]).await;
    house.tries = Tries { most: 10, pause: Duration::from_millis(1), ..Tries::default() };
    for _ in 0..10 {
        house.upstream(0).enqueue(Script::fails(500, ""));
    }
    assert!(house.ask().await.is_err());
    assert_eq!(house.router.ill(), []);
    assert!(house.ask().await.is_ok());
}

#[tokio::test]
async fn when_everybody_fails_retries_are_a_share_of_the_traffic() {
    let budget = BudgetOptions { share: 0.1, per_second: 0.0, most: 5.0 };
    let mut options = RouterOptions { budget, ..quick() };
    options.health.breaker.failures = 1_000;
    let house = House::with(options, 2, &[]).await;
    for channel in 0..2 {
        house.upstream(channel).answer_with(|_| Script::fails(500, ""));
    }
    for _ in 0..100 {
        assert!(house.ask().await.is_err());
    }
    let asked: u64 = house.received().iter().sum();
    assert!((100 + 5..=100 + 15).contains(&asked), "{asked}");
}

#[tokio::test]
async fn an_answer_that_nobody_reads_on_frees_its_place_and_closes_the_upstream() {
    let mut house = House::start(1, &[]).await;
    house.channels[0].candidate.limits.parallel = Some(1);
    house.upstream(0).enqueue(Script::default().chunk("begun").stall());
    let answered = house.begin().await.unwrap();
    let full = house.begin().await.err().unwrap().error;
    assert!(
        matches!(&full, RelayError::NoHealthyChannel { reasons, .. } if reasons.contains("as many calls")),
        "{full}"
    );
    drop(answered);
    house.upstream(0).wait_until(1, PATIENCE, |request| request.outcome == Outcome::Aborted).await;
    assert!(house.ask().await.is_ok());
}

#[tokio::test]
async fn whoever_keeps_silent_is_overtaken_by_a_second_one_and_let_go() {
    let mut house = House::start(2, &[]).await;
    house.hedge_after = Some(Duration::from_millis(50));
    house.upstream(0).enqueue(Script::default().stall());
    house.upstream(1).enqueue(Script::says("beside"));
    let answered = house.begin().await.unwrap();
    let hedges: Vec<_> = answered.story.tries.iter().map(|one| (one.hedge, one.outcome)).collect();
    assert_eq!(hedges, [(false, "pending"), (true, "ok")]);
    assert_eq!(read(answered.answer).await.unwrap(), "beside");
    house.upstream(0).wait_until(1, PATIENCE, |request| request.outcome == Outcome::Aborted).await;
}

#[tokio::test]
async fn nobody_is_hedged_who_was_not_told_to() {
    let house = House::start(2, &[]).await;
    house.upstream(0).enqueue(Script::says("slow").first_byte_after(Duration::from_millis(400)));
    assert_eq!(house.ask().await.unwrap().1, 0);
    assert_eq!(house.received(), [1, 0]);
}
