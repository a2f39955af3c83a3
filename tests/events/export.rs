//! `oblivious events export`: whole files only, whatever interrupts it, and no event twice or never.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use testkit::TestDatabase;

use crate::support::{Said, command, fill};

/// A log of `count` events and a place for exports.
async fn log_of(count: i64) -> (TestDatabase, TempDir) {
    let database = testkit::database().await;
    fill(&database.pool, count).await;
    (database, tempfile::tempdir().unwrap())
}

fn export(database: &TestDatabase, folder: &Path, arguments: &[&str]) -> Said {
    Said::by(exporting(database, folder, arguments))
}

fn exporting(database: &TestDatabase, folder: &Path, arguments: &[&str]) -> std::process::Command {
    let arguments = [&["export", "--out", folder.to_str().unwrap()][..], arguments].concat();
    command(&arguments, folder.parent().unwrap(), &database.url, None)
}

fn logged(database: &TestDatabase, directory: &Path, arguments: &[&str]) -> Vec<Value> {
    Said::by(command(&[&["tail", "--from", "1"], arguments].concat(), directory, &database.url, None)).lines()
}

fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

/// All events that the manifest names, after its promises were checked: ranges that follow each other, counts, digests.
fn exported(folder: &Path, from: i64) -> Vec<Value> {
    let (mut events, mut next) = (Vec::new(), from);
    for part in manifest(folder)["parts"].as_array().unwrap() {
        let name = part["file"].as_str().unwrap();
        let bytes = fs::read(folder.join(name)).unwrap();
        assert_eq!(part["sha256"], hex::encode(Sha256::digest(&bytes)), "{name}");
        assert_eq!((&part["bytes"], &part["first"]), (&json!(bytes.len()), &json!(next)), "{name}");
        let of_part = if name.ends_with(".jsonl") { of_lines(&bytes) } else { of_parquet(bytes) };
        assert_eq!(part["events"], of_part.len(), "{name}");
        assert_eq!(of_part.last().unwrap()["position"], part["last"], "{name}");
        next = part["last"].as_i64().unwrap() + 1;
        events.extend(of_part);
    }
    events
}

