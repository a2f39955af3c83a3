//! Pages of sessions and messages, branches and siblings.

use domain::MessageId;
use projections::{
    Page, QueryError,
    chat::{self, Branch, ChatProjector, Message, MessageQuery, Order},
};
use uuid::Uuid;

use crate::support::{Asked, Talk, user, world};

async fn page(talk: &Talk<'_>, order: Order, branch: Branch, limit: u32, cursor: Option<&str>) -> Page<Message> {
    let query = MessageQuery { order, branch, cursor, limit };
    let (owner, id) = (talk.owner.uuid(), talk.id.uuid());
    chat::messages(&talk.world.pool, owner, id, query).await.unwrap().expect("the session")
}

/// The ids of all pages, one after the other.
async fn walk(talk: &Talk<'_>, order: Order, branch: Branch, limit: u32) -> Vec<Uuid> {
    let (mut ids, mut cursor) = (vec![], None);
    loop {
        let page = page(talk, order, branch, limit, cursor.as_deref()).await;
        assert!(page.items.len() <= limit as usize);
        ids.extend(page.items.iter().map(|message| message.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return ids;
        }
    }
}

fn both(asked: Asked) -> [Uuid; 2] {
    [asked.question.uuid(), asked.reply.uuid()]
}

fn reversed(mut ids: Vec<Uuid>) -> Vec<Uuid> {
    ids.reverse();
    ids
}

/// ```text
/// q1 ── a1 ── q2 ── a2
///  │           └─── a2b ── q4 ── a4
///  └─── a1b ── q3 ── a3
/// ```
struct Tree {
    first: Asked,
    first_again: MessageId,
    second: Asked,
    second_again: MessageId,
    third: Asked,
    fourth: Asked,
}

async fn grow(talk: &mut Talk<'_>) -> Tree {
    let first = talk.exchange(None, "q1", "a1").await;
    let second = talk.exchange(Some(first.reply), "q2", "a2").await;
    let first_again = talk.regenerate(first.question).await.reply;
    let third = talk.exchange(Some(first_again), "q3", "a3").await;
    let second_again = talk.regenerate(second.question).await.reply;
    let fourth = talk.exchange(Some(second_again), "q4", "a4").await;
    Tree { first, first_again, second, second_again, third, fourth }
}

#[tokio::test]
async fn without_a_branch_every_message_is_there_by_creation_whatever_the_page_size() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, None).await;
    let tree = grow(&mut talk).await;
    world.project(&ChatProjector).await;
    let all: Vec<Uuid> = [
        both(tree.first).to_vec(),
        both(tree.second).to_vec(),
        vec![tree.first_again.uuid()],
        both(tree.third).to_vec(),
        vec![tree.second_again.uuid()],
        both(tree.fourth).to_vec(),
    ]
    .concat();
    for limit in [1, 3, 10, 100] {
        assert_eq!(walk(&talk, Order::Asc, Branch::All, limit).await, all);
        assert_eq!(walk(&talk, Order::Desc, Branch::All, limit).await, reversed(all.clone()));
    }
}

#[tokio::test]
async fn a_branch_is_the_path_through_its_message_down_to_the_newest_leaf() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, None).await;
    let tree = grow(&mut talk).await;
    world.project(&ChatProjector).await;
    let [q1, a1] = both(tree.first);
    let [q2, a2] = both(tree.second);
    let [q3, a3] = both(tree.third);
    let [q4, a4] = both(tree.fourth);
    let (a1b, a2b) = (tree.first_again.uuid(), tree.second_again.uuid());
    let newest = vec![q1, a1, q2, a2b, q4, a4];
    for (branch, path) in [
        (Branch::Latest, newest.clone()),
        (Branch::Through(q1), newest.clone()),
        (Branch::Through(a1), newest.clone()),
        (Branch::Through(a4), newest),
        (Branch::Through(a2), vec![q1, a1, q2, a2]),
        (Branch::Through(a1b), vec![q1, a1b, q3, a3]),
    ] {
        for limit in [1, 2, 4, 30] {
            assert_eq!(walk(&talk, Order::Asc, branch, limit).await, path, "{branch:?} by {limit}");
            let backwards = walk(&talk, Order::Desc, branch, limit).await;
            assert_eq!(backwards, reversed(path.clone()), "{branch:?} backwards by {limit}");
        }
    }
}

#[tokio::test]
async fn siblings_are_all_messages_with_the_same_parent_and_role_in_creation_order() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, None).await;
    let tree = grow(&mut talk).await;
    let other_root = talk.exchange(None, "another beginning", "yes").await;
    world.project(&ChatProjector).await;
    let siblings =
        async |id: MessageId| chat::message(&world.pool, talk.owner.uuid(), id.uuid()).await.unwrap().unwrap().siblings;
    let answers = [tree.first.reply.uuid(), tree.first_again.uuid()];
    assert_eq!(siblings(tree.first.reply).await, answers);
    assert_eq!(siblings(tree.first_again).await, answers);
    assert_eq!(siblings(tree.third.question).await, [tree.third.question.uuid()]);
    let roots = [tree.first.question.uuid(), other_root.question.uuid()];
    assert_eq!(siblings(other_root.question).await, roots);
}

