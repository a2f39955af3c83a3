use chrono::DateTime;
use projections::chat::MessageRole;

use super::*;

const RUN: Uuid = Uuid::from_u128(1);

fn live(attempt: i32, offset: u64, kind: LiveKind) -> LiveFrame {
    LiveFrame { run_id: RUN, session_id: Uuid::from_u128(2), message_id: Uuid::from_u128(3), attempt, offset, kind }
}

fn delta(attempt: i32, offset: u64, text: &str) -> LiveFrame {
    live(attempt, offset, LiveKind::Delta { text: text.to_owned() })
}

fn done(attempt: i32, offset: u64) -> LiveFrame {
    let kind =
        LiveKind::Done { status: "complete".into(), finish_reason: Some("stop".into()), error: None, usage: None };
    live(attempt, offset, kind)
}

fn resumed(attempt: i32, offset: u64) -> Cursor {
    Cursor::resume(Position { run: RUN, attempt, offset }, attempt)
}

fn finished(attempt: i32, content: &str) -> Message {
    Message {
        id: Uuid::from_u128(3),
        session_id: Uuid::from_u128(2),
        parent_id: None,
        role: MessageRole::Assistant,
        content: content.to_owned(),
        model: None,
        status: MessageStatus::Complete,
        run_id: Some(RUN),
        attempt: Some(attempt),
        finish_reason: Some(FinishReason::Stop),
        error: None,
        usage: None,
        siblings: vec![],
        cost_nanos: None,
        created_at: DateTime::UNIX_EPOCH,
        completed_at: None,
        sequence: 0,
    }
}

/// Short forms of what a reader gets: `+2:text`, `reset 2`, `done 5`.
fn sent(cursor: &mut Cursor, frames: impl IntoIterator<Item = LiveFrame>) -> Vec<String> {
    let mut out = vec![];
    for frame in frames {
        cursor.take(frame, &mut out);
    }
    out.iter().map(short).collect()
}

fn short(frame: &Frame) -> String {
    match frame {
        Frame::Delta(delta) => format!("+{}:{}", delta.offset, delta.text),
        Frame::Reset(at) => format!("reset {}", at.attempt),
        Frame::Done(done) => format!("done {}", done.offset),
    }
}

fn ended(cursor: &mut Cursor, message: &Message) -> Vec<String> {
    let mut out = vec![];
    cursor.finish(message, RUN, &mut out);
    out.iter().map(short).collect()
}

#[test]
fn frames_that_follow_each_other_go_out_as_one() {
    let frames = [delta(1, 0, "Hello "), delta(1, 6, "world"), done(1, 11)];
    assert_eq!(sent(&mut Cursor::start(), frames), ["+0:Hello world", "done 11"]);
}

#[test]
fn a_resumed_reader_gets_exactly_the_missing_code_points() {
    let frames = [delta(1, 0, "你好"), delta(1, 2, "世界🙂!"), done(1, 6)];
    assert_eq!(sent(&mut resumed(1, 3), frames.clone()), ["+3:界🙂!", "done 6"]);
    assert_eq!(sent(&mut resumed(1, 6), frames), ["done 6"]);
}

#[test]
fn frames_delivered_twice_are_sent_once() {
    let mut cursor = Cursor::start();
    let frames = [delta(1, 0, "abc"), delta(1, 0, "abc"), delta(1, 1, "bcd"), delta(1, 4, "e")];
    assert_eq!(sent(&mut cursor, frames), ["+0:abcde"]);
}

#[test]
fn a_new_attempt_voids_the_text_of_the_lost_one() {
    let mut cursor = Cursor::start();
    assert_eq!(sent(&mut cursor, [delta(1, 0, "lost")]), ["+0:lost"]);
    let late = [live(2, 0, LiveKind::Reset), delta(1, 4, " late"), delta(2, 0, "kept"), done(2, 4)];
    assert_eq!(sent(&mut cursor, late), ["reset 2", "+0:kept", "done 4"]);
}

#[test]
fn what_was_lost_before_the_reader_came_is_not_sent_at_all() {
    let frames = [delta(1, 0, "lost"), live(2, 0, LiveKind::Reset), delta(2, 0, "kept")];
    assert_eq!(sent(&mut Cursor::start(), frames), ["reset 2", "+0:kept"]);
}