fn of_lines(bytes: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rows as lines would say them.
fn of_parquet(bytes: Vec<u8>) -> Vec<Value> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    let row = |row: parquet::record::Row| {
        let fields = row.get_column_iter().map(|(name, field)| {
            let value = match field {
                Field::Null => Value::Null,
                Field::Long(number) => json!(number),
                Field::Str(text) if name == "payload" => serde_json::from_str(text).unwrap(),
                Field::Str(text) => json!(text),
                Field::TimestampMicros(micros) => {
                    let at = chrono::DateTime::from_timestamp_micros(*micros).unwrap();
                    json!(at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
                }
                other => panic!("{name}: {other:?}"),
            };
            (name.clone(), value)
        });
        fields.collect::<Value>()
    };
    reader.get_row_iter(None).unwrap().map(|found| row(found.unwrap())).collect()
}

#[tokio::test]
async fn lines_and_parquet_say_the_same_as_the_log() {
    let (database, directory) = log_of(1_234).await;
    let expected = logged(&database, directory.path(), &[]);
    assert_eq!(expected.len(), 1_234);
    for format in ["jsonl", "parquet"] {
        let folder = directory.path().join(format);
        let said = export(&database, &folder, &["--format", format, "--part-events", "500"]);
        assert_eq!(said.out, "1234 events in 3 files, from position 1 to 1234\n", "{}", said.error);
        assert_eq!(exported(&folder, 1), expected, "{format}");
        assert_eq!(manifest(&folder)["parts"][0]["file"], format!("events-000000000001-000000000500.{format}"));
    }
}

#[tokio::test]
async fn a_part_of_the_log_is_exported_and_added_to_later() {
    let (database, directory) = log_of(50).await;
    let folder = directory.path().join("some");
    let some = ["--format", "jsonl", "--from", "11", "--type", "session.renamed", "--aggregate", "s-3", "--resume"];
    assert_eq!(export(&database, &folder, &[&some[..], &["--to", "30"]].concat()).code, Some(0));
    let of_three = |lines: Vec<Value>| lines.into_iter().filter(|line| line["position"].as_i64() > Some(10));
    let expected: Vec<Value> = of_three(logged(&database, directory.path(), &["--aggregate", "s-3"])).collect();
    let first: Vec<Value> = expected.iter().filter(|line| line["position"].as_i64() <= Some(30)).cloned().collect();
    assert_eq!(exported(&folder, 11), first);

    fill(&database.pool, 50).await;
    assert_eq!(export(&database, &folder, &some).code, Some(0));
    let expected: Vec<Value> = of_three(logged(&database, directory.path(), &["--aggregate", "s-3"])).collect();
    assert_eq!(exported(&folder, 11), expected);
    let before = manifest(&folder);
    assert_eq!(export(&database, &folder, &some).code, Some(0), "nothing happened since");
    assert_eq!(manifest(&folder), before);
}

#[tokio::test]
async fn killed_at_any_moment_it_leaves_whole_files_and_goes_on_after_the_last() {
    let (database, directory) = log_of(6_000).await;
    let expected = logged(&database, directory.path(), &[]);
    for format in ["jsonl", "parquet"] {
        let folder = directory.path().join(format);
        let arguments = ["--format", format, "--part-events", "50", "--resume"];
        let mut kills = 0;
        loop {
            let mut process = exporting(&database, &folder, &arguments);
            let mut process = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let had = parts_of(&folder).len();
            // At random between two files; each life makes some way, so there is an end.
            while parts_of(&folder).len() < had + 5 && process.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_micros(fastrand::u64(0..20_000))).await;
            if let Some(ended) = process.try_wait().unwrap() {
                assert!(ended.success());
                break;
            }
            process.kill().unwrap();
            process.wait().unwrap();
            kills += 1;
            for name in parts_of(&folder) {
                let bytes = fs::read(folder.join(&name)).unwrap();
                let events = if format == "jsonl" { of_lines(&bytes) } else { of_parquet(bytes) };
                assert_eq!(events.len(), 50, "{name} is whole");
            }
        }
        assert!(kills >= 3, "it was killed {kills} times");
        assert_eq!(exported(&folder, 1), expected);
        assert_eq!(
            parts_of(&folder).len(),
            manifest(&folder)["parts"].as_array().unwrap().len(),
            "nothing else is left"
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), parts_of(&folder).len() + 1);
    }
}

fn parts_of(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    names.filter(|name| name.starts_with("events-")).collect()
}

#[tokio::test]
async fn a_folder_is_never_filled_with_something_else() {
    let (database, directory) = log_of(40).await;
    let folder = directory.path().join("held");
    assert_eq!(export(&database, &folder, &["--format", "jsonl"]).code, Some(0));
    for (arguments, words) in [
        (&["--format", "jsonl"][..], "--resume goes on"),
        (&["--format", "parquet", "--resume"], "another export"),
        (&["--format", "jsonl", "--resume", "--capability", "chat"], "another export"),
        (&["--format", "jsonl", "--resume", "--from", "2"], "another export"),
    ] {
        let said = export(&database, &folder, arguments);
        assert!(said.code == Some(1) && said.error.contains(words), "{arguments:?}: {}", said.error);
    }
    // A database that was restored has other events at these positions.
    let restored = "UPDATE event_log SET aggregate_id = 'another' WHERE position = 40";
    sqlx::query(restored).execute(&database.pool).await.unwrap();
    let said = export(&database, &folder, &["--format", "jsonl", "--resume"]);
    assert!(said.code == Some(1) && said.error.contains("the database was restored"), "{}", said.error);

    fs::remove_file(folder.join("events-000000000001-000000000040.jsonl")).unwrap();
    sqlx::query("UPDATE event_log SET aggregate_id = 's-5' WHERE position = 40").execute(&database.pool).await.unwrap();
    let said = export(&database, &folder, &["--format", "jsonl", "--resume"]);
    assert!(said.code == Some(1) && said.error.contains("is missing"), "{}", said.error);
}

#[tokio::test]
async fn a_log_with_a_gap_is_not_exported_as_if_it_were_whole() {
    let (database, directory) = log_of(40).await;
    sqlx::query("DELETE FROM event_log WHERE position = 20").execute(&database.pool).await.unwrap();
    let said = export(&database, &directory.path().join("gap"), &["--format", "jsonl"]);
    assert!(said.code == Some(1) && said.error.contains("from position 19 to 21"), "{}", said.error);
}
