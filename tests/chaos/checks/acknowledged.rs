//! What people were told is true: acknowledged means there, once; not acknowledged means there once at most.

use std::collections::{BTreeMap, HashSet};

use domain::billing::WalletEvent;
use domain::chat::SessionEvent;
use uuid::Uuid;

use super::Violation;
use crate::evidence::Evidence;
use crate::journal::{Answer, Did, Entry, id};
use crate::upstream::tag_of;

/// Refusals that the plan provokes; any other one is a finding.
const USUAL: [&str; 3] = ["reply_in_progress", "too_many_replies", "insufficient_credit"];

/// Once everything is healed, whoever keeps asking is told what came of it, and nobody is refused for no reason.
pub fn everything_is_answered(evidence: &Evidence) -> Vec<Violation> {
    let check = "everything is answered";
    let mut found = Vec::new();
    for entry in evidence.journal.iter().filter(|entry| !matches!(entry.did, Did::Call { .. })) {
        for answer in &entry.answers {
            match answer {
                Answer::Unknown(why) => {
                    found.push(Violation::new(check, about(entry), "an answer", format!("none, at last: {why}")));
                }
                Answer::Refused { code, status } if !USUAL.contains(&code.as_str()) => {
                    found.push(Violation::new(check, about(entry), "no refusal", format!("{status} {code}")));
                }
                _ => {}
            }
        }
    }
    found
}

/// Once if acknowledged, at most once otherwise; a rename, which takes no key, at most as often as it was sent.
pub fn what_was_acknowledged_is_there_once(evidence: &Evidence) -> Vec<Violation> {
    let there = There::of(evidence);
    let mut found = Vec::new();
    for entry in &evidence.journal {
        let Some(times) = there.times(&entry.did, entry) else { continue };
        let most = if matches!(entry.did, Did::Rename { .. }) { entry.sends as usize } else { 1 };
        let least = usize::from(entry.acknowledged().is_some());
        if times < least || times > most {
            let expected = format!("{least} to {most} times");
            found.push(Violation::new(
                "what was acknowledged is there once",
                about(entry),
                expected,
                times.to_string(),
            ));
        }
    }
    found
}

/// What the events say happened, counted by what people can recognise.
struct There {
    accounts: BTreeMap<String, usize>,
    titles: BTreeMap<String, usize>,
    renames: BTreeMap<(Uuid, String), usize>,
    said: BTreeMap<(Uuid, String), usize>,
    runs: BTreeMap<(Uuid, Uuid), usize>,
    moved: BTreeMap<(Uuid, i64), usize>,
    stopped_or_over: HashSet<Uuid>,
}

impl There {
    fn of(evidence: &Evidence) -> Self {
        let mut there = Self {
            accounts: count(evidence.accounts.iter().cloned()),
            titles: BTreeMap::new(),
            renames: BTreeMap::new(),
            said: BTreeMap::new(),
            runs: BTreeMap::new(),
            moved: BTreeMap::new(),
            stopped_or_over: HashSet::new(),
        };
        for (session, fact) in evidence.session_events() {
            use SessionEvent as E;
            match &fact.event {
                E::Started { title: Some(title), .. } => {
                    *there.titles.entry(title.open().cloned().unwrap_or_default()).or_default() += 1;
                }
                E::Renamed { title, .. } => {
                    *there.renames.entry((*session, title.open().cloned().unwrap_or_default())).or_default() += 1;
                }
                E::MessageSent { content, .. } => {
                    let tag = tag_of(content.open().map_or("", String::as_str));
                    *there.said.entry((*session, tag)).or_default() += 1;
                }
                E::ReplyRequested { run_id, .. } => *there.runs.entry((*session, run_id.uuid())).or_default() += 1,
                E::StopRequested { run_id, .. } | E::ReplyCompleted { run_id, .. } | E::ReplyFailed { run_id, .. } => {
                    there.stopped_or_over.insert(run_id.uuid());
                }
                _ => {}
            }
        }
        for (owner, fact) in evidence.wallet_events() {
            use WalletEvent as E;
            if let E::Granted { amount_nanos, .. } | E::ToppedUp { amount_nanos, .. } = &fact.event {
                *there.moved.entry((*owner, amount_nanos.get())).or_default() += 1;
            }
        }
        there
    }

    /// How often it happened; `None` where it leaves no trace of its own.
    fn times(&self, did: &Did, entry: &Entry) -> Option<usize> {
        let times = match did {
            Did::Register { email } => self.accounts.get(email),
            Did::Begin { title } => self.titles.get(title),
            Did::Say { session, tag } => self.said.get(&(*session, tag.clone())),
            Did::Rename { session, title } => self.renames.get(&(*session, title.clone())),
            Did::Move { owner, nanos } => self.moved.get(&(*owner, *nanos)),
            Did::Regenerate { session, .. } => {
                let run = entry.acknowledged().and_then(|body| id(body, "run_id"))?;
                self.runs.get(&(*session, run))
            }
            Did::Stop { run } => return Some(usize::from(self.stopped_or_over.contains(run))),
            Did::SignIn | Did::MakeKey | Did::Look { .. } | Did::Follow { .. } | Did::Call { .. } => return None,
        };
        Some(times.copied().unwrap_or(0))
    }
}

fn count<T: Ord>(things: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for thing in things {
        *counts.entry(thing).or_default() += 1;
    }
    counts
}

