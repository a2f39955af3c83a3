//! What a model is shown: the path from the first question to the one that is to be answered.

use std::collections::HashMap;

use super::{Author, SessionEvent, Tree};
use crate::{MessageId, RunId, UserId};

/// Characters of a preview, at most.
pub const PREVIEW_CHARS: usize = 80;

/// One utterance of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub author: Author,
    pub text: String,
}

/// The turns that lead to the reply of `run`, oldest first, ending with its question.
///
/// Answers that were never given (failed or stopped before the first character) and erased texts are left out. `None` if
/// the events know no such run.
#[must_use]
pub fn transcript(events: &[SessionEvent], run: RunId) -> Option<Transcript> {
    let mut collected = Collected::default();
    for event in events {
        collected.see(event);
    }
    let request = collected.requests.get(&run)?;
    let mut path = vec![];
    let mut next = Some(request.question);
    while let Some(id) = next {
        path.push(id);
        next = collected.tree.parent_of(id);
    }
    let turns = path.iter().rev().filter_map(|id| {
        let text = collected.texts.get(id).filter(|text| !text.is_empty())?;
        Some(Turn { author: collected.tree.author_of(*id)?, text: (*text).to_owned() })
    });
    Some(Transcript {
        owner: collected.owner?,
        reply_id: request.reply_id,
        model: request.model.to_owned(),
        turns: turns.collect(),
    })
}

/// Everything that a worker needs to answer a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    pub owner: UserId,
    pub reply_id: MessageId,
    pub model: String,
    pub turns: Vec<Turn>,
}

struct Request<'e> {
    question: MessageId,
    reply_id: MessageId,
    model: &'e str,
}

#[derive(Default)]
struct Collected<'e> {
    owner: Option<UserId>,
    tree: Tree,
    texts: HashMap<MessageId, &'e str>,
    requests: HashMap<RunId, Request<'e>>,
}

impl<'e> Collected<'e> {
    fn see(&mut self, event: &'e SessionEvent) {
        match event {
            SessionEvent::Started { owner, .. } => self.owner = Some(*owner),
            SessionEvent::MessageSent { message_id, parent_id, content, .. } => {
                self.tree.add(*message_id, *parent_id, Author::User);
                if let Some(text) = content.open() {
                    self.texts.insert(*message_id, text);
                }
            }
            SessionEvent::ReplyRequested { run_id, reply_id, parent_id, model, .. } => {
                self.tree.add(*reply_id, Some(*parent_id), Author::Assistant);
                self.requests.insert(*run_id, Request { question: *parent_id, reply_id: *reply_id, model });
            }
            SessionEvent::ReplyCompleted { run_id, content, .. }
            | SessionEvent::ReplyFailed { run_id, content, .. } => {
                if let (Some(request), Some(text)) = (self.requests.get(run_id), content.open()) {
                    self.texts.insert(request.reply_id, text);
                }
            }
            _ => {}
        }
    }
}

/// The first line that says something, cut at a word near [`PREVIEW_CHARS`]: what an untitled session is called.
#[must_use]
pub fn preview_of(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.chars().count() <= PREVIEW_CHARS {
        return line.to_owned();
    }
    let cut: String = line.chars().take(PREVIEW_CHARS).collect();
    // Chinese has no spaces: a cut at a word must not throw half of the line away.
    let at_word = cut.rfind(' ').filter(|at| cut[..*at].chars().count() > PREVIEW_CHARS / 2);
    format!("{}…", cut[..at_word.unwrap_or(cut.len())].trim_end())
}

#[cfg(test)]
mod spec {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::{
        Sealed,
        chat::{Finish, SessionEvent as E},
    };

    const fn message(n: u128) -> MessageId {
        MessageId::new(Uuid::from_u128(n))
    }

    const fn run(n: u128) -> RunId {
        RunId::new(Uuid::from_u128(n))
    }

    fn owner() -> UserId {
        UserId::new(Uuid::from_u128(9))
    }

    fn text(words: &str) -> Sealed<String> {
        Sealed::new(owner(), words.to_owned())
    }

    fn asked(id: u128, parent: Option<u128>, words: &str) -> E {
        E::MessageSent {
            message_id: message(id),
            parent_id: parent.map(message),
            content: text(words),
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn requested(run_id: u128, reply: u128, question: u128) -> E {
        E::ReplyRequested {
            run_id: run(run_id),
            reply_id: message(reply),
            parent_id: message(question),
            model: "m".to_owned(),
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn answered(run_id: u128, words: &str) -> E {
        E::ReplyCompleted {
            run_id: run(run_id),
            attempt: 1,
            content: text(words),
            finish: Finish::Stop,
            usage: None,
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn started() -> E {
        E::Started { owner: owner(), title: None, at: DateTime::UNIX_EPOCH }
    }

    fn words(turns: &[Turn]) -> Vec<&str> {
        turns.iter().map(|turn| turn.text.as_str()).collect()
    }

    #[test]
    fn a_transcript_is_the_path_to_the_question_and_not_the_other_branches() {
        let events = [
            started(),
            asked(1, None, "hi"),
            requested(1, 2, 1),
            answered(1, "first answer"),
            requested(2, 3, 1),
            answered(2, "second answer"),
            asked(4, Some(2), "after the first"),
            requested(3, 5, 4),
        ];
        let transcript = transcript(&events, run(3)).unwrap();
        assert_eq!(words(&transcript.turns), ["hi", "first answer", "after the first"]);
        assert_eq!(transcript.reply_id, message(5));
    }

    #[test]
    fn empty_answers_and_erased_texts_are_left_out() {
        let mut events =
            vec![started(), asked(1, None, "hi"), requested(1, 2, 1), answered(1, ""), asked(3, Some(2), "hello?")];
        events.push(requested(2, 4, 3));
        assert_eq!(words(&transcript(&events, run(2)).unwrap().turns), ["hi", "hello?"]);

        events[1] = E::MessageSent {
            message_id: message(1),
            parent_id: None,
            content: Sealed::erased(owner()),
            at: DateTime::UNIX_EPOCH,
        };
        assert_eq!(words(&transcript(&events, run(2)).unwrap().turns), ["hello?"]);
    }

    #[test]
    fn an_unknown_run_has_no_transcript() {
        assert_eq!(transcript(&[started()], run(1)), None);
    }

    #[test]
    fn a_preview_is_the_first_line_cut_at_a_word() {
        assert_eq!(preview_of("\n  Hello there \nmore"), "Hello there");
        let long = "word ".repeat(40);
        let preview = preview_of(&long);
        assert!(preview.ends_with("word…") && preview.chars().count() <= PREVIEW_CHARS + 1);
        assert_eq!(preview_of(&"字".repeat(200)).chars().count(), PREVIEW_CHARS + 1);
    }
}
