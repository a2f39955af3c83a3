//! Conversations as their owners read them.

use domain::{
    MessageId, RunId,
    chat::{Finish, SessionEvent},
};
use projections::chat::{self, ChatProjector, MessageQuery, MessageStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Talk, World, at, user, world};

fn json_of(row: &impl serde::Serialize) -> Value {
    serde_json::to_value(row).unwrap()
}

async fn message_json(world: &World, talk: &Talk<'_>, id: MessageId) -> Value {
    json_of(&chat::message(&world.pool, talk.owner.uuid(), id.uuid()).await.unwrap().expect("the message"))
}

async fn session_of(talk: &Talk<'_>) -> chat::Session {
    chat::session(&talk.world.pool, talk.owner.uuid(), talk.id.uuid()).await.unwrap().expect("the session")
}

#[tokio::test]
async fn a_session_reads_exactly_as_the_contract_says() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, None).await;
    let asked = talk.ask(None, "\n What is the capital of France? \nand of Spain?").await;
    world.project(&ChatProjector).await;
    assert_eq!(
        json_of(&session_of(&talk).await),
        json!({
            "id": talk.id, "title": null, "preview": "What is the capital of France?",
            "created_at": at(1), "updated_at": at(3), "deleted_at": null,
            "message_count": 2, "active_run_id": asked.run,
        })
    );
}

#[tokio::test]
async fn a_reply_goes_from_pending_through_streaming_to_complete() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, Some("Capitals")).await;
    let asked = talk.ask(None, "What is the capital of France?").await;
    world.project(&ChatProjector).await;
    let mut expected = json!({
        "id": asked.reply, "session_id": talk.id, "parent_id": asked.question, "role": "assistant", "content": "",
        "model": "small", "status": "pending", "run_id": asked.run, "attempt": 0, "finish_reason": null,
        "error": null, "usage": null, "siblings": [asked.reply], "cost_nanos": null, "created_at": at(3), "completed_at": null,
    });
    assert_eq!(message_json(&world, &talk, asked.reply).await, expected);

    talk.begin(asked.run, 1).await;
    talk.begin(asked.run, 2).await;
    world.project(&ChatProjector).await;
    (expected["status"], expected["attempt"]) = (json!("streaming"), json!(2));
    assert_eq!(message_json(&world, &talk, asked.reply).await, expected);

    talk.complete(asked.run, "Paris.", Finish::Stop).await;
    world.project(&ChatProjector).await;
    let (content, usage) = (json!("Paris."), json!({"input_tokens": 7, "output_tokens": 3, "basis": "reported"}));
    for (field, value) in [
        ("status", json!("complete")),
        ("attempt", json!(1)),
        ("content", content),
        ("finish_reason", json!("stop")),
        ("usage", usage),
        ("completed_at", json!(at(6))),
    ] {
        expected[field] = value;
    }
    assert_eq!(message_json(&world, &talk, asked.reply).await, expected);
    let session = session_of(&talk).await;
    assert_eq!((session.active_run_id, session.updated_at), (None, at(6)));
}

#[tokio::test]
async fn a_question_is_complete_at_once_and_belongs_to_no_run() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, None).await;
    let asked = talk.ask(None, "你好").await;
    world.project(&ChatProjector).await;
    assert_eq!(
        message_json(&world, &talk, asked.question).await,
        json!({
            "id": asked.question, "session_id": talk.id, "parent_id": null, "role": "user", "content": "你好",
            "model": null, "status": "complete", "run_id": null, "attempt": null, "finish_reason": null,
            "error": null, "usage": null, "siblings": [asked.question], "cost_nanos": null, "created_at": at(2), "completed_at": at(2),
        })
    );
}

#[tokio::test]
async fn a_stopped_and_a_failed_reply_keep_what_was_said_and_why_it_ended() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, None).await;
    let stopped = talk.ask(None, "Count to a million").await;
    talk.begin(stopped.run, 1).await;
    let at = talk.tick();
    talk.say(SessionEvent::StopRequested { run_id: stopped.run, at }).await;
    world.project(&ChatProjector).await;
    assert_eq!(message_json(&world, &talk, stopped.reply).await["status"], "streaming");
    talk.complete(stopped.run, "1, 2", Finish::Stopped).await;
    let failed = talk.regenerate(stopped.question).await;
    let at = talk.tick();
    let (content, code, message) =
        (talk.sealed("1,"), "upstream_error".to_owned(), talk.sealed("The provider hung up"));
    talk.say(SessionEvent::ReplyFailed { run_id: failed.run, attempt: 1, content, code, message, at }).await;
    world.project(&ChatProjector).await;

    let stopped_row = message_json(&world, &talk, stopped.reply).await;
    assert_eq!(
        (&stopped_row["status"], &stopped_row["finish_reason"], &stopped_row["content"]),
        (&json!("stopped"), &json!("stopped"), &json!("1, 2"))
    );
    let failed_row = message_json(&world, &talk, failed.reply).await;
    assert_eq!(
        (&failed_row["status"], &failed_row["finish_reason"], &failed_row["content"], &failed_row["error"]),
        (
            &json!("failed"),
            &json!("error"),
            &json!("1,"),
            &json!({"code": "upstream_error", "message": "The provider hung up"})
        )
    );
    assert_eq!(failed_row["siblings"], json!([stopped.reply, failed.reply]));
}

