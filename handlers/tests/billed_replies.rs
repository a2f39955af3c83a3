//! What a reply costs: held before it, settled with its ending, on real Postgres and NATS, with a scripted model server.
#![expect(clippy::panic, reason = "in tests a panic is the failure report")]

#[path = "support/house.rs"]
mod house;
mod support;

use std::time::Duration;

use domain::{
    RunId,
    billing::{Basis, Nanos, Tokens, WalletEvent},
    chat::{Finish, SessionEvent},
};
use handlers::chat::ReplyOptions;
use house::{HOLD_LIFE, House};
use support::Chat;
use testkit::provider::{Outcome as Taken, Script};

/// One unit of the currency.
const ONE: i64 = 1_000_000_000;

/// A conversation whose owner has `nanos` of credit, and in which something was asked of the model with a price.
async fn asked_with(house: &House, nanos: i64, prompt: &str) -> (Chat, RunId) {
    let chat = Chat::of(support::new_user());
    house.grant(chat.owner, nanos).await;
    house.send(chat.start()).await;
    let run = house.ask_model(&chat, prompt, "priced").await;
    (chat, run)
}

fn settlements(events: &[WalletEvent]) -> Vec<&WalletEvent> {
    let is_end = |event: &&WalletEvent| {
        matches!(event, WalletEvent::Charged { .. } | WalletEvent::Released { .. } | WalletEvent::Expired { .. })
    };
    events.iter().filter(is_end).collect()
}

async fn until_settled(house: &House, chat: &Chat) -> Vec<WalletEvent> {
    for _ in 0..300 {
        let events = house.wallet_events(chat.owner).await;
        if !settlements(&events).is_empty() {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the hold has no end");
}

#[tokio::test]
async fn a_reply_is_charged_by_what_the_provider_reported_in_the_transaction_of_its_ending() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::says("hello there").usage(1000, 200).cached_tokens(400).reasoning_tokens(50));
    let (chat, run) = asked_with(&house, ONE, "hello").await;
    house.ending(&chat, run).await;
    let events = house.wallet_events(chat.owner).await;
    let [WalletEvent::Granted { .. }, WalletEvent::Held { hold_id, .. }, WalletEvent::Charged { .. }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(hold_id.uuid(), run.uuid());
    let WalletEvent::Charged { tokens, basis, charged_nanos, cost_nanos, lost_cost_nanos, .. } = &events[2] else {
        panic!("{events:?}")
    };
    assert_eq!(*tokens, Tokens { input: 600, cached_input: 400, output: 150, reasoning: 50, ..Tokens::default() });
    assert_eq!(*basis, Basis::Reported);
    // 1000 at 3.00 and 200 at 15.00 per million; the provider takes 2.00 and 10.00.
    assert_eq!((charged_nanos.get(), cost_nanos.get(), lost_cost_nanos.get()), (6_000_000, 4_000_000, 0));
    let wallet = house.wallet(chat.owner).await;
    assert_eq!((wallet.balance().get(), wallet.held()), (ONE - 6_000_000, Nanos::ZERO));
}

#[tokio::test]
async fn a_reply_that_another_channel_gives_is_held_for_and_paid_at_its_price() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::fails(500, ""));
    house.provider.enqueue(Script::says("from the second").usage(1000, 200));
    let chat = Chat::of(support::new_user());
    house.grant(chat.owner, ONE).await;
    house.send(chat.start()).await;
    let run = house.ask_model(&chat, "hello", "shared").await;
    house.ending(&chat, run).await;
    let events = until_settled(&house, &chat).await;
    let [_, WalletEvent::Held { amount_nanos, prices, input_tokens, max_output_tokens, alternatives, .. }, charged] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    let [second] = &alternatives[..] else { panic!("{alternatives:?}") };
    let at_most = |prices: &domain::billing::Rates| {
        prices.at_most(*input_tokens, *max_output_tokens, &domain::billing::Pieces::NONE).unwrap()
    };
    assert_eq!(*amount_nanos, at_most(&second.prices), "the dearer one");
    assert!(at_most(prices) < *amount_nanos);
    let WalletEvent::Charged { channel_id, price_version, charged_nanos, cost_nanos, .. } = charged else {
        panic!("{events:?}")
    };
    // 1000 at 6.00 and 200 at 30.00 per million; the provider takes 4.00 and 20.00.
    let paid = (charged_nanos.get(), cost_nanos.get());
    assert_eq!((*channel_id, *price_version, paid), (second.channel_id, 5, (12_000_000, 8_000_000)));
}

