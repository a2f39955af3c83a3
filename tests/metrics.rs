//! Metrics: what is recorded, described, drawn and alarmed about are the same names.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in tests a panic is the failure report")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// As docs/METRICS.md has it.
#[derive(Debug)]
struct Documented {
    kind: String,
    labels: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documented() -> BTreeMap<String, Documented> {
    let page = fs::read_to_string(root().join("docs/METRICS.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let kind = cells[2].split(',').next().unwrap().to_owned();
        let labels = cells[3].split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[1].trim_matches('`').to_owned(), Documented { kind, labels })
    };
    let all: BTreeMap<_, _> = rows.map(row).collect();
    assert!(all.len() > 50, "the list was found: {}", all.len());
    all
}

/// A metric where it is recorded: its kind, name and, where they are written there, its labels.
struct Recorded {
    place: String,
    kind: &'static str,
    name: String,
    labels: Option<BTreeSet<String>>,
}

fn recorded() -> Vec<Recorded> {
    let mut found = Vec::new();
    for member in [
        "src",
        "nats/src",
        "handlers/src",
        "relay/src",
        "metering/src",
        "routing/src",
        "projections/src",
        "api/src",
        "vault/src",
    ] {
        let mut folders = vec![root().join(member)];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    in_text(&path.display().to_string(), &fs::read_to_string(&path).unwrap(), &mut found);
                }
            }
        }
    }
    assert!(found.len() > 50, "they were found: {}", found.len());
    found
}

fn in_text(place: &str, text: &str, found: &mut Vec<Recorded>) {
    for kind in ["counter", "gauge", "histogram"] {
        for (start, call) in text.match_indices(&format!("metrics::{kind}!(")) {
            let arguments = within_parentheses(&text[start + call.len()..]);
            let Some(name) = arguments.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                panic!("{place}: a metric whose name is not written where it is recorded: {arguments}");
            };
            // `"label" => value`; a variable holds its labels elsewhere.
            let pairs = arguments.split("=>").count() - 1;
            let labels = arguments.split("=>").take(pairs).map(|part| part.rsplit('"').nth(1).unwrap().to_owned());
            let labels = (pairs > 0 || !arguments.contains(',')).then(|| labels.collect());
            found.push(Recorded { place: place.to_owned(), kind, name: name.to_owned(), labels });
        }
    }
}

/// Up to the parenthesis that closes the one before.
fn within_parentheses(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    &text[..end.unwrap()]
}

#[test]
fn every_metric_that_is_recorded_is_documented_and_the_other_way_round() {
    let documented = documented();
    let recorded = recorded();
    for Recorded { place, kind, name, labels } in &recorded {
        let Some(known) = documented.get(name) else {
            panic!("{place} records `{name}`: add it to src/metrics/catalogue.rs and run `make contracts`");
        };
        assert_eq!(known.kind, *kind, "{place}: {name}");
        if let Some(labels) = labels {
            assert_eq!(&known.labels, labels, "{place}: the labels of {name}");
        }
    }
    for name in documented.keys() {
        assert!(recorded.iter().any(|recorded| recorded.name == *name), "`{name}` is documented and nobody records it");
    }
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    for (name, Documented { kind, .. }) in documented() {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(!name.contains("_ms") && !name.contains("_millis"), "{name}: seconds");
    }
}

/// The metrics and labels of a PromQL expression.
fn names_in(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut metrics, mut labels) = (BTreeSet::new(), BTreeSet::new());
    let mut rest = String::new();
    // What stands in braces are matchers, in brackets ranges, in parentheses after `by` labels.
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        match character {
            '{' => {
                let matchers: String = characters.by_ref().take_while(|c| *c != '}').collect();
                let outside_quotes = matchers.split('"').step_by(2).collect::<String>();
                let names =
                    outside_quotes.split(',').map(|part| part.trim().trim_end_matches(['=', '~', '!']).to_owned());
                labels.extend(names.filter(|name| !name.is_empty()));
            }
            '[' => characters.by_ref().take_while(|c| *c != ']').for_each(drop),
            '(' if rest.trim_end().ends_with(" by") => {
                let names: String = characters.by_ref().take_while(|c| *c != ')').collect();
                labels.extend(names.split(',').map(|name| name.trim().to_owned()));
                rest.truncate(rest.trim_end().len() - 2);
            }
            other => rest.push(other),
        }
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = rest.as_str();
    while let Some(start) = words.find(|c: char| c.is_ascii_alphabetic()) {
        words = &words[start..];
        let end = words.find(|c| !is_word(c)).unwrap_or(words.len());
        let (word, after) = words.split_at(end);
        // `1e9` is a number.
        let number = rest[..rest.len() - words.len()].ends_with(|c: char| c.is_ascii_digit());
        if !after.trim_start().starts_with('(') && !number {
            metrics.insert(word.to_owned());
        }
        words = after;
    }
    (metrics, labels)
}

