//! The shape of the tree: what the compiler and clippy do not see.
//!
//! Promise: one capability has one name in every layer; a file or function that is long says why; members know only
//! whom they may know; no lint is switched off without being missed. Each finding names its place and the way out.
//!
//! It reads text, relies on rustfmt's layout, and has no exceptions of its own: a written reason
//! (`// tidy: long because …`) in the file itself is the only one.
#![expect(clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Capabilities that exist; a new one is added here first, and then nothing is green until each layer has it.
const CAPABILITIES: [&str; 4] = ["users", "chat", "relay", "billing"];
/// Where a capability is a file or a folder of that name.
const LAYERS: [&str; 4] = ["domain/src", "handlers/src", "projections/src", "api/src"];
const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 70;
const REASON: &str = "// tidy: long because ";

/// Which members a member may depend on, tests apart. Whoever is not listed may know everybody.
const MAY_KNOW: [(&str, &[&str]); 10] = [
    ("domain", &[]),
    ("nats", &[]),
    ("relay", &[]),
    ("vault", &[]),
    ("migrations", &[]),
    ("metering", &["domain", "nats", "relay", "routing"]),
    ("routing", &["domain", "nats", "relay"]),
    ("handlers", &["domain", "metering", "nats", "relay", "routing", "vault"]),
    ("projections", &["domain", "nats", "vault"]),
    ("api", &["domain", "metering", "nats", "projections", "relay", "routing", "vault", "handlers"]),
];
const MEMBERS: [&str; 12] = [
    "domain",
    "vault",
    "nats",
    "handlers",
    "relay",
    "metering",
    "routing",
    "projections",
    "api",
    "migrations",
    "testkit",
    "bench",
];
/// They never run in an installation, so they may use what tests use.
const NOT_SHIPPED: [&str; 2] = ["testkit", "bench"];
/// A pure crate has no use for them: networks, databases, clocks, randomness, runtimes.
const IMPURE: [&str; 14] = [
    "tokio",
    "async-nats",
    "sqlx",
    "reqwest",
    "hyper",
    "axum",
    "http",
    "tower",
    "rand",
    "getrandom",
    "tempfile",
    "nix",
    "tracing",
    "metrics",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the project, relative to its root, with its text.
fn rust_files() -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the tree can be read").map(|entry| entry.expect("an entry")) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let skipped = name.starts_with('.') || ["target", "node_modules", "coverage"].contains(&name.as_str());
            if path.is_dir() && !skipped {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).expect("source is UTF-8");
                files.insert(path.strip_prefix(root()).expect("inside").to_owned(), text);
            }
        }
    }
    assert!(files.len() > 50, "the tree was not found: only {} files", files.len());
    files
}

fn dependencies(member: &str, section: &str) -> Vec<String> {
    let folder = if member == "testkit" { "tests/kit" } else { member };
    let path = root().join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let manifest: toml::Table = text.parse().expect("cargo reads it too");
    manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}

fn nothing(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// Functions longer than the limit as (first line, length), by rustfmt's layout: a body ends at the first line that
/// closes a brace at the indentation of its `fn`.
fn long_functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut long = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        if !is_function(code) || line.trim_end().ends_with(';') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let Some(length) = lines[first..].iter().position(|line| *line == end).map(|last| last + 1) else { continue };
        let written = lines[first.saturating_sub(1)..first + length].iter().any(|line| has_reason(line));
        if length > LONGEST_FUNCTION && !written {
            long.push((first + 1, length));
        }
    }
    long
}

fn is_function(code: &str) -> bool {
    let keyword =
        |word: &str| word.starts_with("pub") || ["async", "const", "unsafe", "extern", "\"C\""].contains(&word);
    code.split_once("fn ").is_some_and(|(before, _)| before.split_whitespace().all(keyword))
}

fn has_reason(line: &str) -> bool {
    line.trim_start().strip_prefix(REASON).is_some_and(|reason| reason.trim().len() > 10)
}

#[test]
fn every_capability_has_its_counterpart_in_every_layer() {
    let mut missing = Vec::new();
    for capability in CAPABILITIES {
        for layer in LAYERS {
            let folder = root().join(layer).join(capability);
            if !folder.is_dir() && !folder.with_extension("rs").is_file() {
                missing.push(format!("{layer}/{capability}.rs or {layer}/{capability}/ is missing"));
            }
        }
        if !root().join("web/src/features").join(capability).is_dir() {
            missing.push(format!("web/src/features/{capability}/ is missing"));
        }
        let migrations = fs::read_dir(root().join("migrations/sql")).expect("migrations").flatten();
        if !migrations.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().contains(capability)) {
            missing.push(format!("migrations/sql has no file of `{capability}`"));
        }
    }
    nothing(&missing);
}

