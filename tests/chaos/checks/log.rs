//! The order of all events: dense, each aggregate's own order kept, and the same in the stream.

use std::collections::BTreeMap;

use super::Violation;
use crate::evidence::{Evidence, Name};

/// Streams without holes, every event at one position, positions from 1 without holes.
pub fn the_log_is_dense_and_in_order(evidence: &Evidence) -> Vec<Violation> {
    let check = "the log is dense and in order";
    let mut found = Vec::new();
    let mut expected = BTreeMap::<&str, i64>::new();
    for event in &evidence.events {
        let next = expected.entry(&event.name.aggregate).or_insert(1);
        if event.name.sequence != *next {
            let about = &event.name.aggregate;
            found.push(Violation::new(check, about, format!("sequence {next}"), event.name.sequence.to_string()));
        }
        *next = event.name.sequence + 1;
    }
    let mut passed = BTreeMap::<&str, i64>::new();
    for (place, (position, name)) in (1..).zip(&evidence.log) {
        if *position != place {
            found.push(Violation::new(check, "event_log", format!("position {place}"), position.to_string()));
        }
        let next = passed.entry(&name.aggregate).or_insert(1);
        if name.sequence != *next {
            let what = format!("{} at position {position}", name.aggregate);
            found.push(Violation::new(check, what, format!("sequence {next}"), name.sequence.to_string()));
        }
        *next = name.sequence + 1;
    }
    let mut logged: Vec<&Name> = evidence.log.iter().map(|(_, name)| name).collect();
    let mut stored: Vec<&Name> = evidence.events.iter().map(|event| &event.name).collect();
    logged.sort();
    stored.sort();
    if logged != stored {
        let missing = stored.iter().find(|name| logged.binary_search(name).is_err());
        let found_count = format!("{} positions, without {missing:?}", logged.len());
        found.push(Violation::new(check, "event_log", format!("all {} events", stored.len()), found_count));
    }
    found
}

/// The stream's sequence is the position, and holds the event of that position, up to the last one.
pub fn the_stream_is_the_log(evidence: &Evidence) -> Vec<Violation> {
    let check = "the stream is the log";
    let mut found = Vec::new();
    let log: BTreeMap<i64, &Name> = evidence.log.iter().map(|(position, name)| (*position, name)).collect();
    for (sequence, position, name) in &evidence.stream {
        if i64::try_from(*sequence) != Ok(*position) || log.get(position) != Some(&name) {
            let expected = format!("{:?}", i64::try_from(*sequence).ok().and_then(|position| log.get(&position)));
            let about = format!("sequence {sequence}");
            found.push(Violation::new(check, about, expected, format!("{name:?} as position {position}")));
        }
    }
    let last = |positions: Option<i64>| positions.unwrap_or(0);
    let (published, logged) = (
        last(evidence.stream.last().map(|(_, position, _)| *position)),
        last(evidence.log.last().map(|(position, _)| *position)),
    );
    if published != logged {
        found.push(Violation::new(check, "EVENTS", format!("all {logged} events"), format!("{published}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_hole_in_a_stream_is_found() {
        let mut evidence = sample::innocent();
        let last = evidence.events.len() - 1;
        evidence.events[last].name.sequence += 1;
        assert!(!the_log_is_dense_and_in_order(&evidence).is_empty());
    }

    #[test]
    fn a_position_that_is_missing_doubled_or_out_of_order_is_found() {
        let mut evidence = sample::innocent();
        evidence.log.remove(1);
        assert!(!the_log_is_dense_and_in_order(&evidence).is_empty());
        let mut evidence = sample::innocent();
        evidence.log.pop();
        assert_eq!(the_log_is_dense_and_in_order(&evidence).len(), 1, "an event without a position");
        let mut evidence = sample::innocent();
        let (one, two) = (evidence.log[0].1.clone(), evidence.log[1].1.clone());
        (evidence.log[0].1, evidence.log[1].1) = (two, one);
        assert!(!the_log_is_dense_and_in_order(&evidence).is_empty());
        let mut evidence = sample::innocent();
        evidence.log[1].1 = evidence.log[0].1.clone();
        assert!(!the_log_is_dense_and_in_order(&evidence).is_empty());
    }

    #[test]
    fn a_stream_that_says_something_else_than_the_log_or_less_is_found() {
        let mut evidence = sample::innocent();
        evidence.stream[1].2.sequence += 7;
        assert_eq!(the_stream_is_the_log(&evidence).len(), 1);
        let mut evidence = sample::innocent();
        evidence.stream[1].1 += 1;
        assert_eq!(the_stream_is_the_log(&evidence).len(), 1);
        let mut evidence = sample::innocent();
        evidence.stream.pop();
        assert_eq!(the_stream_is_the_log(&evidence).len(), 1);
    }
}
