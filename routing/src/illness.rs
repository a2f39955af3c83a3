//! What operators are told of breakers that are not closed: since when, and why.
//!
//! Promise: kept beside the breakers and never asked by them, so that nothing of it is on a request's way. What is closed
//! has no note.

use std::borrow::Cow;
use std::collections::HashMap;

use domain::ChannelId;

use crate::{Change, Moment, Part, State};

/// Longer causes of other nodes are cut.
const MAX_CAUSE_CHARS: usize = 64;

/// A breaker that is not closed.
#[derive(Debug, Clone, PartialEq)]
pub struct Illness {
    pub channel: ChannelId,
    pub part: Part,
    /// As it is now.
    pub state: State,
    /// When it was last closed.
    pub since: Moment,
    /// The code of the failure that opened it last, or what else did.
    pub cause: String,
    /// Whether this node has seen it itself; otherwise another one told of it.
    pub seen_here: bool,
    /// Times that it opened since it last went well while closed.
    pub opened: u32,
}

/// Since when and why each breaker that is not closed is not.
#[derive(Debug, Default)]
pub(crate) struct Notes(HashMap<(ChannelId, Part), Note>);

#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) since: Moment,
    pub(crate) cause: Cow<'static, str>,
    pub(crate) seen_here: bool,
}

impl Note {
    /// Of something that changed just now.
    pub(crate) const fn new(now: Moment) -> Self {
        Self { since: now, cause: Cow::Borrowed(""), seen_here: true }
    }
}

impl Notes {
    /// Takes note of what changed at `now`.
    pub(crate) fn take(&mut self, change: &Change, now: Moment) {
        let place = (change.channel, change.part.clone());
        let (cause, seen_here) = (Cow::Borrowed(change.cause), !change.was_told());
        match change.to {
            State::Closed => drop(self.0.remove(&place)),
            // A trial changes nothing about why.
            State::HalfOpen => drop(self.0.entry(place).or_insert(Note { since: now, cause, seen_here })),
            State::Open { .. } | State::Dead => {
                let note = self.0.entry(place).or_insert(Note { since: now, cause: Cow::default(), seen_here });
                (note.cause, note.seen_here) = (cause, seen_here);
            }
        }
    }

    /// What another node says of a breaker that it told of.
    pub(crate) fn hear(&mut self, channel: ChannelId, part: &Part, since: Moment, cause: &str) {
        if let Some(note) = self.0.get_mut(&(channel, part.clone())).filter(|note| !note.seen_here) {
            note.since = since;
            note.cause = cause.chars().take(MAX_CAUSE_CHARS).collect::<String>().into();
        }
    }

    pub(crate) fn of(&self, channel: ChannelId, part: &Part) -> Option<Note> {
        self.0.get(&(channel, part.clone())).cloned()
    }

    /// Forgets everything but `ill`.
    pub(crate) fn keep(&mut self, ill: &[Change]) {
        self.0.retain(|(channel, part), _| ill.iter().any(|is| is.channel == *channel && is.part == *part));
    }
}

#[cfg(test)]
mod spec {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::change::TOLD;

    const CHANNEL: ChannelId = ChannelId::new(Uuid::nil());

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn change(to: State, cause: &'static str) -> Change {
        let name = Arc::default();
        Change { channel: CHANNEL, name, part: Part::Channel, from: State::Closed, to, opened: 1, cause }
    }

    fn noted(notes: &Notes) -> Option<(Moment, String, bool)> {
        let note = notes.of(CHANNEL, &Part::Channel)?;
        Some((note.since, note.cause.into_owned(), note.seen_here))
    }

    #[test]
    fn it_is_ill_since_it_left_closed_and_for_the_last_failure() {
        let mut notes = Notes::default();
        let open = State::Open { until: at(9) };
        notes.take(&change(open, "upstream_timeout"), at(1));
        notes.take(&change(State::HalfOpen, "trial"), at(2));
        assert_eq!(noted(&notes), Some((at(1), "upstream_timeout".to_owned(), true)));
        notes.take(&change(open, "upstream_unavailable"), at(3));
        assert_eq!(noted(&notes), Some((at(1), "upstream_unavailable".to_owned(), true)));
        notes.take(&change(State::Closed, "recovered"), at(4));
        assert_eq!(noted(&notes), None);
    }

    #[test]
    fn what_another_node_tells_of_says_why_and_what_is_seen_here_stays() {
        let mut notes = Notes::default();
        notes.hear(CHANNEL, &Part::Channel, at(1), "nobody told of it");
        assert_eq!(noted(&notes), None);
        notes.take(&change(State::Dead, TOLD), at(5));
        notes.hear(CHANNEL, &Part::Channel, at(1), &"x".repeat(100));
        assert_eq!(noted(&notes), Some((at(1), "x".repeat(MAX_CAUSE_CHARS), false)));
        notes.take(&change(State::Dead, "invalid_api_key"), at(6));
        notes.hear(CHANNEL, &Part::Channel, at(7), "other");
        assert_eq!(noted(&notes), Some((at(1), "invalid_api_key".to_owned(), true)));
        notes.keep(&[]);
        assert_eq!(noted(&notes), None);
    }
}