#[test]
fn a_capability_does_not_appear_in_one_layer_only() {
    // The domain has no folders but capabilities, so one that is not listed above was forgotten there.
    let folders = fs::read_dir(root().join("domain/src")).expect("the domain").flatten();
    let unlisted: Vec<String> = folders
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !CAPABILITIES.contains(&name.as_str()))
        .map(|name| format!("domain/src/{name} is not in CAPABILITIES of tests/tidy.rs"))
        .collect();
    nothing(&unlisted);
}

#[test]
fn a_long_file_says_why() {
    let findings: Vec<String> = rust_files()
        .iter()
        .filter(|(_, text)| text.lines().count() > LONGEST_FILE && !text.lines().take(40).any(has_reason))
        .map(|(path, text)| {
            let lines = text.lines().count();
            format!("{}: {lines} lines; split it, or write `{REASON}<reason>` below its head", path.display())
        })
        .collect();
    nothing(&findings);
}

#[test]
fn a_long_function_says_why() {
    let mut findings = Vec::new();
    for (path, text) in rust_files() {
        for (line, length) in long_functions(&text) {
            findings.push(format!(
                "{}:{line}: a function of {length} lines; split it, or write `{REASON}<reason>`",
                path.display()
            ));
        }
    }
    nothing(&findings);
}

#[test]
fn members_know_only_whom_they_may_know() {
    let mut findings = Vec::new();
    for (member, allowed) in MAY_KNOW {
        for section in ["dependencies", "build-dependencies"] {
            for dependency in dependencies(member, section) {
                if MEMBERS.contains(&dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                    findings.push(format!("{member} depends on {dependency}; it may know {allowed:?}"));
                }
            }
        }
    }
    for member in MEMBERS.into_iter().filter(|member| !NOT_SHIPPED.contains(member)) {
        if dependencies(member, "dependencies").iter().any(|dependency| dependency == "testkit") {
            findings.push(format!("{member} depends on testkit outside its tests"));
        }
    }
    nothing(&findings);
}

#[test]
fn in_the_api_only_the_relay_service_knows_the_handlers() {
    let findings: Vec<String> = rust_files()
        .iter()
        .filter(|(path, _)| {
            path.starts_with("api/src") && !path.starts_with("api/src/relay") && !path.ends_with("relay.rs")
        })
        .filter(|(_, text)| {
            text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("handlers::"))
        })
        .map(|(path, _)| format!("{}: uses `handlers`; send a command instead", path.display()))
        .collect();
    nothing(&findings);
}

#[test]
fn the_domain_is_pure() {
    let mut findings: Vec<String> = dependencies("domain", "dependencies")
        .into_iter()
        .filter(|name| IMPURE.contains(&name.as_str()))
        .map(|name| format!("domain depends on {name}"))
        .collect();
    let bans = fs::read_to_string(root().join("domain/clippy.toml")).expect("the domain has bans of its own");
    for ban in
        ["chrono::Utc::now", "std::time::SystemTime::now", "std::time::Instant::now", "Uuid::new_v4", "Uuid::now_v7"]
    {
        if !bans.contains(ban) {
            findings.push(format!("domain/clippy.toml does not ban {ban}"));
        }
    }
    nothing(&findings);
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    // Not written out, so that this file does not find itself.
    let allow = ["[", "allow("].concat();
    let mut findings = Vec::new();
    for (path, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            if code.starts_with('#') && code.contains(&allow) {
                findings.push(format!("{}:{}: write #[expect(…, reason = …)]", path.display(), number + 1));
            }
        }
    }
    nothing(&findings);
}

#[test]
fn every_file_begins_with_its_promise() {
    let findings: Vec<String> = rust_files()
        .iter()
        .filter(|(path, text)| !text.starts_with("//!") && !is_test_module(path))
        .map(|(path, _)| format!("{}: the first line is not `//! …`", path.display()))
        .collect();
    nothing(&findings);
}

/// Part of the file whose name it carries, which has the promise.
fn is_test_module(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    ["_spec", "_tests"].iter().any(|end| name.ends_with(end))
}

mod the_checks_themselves {
    use super::*;

    #[test]
    fn a_function_is_measured_to_its_own_closing_brace() {
        let body = "        if x {\n            y();\n        }\n".repeat(30);
        let text = format!(
            "impl A {{\n    pub(crate) async fn long<T>(\n        x: T,\n    ) {{\n{body}    }}\n\n    fn short() {{}}\n}}\n"
        );
        assert_eq!(long_functions(&text), [(2, 94)]);
        let with_reason =
            text.replacen("    pub(crate)", &format!("    {REASON}it is a table of cases\n    pub(crate)"), 1);
        assert_eq!(long_functions(&with_reason), []);
    }

    #[test]
    fn a_reason_has_words() {
        assert!(has_reason("    // tidy: long because every arm is one case of the protocol"));
        assert!(!has_reason("// tidy: long because "));
    }
}
