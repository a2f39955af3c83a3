//! Replies: each run ends once, and the model is asked no more often than the events announce.

use std::collections::{BTreeMap, HashMap};

use domain::chat::{Finish, SessionEvent};
use uuid::Uuid;

use super::Violation;
use crate::evidence::Evidence;
use crate::journal::Did;
use crate::upstream::{Asked, tag_of};

/// Tries of one attempt (and of one call) before its first byte, as `relay`'s callers have it.
const TRIES: usize = 3;

/// One reply by its events.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) session: Uuid,
    /// Of the question.
    pub(super) tag: String,
    /// As announced, in order.
    pub(super) attempts: Vec<u32>,
    pub(super) endings: Vec<Ending>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) attempt: u32,
    pub(super) command_id: Option<String>,
    /// `None`: it failed.
    pub(super) finish: Option<Finish>,
    /// Input, output.
    pub(super) usage: Option<(u64, u64)>,
    text: String,
}

/// Every run, by its id.
pub(super) fn runs(evidence: &Evidence) -> BTreeMap<Uuid, Run> {
    let mut tags = HashMap::new();
    let mut runs = BTreeMap::<Uuid, Run>::new();
    for (session, fact) in evidence.session_events() {
        use SessionEvent as E;
        let command_id = fact.command_id.clone();
        match &fact.event {
            E::MessageSent { message_id, content, .. } => {
                tags.insert(*message_id, tag_of(content.open().map_or("", String::as_str)));
            }
            E::ReplyRequested { run_id, parent_id, .. } => {
                let tag = tags.get(parent_id).cloned().unwrap_or_default();
                runs.insert(run_id.uuid(), Run { session: *session, tag, ..Run::default() });
            }
            E::ReplyStarted { run_id, attempt, .. } => {
                runs.entry(run_id.uuid()).or_default().attempts.push(*attempt);
            }
            E::ReplyCompleted { run_id, attempt, content, finish, usage, .. } => {
                let usage = usage.as_ref().map(|usage| (usage.input_tokens, usage.output_tokens));
                let text = content.open().cloned().unwrap_or_default();
                let ending = Ending { attempt: *attempt, command_id, finish: Some(*finish), usage, text };
                runs.entry(run_id.uuid()).or_default().endings.push(ending);
            }
            E::ReplyFailed { run_id, attempt, content, .. } => {
                let text = content.open().cloned().unwrap_or_default();
                let ending = Ending { attempt: *attempt, command_id, finish: None, usage: None, text };
                runs.entry(run_id.uuid()).or_default().endings.push(ending);
            }
            _ => {}
        }
    }
    runs
}

/// One ending, by the last attempt that was announced; attempts count up.
pub fn every_run_ends_once(evidence: &Evidence) -> Vec<Violation> {
    let check = "every run ends once";
    let mut found = Vec::new();
    for (id, run) in runs(evidence) {
        let about = format!("run {id} of session {}", run.session);
        if run.endings.len() != 1 {
            found.push(Violation::new(check, &about, "one ending", format!("{:?}", run.endings)));
        }
        if !run.attempts.is_sorted_by(|one, next| one < next) {
            found.push(Violation::new(check, &about, "attempts that count up", format!("{:?}", run.attempts)));
        }
        if run.endings.first().map(|ending| ending.attempt) != run.attempts.last().copied() {
            let found_instead = format!("{:?} after {:?}", run.endings, run.attempts);
            found.push(Violation::new(check, &about, "an ending by the last attempt", found_instead));
        }
    }
    found
}

/// The model begins an answer to a question once an announced attempt, to a call once. An attempt asks up to three times
/// while the model refuses.
pub fn no_reply_is_generated_without_an_attempt(evidence: &Evidence) -> Vec<Violation> {
    let check = "no reply is generated without an attempt";
    let mut allowed = BTreeMap::<&str, usize>::new();
    let runs = runs(evidence);
    for run in runs.values() {
        *allowed.entry(&run.tag).or_default() += run.attempts.len();
    }
    for entry in &evidence.journal {
        if let Did::Call { tag, .. } = &entry.did {
            *allowed.entry(tag).or_default() += 1;
        }
    }
    let mut asked = BTreeMap::<&str, Vec<&Asked>>::new();
    for request in &evidence.asked {
        asked.entry(&request.tag).or_default().push(request);
    }
    let mut found = Vec::new();
    for (tag, requests) in asked {
        let allowed = allowed.get(tag).copied().unwrap_or(0);
        let began = requests.iter().filter(|request| request.began).count();
        if began > allowed || requests.len() > allowed * TRIES {
            let expected = format!("{allowed} answers begun, {} requests", allowed * TRIES);
            let found_instead = format!("{began} begun, {} requests", requests.len());
            found.push(Violation::new(check, format!("question {tag}"), expected, found_instead));
        }
    }
    found
}