#[tokio::test]
async fn a_run_reads_as_the_contract_says_and_open_ones_are_found_by_their_owner() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, None).await;
    let done = talk.exchange(None, "one", "1").await;
    let open = talk.ask(Some(done.reply), "two").await;
    talk.begin(open.run, 3).await;
    world.project(&ChatProjector).await;
    let run = chat::run(&world.pool, talk.owner.uuid(), open.run.uuid()).await.unwrap().unwrap();
    assert_eq!(
        json_of(&run),
        json!({"id": open.run, "session_id": talk.id, "message_id": open.reply, "status": "streaming", "attempt": 3,
               "model": "small"})
    );
    assert_eq!(run.owner, talk.owner.uuid());
    assert_eq!(chat::active_runs(&world.pool, talk.owner.uuid()).await.unwrap(), [run]);
    let done = chat::run_anywhere(&world.pool, done.run.uuid()).await.unwrap().unwrap();
    assert_eq!(done.status, MessageStatus::Complete);
}

#[tokio::test]
async fn another_users_conversation_is_as_absent_as_one_that_never_was() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, None).await;
    let asked = talk.ask(None, "a secret").await;
    world.project(&ChatProjector).await;
    let (pool, stranger) = (&world.pool, user().uuid());
    let query = MessageQuery { limit: 10, ..MessageQuery::default() };
    assert!(chat::sessions(pool, stranger, false, None, 10).await.unwrap().items.is_empty());
    assert_eq!(chat::session(pool, stranger, talk.id.uuid()).await.unwrap(), None);
    assert_eq!(chat::messages(pool, stranger, talk.id.uuid(), query).await.unwrap(), None);
    assert_eq!(chat::message(pool, stranger, asked.question.uuid()).await.unwrap(), None);
    assert_eq!(chat::run(pool, stranger, asked.run.uuid()).await.unwrap(), None);
    assert!(chat::active_runs(pool, stranger).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_deleted_session_moves_to_the_bin_and_back_with_its_new_name() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, Some("Old")).await;
    let (title, at) = (talk.sealed("New"), talk.tick());
    talk.say(SessionEvent::Renamed { title, at }).await;
    let deleted_at = talk.tick();
    talk.say(SessionEvent::Deleted { at: deleted_at }).await;
    world.project(&ChatProjector).await;
    let listed = async |deleted| {
        let page = chat::sessions(&world.pool, talk.owner.uuid(), deleted, None, 10).await.unwrap();
        page.items.into_iter().map(|session| (session.title, session.deleted_at)).collect::<Vec<_>>()
    };
    assert_eq!(listed(false).await, []);
    assert_eq!(listed(true).await, [(Some("New".to_owned()), Some(deleted_at))]);

    let at = talk.seconds + 1;
    talk.say(SessionEvent::Restored { at: crate::support::at(at) }).await;
    world.project(&ChatProjector).await;
    assert_eq!(listed(false).await, [(Some("New".to_owned()), None)]);
    assert_eq!(listed(true).await, []);
}

#[tokio::test]
async fn a_character_that_postgres_cannot_store_does_not_stop_the_conversation() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, Some("a\0b")).await;
    let asked = talk.exchange(None, "nul \0 here", "and \0 there").await;
    world.project(&ChatProjector).await;
    assert_eq!(message_json(&world, &talk, asked.question).await["content"], "nul \u{FFFD} here");
    assert_eq!(message_json(&world, &talk, asked.reply).await["content"], "and \u{FFFD} there");
    assert_eq!(session_of(&talk).await.preview, "nul \u{FFFD} here");
}

#[tokio::test]
async fn an_erased_persons_conversation_keeps_its_shape_without_its_words() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, Some("Mine")).await;
    let asked = talk.exchange(None, "my name is Ann", "hello Ann").await;
    world.vault.destroy(talk.owner.uuid()).await.unwrap();
    world.project(&ChatProjector).await;
    let reply = message_json(&world, &talk, asked.reply).await;
    assert_eq!((&reply["content"], &reply["status"]), (&json!(""), &json!("complete")));
    let session = session_of(&talk).await;
    assert_eq!((session.preview.as_str(), session.title.as_deref(), session.message_count), ("", Some(""), 2));
}

#[tokio::test]
async fn runs_and_messages_that_never_were_are_not_found() {
    let world = world().await;
    let (pool, nobody) = (&world.pool, Uuid::now_v7());
    assert_eq!(chat::run_anywhere(pool, RunId::new(nobody).uuid()).await.unwrap(), None);
    assert_eq!(chat::message(pool, nobody, nobody).await.unwrap(), None);
    assert_eq!(chat::session(pool, nobody, nobody).await.unwrap(), None);
}
