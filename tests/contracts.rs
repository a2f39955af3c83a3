//! What others build on: the committed documents are the generated ones, and what is on the stream is what they say.
//!
//! `tests/contracts/asyncapi-3.0.0.schema.json` is the official JSON Schema of AsyncAPI 3.0.0 documents, without its
//! `$id`s and line breaks: © AsyncAPI Initiative, Apache-2.0, from the npm package `@asyncapi/specs` 6.11.1.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure report")]

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use async_nats::jetstream;
use futures::StreamExt as _;
use house::{House, PATIENCE, Process, id};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use testkit::provider::Script;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn asyncapi() -> Value {
    read(&root().join("docs/asyncapi.json"))
}

/// Every file that the executable writes, relative to the root.
fn generated() -> BTreeMap<PathBuf, String> {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_oblivious")).arg("contracts").arg(directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut files = BTreeMap::new();
    let mut folders = vec![directory.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory.path()).unwrap().to_owned();
                files.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    files
}

/// Checks values against one schema of the document.
fn validator(document: &Value, reference: &Value) -> Validator {
    let schema = json!({ "allOf": [reference], "components": document["components"] });
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .build(&schema)
        .unwrap()
}

#[track_caller]
fn conforms(validator: &Validator, value: &Value, what: &str) {
    let faults: Vec<String> =
        validator.iter_errors(value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{what}:\n{}\n{value:#}", faults.join("\n"));
}

fn messages(document: &Value) -> &Map<String, Value> {
    document["components"]["messages"].as_object().unwrap()
}

#[test]
fn the_committed_documents_are_what_the_types_say() {
    for (name, text) in generated() {
        let committed = fs::read_to_string(root().join(&name)).unwrap_or_default();
        let same = committed.lines().zip(text.lines()).take_while(|(old, new)| old == new).count();
        assert!(
            committed == text,
            "{} is not what the code says, from line {} on; run `make contracts`, look at the difference, commit it",
            name.display(),
            same + 1
        );
    }
}

#[test]
fn the_event_document_is_valid_asyncapi() {
    let official = read(&root().join("tests/contracts/asyncapi-3.0.0.schema.json"));
    let validator = jsonschema::options().with_draft(jsonschema::Draft::Draft7).build(&official).unwrap();
    let document = asyncapi();
    conforms(&validator, &document, "docs/asyncapi.json");
    let mut broken = document;
    broken["operations"]["publish.user.registered"]["action"] = json!("shout");
    assert!(!validator.is_valid(&broken), "the official schema finds faults");
}

#[test]
fn every_reference_in_the_event_document_leads_somewhere() {
    fn each_reference(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| each_reference(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| each_reference(item, found)),
            _ => {}
        }
    }
    let document = asyncapi();
    let mut references = BTreeSet::new();
    each_reference(&document, &mut references);
    assert!(references.len() > 100, "they were found: {}", references.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("all are within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_frozen_event_is_documented_and_is_as_documented() {
    let frozen: BTreeSet<String> = fs::read_dir(root().join("domain/tests/wire"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    // A version that gained optional fields is frozen with and without them.
    let (fuller, frozen): (BTreeSet<String>, BTreeSet<String>) =
        frozen.into_iter().partition(|name| name.contains('+'));
    let document = asyncapi();
    assert_eq!(messages(&document).keys().cloned().collect::<BTreeSet<_>>(), frozen);
    for name in fuller {
        let message = &messages(&document)[name.split('+').next().unwrap()];
        let stored = read(&root().join(format!("domain/tests/wire/{name}.json")));
        conforms(&validator(&document, &message["payload"]), &stored, &name);
    }
    for (name, message) in messages(&document) {
        let example = &message["examples"][0];
        conforms(&validator(&document, &message["payload"]), &example["payload"], name);
        conforms(&validator(&document, &message["headers"]), &example["headers"], name);
    }
}

#[test]
fn a_payload_that_lacks_a_field_or_is_of_another_event_does_not_conform() {
    let document = asyncapi();
    for (name, message) in messages(&document) {
        let validator = validator(&document, &message["payload"]);
        let example = &message["examples"][0]["payload"];
        let (event, fields) = example.as_object().unwrap().iter().next().unwrap();
        for field in fields.as_object().unwrap().keys() {
            let mut lacking = example.clone();
            lacking[event].as_object_mut().unwrap().shift_remove(field);
            assert!(!validator.is_valid(&lacking), "{name} without {field}");
        }
        let other = messages(&document).iter().find(|(_, other)| other["name"] != message["name"]).unwrap().1;
        assert!(!validator.is_valid(&json!({ "another": other["examples"][0]["payload"] })), "{name}");
    }
}

#[test]
fn an_open_text_does_not_conform_where_a_sealed_one_is_promised() {
    let document = asyncapi();
    let message = &messages(&document)["session.message_sent.v1"];
    let open = read(&root().join("domain/tests/wire/session.message_sent.v1.json"));
    assert!(!validator(&document, &message["payload"]).is_valid(&open));
}

/// Does a bit of everything that people and programs do.
async fn live(house: &House) -> Process {
    house.provider.answer_with(|prompt| match prompt {
        prompt if prompt.contains("fail") => Script::default().chunk("half of").cut(),
        _ => Script::says("an answer").usage(10, 5),
    });
    let everything = house.serve("api,handlers,projections,reactions,publisher");
    let ann = everything.client().sign_up("ann").await;
    ann.post("api-keys", &json!({ "name": "laptop", "scopes": ["chat"] })).await;
    for content in ["hello", "please fail"] {
        let session = ann.post("sessions", &json!({ "title": "Kyoto" })).await;
        ann.post(&format!("sessions/{}/messages", id(&session, "id")), &json!({ "content": content })).await;
        ann.finished(id(&session, "id")).await;
    }
    everything
}

/// What is on the stream, oldest first, once everything so far is.
async fn stream(house: &House) -> Vec<async_nats::Message> {
    let last = u64::try_from(nats::last_position(&house.database.pool).await.unwrap()).unwrap();
    let context = jetstream::new(house.nats.client.clone());
    let published = async {
        while context.get_stream(nats::streams::EVENTS).await.unwrap().cached_info().state.last_sequence < last {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, published).await.expect("the publisher keeps up");
    let stream = context.get_stream(nats::streams::EVENTS).await.unwrap();
    let consumer = stream.create_consumer(jetstream::consumer::pull::OrderedConfig::default()).await.unwrap();
    let read = consumer.messages().await.unwrap().take(usize::try_from(last).unwrap());
    read.map(|message| message.unwrap().split().0).collect().await
}

#[tokio::test]
async fn what_lies_on_the_stream_is_what_the_document_says() {
    let house = House::open().await;
    let _running = live(&house).await;
    let document = asyncapi();
    let mut seen = BTreeSet::new();
    let mut prevs: BTreeMap<String, String> = BTreeMap::new();
    for message in stream(&house).await {
        let headers: Map<String, Value> = message
            .headers
            .iter()
            .flat_map(async_nats::HeaderMap::iter)
            .map(|(name, values)| (name.to_string(), json!(values[0].as_str())))
            .collect();
        let text = |name: &str| headers[name].as_str().unwrap().to_owned();
        let (event, version) = (text("Type"), text("Version"));
        let documented = &messages(&document)[&format!("{event}.v{version}")];
        assert_eq!(document["channels"][&event]["address"], message.subject.as_str());
        conforms(&validator(&document, &documented["headers"]), &Value::Object(headers.clone()), &event);
        let payload: Value = serde_json::from_slice(&message.payload).unwrap();
        conforms(&validator(&document, &documented["payload"]), &payload, &event);
        let capability = message.subject.split('.').nth(1).unwrap().to_owned();
        let prev = prevs.insert(capability, text("Position")).unwrap_or_else(|| "0".to_owned());
        assert_eq!(text("Prev"), prev, "{event}");
        seen.insert(event);
    }
    for event in [
        "user.registered",
        "device.signed_in",
        "reservation.claimed",
        "api_key.created",
        "session.started",
        "session.message_sent",
        "session.reply_requested",
        "session.reply_started",
        "session.reply_completed",
        "session.reply_failed",
        "channel.added",
        "channel.models_offered",
        "wallet.granted",
        "wallet.held",
        "wallet.charged",
    ] {
        assert!(seen.contains(event), "{event} was not seen: {seen:?}");
    }
}

#[test]
fn a_channel_can_be_an_account_at_every_provider_that_the_relay_knows_and_at_no_other() {
    use domain::relay::ProviderKind;
    let words: BTreeSet<&str> = relay::kinds().map(|kind| kind.id).chain(["local"]).collect();
    assert_eq!(words, ProviderKind::ALL.iter().map(|kind| kind.as_str()).collect());
    for kind in relay::kinds() {
        let needed = ProviderKind::of(kind.id).unwrap().needs_address();
        assert_eq!(needed, kind.base_url.is_none(), "{}", kind.id);
    }
}
