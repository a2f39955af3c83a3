//! An answer's ending and its charge are one fact, whoever tells it, how often and how late.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the failure report")]

#[path = "support/money.rs"]
mod money;
mod support;

use domain::{
    HoldId, RunId, Sealed, SessionId,
    billing::{Nanos, Paid, Tokens, WalletCommand},
    chat::{Finish, Session, SessionCommand, SessionEvent},
};
use handlers::Dispatcher;
use money::{CALL, FULL, appended, count, events, grant, hold, insist, is_charged, is_held, settlement, wallet};
use nats::CommandMessage;
use support::{Chat, CommandSide, deliver, new_user, now, refusal};
use uuid::Uuid;

/// An ending of `run` together with its charge, as workers send it.
fn paid_ending(chat: &Chat, run_id: RunId, attempt: u32, wallet: WalletCommand) -> CommandMessage {
    let command = SessionCommand::CompleteReply {
        run_id,
        attempt,
        content: Sealed::new(chat.owner, "hi".to_owned()),
        finish: Finish::Stop,
        usage: None,
        at: now(),
    };
    support::command::<Session>(chat.id, "complete_reply", &Paid { command, payer: chat.owner, wallet })
}

/// A run at its second attempt, with credit held for it.
async fn answering(side: &CommandSide) -> (Dispatcher, Chat, RunId, HoldId) {
    let (node, chat) = (side.node(), Chat::of(new_user()));
    deliver(&node, &grant(chat.owner, 2 * CALL)).await;
    deliver(&node, &chat.start()).await;
    let (say, run_id) = chat.say("hello", "m");
    deliver(&node, &say).await;
    for attempt in [1, 2] {
        deliver(&node, &chat.attempt(run_id, attempt)).await;
    }
    let hold_id = HoldId::new(run_id.uuid());
    deliver(&node, &hold(chat.owner, hold_id)).await;
    (node, chat, run_id, hold_id)
}

async fn has_ended(side: &CommandSide, session: SessionId) -> bool {
    let events = side.store.events::<Session>(&session.to_string()).await.unwrap();
    events.iter().any(|event| matches!(event.payload, SessionEvent::ReplyCompleted { .. }))
}

#[tokio::test]
async fn an_attempt_that_is_over_can_neither_end_the_answer_nor_charge_for_it() {
    let side = CommandSide::start().await;
    let (node, chat, run_id, hold_id) = answering(&side).await;
    let before = wallet(&side, chat.owner).await;
    let stale = paid_ending(&chat, run_id, 1, settlement(hold_id, FULL));
    assert_eq!(refusal(&deliver(&node, &stale).await), "stale_attempt");
    assert_eq!(wallet(&side, chat.owner).await, before, "the hold is still there for the attempt that goes on");
    let current = paid_ending(&chat, run_id, 2, settlement(hold_id, FULL));
    assert_eq!(appended(&deliver(&node, &current).await), ["wallet.charged", "session.reply_completed"]);
    assert_eq!(refusal(&deliver(&node, &stale).await), "stale_attempt");
}

#[tokio::test]
async fn an_answer_whose_charge_is_refused_does_not_end_either() {
    let side = CommandSide::start().await;
    let (node, chat, run_id, hold_id) = answering(&side).await;
    let absurd = Tokens { output: u64::MAX, ..FULL };
    let refused = deliver(&node, &paid_ending(&chat, run_id, 2, settlement(hold_id, absurd))).await;
    assert_eq!(refusal(&refused), "amount_too_large");
    assert!(!has_ended(&side, chat.id).await);
    assert_eq!(wallet(&side, chat.owner).await.held(), Nanos::new(CALL));
}

#[tokio::test]
async fn an_ending_told_to_two_handlers_at_once_and_again_is_one_ending_and_one_charge() {
    let side = CommandSide::start().await;
    let (node, chat, run_id, hold_id) = answering(&side).await;
    let ending = paid_ending(&chat, run_id, 2, settlement(hold_id, FULL));
    let other = side.node();
    let (one, two) = tokio::join!(insist(&node, &ending), insist(&other, &ending));
    assert_eq!(
        (&one, appended(&one)),
        (&two, &["wallet.charged".to_owned(), "session.reply_completed".to_owned()][..])
    );
    // A successor that does not know of it tells it once more, under its own name and with other numbers.
    let again = paid_ending(&chat, run_id, 2, settlement(hold_id, Tokens { output: 500, ..FULL }));
    for node in [&node, &other] {
        let again = CommandMessage { command_id: Uuid::now_v7(), ..again.clone() };
        assert_eq!(refusal(&deliver(node, &again).await), "reply_finished");
    }
    let events = events(&side, chat.owner).await;
    assert_eq!((count(&events, is_held), count(&events, is_charged)), (1, 1));
    assert_eq!(wallet(&side, chat.owner).await.available(), Nanos::new(CALL));
}
