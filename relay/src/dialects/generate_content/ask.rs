//! What a model is asked.
//!
//! Google has one place for instructions, two roles, and refuses contents without parts; results of calls that were made
//! at once stand in one content. So system messages are gathered in their order, and what one author says in a row
//! becomes one content.

use serde_json::{Map, Value, json};

use super::family::Family;
use super::said::{self, Reader};
use super::{config, signature, tools};
use crate::Dialect;
use crate::model::{Author, Prompt};

/// The body of a request. The model stands in the path.
pub(super) fn body(prompt: &Prompt) -> Map<String, Value> {
    let family = Family::of(&prompt.model);
    let kept = prompt.extra.as_ref().and_then(|extra| extra.in_dialect(Dialect::GenerateContent)?.as_object());
    let mut body = kept.cloned().unwrap_or_default();
    let (system, contents) = contents(prompt, family);
    if !system.is_empty() && contents.is_empty() {
        // A question of instructions only is asked by the person.
        body.insert("contents".to_owned(), json!([{ "role": "user", "parts": system }]));
    } else {
        if !system.is_empty() {
            body.insert("systemInstruction".to_owned(), json!({ "parts": system }));
        }
        body.insert("contents".to_owned(), contents.into());
    }
    let tools = tools::write(&prompt.tools, family);
    if !tools.is_empty() {
        body.insert("tools".to_owned(), tools.into());
    }
    within(&mut body, "toolConfig", |all| within(all, "functionCallingConfig", |one| tools::write_choice(prompt, one)));
    within(&mut body, "generationConfig", |one| config::write(prompt, family, one));
    let tier = prompt.service_tier.as_deref().and_then(|tier| match tier {
        "default" => Some("standard"),
        "flex" => Some("flex"),
        "priority" => Some("priority"),
        _ => None,
    });
    body.extend(tier.map(|tier| ("serviceTier".to_owned(), json!(tier))));
    body
}

/// Changes an object within another; an empty one is not there.
fn within(all: &mut Map<String, Value>, key: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    let mut one = match all.shift_remove(key) {
        Some(Value::Object(one)) => one,
        _ => Map::new(),
    };
    change(&mut one);
    if !one.is_empty() {
        all.insert(key.to_owned(), one.into());
    }
}

fn contents(prompt: &Prompt, family: Family) -> (Vec<Value>, Vec<Value>) {
    let names = said::names(&prompt.messages);
    let reader = Reader::Model { family, names: &names };
    let current = signature::current_turn(&prompt.messages);
    let mut system = vec![];
    let mut contents: Vec<(Author, Vec<Value>)> = vec![];
    for (at, message) in prompt.messages.iter().enumerate() {
        let mut parts = vec![];
        message.parts.iter().for_each(|part| said::push(&mut parts, part, reader));
        if message.author == Author::Assistant && at > current && family.wants_signatures() {
            signature::sign_step(&mut parts);
        }
        match contents.last_mut() {
            _ if parts.is_empty() => {}
            _ if message.author == Author::System => system.extend(parts),
            Some((author, before)) if *author == message.author => before.extend(parts),
            _ => contents.push((message.author, parts)),
        }
    }
    let contents = contents.into_iter().map(|(author, parts)| {
        let role = if author == Author::Assistant { "model" } else { "user" };
        json!({ "role": role, "parts": parts })
    });
    (system, contents.collect())
}
