//! What it takes to keep responses, pure: which are kept, their items with ids, and conversations that go on.
//!
//! A response is kept as the items that were its input and the object that was its answer; what came before is kept
//! with the responses that it belongs to. Instructions are not carried over, as OpenAI documents. An item's id names
//! its response ([`response_of_item`]), so a reference to it is found without another index.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::object;
use crate::InvalidRequest;

/// Items of one page at most, and where a client says nothing.
const MAX_PAGE: usize = 100;
const DEFAULT_PAGE: usize = 20;

/// One response that was kept.
#[derive(Clone, PartialEq)]
pub struct Turn {
    /// As of [`input_items`].
    pub input: Vec<Value>,
    /// The `output` of the response.
    pub output: Vec<Value>,
}

/// Whether a response to this body is to be kept: unless `store` is false.
#[must_use]
pub fn is_kept(body: &Map<String, Value>) -> bool {
    body.get("store") != Some(&Value::Bool(false))
}

/// The response that the body continues.
#[must_use]
pub fn previous(body: &Map<String, Value>) -> Option<&str> {
    body.get("previous_response_id").and_then(Value::as_str)
}

/// The ids of items that the input refers to instead of saying them.
#[must_use]
pub fn references(body: &Map<String, Value>) -> Vec<&str> {
    let items = body.get("input").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(reference).collect()
}

/// The id of the response that has the item with that id, input or output; `None` if the id is not ours.
#[must_use]
pub fn response_of_item(item: &str) -> Option<String> {
    object::response_of_item(item)
}

/// The input of the response with that id, as items that each have an id and a type. Items that came with an id keep
/// it; references stay references.
#[must_use]
pub fn input_items(response: &str, body: &Map<String, Value>) -> Vec<Value> {
    let items = match body.get("input") {
        Some(Value::String(text)) => vec![json!({"type": "message", "role": "user", "content": text})],
        Some(Value::Array(items)) => items.clone(),
        _ => vec![],
    };
    items.into_iter().enumerate().map(|(place, item)| named(item, response, place)).collect()
}

/// The same body with everything that came before in its input, oldest first, and every reference replaced.
///
/// # Errors
/// A reference is in neither `earlier` nor `referenced`.
pub fn continued(
    mut body: Map<String, Value>,
    earlier: Vec<Turn>,
    referenced: &HashMap<String, Value>,
) -> Result<Map<String, Value>, InvalidRequest> {
    let own = match body.shift_remove("input") {
        Some(Value::String(text)) => vec![json!({"type": "message", "role": "user", "content": text})],
        Some(Value::Array(items)) => items,
        Some(_) => return Err(InvalidRequest::at("input", "This must be a text or a list of items.")),
        None => vec![],
    };
    let mut input: Vec<Value> =
        earlier.into_iter().flat_map(|turn| turn.input.into_iter().chain(turn.output)).collect();
    let known = |input: &[Value], id: &str| input.iter().any(|item| item.get("id").is_some_and(|own| own == id));
    for (index, item) in own.into_iter().enumerate() {
        match reference(&item).map(str::to_owned) {
            None => input.push(item),
            // It is there already: the client names what `previous_response_id` brought.
            Some(id) if known(&input, &id) => {}
            Some(id) => {
                let kept = referenced.get(&id).cloned();
                let missing = || InvalidRequest::at(format!("input[{index}]"), "No item with this id is kept here.");
                input.push(kept.ok_or_else(missing)?);
            }
        }
    }
    body.insert("input".to_owned(), Value::Array(input));
    Ok(body)
}

/// Which items of a list are wanted: the query of `GET /v1/responses/{id}/input_items`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Those that follow the item with this id.
    pub after: Option<String>,
    /// So many at most, 1 to 100; 20 where absent.
    pub limit: Option<usize>,
    /// Oldest first; else the newest first, which is OpenAI's default.
    pub ascending: bool,
}

/// One page of items, oldest first in `items`, as the list object that clients get.
///
/// # Errors
/// The limit is out of range, or no item has the id of `after`.
pub fn page(mut items: Vec<Value>, page: &Page) -> Result<Value, InvalidRequest> {
    let limit = page.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(InvalidRequest::at("limit", format!("This must be from 1 to {MAX_PAGE}.")));
    }
    if !page.ascending {
        items.reverse();
    }
    let id = |item: &Value| item.get("id").and_then(Value::as_str).map(str::to_owned);
    if let Some(after) = &page.after {
        let place = items.iter().position(|item| id(item).as_ref() == Some(after));
        let place = place.ok_or_else(|| InvalidRequest::at("after", "No item has this id."))?;
        items.drain(..=place);
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    Ok(json!({
        "object": "list",
        "first_id": items.first().and_then(id),
        "last_id": items.last().and_then(id),
        "has_more": has_more,
        "data": items,
    }))
}

/// The id that an item refers to, if it is nothing but a reference.
fn reference(item: &Value) -> Option<&str> {
    let id = item.get("id")?.as_str()?;
    match item.get("type").and_then(Value::as_str) {
        Some("item_reference") => Some(id),
        None if item.get("role").is_none() => Some(id),
        _ => None,
    }
}

/// An item with an id and a type, and the content of a message as a list.
fn named(item: Value, response: &str, place: usize) -> Value {
    let Value::Object(given) = item else { return item };
    let kind = match given.get("type").and_then(Value::as_str) {
        Some(kind) => kind.to_owned(),
        None if given.contains_key("role") => "message".to_owned(),
        None => "item_reference".to_owned(),
    };
    let prefix = match kind.as_str() {
        "message" => "msg",
        "reasoning" => "rs",
        "function_call" => "fc",
        "function_call_output" => "fco",
        "custom_tool_call" => "ctc",
        "custom_tool_call_output" => "ctco",
        _ => "item",
    };
    let id = given.get("id").filter(|id| id.is_string()).cloned();
    let id = id.unwrap_or_else(|| json!(object::item_id(prefix, response, format_args!("i{place}"))));
    let mut item = Map::from_iter([("id".to_owned(), id), ("type".to_owned(), json!(kind))]);
    if kind == "message" {
        item.insert("status".to_owned(), json!("completed"));
    }
    item.extend(given.into_iter().filter(|(key, _)| key != "id" && key != "type"));
    let is_model = item.get("role").is_some_and(|role| role == "assistant");
    if let Some(Value::String(text)) = item.get("content") {
        let piece = if is_model {
            super::content::output_text(text, &[], &[])
        } else {
            json!({"type": "input_text", "text": text})
        };
        item.insert("content".to_owned(), json!([piece]));
    }
    Value::Object(item)
}
