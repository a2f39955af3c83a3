//! The AsyncAPI document of the published events.

use serde_json::{Map, Value, json};

use super::events::{Aggregate, Event, Published, SCHEMAS, Version};
use super::headers::{self, Header};

const ABOUT: &str = "Every fact of an Oblivious server, in one order, on the JetStream stream `EVENTS`. A subscriber reads \
    with a durable consumer of its own and proves by the header `Prev` that it missed nothing. The stream is a cache of \
    the log in Postgres and keeps its newest part; `oblivious events export` gives all of it.\n\n\
    The body is the payload as it was stored, byte for byte, in the version that was current then; it is never \
    rewritten. Any change of a payload's fields is a new version.\n\n\
    Sealed, that is encrypted with a key of the person concerned and never opened on the stream: texts and titles of \
    conversations, e-mail addresses, user names, password hashes, names of API keys, operators' notes. Open: ids, \
    times, amounts, token counts, models' names, states.\n\n\
    docs/EVENTS.md is this document for people, docs/SUBSCRIBING.md shows a subscriber.";

/// The document: a channel for each event, a message for each version of it.
///
/// # Errors
/// A header is not explained.
pub(super) fn document(published: &Published) -> anyhow::Result<Value> {
    let headers = headers::all()?;
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    let mut schemas = published.types.clone();
    for (aggregate, event) in published.events() {
        channels.insert(event.name.clone(), channel(aggregate, event));
        operations.insert(format!("publish.{}", event.name), operation(event));
        for version in &event.versions {
            let name = message_name(event, version);
            messages.insert(name.clone(), message(&headers, aggregate, event, version));
            schemas.insert(name, version.schema.clone());
        }
    }
    schemas.insert("Headers".to_owned(), headers_schema(&headers));
    Ok(json!({
        "asyncapi": "3.0.0",
        "id": "urn:oblivious:events",
        "info": {
            "title": "Oblivious: events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
            "tags": capabilities(published),
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "nats.example.org:4222",
                "protocol": "nats",
                "title": "The house's NATS",
                "description": "NATS 2.12 or newer with JetStream; the events are in the stream `EVENTS`. A server of \
                                one machine listens on loopback only.",
                "security": [{ "$ref": "#/components/securitySchemes/user" }],
            },
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "user": {
                    "type": "userPassword",
                    "description": "A NATS user whose permissions name what it may read; none but the publisher may \
                                    write. docs/SUBSCRIBING.md shows how one is made.",
                },
            },
        },
    }))
}

fn capabilities(published: &Published) -> Vec<Value> {
    let mut names: Vec<&str> = published.aggregates.iter().map(|aggregate| aggregate.capability).collect();
    names.dedup();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

fn message_name(event: &Event, version: &Version) -> String {
    format!("{}.v{}", event.name, version.number)
}

fn channel(aggregate: &Aggregate, event: &Event) -> Value {
    let reference = |version: &Version| {
        let name = message_name(event, version);
        (format!("v{}", version.number), json!({ "$ref": format!("#/components/messages/{name}") }))
    };
    json!({
        "address": event.subject,
        "title": event.name,
        "summary": event.sentence,
        "description": format!("Of the aggregate `{}`. {}", aggregate.name, aggregate.sentence),
        "messages": event.versions.iter().map(reference).collect::<Map<_, _>>(),
        "tags": [{ "name": aggregate.capability }],
    })
}

fn operation(event: &Event) -> Value {
    let channel = format!("#/channels/{}", event.name);
    json!({
        "action": "send",
        "channel": { "$ref": channel },
        "summary": "Published once, in the order of positions.",
        "messages": event.versions.iter().map(|version| json!({ "$ref": format!("{channel}/messages/v{}", version.number) }))
            .collect::<Vec<_>>(),
    })
}

fn message(headers: &[Header], aggregate: &Aggregate, event: &Event, version: &Version) -> Value {
    let name = message_name(event, version);
    let mut message = json!({
        "name": event.name,
        "title": format!("{}, version {}", event.name, version.number),
        "summary": event.sentence,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "allOf": [
                { "$ref": format!("{SCHEMAS}Headers") },
                { "properties": {
                    "Type": { "const": event.name },
                    "Version": { "const": version.number.to_string() },
                } },
            ],
        },
        "payload": { "$ref": format!("{SCHEMAS}{name}") },
        "tags": [{ "name": aggregate.capability }],
        "examples": [{
            "headers": headers::example(headers, aggregate, event, version),
            "payload": version.example,
        }],
    });
    if let Some(raised) = version.raised {
        message["description"] = json!(format!("No longer written, still to be read. {raised}"));
    }
    message
}

fn headers_schema(headers: &[Header]) -> Value {
    let properties: Map<String, Value> =
        headers.iter().map(|header| (header.name.to_owned(), header.schema())).collect();
    let required: Vec<&str> = headers.iter().filter(|header| header.required).map(|header| header.name).collect();
    json!({
        "type": "object",
        "description": "Beside these there may be headers of the server, `Nats-…`.",
        "properties": properties,
        "required": required,
    })
}
