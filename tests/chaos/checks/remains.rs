//! What may differ or be left: nothing.

use std::collections::BTreeSet;

use super::Violation;
use crate::evidence::Evidence;

/// Rows are what the log makes of empty tables, and the books agree with the events.
pub fn read_models_equal_a_rebuild(evidence: &Evidence) -> Vec<Violation> {
    let check = "read models equal a rebuild";
    let mut found = Vec::new();
    let names: BTreeSet<&String> = evidence.tables.keys().chain(evidence.rebuilt.keys()).collect();
    let none = Vec::new();
    for name in names {
        let rows = |tables: &'_ crate::evidence::Tables| -> BTreeSet<String> {
            tables.get(name).unwrap_or(&none).iter().cloned().collect()
        };
        let (live, rebuilt) = (rows(&evidence.tables), rows(&evidence.rebuilt));
        if let Some(only) = live.difference(&rebuilt).next() {
            found.push(Violation::new(check, name, "a row that the log makes too", only));
        }
        if let Some(only) = rebuilt.difference(&live).next() {
            found.push(Violation::new(check, name, only, "no such row"));
        }
    }
    if let Some(said) = &evidence.irreconcilable {
        found.push(Violation::new(check, "oblivious reconcile billing", "no difference", said));
    }
    found
}

/// No hold, no job, no parked key, no dead letter, no command, no process.
pub fn nothing_is_left(evidence: &Evidence) -> Vec<Violation> {
    let left = |what: &String| Violation::new("nothing is left", what, "nothing", "it");
    evidence.left_over.iter().map(left).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_row_too_many_too_few_or_different_is_found() {
        let planted: [fn(&mut Vec<String>); 3] =
            [|rows| rows.push("{}".to_owned()), Vec::clear, |rows| rows[0].push('x')];
        for plant in planted {
            let mut evidence = sample::innocent();
            plant(evidence.tables.get_mut("chat_v1.sessions").unwrap());
            assert!(!read_models_equal_a_rebuild(&evidence).is_empty());
        }
    }

    #[test]
    fn a_table_that_is_missing_and_books_that_do_not_agree_are_found() {
        let mut evidence = sample::innocent();
        evidence.tables.clear();
        evidence.irreconcilable = Some("1 difference".to_owned());
        assert_eq!(read_models_equal_a_rebuild(&evidence).len(), 3, "two tables and the books");
    }

    #[test]
    fn whatever_is_left_is_named() {
        let mut evidence = sample::innocent();
        evidence.left_over.push("job: chat.reply running".to_owned());
        assert!(nothing_is_left(&evidence)[0].to_string().contains("chat.reply running"));
    }
}
