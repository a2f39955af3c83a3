//! What is tested of each dialect that upstreams speak, row by row: where a scene has no test, this one fails.
//!
//! The scenes are those in which providers differ. A row names the test and the file that it is in; fixtures that no test
//! reads, or whose source is not named, fail as well.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the failure report")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The scenes.
const SCENES: [&str; 11] = [
    "plain",
    "stream",
    "tool call in fragments",
    "parallel tools",
    "image in",
    "reasoning",
    "error body",
    "error within a stream",
    "truncated stream",
    "malformed chunk",
    "usage variants",
];

/// A dialect, and for each scene in its order the file below `relay/` and the test in it.
type Row = (&'static str, [(&'static str, &'static str); 11]);

const HEARD: &str = "src/dialects/chat_completions/spec/heard.rs";
const STREAMS: &str = "tests/completions/streams.rs";
const WHOLES: &str = "tests/completions/wholes.rs";
const READS: &str = "src/dialects/responses/spec/reads.rs";
const ANTHROPIC: &str = "src/dialects/messages/tests/streams_read.rs";
const GEMINI: &str = "tests/generate_content/upstream.rs";
const GEMINI_STREAMS: &str = "tests/generate_content/streams.rs";
const CONVERSE: &str = "src/dialects/converse/tests/answers.rs";

const ROWS: [Row; 5] = [
    (
        "chat completions",
        [
            (WHOLES, "what_openai_answers_arrives_unchanged_with_its_usage"),
            (HEARD, "openais_stream_is_text_an_end_and_a_usage"),
            (HEARD, "a_call_in_fragments_is_one_call"),
            (HEARD, "parallel_calls_are_told_apart_however_a_server_numbers_them"),
            (WHOLES, "an_image_goes_up_as_it_is_and_an_unreported_one_is_estimated"),
            (
                "src/dialects/chat_completions/spec/providers.rs",
                "every_compatible_provider_is_heard_in_the_form_that_its_documents_describe",
            ),
            ("src/dialects/chat_completions/refusal.rs", "the_errors_of_compatible_servers_mean_the_same"),
            (HEARD, "an_error_within_a_stream_and_what_is_no_chunk_end_it"),
            (STREAMS, "what_breaks_off_is_an_error_and_what_came_before_was_delivered"),
            (STREAMS, "odd_chunks_are_made_such_that_official_clients_can_read_them"),
            ("tests/completions/usages.rs", "a_usage_is_found_wherever_a_server_puts_it"),
        ],
    ),
    (
        "responses",
        [
            (READS, "a_text_is_read_with_its_usage"),
            (READS, "a_stream_of_text_is_its_steps"),
            (READS, "a_call_comes_once_and_its_arguments_in_fragments"),
            (READS, "fragments_of_parallel_calls_are_told_apart"),
            ("src/dialects/responses/spec/back.rs", "a_prompt_that_this_dialect_can_say_comes_back_as_it_was"),
            (READS, "streamed_thoughts_are_paragraphs_and_signed_at_their_end"),
            (READS, "an_error_body_becomes_the_error_that_callers_act_on"),
            (READS, "a_failure_within_a_stream_is_the_error_that_it_means"),
            (READS, "a_stream_that_was_cut_is_not_finished"),
            (READS, "a_malformed_event_is_garbage_and_an_unknown_one_is_passed_over"),
            ("src/dialects/responses/usage.rs", "parts_beyond_their_whole_and_numbers_that_are_none_are_put_right"),
        ],
    ),
    (
        "messages",
        [
            (
                "src/dialects/messages/tests/answers.rs",
                "a_plain_answer_is_read_with_the_input_that_was_cached_counted_in",
            ),
            (ANTHROPIC, "a_plain_stream_begins_speaks_ends_and_tells_the_usage"),
            (ANTHROPIC, "the_fragments_of_a_call_are_passed_on_and_empty_ones_left_out"),
            (ANTHROPIC, "parallel_calls_are_numbered_from_zero_and_one_without_arguments_has_an_empty_object"),
            ("src/dialects/messages/tests/asking.rs", "a_request_with_everything_says_the_same_upstream"),
            (ANTHROPIC, "thoughts_come_with_their_signature_and_hidden_ones_with_their_data"),
            ("src/dialects/messages/refusal.rs", "statuses_become_the_errors_that_callers_act_on"),
            (ANTHROPIC, "an_error_event_is_the_end_and_means_what_it_says"),
            (ANTHROPIC, "a_stream_that_breaks_off_is_not_finished_wherever_it_breaks"),
            (ANTHROPIC, "a_malformed_event_is_garbage"),
            ("src/dialects/messages/usage.rs", "a_later_report_that_leaves_counters_out_or_at_zero_takes_nothing_back"),
        ],
    ),
    (
        "generateContent",
        [
            (GEMINI, "a_plain_answer_is_its_text_its_end_and_its_usage"),
            (GEMINI_STREAMS, "a_stream_begins_speaks_ends_and_tells_its_usage"),
            // It sends calls whole; fragments are what our own clients are told.
            (GEMINI_STREAMS, "fragments_of_parallel_calls_become_whole_calls_in_their_order"),
            (GEMINI, "parallel_calls_get_ids_that_differ_and_are_the_same_whenever_the_answer_is_read"),
            ("tests/generate_content/served.rs", "pictures_documents_and_a_schema_are_understood"),
            (GEMINI_STREAMS, "thoughts_come_first_and_a_call_keeps_its_signature_and_its_id"),
            (GEMINI, "errors_are_what_callers_act_on"),
            (GEMINI_STREAMS, "a_malformed_chunk_is_garbage_and_an_error_in_the_middle_is_that_error"),
            (GEMINI_STREAMS, "a_stream_that_stops_before_its_end_is_not_finished_but_tells_what_was_used"),
            (GEMINI_STREAMS, "a_malformed_chunk_is_garbage_and_an_error_in_the_middle_is_that_error"),
            (
                "src/dialects/generate_content/usage.rs",
                "thoughts_that_a_gateway_counts_among_the_candidates_are_not_counted_twice",
            ),
        ],
    ),
    (
        "converse",
        [
            (CONVERSE, "a_plain_answer_is_read"),
            (CONVERSE, "a_plain_stream_begins_speaks_ends_and_tells_the_usage"),
            (CONVERSE, "calls_come_in_fragments_and_one_without_arguments_has_an_empty_object"),
            (CONVERSE, "thoughts_with_signatures_and_parallel_calls_are_read_with_what_was_cached"),
            ("src/dialects/converse/tests/asking.rs", "pictures_documents_and_films_are_told_by_their_format"),
            (CONVERSE, "thoughts_come_with_their_signature_and_hidden_ones_alone"),
            ("src/dialects/converse/refusal.rs", "statuses_become_the_errors_that_callers_act_on"),
            (CONVERSE, "an_exception_in_the_stream_is_the_end_and_means_what_it_says"),
            (CONVERSE, "a_stream_that_breaks_off_is_not_finished_wherever_it_breaks"),
            (CONVERSE, "a_malformed_event_is_garbage_and_an_unknown_one_is_passed_over"),
            ("src/dialects/converse/usage.rs", "what_was_cached_is_counted_once_whichever_way_it_is_told"),
        ],
    ),
];

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_scene_of_every_dialect_has_its_test() {
    for (dialect, tests) in ROWS {
        for (scene, (file, test)) in SCENES.iter().zip(tests) {
            let text = fs::read_to_string(here().join(file)).unwrap();
            assert!(text.contains(&format!("fn {test}(")), "{dialect}, {scene}: no test {test} in {file}");
        }
    }
}

#[test]
fn every_fixture_is_read_by_a_test_and_names_its_source() {
    let mut all = vec![];
    sources(&here().join("src"), &mut all);
    sources(&here().join("tests"), &mut all);
    for folder in ["tests/fixtures", "src/dialects/responses/spec/fixtures"] {
        let sources = fs::read_to_string(here().join(folder).join("README.md")).unwrap();
        let names = fs::read_dir(here().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let names: BTreeSet<String> = names.map(|name| name.into_string().unwrap()).collect();
        for name in names.iter().filter(|name| *name != "README.md") {
            assert!(all.iter().any(|text| text.contains(name.as_str())), "{folder}/{name}: no test reads it");
            assert!(sources.contains(name.as_str()), "{folder}/{name}: its source is not named");
        }
    }
}
