//! What must be true after a run, whatever broke in it. Each check is a function of the evidence, and each one has tests
//! that plant its violations: a check that cannot fail would be a defect.

mod acknowledged;
mod log;
mod money;
mod remains;
mod replies;
#[cfg(test)]
mod sample;

use std::fmt;

use crate::evidence::Evidence;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub check: &'static str,
    /// The aggregate, row or request that it is about.
    pub about: String,
    pub expected: String,
    pub found: String,
}

impl Violation {
    pub fn new(
        check: &'static str,
        about: impl fmt::Display,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { check, about: about.to_string(), expected: expected.into(), found: found.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, about, expected, found } = self;
        write!(f, "{check}: {about}: expected {expected}, found {found}")
    }
}

/// A check: what it finds is wrong.
type Check = fn(&Evidence) -> Vec<Violation>;

const ALL: [Check; 16] = [
    acknowledged::everything_is_answered,
    acknowledged::what_was_acknowledged_is_there_once,
    acknowledged::a_repeated_key_is_answered_the_same,
    acknowledged::one_reads_what_one_wrote,
    acknowledged::every_event_has_its_outcome,
    money::every_position_sums_to_zero,
    money::every_hold_ends_once,
    money::charges_are_what_the_upstream_delivered,
    money::wallets_are_movements_less_charges,
    replies::every_run_ends_once,
    replies::what_was_seen_is_what_is_stored,
    replies::no_reply_is_generated_without_an_attempt,
    log::the_log_is_dense_and_in_order,
    log::the_stream_is_the_log,
    remains::read_models_equal_a_rebuild,
    remains::nothing_is_left,
];

/// Everything that is wrong.
pub fn all(evidence: &Evidence) -> Vec<Violation> {
    ALL.iter().flat_map(|check| check(evidence)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_innocent_run_passes_every_check() {
        assert_eq!(all(&sample::innocent()), vec![]);
    }

    #[test]
    fn a_violation_names_its_check_what_it_is_about_and_what_was_expected() {
        let violation = Violation::new("a check", "wallet 7", "one", "two");
        assert_eq!(violation.to_string(), "a check: wallet 7: expected one, found two");
    }
}
