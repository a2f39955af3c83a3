//! Models that answer instead of the one that was asked for.

use relay::RelayError;
use routing::When;
use testkit::provider::Script;

use crate::house::{House, refuses};

async fn house() -> House {
    let mut house = House::start(4, &[]).await;
    house.instead = vec![(When::ContextWindow, vec![1]), (When::ContentPolicy, vec![2]), (When::General, vec![3])];
    house
}

#[tokio::test]
async fn a_conversation_that_is_too_long_goes_to_the_model_that_reads_more() {
    let house = house().await;
    house.upstream(0).enqueue(refuses(400, "context_length_exceeded"));
    assert_eq!(house.ask().await.unwrap().1, 1);
    assert_eq!(house.router.ill(), [], "nobody is to blame");
}

#[tokio::test]
async fn a_conversation_that_is_known_to_be_too_long_is_not_even_sent() {
    let mut house = house().await;
    house.channels[0].candidate.context_tokens = Some(9);
    assert_eq!(house.ask().await.unwrap().1, 1);
    house.instead.clear();
    house.channels.truncate(1);
    assert_eq!(house.ask().await, Err(RelayError::ContextTooLong));
    assert_eq!(house.received(), [0]);
}

#[tokio::test]
async fn content_that_a_provider_refuses_goes_to_the_model_of_another_policy() {
    let house = house().await;
    house.upstream(0).enqueue(refuses(400, "content_filter"));
    assert_eq!(house.ask().await.unwrap().1, 2);
}

#[tokio::test]
async fn a_model_that_fails_everywhere_is_replaced_and_the_answer_says_by_which() {
    let house = house().await;
    house.upstream(0).answer_with(|_| Script::fails(500, ""));
    let answered = house.begin().await.unwrap();
    assert_eq!(&*house.demand().stages[answered.by.stage].model, "General");
    assert_eq!(house.received(), [3, 0, 0, 1]);
}

#[tokio::test]
async fn where_all_fail_the_last_word_of_a_provider_is_told() {
    let house = house().await;
    for channel in [0, 3] {
        house.upstream(channel).answer_with(|_| Script::fails(500, ""));
    }
    assert_eq!(house.ask().await.unwrap_err().code(), "upstream_unavailable");
    assert_eq!(house.received(), [3, 0, 0, 3]);
}
