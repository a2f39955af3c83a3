//! Conversations as their rules say.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{Decided, Refusal as _};

const fn user(n: u128) -> UserId {
    UserId::new(Uuid::from_u128(n))
}
const fn message(n: u128) -> MessageId {
    MessageId::new(Uuid::from_u128(n))
}
const fn run(n: u128) -> RunId {
    RunId::new(Uuid::from_u128(n))
}
const OWNER: UserId = user(1);
const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn text(words: &str) -> Sealed<String> {
    Sealed::new(OWNER, words.to_owned())
}

fn given(events: Vec<SessionEvent>) -> AggregateTestExecutor<Decided<Session>> {
    TestFramework::with(()).given(events)
}

fn started() -> SessionEvent {
    SessionEvent::Started { owner: OWNER, title: None, at: AT }
}

/// Question `n`, its answer `n + 1` and run `n`.
fn asked(n: u128, parent: Option<u128>) -> [SessionEvent; 2] {
    [
        SessionEvent::MessageSent {
            message_id: message(n),
            parent_id: parent.map(message),
            content: text("hello"),
            at: AT,
        },
        requested(n, n + 1, n),
    ]
}

fn requested(run_id: u128, reply: u128, question: u128) -> SessionEvent {
    SessionEvent::ReplyRequested {
        run_id: run(run_id),
        reply_id: message(reply),
        parent_id: message(question),
        model: "m".to_owned(),
        at: AT,
    }
}

fn reply_started(run_id: u128, attempt: u32) -> SessionEvent {
    SessionEvent::ReplyStarted { run_id: run(run_id), attempt, at: AT }
}

fn completed(run_id: u128, attempt: u32) -> SessionEvent {
    SessionEvent::ReplyCompleted {
        run_id: run(run_id),
        attempt,
        content: text("hi"),
        finish: Finish::Stop,
        usage: None,
        at: AT,
    }
}

fn send(n: u128, parent: Parent, content: &str) -> SessionCommand {
    SessionCommand::SendMessage {
        by: OWNER,
        message_id: message(n),
        parent,
        content: text(content),
        model: "m".to_owned(),
        run_id: run(n),
        reply_id: message(n + 1),
        at: AT,
    }
}

fn regenerate(of: u128, n: u128) -> SessionCommand {
    SessionCommand::RegenerateReply {
        by: OWNER,
        message_id: message(of),
        model: "m".to_owned(),
        run_id: run(n),
        reply_id: message(n),
        at: AT,
    }
}

fn complete(run_id: u128, attempt: u32) -> SessionCommand {
    SessionCommand::CompleteReply {
        run_id: run(run_id),
        attempt,
        content: text("hi"),
        finish: Finish::Stop,
        usage: None,
        at: AT,
    }
}

/// A started session in which question 10 is being answered by message 11 in run 10.
fn in_conversation() -> Vec<SessionEvent> {
    [vec![started()], asked(10, None).to_vec()].concat()
}

fn answered() -> Vec<SessionEvent> {
    [in_conversation(), vec![reply_started(10, 1), completed(10, 1)]].concat()
}

#[test]
fn a_session_is_started_once() {
    let start = || SessionCommand::StartSession { owner: OWNER, title: None, at: AT };
    given(vec![]).when(start()).then_expect_events(vec![started()]);
    given(vec![started()]).when(start()).then_expect_error(SessionRefusal::AlreadyStarted);
}

#[test]
fn a_message_asks_for_its_answer() {
    given(vec![started()]).when(send(10, Parent::NewestLeaf, "hello")).then_expect_events(asked(10, None).to_vec());
}

#[test]
fn the_next_message_follows_the_newest_answer() {
    given(answered()).when(send(20, Parent::NewestLeaf, "hello")).then_expect_events(asked(20, Some(11)).to_vec());
}

#[test]
fn a_message_can_branch_off_an_older_answer_or_begin_anew() {
    let events = [answered(), asked(20, Some(11)).to_vec(), vec![completed(20, 0)]].concat();
    given(events.clone())
        .when(send(30, Parent::After(message(11)), "hello"))
        .then_expect_events(asked(30, Some(11)).to_vec());
    given(events).when(send(30, Parent::Root, "hello")).then_expect_events(asked(30, None).to_vec());
}

#[test]
fn a_question_cannot_follow_a_question_nor_a_stranger() {
    given(answered())
        .when(send(20, Parent::After(message(10)), "hello"))
        .then_expect_error(SessionRefusal::ParentIsNoAnswer);
    given(answered())
        .when(send(20, Parent::After(message(99)), "hello"))
        .then_expect_error(SessionRefusal::MessageNotFound);
}

#[test]
fn while_an_answer_is_written_nothing_can_follow_it() {
    given(in_conversation())
        .when(send(20, Parent::NewestLeaf, "hello"))
        .then_expect_error(SessionRefusal::ReplyInProgress);
}

