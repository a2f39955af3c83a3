//! Every benchmark still runs, from one end to the other. Its figures mean nothing here and nobody looks at them.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the failure report")]

use std::process::Command;

#[test]
fn the_write_path_is_measured_with_all_who_compete() {
    let printed = quick("write-path");
    for part in [
        "stock postgres-es",
        "raw inserts, one row a commit",
        "raw inserts, UNNEST of what waits",
        "ours, `Bus::execute`",
        "ours, through `COMMANDS`",
        "### From commit to row",
        "### Targets",
    ] {
        assert!(printed.contains(part), "`{part}` is missing in:\n{printed}");
    }
}

#[test]
fn the_relay_is_measured_with_all_who_need_not_be_fetched() {
    let printed = quick_with(&["relay", "--without", "nginx,litellm,portkey"]);
    for part in [
        "direct to the upstream",
        "pass-through (the floor)",
        "Oblivious, exact billing",
        "Oblivious, a model that costs nothing",
        "**Portkey is absent**: left out by --without",
        "### Streams",
        "### Targets",
    ] {
        assert!(printed.contains(part), "`{part}` is missing in:\n{printed}");
    }
    assert!(!printed.contains("answers failed"), "{printed}");
}

fn quick(benchmark: &str) -> String {
    quick_with(&[benchmark])
}

fn quick_with(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).arg("--quick").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
