//! Responses that are kept, as the Responses API reads them and goes on from them.

use std::time::Duration;

use domain::{
    ResponseId, Sealed, UserId,
    relay::{Response, ResponseEvent},
};
use projections::relay::{self, ConversationError, MAX_TURNS, RelayProjector};
use uuid::Uuid;

use crate::support::{World, at, user, world};

/// A response that begins, with this number as its input.
pub(crate) async fn begin(world: &World, owner: UserId, previous: Option<ResponseId>, n: i64) -> ResponseId {
    let id = ResponseId::new(Uuid::now_v7());
    let (input, response) = (sealed(owner, &format!("[{n}]")), sealed(owner, r#"{"status":"in_progress"}"#));
    let created = ResponseEvent::Created { owner, previous, input, response, at: at(n) };
    world.append::<Response>(id, created).await;
    id
}

pub(crate) fn sealed(owner: UserId, text: &str) -> Sealed<String> {
    Sealed::new(owner, text.to_owned())
}

/// One of every kind of ending, the last one deleted.
pub(crate) async fn keep_a_little(world: &World, owner: UserId) {
    let response = || sealed(owner, "{}");
    let endings = [
        ResponseEvent::Completed { response: response(), at: at(20) },
        ResponseEvent::Failed { code: "upstream_cut".to_owned(), response: response(), at: at(21) },
        ResponseEvent::Cancelled { response: response(), at: at(22) },
        ResponseEvent::Abandoned { at: at(24) },
        ResponseEvent::Deleted { at: at(23) },
    ];
    let mut previous = None;
    for (ending, n) in endings.into_iter().zip(10..) {
        let id = begin(world, owner, previous, n).await;
        world.append::<Response>(id, ending).await;
        previous = Some(id);
    }
    begin(world, owner, None, 19).await;
}

async fn read(world: &World, owner: UserId, id: ResponseId) -> Option<relay::KeptResponse> {
    world.project(&RelayProjector).await;
    relay::response(&world.pool, owner.uuid(), id.uuid()).await.unwrap()
}

#[tokio::test]
async fn a_response_is_read_from_its_begin_on_and_then_as_it_ended() {
    let world = world().await;
    let ann = user();
    let id = begin(&world, ann, None, 1).await;
    let row = read(&world, ann, id).await.expect("the response");
    assert_eq!((row.status.as_str(), row.input.as_str(), row.ended_at), ("in_progress", "[1]", None));
    let response = sealed(ann, r#"{"status":"incomplete","text":"a\u0000b"}"#);
    world.append::<Response>(id, ResponseEvent::Completed { response, at: at(5) }).await;
    let row = read(&world, ann, id).await.expect("the response");
    assert_eq!((row.status.as_str(), row.input.as_str(), row.ended_at), ("completed", "[1]", Some(at(5))));
    assert_eq!(row.response, r#"{"status":"incomplete","text":"a\u0000b"}"#);
    assert!(!format!("{row:?}").contains("incomplete"));
}

#[tokio::test]
async fn a_response_that_broke_off_says_so() {
    let world = world().await;
    let ann = user();
    let (failed, cancelled) = (begin(&world, ann, None, 1).await, begin(&world, ann, None, 2).await);
    let response = || sealed(ann, "{}");
    let failure = ResponseEvent::Failed { code: "upstream_cut".to_owned(), response: response(), at: at(5) };
    world.append::<Response>(failed, failure).await;
    world.append::<Response>(cancelled, ResponseEvent::Cancelled { response: response(), at: at(6) }).await;
    assert_eq!(read(&world, ann, failed).await.expect("the response").status, "failed");
    assert_eq!(read(&world, ann, cancelled).await.expect("the response").status, "cancelled");
}

#[tokio::test]
async fn a_response_that_was_abandoned_says_so_until_its_end_is_told_late() {
    let world = world().await;
    let ann = user();
    let id = begin(&world, ann, None, 1).await;
    world.append::<Response>(id, ResponseEvent::Abandoned { at: at(5) }).await;
    let row = read(&world, ann, id).await.expect("the response");
    assert_eq!((row.status.as_str(), row.ended_at), ("abandoned", Some(at(5))));
    assert_eq!(row.response, r#"{"status":"in_progress"}"#, "nobody told more of it");
    let response = sealed(ann, r#"{"status":"completed"}"#);
    world.append::<Response>(id, ResponseEvent::Completed { response, at: at(6) }).await;
    let row = read(&world, ann, id).await.expect("the response");
    assert_eq!((row.status.as_str(), row.ended_at), ("completed", Some(at(6))));
    assert_eq!(row.response, r#"{"status":"completed"}"#);
}

#[tokio::test]
async fn strangers_find_nothing_and_what_was_deleted_is_gone() {
    let world = world().await;
    let (ann, bob) = (user(), user());
    let id = begin(&world, ann, None, 1).await;
    let of_bob = begin(&world, bob, Some(id), 2).await;
    assert_eq!(read(&world, bob, id).await, None);
    let stolen = relay::conversation(&world.pool, bob.uuid(), of_bob.uuid()).await;
    assert!(matches!(stolen, Err(ConversationError::Missing(missing)) if missing == id.uuid()));
    world.append::<Response>(id, ResponseEvent::Deleted { at: at(3) }).await;
    assert_eq!(read(&world, ann, id).await, None);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM relay_v1.responses").fetch_one(&world.pool).await.unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_conversation_has_all_its_turns_oldest_first_or_is_an_error() {
    let world = world().await;
    let ann = user();
    let first = begin(&world, ann, None, 1).await;
    let second = begin(&world, ann, Some(first), 2).await;
    let third = begin(&world, ann, Some(second), 3).await;
    let branch = begin(&world, ann, Some(first), 4).await;
    world.project(&RelayProjector).await;
    let inputs = async |id: ResponseId| {
        let turns = relay::conversation(&world.pool, ann.uuid(), id.uuid()).await;
        turns.map(|turns| turns.into_iter().map(|turn| turn.input).collect::<Vec<_>>())
    };
    assert_eq!(inputs(third).await.unwrap(), ["[1]", "[2]", "[3]"]);
    assert_eq!(inputs(branch).await.unwrap(), ["[1]", "[4]"]);
    let unknown = ResponseId::new(Uuid::now_v7());
    assert!(matches!(inputs(unknown).await, Err(ConversationError::Missing(id)) if id == unknown.uuid()));
    world.append::<Response>(second, ResponseEvent::Deleted { at: at(9) }).await;
    world.project(&RelayProjector).await;
    assert!(matches!(inputs(third).await, Err(ConversationError::Missing(id)) if id == second.uuid()));
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_refused_and_never_cut() {
    let world = world().await;
    let ann = user();
    // Rows as the projection would have written them.
    let ids: Vec<Uuid> = (0..=MAX_TURNS).map(|_| Uuid::now_v7()).collect();
    let previous: Vec<Option<Uuid>> =
        std::iter::once(None).chain(ids.iter().copied().map(Some)).take(ids.len()).collect();
    sqlx::query(
        "INSERT INTO relay_v1.responses (id, owner, previous, status, input, response, created_at) \
         SELECT id, $3, previous, 'completed', '[]', '{}', now() FROM unnest($1::uuid[], $2::uuid[]) t (id, previous)",
    )
    .bind(&ids)
    .bind(&previous)
    .bind(ann.uuid())
    .execute(&world.pool)
    .await
    .unwrap();
    let conversation = async |n: usize| relay::conversation(&world.pool, ann.uuid(), ids[n]).await;
    assert_eq!(conversation(MAX_TURNS - 1).await.unwrap().len(), MAX_TURNS);
    assert!(matches!(conversation(MAX_TURNS).await, Err(ConversationError::TooLong)));
    let wide = "UPDATE relay_v1.responses SET input = repeat('x', 5 * 1024 * 1024) WHERE id = ANY($1)";
    sqlx::query(wide).bind(&ids[..2]).execute(&world.pool).await.unwrap();
    assert!(matches!(conversation(5).await, Err(ConversationError::TooLong)));
    assert_eq!(conversation(0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_goes_on_at_once_waits_for_what_is_committed_and_for_nothing_else() {
    let world = world().await;
    let ann = user();
    let id = begin(&world, ann, None, 1).await;
    let forever = Duration::from_secs(3600);
    relay::wait_for_response(&world.pool, Uuid::now_v7(), forever).await.unwrap();
    let waited = relay::wait_for_response(&world.pool, id.uuid(), forever);
    let (waited, ()) = tokio::join!(waited, async {
        world.project(&RelayProjector).await;
    });
    waited.unwrap();
    assert!(relay::response(&world.pool, ann.uuid(), id.uuid()).await.unwrap().is_some());
}

#[tokio::test]
async fn an_erased_owner_leaves_no_words() {
    let world = world().await;
    let ann = user();
    let id = begin(&world, ann, None, 1).await;
    world.vault.destroy(ann.uuid()).await.unwrap();
    let row = read(&world, ann, id).await.expect("the response");
    assert_eq!((row.input.as_str(), row.response.as_str()), ("", ""));
}