#[test]
fn empty_and_too_long_messages_are_refused() {
    given(vec![started()]).when(send(10, Parent::Root, " \n ")).then_expect_error(SessionRefusal::MessageEmpty);
    given(vec![started()])
        .when(send(10, Parent::Root, &"字".repeat(MAX_MESSAGE_CHARS + 1)))
        .then_expect_error(SessionRefusal::MessageTooLong { chars: MAX_MESSAGE_CHARS + 1, limit: MAX_MESSAGE_CHARS });
    given(vec![started()])
        .when(send(10, Parent::Root, &"字".repeat(MAX_MESSAGE_CHARS)))
        .inspect_result()
        .expect("the longest message is taken");
}

#[test]
fn the_same_message_is_not_sent_twice() {
    given(answered()).when(send(10, Parent::NewestLeaf, "hello")).then_expect_error(SessionRefusal::AlreadySent);
}

#[test]
fn a_stranger_finds_no_session() {
    let by = user(2);
    let refused = SessionRefusal::SessionNotFound;
    given(answered()).when(SessionCommand::DeleteSession { by, at: AT }).then_expect_error(refused.clone());
    given(answered())
        .when(SessionCommand::RenameSession { by, title: text("x"), at: AT })
        .then_expect_error(refused.clone());
    given(in_conversation()).when(SessionCommand::StopReply { by, run_id: run(10), at: AT }).then_expect_error(refused);
}

#[test]
fn regenerating_an_answer_makes_a_sibling_of_it() {
    given(answered()).when(regenerate(11, 20)).then_expect_events(vec![requested(20, 20, 10)]);
    given(answered()).when(regenerate(10, 20)).then_expect_events(vec![requested(20, 20, 10)]);
}

#[test]
fn only_so_many_answers_of_a_session_are_written_at_once() {
    let mut events = in_conversation();
    events.extend((20..23).map(|n| requested(n, n, 10)));
    given(events).when(regenerate(10, 30)).then_expect_error(SessionRefusal::TooManyReplies { limit: MAX_OPEN_RUNS });
}

#[test]
fn a_later_attempt_takes_a_reply_over_and_an_earlier_one_cannot_come_back() {
    let start = |attempt| SessionCommand::StartReply { run_id: run(10), attempt, at: AT };
    let events = [in_conversation(), vec![reply_started(10, 2)]].concat();
    given(events.clone()).when(start(3)).then_expect_events(vec![reply_started(10, 3)]);
    given(events).when(start(2)).then_expect_error(SessionRefusal::StaleAttempt { current: 2 });
}

#[test]
fn only_the_current_attempt_ends_a_reply() {
    let events = [in_conversation(), vec![reply_started(10, 1), reply_started(10, 2)]].concat();
    given(events.clone()).when(complete(10, 1)).then_expect_error(SessionRefusal::StaleAttempt { current: 2 });
    given(events).when(complete(10, 2)).then_expect_events(vec![completed(10, 2)]);
}

#[test]
fn a_reply_ends_once() {
    given(answered()).when(complete(10, 1)).then_expect_error(SessionRefusal::ReplyFinished);
    let fail = SessionCommand::FailReply {
        run_id: run(10),
        attempt: 1,
        content: text(""),
        code: "upstream_cut".to_owned(),
        message: text("cut"),
        at: AT,
    };
    given(answered()).when(fail).then_expect_error(SessionRefusal::ReplyFinished);
}

#[test]
fn stopping_is_asked_for_once_and_a_finished_reply_needs_no_stop() {
    let stop = || SessionCommand::StopReply { by: OWNER, run_id: run(10), at: AT };
    let stopped = || SessionEvent::StopRequested { run_id: run(10), at: AT };
    given(in_conversation()).when(stop()).then_expect_events(vec![stopped()]);
    given([in_conversation(), vec![stopped()]].concat()).when(stop()).then_expect_events(vec![]);
    given(answered()).when(stop()).then_expect_events(vec![]);
}

#[test]
fn a_stopped_reply_keeps_what_was_said() {
    let events =
        [in_conversation(), vec![reply_started(10, 1), SessionEvent::StopRequested { run_id: run(10), at: AT }]]
            .concat();
    given(events).when(complete(10, 1)).then_expect_events(vec![completed(10, 1)]);
}