/// Two requests under one key have one effect, so they name the same things.
pub fn a_repeated_key_is_answered_the_same(evidence: &Evidence) -> Vec<Violation> {
    let ids = |answer: &Answer| {
        let body = answer.body()?;
        Some(["id", "message_id", "reply_id", "run_id"].map(|name| id(body, name)))
    };
    let mut found = Vec::new();
    for entry in &evidence.journal {
        let mut told = entry.answers.iter().filter_map(ids);
        if let Some(first) = told.next()
            && let Some(other) = told.find(|other| *other != first)
        {
            let check = "a repeated key is answered the same";
            found.push(Violation::new(check, about(entry), format!("{first:?}"), format!("{other:?}")));
        }
    }
    found
}

/// An answer that does not call itself stale shows what its reader wrote before.
pub fn one_reads_what_one_wrote(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    for entry in &evidence.journal {
        let Did::Look { expects, .. } = &entry.did else { continue };
        let Some(body) = entry.acknowledged() else { continue };
        let shown: HashSet<Uuid> =
            body["items"].as_array().into_iter().flatten().filter_map(|item| id(item, "id")).collect();
        for missing in expects.iter().filter(|expected| !shown.contains(expected)) {
            let check = "one reads what one wrote";
            found.push(Violation::new(check, about(entry), format!("message {missing}"), "a page without it"));
        }
    }
    found
}

/// Every event that a command caused has that command's outcome beside it, and it is a success.
pub fn every_event_has_its_outcome(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    for event in &evidence.events {
        let status = event.command_id.as_ref().map(|command| evidence.outcomes.get(command).map(String::as_str));
        if status != Some(Some("done")) {
            let about = format!("{} {} ({})", event.name.aggregate, event.name.sequence, event.kind);
            let check = "every event has its outcome";
            found.push(Violation::new(check, about, "a stored outcome `done`", format!("{status:?}")));
        }
    }
    found
}

fn about(entry: &Entry) -> String {
    format!("{} {:?}", entry.who, entry.did)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample::{self, RUN, SESSION, USER};
    use super::*;

    fn of(evidence: &mut Evidence, wanted: impl Fn(&Did) -> bool) -> &mut Entry {
        evidence.journal.iter_mut().find(|entry| wanted(&entry.did)).unwrap()
    }

    #[test]
    fn an_answer_that_never_came_and_an_unusual_refusal_are_found() {
        let mut evidence = sample::innocent();
        of(&mut evidence, |did| matches!(did, Did::Begin { .. })).answers = vec![Answer::Unknown("503".to_owned())];
        let refused = Answer::Refused { status: 401, code: "unauthenticated".to_owned() };
        of(&mut evidence, |did| matches!(did, Did::Say { .. })).answers = vec![refused];
        assert_eq!(everything_is_answered(&evidence).len(), 2);
    }

    #[test]
    fn an_acknowledged_thing_that_is_missing_is_found_whatever_it_is() {
        for thing in ["started", "message_sent", "renamed", "granted", "reply_requested", "account"] {
            let mut evidence = sample::innocent();
            let is =
                |event: &dyn std::fmt::Debug| format!("{event:?}").to_lowercase().starts_with(&thing.replace('_', ""));
            evidence.sessions.get_mut(&SESSION).unwrap().retain(|fact| !is(&fact.event));
            evidence.wallets.get_mut(&USER).unwrap().retain(|fact| !is(&fact.event));
            if thing == "account" {
                evidence.accounts.clear();
            }
            assert!(!what_was_acknowledged_is_there_once(&evidence).is_empty(), "{thing}");
        }
    }

    #[test]
    fn a_thing_that_is_there_twice_is_found_also_if_it_was_not_acknowledged() {
        let mut evidence = sample::innocent();
        let facts = evidence.sessions.get_mut(&SESSION).unwrap();
        let said = facts.iter().find(|fact| matches!(fact.event, SessionEvent::MessageSent { .. })).unwrap().clone();
        facts.push(said);
        assert_eq!(what_was_acknowledged_is_there_once(&evidence).len(), 1);
        of(&mut evidence, |did| matches!(did, Did::Say { .. })).answers = vec![Answer::Unknown("?".to_owned())];
        assert_eq!(what_was_acknowledged_is_there_once(&evidence).len(), 1);
        let mut evidence = sample::innocent();
        let facts = evidence.wallets.get_mut(&USER).unwrap();
        facts.extend(facts.first().cloned());
        assert_eq!(what_was_acknowledged_is_there_once(&evidence).len(), 1);
    }

    #[test]
    fn a_stop_that_stopped_nothing_is_found() {
        let mut evidence = sample::innocent();
        of(&mut evidence, |did| matches!(did, Did::Stop { .. })).did = Did::Stop { run: Uuid::nil() };
        assert_eq!(what_was_acknowledged_is_there_once(&evidence).len(), 1);
    }

    #[test]
    fn two_answers_to_one_key_that_differ_are_found() {
        let mut evidence = sample::innocent();
        let say = of(&mut evidence, |did| matches!(did, Did::Say { .. }));
        say.answers.push(Answer::Acknowledged(json!({"run_id": Uuid::nil().to_string()})));
        assert_eq!(a_repeated_key_is_answered_the_same(&evidence).len(), 1);
    }

    #[test]
    fn a_page_without_what_its_reader_wrote_is_found() {
        let mut evidence = sample::innocent();
        of(&mut evidence, |did| matches!(did, Did::Look { .. })).did =
            Did::Look { session: SESSION, expects: vec![RUN] };
        assert_eq!(one_reads_what_one_wrote(&evidence).len(), 1);
    }

    #[test]
    fn an_event_without_an_outcome_or_with_a_refusal_is_found() {
        let mut evidence = sample::innocent();
        let command = evidence.events[0].command_id.clone().unwrap();
        evidence.outcomes.insert(command.clone(), "refused".to_owned());
        assert!(!every_event_has_its_outcome(&evidence).is_empty());
        evidence.outcomes.remove(&command);
        assert!(!every_event_has_its_outcome(&evidence).is_empty());
    }
}