#[track_caller]
fn only_documented(expression: &str, documented: &BTreeMap<String, Documented>) {
    let (metrics, labels) = names_in(expression);
    assert!(!metrics.is_empty(), "no metric in {expression}");
    let mut known: BTreeSet<String> = ["job", "instance", "le"].map(str::to_owned).into();
    for name in metrics {
        let base = ["_bucket", "_count", "_sum"].iter().find_map(|part| {
            let base = name.strip_suffix(part)?;
            documented.get(base).filter(|metric| metric.kind == "histogram")
        });
        let metric = base.or_else(|| documented.get(&name).filter(|metric| metric.kind != "histogram"));
        let metric = metric.unwrap_or_else(|| panic!("`{name}` is not in docs/METRICS.md: {expression}"));
        known.extend(metric.labels.iter().cloned());
    }
    assert!(labels.is_subset(&known), "{labels:?} are not all labels of what is asked: {expression}");
}

#[test]
fn the_dashboard_draws_only_what_is_documented() {
    let documented = documented();
    let text = fs::read_to_string(root().join("deploy/dashboard/oblivious.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(dashboard["uid"], "oblivious");
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(variables.iter().any(|variable| variable["type"] == "datasource" && variable["query"] == "prometheus"));
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "every panel has an id of its own");
    let rows: Vec<&str> =
        panels.iter().filter(|panel| panel["type"] == "row").map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(
        rows,
        ["Users' experience", "Commands", "Events and projections", "Jobs", "Money", "Upstreams", "Process"]
    );
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            only_documented(target["expr"].as_str().unwrap(), &documented);
        }
    }
}

#[test]
fn alerts_are_about_what_is_documented_and_say_what_to_do() {
    let documented = documented();
    let text = fs::read_to_string(root().join("deploy/dashboard/alerts.yml")).unwrap();
    let alerts: Vec<&str> = text.split("      - alert: ").skip(1).collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let expression = alert.split_once("expr:").unwrap().1;
        let end = expression.find("\n        for:").or_else(|| expression.find("\n        labels:")).unwrap();
        only_documented(expression[..end].trim().trim_start_matches(">-"), &documented);
        for part in ["severity: ", "summary: ", "description: "] {
            assert!(alert.contains(part), "{part}is missing in {alert}");
        }
    }
}

#[test]
fn names_in_an_expression_are_told_from_functions_labels_and_numbers() {
    let (metrics, labels) = names_in(
        r#"topk(10, sum by (model) (rate(a_total{job=~"$job", x!="by (b)"}[5m])) * 3600 / 1e9) / max(c) > 0.5"#,
    );
    assert_eq!(metrics, ["a_total", "c"].map(str::to_owned).into());
    assert_eq!(labels, ["job", "model", "x"].map(str::to_owned).into());
}

/// A process without the api role, and where it shows its metrics.
async fn scraped(database: &testkit::TestDatabase, nats: &testkit::TestNats, data_dir: &Path) -> String {
    let mut process = Command::new(env!("CARGO_BIN_EXE_oblivious"))
        .args(["serve", "--roles", "handlers"])
        .env("DATABASE_URL", &database.url)
        .env("NATS_URL", &nats.url)
        .env("OBLIVIOUS_TEST_UNSAFE_DATABASE", "1")
        .env("OBLIVIOUS_DATABASE_CONNECTIONS", "8")
        .env("OBLIVIOUS_METRICS_ADDR", "127.0.0.1:0")
        .env("OBLIVIOUS_DATA_DIR", data_dir)
        .env("OBLIVIOUS_KIT_DIR", data_dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("Metrics: ").map(str::to_owned)).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    drop(rustls::crypto::ring::default_provider().install_default());
    let looked = async {
        loop {
            // The last to be looked at.
            let text = reqwest::get(&address).await.unwrap().text().await.unwrap();
            if ["events_unpublished", "commands_queued", "holds_open", "unsequenced_seconds", "dead_letters"]
                .iter()
                .all(|name| text.contains(&format!("\n{name} ")))
            {
                return text;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    let text = tokio::time::timeout(std::time::Duration::from_secs(60), looked).await.unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    text
}

#[tokio::test]
async fn a_process_without_the_api_shows_its_metrics_at_an_address_of_its_own_each_explained() {
    let (database, nats) = tokio::join!(testkit::database(), testkit::nats());
    let data_dir = tempfile::tempdir().unwrap();
    let text = scraped(&database, &nats, data_dir.path()).await;
    let documented = documented();
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let names: BTreeSet<&str> = samples.map(|line| line.split(['{', ' ']).next().unwrap()).collect();
    for name in &names {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        let metric = documented.get(base).or_else(|| documented.get(*name));
        assert!(metric.is_some(), "`{name}` is not in docs/METRICS.md");
        assert!(text.contains(&format!("# HELP {base} ")) || text.contains(&format!("# HELP {name} ")), "{name}");
    }
    for name in ["build_info", "database_connections", "process_resident_memory_bytes", "process_cpu_seconds_total"] {
        assert!(names.contains(name), "{name} is missing:\n{text}");
    }
}