#[test]
fn deleting_stops_open_replies_and_hides_the_session_until_it_is_restored() {
    let delete = || SessionCommand::DeleteSession { by: OWNER, at: AT };
    let deleted = || SessionEvent::Deleted { at: AT };
    given(in_conversation())
        .when(delete())
        .then_expect_events(vec![SessionEvent::StopRequested { run_id: run(10), at: AT }, deleted()]);
    let gone = [answered(), vec![deleted()]].concat();
    given(gone.clone()).when(delete()).then_expect_events(vec![]);
    given(gone.clone()).when(send(20, Parent::NewestLeaf, "x")).then_expect_error(SessionRefusal::SessionNotFound);
    let restore = || SessionCommand::RestoreSession { by: OWNER, at: AT };
    given(gone).when(restore()).then_expect_events(vec![SessionEvent::Restored { at: AT }]);
    given(answered()).when(restore()).then_expect_events(vec![]);
}

#[test]
fn a_title_has_one_to_two_hundred_characters() {
    let rename = |title: &str| SessionCommand::RenameSession { by: OWNER, title: text(title), at: AT };
    given(vec![started()])
        .when(rename("Trip"))
        .then_expect_events(vec![SessionEvent::Renamed { title: text("Trip"), at: AT }]);
    for bad in ["  ", &"x".repeat(MAX_TITLE_CHARS + 1)] {
        given(vec![started()])
            .when(rename(bad))
            .then_expect_error(SessionRefusal::InvalidTitle { limit: MAX_TITLE_CHARS });
    }
}

#[test]
fn a_full_session_takes_no_more_messages() {
    let mut events = vec![started()];
    for n in 0..(MAX_MESSAGES as u128 / 2) {
        events.extend(asked(n * 2 + 100, None));
        events.push(completed(n * 2 + 100, 0));
    }
    given(events)
        .when(send(50, Parent::Root, "x"))
        .then_expect_error(SessionRefusal::SessionFull { limit: MAX_MESSAGES });
}

#[test]
fn refusals_have_stable_codes_and_carry_their_limits() {
    let refusal = SessionRefusal::MessageTooLong { chars: 40_000, limit: MAX_MESSAGE_CHARS };
    assert_eq!(refusal.code(), "message_too_long");
    assert_eq!(refusal.details(), json!({ "chars": 40_000, "limit": MAX_MESSAGE_CHARS }));
}

fn any_command() -> impl Strategy<Value = SessionCommand> {
    let small = || 0u128..8;
    prop_oneof![
        (small(), proptest::option::of(small())).prop_map(|(n, after)| {
            send(n * 2 + 10, after.map_or(Parent::NewestLeaf, |n| Parent::After(message(n * 2 + 11))), "hello")
        }),
        (small(), small()).prop_map(|(of, n)| regenerate(of * 2 + 10, n + 100)),
        (small(), 0u32..4).prop_map(|(n, attempt)| SessionCommand::StartReply {
            run_id: run(n * 2 + 10),
            attempt,
            at: AT
        }),
        (small(), 0u32..4).prop_map(|(n, attempt)| complete(n * 2 + 10, attempt)),
        small().prop_map(|n| SessionCommand::StopReply { by: OWNER, run_id: run(n * 2 + 10), at: AT }),
        any::<bool>().prop_map(|delete| if delete {
            SessionCommand::DeleteSession { by: OWNER, at: AT }
        } else {
            SessionCommand::RestoreSession { by: OWNER, at: AT }
        }),
    ]
}

proptest! {
    #[test]
    fn whatever_is_asked_every_run_ends_at_most_once_and_attempts_only_grow(
        commands in proptest::collection::vec(any_command(), 1..120)
    ) {
        let mut state = Session::default();
        state.apply(started());
        let mut ended = std::collections::HashSet::new();
        let mut attempts = std::collections::HashMap::new();
        for command in commands {
            for event in state.decide(command).unwrap_or_default() {
                match &event {
                    SessionEvent::ReplyCompleted { run_id, attempt, .. } => {
                        prop_assert!(ended.insert(*run_id), "a second ending");
                        prop_assert_eq!(attempts.get(run_id).copied().unwrap_or(0), *attempt);
                    }
                    SessionEvent::ReplyStarted { run_id, attempt, .. } => {
                        prop_assert!(!ended.contains(run_id));
                        prop_assert!(attempts.insert(*run_id, *attempt).unwrap_or(0) < *attempt);
                    }
                    SessionEvent::MessageSent { parent_id: Some(parent), .. } => {
                        prop_assert_eq!(state.tree().and_then(|tree| tree.author_of(*parent)), Some(Author::Assistant));
                    }
                    _ => {}
                }
                state.apply(event);
            }
            prop_assert!(state.tree().is_some_and(|tree| tree.open_runs().count() <= MAX_OPEN_RUNS));
        }
    }

    #[test]
    fn a_state_survives_its_stored_form(commands in proptest::collection::vec(any_command(), 1..40)) {
        let mut state = Session::default();
        state.apply(started());
        for command in commands {
            for event in state.decide(command).unwrap_or_default() {
                state.apply(event);
            }
        }
        let stored = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<Session>(&stored).unwrap(), state);
    }
}
