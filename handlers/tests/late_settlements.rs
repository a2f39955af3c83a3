//! Replies whose way to their settlement is not the usual one, on real Postgres and NATS, with a scripted model server.

#[path = "support/house.rs"]
mod house;
mod support;

use std::time::Duration;

use chrono::TimeDelta;
use domain::{
    HoldId,
    billing::{ExpiryPolicy, Nanos, Wallet, WalletCommand, WalletEvent},
    chat::{Finish, SessionEvent},
};
use handlers::chat::ReplyOptions;
use house::House;
use nats::Outcome;
use support::{Chat, command, now};
use testkit::provider::{Outcome as Taken, Script};

/// One unit of the currency.
const ONE: i64 = 1_000_000_000;
/// What 10 tokens of input and 4 of output cost: 3.00 and 15.00 per million.
const BRIEF: i64 = 10 * 3_000 + 4 * 15_000;

#[tokio::test]
async fn an_answer_that_outlives_its_hold_is_charged_late_and_once_and_no_lost_attempt_is_booked_twice() {
    let house = House::open().await;
    let first = house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::default().chunk("lost").stall());
    let chat = Chat::of(support::new_user());
    house.grant(chat.owner, ONE).await;
    house.send(chat.start()).await;
    let run = house.ask_model(&chat, "hello", "priced").await;
    house.provider.wait_until(1, Duration::from_secs(10), |request| request.outcome == Taken::InFlight).await;
    first.0.cancel();
    // Everybody is away for longer than a hold lives.
    let hold_id = HoldId::new(run.uuid());
    let expire = WalletCommand::Expire { hold_id, policy: ExpiryPolicy::Release, at: now() + TimeDelta::hours(1) };
    let expired = house.send(command::<Wallet>(chat.owner, "expire", &expire)).await;
    assert!(matches!(&expired, Outcome::Done { events, .. } if events == &["wallet.expired"]), "{expired:?}");
    house.provider.enqueue(Script::says("there I am").usage(10, 4));
    house.workers(ReplyOptions::default());
    let ending = house.ending(&chat, run).await;
    assert!(matches!(&ending, SessionEvent::ReplyCompleted { attempt, .. } if *attempt > 1), "{ending:?}");

    let events = house.wallet_events(chat.owner).await;
    let [WalletEvent::Granted { .. }, WalletEvent::Held { .. }, expired, charged] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(matches!(expired, WalletEvent::Expired { cost_nanos, .. } if *cost_nanos > Nanos::ZERO));
    let WalletEvent::Charged { charged_nanos, lost_cost_nanos, released_nanos, .. } = charged else {
        panic!("{events:?}")
    };
    assert_eq!((charged_nanos.get(), released_nanos.get()), (BRIEF, 0));
    assert_eq!(*lost_cost_nanos, Nanos::ZERO, "the expiry has booked the attempt that was lost");
    let wallet = house.wallet(chat.owner).await;
    assert_eq!((wallet.balance().get(), wallet.held()), (ONE - BRIEF, Nanos::ZERO));
}

#[tokio::test]
async fn whoever_deletes_the_conversation_while_it_is_answered_pays_for_what_was_said() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    house.provider.enqueue(Script::default().chunk("half an answer").stall());
    let chat = Chat::of(support::new_user());
    house.grant(chat.owner, ONE).await;
    house.send(chat.start()).await;
    let run = house.ask_model(&chat, "hello", "priced").await;
    house.provider.wait_until(1, Duration::from_secs(10), |request| request.outcome == Taken::InFlight).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    house.send(chat.delete()).await;
    let ending = house.ending(&chat, run).await;
    assert!(matches!(ending, SessionEvent::ReplyCompleted { finish: Finish::Stopped, .. }), "{ending:?}");
    let events = house.wallet_events(chat.owner).await;
    let [_, WalletEvent::Held { .. }, WalletEvent::Charged { tokens, charged_nanos, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(tokens.output > 0 && *charged_nanos > Nanos::ZERO, "{tokens:?}");
    assert_eq!(house.wallet(chat.owner).await.held(), Nanos::ZERO);
}

/// Three answers at once on credit for all of them; then one that is refused before anything is asked.
#[tokio::test]
async fn answers_of_one_owner_share_one_wallet_and_none_is_begun_beyond_it() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    let owner = support::new_user();
    // A thousand output tokens each and a little for the questions.
    house.grant(owner, 3 * (1000 * 15_000 + 100_000)).await;
    for _ in 0..3 {
        house.provider.enqueue(Script::default().chunk("long").stall());
    }
    let mut chats = vec![];
    for _ in 0..3 {
        let chat = Chat::of(owner);
        house.send(chat.start()).await;
        let run = house.ask_model(&chat, "hello", "priced").await;
        chats.push((chat, run));
    }
    house.provider.wait_until(3, Duration::from_secs(10), |request| request.outcome == Taken::InFlight).await;
    let one_more = Chat::of(owner);
    house.send(one_more.start()).await;
    let refused = house.ask_model(&one_more, "hello", "priced").await;
    let ending = house.ending(&one_more, refused).await;
    assert!(matches!(&ending, SessionEvent::ReplyFailed { code, .. } if code == "insufficient_credit"), "{ending:?}");
    assert_eq!(house.provider.received(), 3, "the fourth was never asked");
    for (chat, run) in &chats {
        house.send(chat.stop(*run)).await;
        house.ending(chat, *run).await;
    }
    let wallet = house.wallet(owner).await;
    assert_eq!((wallet.held(), wallet.pots().2), (Nanos::ZERO, Nanos::ZERO));
    assert_eq!(wallet.available(), wallet.balance());
}

/// Otherwise its ending could never be stored, and every attempt would ask again, on the house.
#[tokio::test]
async fn an_answer_that_grows_too_large_as_it_is_stored_is_cut_and_paid_for() {
    let house = House::open().await;
    house.workers(ReplyOptions::default());
    // Two bytes each as JSON.
    let lines = "\n".repeat(10_000);
    house.provider.enqueue((0..25).fold(Script::default(), |script, _| script.chunk(&lines)));
    let chat = Chat::of(support::new_user());
    house.grant(chat.owner, ONE).await;
    house.send(chat.start()).await;
    let run = house.ask_model(&chat, "hello", "priced").await;
    let ending = house.ending(&chat, run).await;
    assert!(matches!(ending, SessionEvent::ReplyCompleted { finish: Finish::Length, .. }), "another ending");
    assert_eq!(house.provider.received(), 1, "asked once");
    let wallet = house.wallet(chat.owner).await;
    assert!(wallet.balance().get() < ONE && wallet.held().is_zero(), "{:?}", wallet.pots());
}