/// Whoever read a reply while it was written has seen, at its end, what is stored of it.
pub fn what_was_seen_is_what_is_stored(evidence: &Evidence) -> Vec<Violation> {
    let runs = runs(evidence);
    let mut found = Vec::new();
    for entry in &evidence.journal {
        let (Did::Follow { run }, Some(body)) = (&entry.did, entry.acknowledged()) else { continue };
        let stored = runs.get(run).and_then(|run| run.endings.first()).map(|ending| ending.text.as_str());
        let seen = body["text"].as_str();
        if seen != stored {
            let check = "what was seen is what is stored";
            let expected = format!("the stored text {stored:?}");
            found.push(Violation::new(
                check,
                format!("run {run} read by {}", entry.who),
                expected,
                format!("{seen:?}"),
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, SESSION};
    use super::*;
    use crate::journal::Answer;

    #[test]
    fn a_run_without_an_ending_with_two_or_with_that_of_another_attempt_is_found() {
        let is_ending = |event: &SessionEvent| matches!(event, SessionEvent::ReplyCompleted { .. });
        let mut evidence = sample::innocent();
        evidence.sessions.get_mut(&SESSION).unwrap().retain(|fact| !is_ending(&fact.event));
        assert!(!every_run_ends_once(&evidence).is_empty());

        let mut evidence = sample::innocent();
        let facts = evidence.sessions.get_mut(&SESSION).unwrap();
        let ending = facts.iter().find(|fact| is_ending(&fact.event)).unwrap().clone();
        facts.push(ending);
        assert_eq!(every_run_ends_once(&evidence).len(), 1);

        let mut evidence = sample::innocent();
        for fact in evidence.sessions.get_mut(&SESSION).unwrap() {
            if let SessionEvent::ReplyCompleted { attempt, .. } = &mut fact.event {
                *attempt = 2;
            }
        }
        assert!(!every_run_ends_once(&evidence).is_empty());
    }

    #[test]
    fn a_reader_who_saw_something_else_than_what_is_stored_is_found() {
        let mut evidence = sample::innocent();
        let follow = evidence.journal.iter_mut().find(|entry| matches!(entry.did, Did::Follow { .. })).unwrap();
        follow.answers = vec![Answer::Acknowledged(serde_json::json!({"text": "an answ"}))];
        assert_eq!(what_was_seen_is_what_is_stored(&evidence).len(), 1);
    }

    #[test]
    fn an_attempt_that_was_announced_twice_is_found() {
        let mut evidence = sample::innocent();
        let facts = evidence.sessions.get_mut(&SESSION).unwrap();
        let started = facts.iter().find(|fact| matches!(fact.event, SessionEvent::ReplyStarted { .. })).unwrap();
        let again = started.clone();
        facts.push(again);
        assert!(!every_run_ends_once(&evidence).is_empty());
    }

    #[test]
    fn an_answer_that_was_begun_once_more_than_announced_is_found_for_replies_and_calls() {
        for place in 0..sample::innocent().asked.len() {
            let mut evidence = sample::innocent();
            let again = evidence.asked[place].clone();
            evidence.asked.push(again);
            assert_eq!(no_reply_is_generated_without_an_attempt(&evidence).len(), 1);
        }
    }

    #[test]
    fn a_fourth_request_of_an_attempt_and_a_question_that_nobody_asked_are_found() {
        let mut evidence = sample::innocent();
        let refused = Asked { began: false, delivered: false, reported: None, ..evidence.asked[0].clone() };
        evidence.asked.extend([refused.clone(), refused.clone()]);
        // Two runs answer that question.
        assert!(no_reply_is_generated_without_an_attempt(&evidence).is_empty());
        evidence.asked.extend(vec![refused.clone(); 3]);
        assert_eq!(no_reply_is_generated_without_an_attempt(&evidence).len(), 1);
        let mut evidence = sample::innocent();
        evidence.asked.push(Asked { tag: "nobody".to_owned(), ..refused });
        assert_eq!(no_reply_is_generated_without_an_attempt(&evidence).len(), 1);
    }
}