#[tokio::test]
async fn going_back_through_a_branch_is_not_disturbed_by_messages_that_arrive_meanwhile() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, None).await;
    let first = talk.exchange(None, "q1", "a1").await;
    let second = talk.exchange(Some(first.reply), "q2", "a2").await;
    world.project(&ChatProjector).await;
    let seen = page(&talk, Order::Desc, Branch::Latest, 2, None).await;
    assert_eq!(seen.items.iter().map(|m| m.id).collect::<Vec<_>>(), reversed(both(second).to_vec()));

    talk.regenerate(first.question).await;
    talk.ask(Some(second.reply), "q3").await;
    world.project(&ChatProjector).await;
    let rest = page(&talk, Order::Desc, Branch::Latest, 2, seen.next_cursor.as_deref()).await;
    assert_eq!(rest.items.iter().map(|m| m.id).collect::<Vec<_>>(), reversed(both(first).to_vec()));
    assert_eq!(rest.next_cursor, None);
}

#[tokio::test]
async fn going_forward_stays_on_its_branch_and_meets_what_was_added_below() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, None).await;
    let first = talk.exchange(None, "q1", "a1").await;
    let second = talk.exchange(Some(first.reply), "q2", "a2").await;
    world.project(&ChatProjector).await;
    let seen = page(&talk, Order::Asc, Branch::Latest, 2, None).await;
    let third = talk.ask(Some(second.reply), "q3").await;
    talk.regenerate(first.question).await;
    world.project(&ChatProjector).await;
    let rest = page(&talk, Order::Asc, Branch::Latest, 100, seen.next_cursor.as_deref()).await;
    assert_eq!(rest.items.iter().map(|m| m.id).collect::<Vec<_>>(), [both(second), both(third)].concat());
}

#[tokio::test]
async fn a_session_without_messages_has_an_empty_page_and_a_foreign_branch_is_not_found() {
    let world = world().await;
    let owner = user();
    let empty = Talk::start(&world, owner, 0, None).await;
    let mut other = Talk::start(&world, owner, 0, None).await;
    let foreign = other.ask(None, "elsewhere").await;
    world.project(&ChatProjector).await;
    for branch in [Branch::All, Branch::Latest] {
        assert!(walk(&empty, Order::Desc, branch, 10).await.is_empty());
    }
    let branch = Branch::Through(foreign.question.uuid());
    let query = MessageQuery { branch, limit: 10, ..MessageQuery::default() };
    let found = chat::messages(&world.pool, owner.uuid(), empty.id.uuid(), query).await.unwrap();
    assert_eq!(found, None);
}

#[tokio::test]
async fn sessions_are_listed_last_active_first_and_a_page_never_repeats_one() {
    let world = world().await;
    let owner = user();
    let mut talks = vec![];
    for n in 0..5 {
        talks.push(Talk::start(&world, owner, n * 100, None).await);
    }
    // The two oldest have the same time: the id decides.
    let twin = Talk::start(&world, owner, 0, None).await;
    world.project(&ChatProjector).await;
    let first = chat::sessions(&world.pool, owner.uuid(), false, None, 2).await.unwrap();
    // What becomes active or is new now belongs to the top and not to the pages that follow.
    talks[4].ask(None, "hello").await;
    Talk::start(&world, owner, 10_000, None).await;
    world.project(&ChatProjector).await;
    let second = chat::sessions(&world.pool, owner.uuid(), false, first.next_cursor.as_deref(), 2).await.unwrap();
    let third = chat::sessions(&world.pool, owner.uuid(), false, second.next_cursor.as_deref(), 2).await.unwrap();
    let seen: Vec<Uuid> = [first.items, second.items, third.items].concat().iter().map(|session| session.id).collect();
    let expected = [&talks[4], &talks[3], &talks[2], &talks[1], &twin, &talks[0]].map(|talk| talk.id.uuid());
    assert_eq!(seen, expected);
    assert_eq!(third.next_cursor, None);
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let world = world().await;
    let owner = user();
    let talk = Talk::start(&world, owner, 0, None).await;
    Talk::start(&world, owner, 1, None).await;
    world.project(&ChatProjector).await;
    let cursor = chat::sessions(&world.pool, owner.uuid(), false, None, 1).await.unwrap().next_cursor.unwrap();
    let query = MessageQuery { cursor: Some(&cursor), limit: 10, ..MessageQuery::default() };
    let refused = chat::messages(&world.pool, owner.uuid(), talk.id.uuid(), query).await;
    assert!(matches!(refused, Err(QueryError::Cursor(_))), "{refused:?}");
    let refused = chat::sessions(&world.pool, owner.uuid(), false, Some("nonsense"), 10).await;
    assert!(matches!(refused, Err(QueryError::Cursor(_))), "{refused:?}");
}
