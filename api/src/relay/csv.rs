//! Rows as a file that spreadsheets open: RFC 4180, UTF-8.
//!
//! Promise: every line has as many cells as the first; what somebody named like a formula stays text.

use projections::relay::statistics::{Figures, Percentiles, Statistics, StatisticsTokens};

/// Tells spreadsheets that this is UTF-8.
const MARK: char = '\u{FEFF}';

const COLUMNS: [&str; 30] = [
    "group",
    "name",
    "requests",
    "completed",
    "cancelled",
    "errors",
    "error_rate",
    "errors_by_code",
    "tries",
    "failed_tries",
    "unknown_cost_tries",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "image_output_tokens",
    "charged_nanos",
    "cost_nanos",
    "lost_cost_nanos",
    "currency",
    "duration_p50_ms",
    "duration_p95_ms",
    "duration_p99_ms",
    "first_output_p50_ms",
    "first_output_p95_ms",
    "first_output_p99_ms",
];

/// One line a row, after one with the columns' names.
pub(super) fn statistics(statistics: &Statistics) -> String {
    let mut text = String::from(MARK);
    line(&mut text, COLUMNS.map(str::to_owned));
    for row in &statistics.rows {
        let names = [row.group.as_deref(), row.name.as_deref()].map(|name| cell(name.unwrap_or_default()));
        line(&mut text, names.into_iter().chain(figures(&row.figures, &statistics.currency)));
    }
    text
}

fn line(text: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    text.push_str(&cells.join(","));
    text.push_str("\r\n");
}

fn figures(figures: &Figures, currency: &str) -> impl Iterator<Item = String> + use<> {
    let codes = figures.errors_by_code.iter().map(|error| format!("{} {}", error.code, error.count));
    let codes = codes.collect::<Vec<_>>().join("; ");
    let told = |number: Option<String>| number.unwrap_or_default();
    let counts = [
        figures.requests.to_string(),
        figures.completed.to_string(),
        figures.cancelled.to_string(),
        figures.errors.to_string(),
        figures.error_rate.to_string(),
        cell(&codes),
        figures.tries.to_string(),
        figures.failed_tries.to_string(),
        told(figures.unknown_cost_tries.map(|count| count.to_string())),
    ];
    let money = [
        figures.charged_nanos.to_string(),
        told(figures.cost_nanos.map(|amount| amount.to_string())),
        told(figures.lost_cost_nanos.map(|amount| amount.to_string())),
        cell(currency),
    ];
    let durations = percentiles(figures.duration).into_iter().chain(percentiles(figures.first_output));
    counts.into_iter().chain(tokens(&figures.tokens)).chain(money).chain(durations)
}

fn tokens(tokens: &StatisticsTokens) -> [String; 9] {
    [
        tokens.input,
        tokens.cached_input,
        tokens.cache_write,
        tokens.audio_input,
        tokens.image_input,
        tokens.output,
        tokens.reasoning,
        tokens.audio_output,
        tokens.image_output,
    ]
    .map(|count| count.to_string())
}

fn percentiles(Percentiles { p50_ms, p95_ms, p99_ms }: Percentiles) -> [String; 3] {
    [p50_ms, p95_ms, p99_ms].map(|duration| duration.map_or_else(String::new, |duration| duration.to_string()))
}

/// A cell of text. One that begins like a formula is text to a spreadsheet only behind an apostrophe.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::billing::Nanos;
    use projections::relay::statistics::{ErrorCount, StatisticsRow};

    use super::*;

    fn some_figures() -> Figures {
        Figures {
            requests: 3,
            completed: 1,
            cancelled: 0,
            errors: 2,
            error_rate: 0.666_666,
            errors_by_code: [("timed_out", 1), ("upstream_cut", 1)]
                .map(|(code, count)| ErrorCount { code: code.to_owned(), count })
                .to_vec(),
            tries: 4,
            failed_tries: 3,
            failed_tries_by_code: vec![],
            unknown_cost_tries: Some(1),
            tokens: StatisticsTokens { input: 10, output: 20, ..StatisticsTokens::default() },
            charged_nanos: Nanos::new(1_500),
            cost_nanos: Some(Nanos::new(900)),
            lost_cost_nanos: Some(Nanos::ZERO),
            duration: Percentiles { p50_ms: Some(5), p95_ms: Some(6), p99_ms: Some(7) },
            first_output: Percentiles::default(),
        }
    }

    fn file(name: &str) -> String {
        let row = StatisticsRow { group: Some("1".to_owned()), name: Some(name.to_owned()), figures: some_figures() };
        statistics(&Statistics {
            from: DateTime::UNIX_EPOCH,
            to: DateTime::UNIX_EPOCH,
            group_by: "channel".to_owned(),
            currency: "USD".to_owned(),
            total: some_figures(),
            rows: vec![row],
            truncated: false,
        })
    }

    #[test]
    fn a_row_is_a_line_with_a_cell_for_every_column() {
        let file = file("main");
        let lines: Vec<&str> = file.split("\r\n").collect();
        assert!(lines[0].starts_with("\u{FEFF}group,name,requests,") && lines[2].is_empty(), "{file}");
        let row =
            "1,main,3,1,0,2,0.666666,timed_out 1; upstream_cut 1,4,3,1,10,0,0,0,0,20,0,0,0,1500,900,0,USD,5,6,7,,,";
        assert_eq!(lines[1], row);
        assert_eq!(lines[1].split(',').count(), COLUMNS.len());
    }

    #[test]
    fn what_looks_like_a_formula_stays_text_and_what_breaks_a_line_is_quoted() {
        for (name, cell) in [
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@a", "'@a"),
            ("\tx", "'\tx"),
            ("=a,b", "\"'=a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("模型", "模型"),
        ] {
            assert!(file(name).contains(&format!("\r\n1,{cell},3,")), "{name:?}");
        }
    }
}
