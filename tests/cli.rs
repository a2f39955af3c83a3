//! The command line of the real executable: help, exit codes, and what it says when something is wrong.
#![expect(clippy::expect_used, reason = "in tests a panic is the failure report")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs `oblivious` in an empty directory with nothing of our own environment but the kit.
fn oblivious(arguments: &[&str], environment: &[(&str, &str)]) -> (Output, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    (run_in(directory.path(), arguments, environment), directory)
}

fn run_in(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oblivious"));
    command.args(arguments).current_dir(directory).env_clear().env("PATH", "/usr/bin:/bin");
    if let Some(kit) = std::env::var_os("OBLIVIOUS_KIT_DIR") {
        command.env("OBLIVIOUS_KIT_DIR", kit);
    }
    command.envs(environment.iter().copied()).output().expect("the executable runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "it should have failed; it said: {}", out(output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_command_explains_itself() {
    let (overview, _) = oblivious(&["--help"], &[]);
    let overview = out(&overview);
    let commands = [
        "up",
        "serve",
        "migrate",
        "prepare",
        "openapi",
        "asyncapi",
        "events",
        "dead-letters",
        "rebuild",
        "reconcile",
        "config",
        "doctor",
    ];
    for command in commands {
        assert!(overview.contains(&format!("  {command}")), "{command} is missing in:\n{overview}");
        let (help, _) = oblivious(&[command, "--help"], &[]);
        assert!(help.status.success() && out(&help).contains("Usage:"), "{command} --help");
    }
}

#[test]
fn an_unknown_command_is_refused() {
    let (output, _) = oblivious(&["upp"], &[]);
    assert!(complaint(&output).contains("up"), "it suggests the nearest");
}

#[test]
fn a_mistyped_variable_stops_every_start_with_the_right_name() {
    let (output, _) = oblivious(&["up"], &[("OBLIVIOUS_HTTP_ADR", "127.0.0.1:0")]);
    assert!(complaint(&output).contains("did you mean OBLIVIOUS_HTTP_ADDR?"));
}

#[test]
fn the_configuration_is_printed_with_origins_and_without_secrets() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("oblivious.toml"), "partitions = 8\nopenai_api_key = \"sk-hidden\"\n")
        .expect("ours");
    let output = run_in(directory.path(), &["config"], &[("DATABASE_URL", "postgres://app:hidden@db/app")]);
    assert!(output.status.success());
    let printed = out(&output);
    assert!(printed.contains("partitions = 8  # from oblivious.toml"), "{printed}");
    assert!(printed.contains("from DATABASE_URL") && !printed.contains("hidden"), "{printed}");
}

#[test]
fn serve_and_migrate_say_that_they_need_servers_that_exist() {
    for arguments in
        [&["serve"][..], &["migrate"], &["events", "open-epoch", "--reason", "test"], &["dead-letters", "list"]]
    {
        let (output, _) = oblivious(arguments, &[]);
        assert!(complaint(&output).contains("DATABASE_URL"), "{arguments:?}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_named_without_its_password() {
    // Nothing listens on a port that was just given back.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let url = format!("postgres://app:hunter2@127.0.0.1:{port}/app");
    let (output, _) = oblivious(&["migrate"], &[("DATABASE_URL", &url)]);
    let complaint = complaint(&output);
    assert!(complaint.contains("Postgres does not answer") && !complaint.contains("hunter2"), "{complaint}");
}

#[test]
fn the_openapi_document_is_printed_as_json() {
    let (output, _) = oblivious(&["openapi"], &[]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(document["paths"]["/api/v1/sessions"].is_object());
}

#[test]
fn the_doctor_finds_nothing_that_blocks_here() {
    let (output, directory) = oblivious(&["doctor"], &[("OBLIVIOUS_HTTP_ADDR", "127.0.0.1:0")]);
    let found = out(&output);
    assert!(output.status.success(), "{found}");
    assert!(
        found.contains("PostgreSQL") && found.contains("nats-server") && found.contains("Nothing blocks a start."),
        "{found}"
    );
    assert_eq!(directory.path().read_dir().expect("ours").count(), 0, "it changes nothing");
}

#[test]
fn the_doctor_names_what_blocks_and_fails() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let environment = [("OBLIVIOUS_HTTP_ADDR", address.as_str()), ("OBLIVIOUS_KIT_DIR", "/nowhere")];
    let (output, _) = oblivious(&["doctor"], &environment);
    let found = out(&output);
    assert!(!output.status.success());
    assert!(found.contains("BLOCKS  kit") && found.contains("fetch.py"), "{found}");
    assert!(found.contains("BLOCKS  address") && found.contains("2 things block"), "{found}");
}

#[test]
fn with_services_passes_on_the_exit_code_and_leaves_nothing_behind() {
    let (output, _) = oblivious(&["with-services", "--", "sh", "-c", "echo $OBLIVIOUS_TEST_DATABASE_URL; exit 7"], &[]);
    assert_eq!(output.status.code(), Some(7));
    let url = out(&output);
    assert!(url.starts_with("postgres://"), "{url}");
    let place =
        url.split("%2F").find(|part| part.starts_with("oblivious")).expect("the socket directory").replace("%2D", "-");
    assert!(!std::env::temp_dir().join(place).exists(), "its directory is gone");
}
