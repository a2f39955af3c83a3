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

fn quick(benchmark: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).args([benchmark, "--quick"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