#[test]
fn the_beginning_of_an_attempt_does_not_reset_a_reader_who_is_already_in_it() {
    let frames = [delta(1, 0, "lost"), live(2, 0, LiveKind::Reset), delta(2, 0, "kept"), delta(2, 4, " on")];
    assert_eq!(sent(&mut resumed(2, 4), frames), ["+4: on"]);
}

#[test]
fn a_reader_of_a_lost_attempt_is_reset() {
    let frames = [delta(1, 0, "lost"), live(2, 0, LiveKind::Reset), delta(2, 0, "kept")];
    assert_eq!(sent(&mut resumed(1, 2), frames), ["reset 2", "+0:kept"]);
}

#[test]
fn a_writer_that_begins_the_same_attempt_again_resets_its_readers() {
    let mut cursor = Cursor::start();
    let frames = [delta(1, 0, "one"), live(1, 0, LiveKind::Reset), delta(1, 0, "two")];
    assert_eq!(sent(&mut cursor, frames), ["reset 1", "+0:two"]);
}

#[test]
fn an_unknown_place_is_answered_from_the_start_after_a_reset() {
    for position in [(3, 0), (0, 4), (-1, 0)] {
        let position = Position { run: RUN, attempt: position.0, offset: position.1 };
        let mut cursor = Cursor::resume(position, 1);
        assert_eq!(sent(&mut cursor, [delta(1, 0, "all")]), ["reset 1", "+0:all"], "{position}");
    }
}

#[test]
fn a_hole_is_filled_by_the_read_model_in_the_end() {
    let mut cursor = Cursor::start();
    assert_eq!(sent(&mut cursor, [delta(1, 0, "ab"), delta(1, 4, "ef"), done(1, 6)]), ["+0:ab"]);
    assert!(!cursor.is_done());
    assert_eq!(ended(&mut cursor, &finished(1, "abcdef")), ["+2:cdef", "done 6"]);
    assert!(cursor.is_done());
}

#[test]
fn a_finished_run_is_one_delta_with_what_is_missing_and_done() {
    let message = finished(1, "你好世界");
    assert_eq!(ended(&mut Cursor::start(), &message), ["+0:你好世界", "done 4"]);
    assert_eq!(ended(&mut resumed(1, 1), &message), ["+1:好世界", "done 4"]);
    assert_eq!(ended(&mut resumed(1, 4), &message), ["done 4"]);
    assert_eq!(ended(&mut resumed(1, 9), &message), ["reset 1", "+0:你好世界", "done 4"]);
    assert_eq!(ended(&mut resumed(2, 1), &message), ["reset 1", "+0:你好世界", "done 4"]);
    assert_eq!(ended(&mut Cursor::restart(), &message), ["reset 1", "+0:你好世界", "done 4"]);
}

#[test]
fn nothing_follows_the_end() {
    let mut cursor = Cursor::start();
    assert_eq!(sent(&mut cursor, [delta(1, 0, "a"), done(1, 1), delta(1, 1, "b"), done(1, 1)]), ["+0:a", "done 1"]);
    assert!(ended(&mut cursor, &finished(1, "ab")).is_empty());
}

#[test]
fn the_wire_form_is_the_documented_one() {
    let mut out = vec![];
    let mut cursor = Cursor::start();
    cursor.take(delta(1, 0, "你好"), &mut out);
    cursor.take(done(1, 2), &mut out);
    let wire: Vec<_> = out
        .iter()
        .map(|frame| {
            let data: Value = serde_json::from_str(&frame.data().unwrap()).unwrap();
            serde_json::json!({ "id": frame.position().to_string(), "event": frame.name(), "data": data })
        })
        .collect();
    insta::assert_json_snapshot!(wire);
}

#[test]
fn a_position_survives_its_text_form() {
    let position = Position { run: RUN, attempt: 2, offset: 7 };
    assert_eq!(position.to_string().parse(), Ok(position));
    for bad in ["", "1:2", &format!("{RUN}:1"), &format!("{RUN}:1:2:3"), &format!("{RUN}:x:1")] {
        assert!(bad.parse::<Position>().is_err(), "{bad}");
    }
}