#[tokio::test]
async fn a_reply_that_fails_before_its_first_word_costs_nothing() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::fails(400, r#"{"error":{"message":"no"}}"#));
    let (chat, run) = asked_with(&house, ONE, "hello").await;
    assert!(matches!(house.ending(&chat, run).await, SessionEvent::ReplyFailed { .. }));
    let events = house.wallet_events(chat.owner).await;
    assert!(matches!(settlements(&events)[..], [WalletEvent::Released { .. }]), "{events:?}");
    assert_eq!(house.wallet(chat.owner).await.available().get(), ONE);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_charged_for_what_came() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::default().chunk("one two three").wait(Duration::from_millis(200)).cut());
    let (chat, run) = asked_with(&house, ONE, "hello").await;
    house.ending(&chat, run).await;
    let events = house.wallet_events(chat.owner).await;
    let [WalletEvent::Charged { basis: Basis::Estimated, tokens, .. }] = settlements(&events)[..] else {
        panic!("{events:?}")
    };
    assert!(tokens.input > 0 && (3..20).contains(&tokens.output), "{tokens:?}");
}

#[tokio::test]
async fn a_stopped_answer_is_charged_for_what_was_said() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::default().chunk("half an answer").stall());
    let (chat, run) = asked_with(&house, ONE, "hello").await;
    house.provider.wait_until(1, Duration::from_secs(10), |request| request.outcome == Taken::InFlight).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    house.send(chat.stop(run)).await;
    let ending = house.ending(&chat, run).await;
    assert!(matches!(ending, SessionEvent::ReplyCompleted { finish: Finish::Stopped, .. }), "{ending:?}");
    let events = house.wallet_events(chat.owner).await;
    assert!(matches!(settlements(&events)[..], [WalletEvent::Charged { .. }]), "{events:?}");
}

#[tokio::test]
async fn without_credit_the_model_is_not_asked_and_the_answer_says_why() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    let (chat, run) = asked_with(&house, 1000, "hello").await;
    let SessionEvent::ReplyFailed { code, .. } = house.ending(&chat, run).await else { panic!("completed") };
    assert_eq!(code, "insufficient_credit");
    assert_eq!(house.provider.received(), 0);
    assert_eq!(house.wallet(chat.owner).await.available().get(), 1000);
}

#[tokio::test]
async fn where_credit_is_short_the_answer_is_bounded_by_what_it_covers() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::says("brief").usage(8, 2));
    // A hundred tokens of output and a little for the question.
    let (chat, run) = asked_with(&house, 100 * 15_000 + 100_000, "hello").await;
    house.ending(&chat, run).await;
    let bound = house.provider.requests()[0].body["max_tokens"].as_u64().unwrap();
    assert!((100..110).contains(&bound), "{bound}");
}

#[tokio::test]
async fn an_attempt_whose_process_died_is_on_the_house_and_the_run_is_charged_once() {
    let house = House::open().await;
    let first = house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::default().chunk("lost").stall());
    let (chat, run) = asked_with(&house, ONE, "hello").await;
    house.provider.wait_until(1, Duration::from_secs(10), |request| request.outcome == Taken::InFlight).await;
    first.0.cancel();
    house.provider.enqueue(Script::says("there I am").usage(10, 4));
    house.workers(ReplyOptions::default());
    house.ending(&chat, run).await;
    let events = house.wallet_events(chat.owner).await;
    let [WalletEvent::Charged { charged_nanos, lost_cost_nanos, .. }] = settlements(&events)[..] else {
        panic!("{events:?}")
    };
    assert_eq!(charged_nanos.get(), 10 * 3_000 + 4 * 15_000);
    assert!(lost_cost_nanos.get() > 0, "what the lost attempt cost us is known");
    let holds = events.iter().filter(|event| matches!(event, WalletEvent::Held { .. })).count();
    assert_eq!(holds, 1, "a run is one hold, whatever its attempts");
    assert_eq!(house.wallet(chat.owner).await.held(), Nanos::ZERO);
}

#[tokio::test]
async fn a_hold_lives_as_long_as_its_answer_however_short_its_life() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    let long = HOLD_LIFE + Duration::from_secs(3);
    house.provider.enqueue(Script::says("at last").first_byte_after(long).usage(10, 4));
    let (chat, run) = asked_with(&house, ONE, "hello").await;
    house.ending(&chat, run).await;
    let events = house.wallet_events(chat.owner).await;
    assert!(events.iter().any(|event| matches!(event, WalletEvent::HoldExtended { .. })), "{events:?}");
    assert!(matches!(settlements(&events)[..], [WalletEvent::Charged { .. }]), "{events:?}");
}

#[tokio::test]
async fn a_hold_whose_call_is_never_heard_of_again_expires_and_the_credit_is_free() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    let chat = Chat::of(support::new_user());
    house.grant(chat.owner, ONE).await;
    let held = house.hold(chat.owner, 1000).await;
    assert!(house.wallet(chat.owner).await.held() > Nanos::ZERO);
    // As if its process had died: nobody extends it any more.
    drop(held);
    let events = until_settled(&house, &chat).await;
    assert!(matches!(settlements(&events)[..], [WalletEvent::Expired { .. }]), "{events:?}");
    assert_eq!(house.wallet(chat.owner).await.available().get(), ONE);
}
