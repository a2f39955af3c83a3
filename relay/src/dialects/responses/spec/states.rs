//! Responses that are kept, and conversations that go on.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::object;
use crate::dialects::responses::state::{self, Page, Turn};

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[test]
fn input_items_have_ids_that_name_their_response() {
    let items = state::input_items(
        "resp_0199",
        &object(json!({"input": [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "id": "fc_theirs", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
            {"role": "assistant", "content": "Yes"},
        ]})),
    );
    assert_eq!(
        items[0],
        json!({"id": "msg_0199_i0", "type": "message", "status": "completed", "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}]})
    );
    assert_eq!((&items[1]["id"], &items[2]["id"]), (&json!("fc_theirs"), &json!("fco_0199_i2")));
    assert_eq!(items[3]["content"][0]["type"], "output_text");
    assert_eq!(state::response_of_item("fco_0199_i2").as_deref(), Some("resp_0199"));
    let items = state::input_items("resp_0199", &object(json!({"input": "Hi"})));
    assert_eq!(items[0]["content"][0]["text"], "Hi");
}

#[test]
fn a_response_is_kept_unless_the_client_says_no() {
    assert!(state::is_kept(&object(json!({}))) && state::is_kept(&object(json!({"store": null}))));
    assert!(!state::is_kept(&object(json!({"store": false}))));
}

#[test]
fn a_conversation_goes_on_with_everything_that_came_before() {
    let first =
        Turn { input: vec![json!({"id": "a", "role": "user", "content": "1"})], output: vec![json!({"id": "b"})] };
    let second = Turn { input: vec![json!({"id": "c"})], output: vec![json!({"id": "d"})] };
    let body = object(json!({"model": "m", "previous_response_id": "resp_2", "input": "more"}));
    assert_eq!(state::previous(&body), Some("resp_2"));
    let body = state::continued(body, vec![first, second], &HashMap::new()).unwrap();
    let input = body["input"].as_array().unwrap();
    let order: Vec<&str> = input.iter().filter_map(|item| item["id"].as_str()).collect();
    assert_eq!(order, ["a", "b", "c", "d"]);
    assert_eq!(input[4]["content"], "more");
}

#[test]
fn references_are_replaced_by_what_they_name() {
    let body = object(json!({"input": [
        {"type": "item_reference", "id": "msg_0199_1"}, {"id": "rs_0199_0"}, {"type": "item_reference", "id": "b"},
        {"role": "user", "content": "x"},
    ]}));
    assert_eq!(state::references(&body), ["msg_0199_1", "rs_0199_0", "b"]);
    let earlier = vec![Turn { input: vec![], output: vec![json!({"id": "b", "type": "message"})] }];
    let mut kept = HashMap::from([("msg_0199_1".to_owned(), json!({"id": "msg_0199_1", "type": "message"}))]);
    let error = state::continued(body.clone(), earlier.clone(), &kept).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("input[1]"));
    kept.insert("rs_0199_0".to_owned(), json!({"id": "rs_0199_0", "type": "reasoning"}));
    let body = state::continued(body, earlier, &kept).unwrap();
    // What the earlier turn brought is not said twice.
    let input = body["input"].as_array().unwrap();
    let order: Vec<&str> = input.iter().filter_map(|item| item["id"].as_str()).collect();
    assert_eq!((order, input.len()), (vec!["b", "msg_0199_1", "rs_0199_0"], 4));
}

#[test]
fn items_are_listed_in_pages_from_either_end() {
    let items: Vec<Value> = (0..5).map(|n| json!({"id": format!("i{n}")})).collect();
    let page = |query: Page| state::page(items.clone(), &query);
    let newest = page(Page { limit: Some(2), ..Page::default() }).unwrap();
    assert_eq!((ids(&newest), &newest["has_more"]), (vec!["i4", "i3"], &json!(true)));
    assert_eq!((&newest["first_id"], &newest["last_id"]), (&json!("i4"), &json!("i3")));
    let oldest = Page { after: Some("i2".to_owned()), limit: None, ascending: true };
    let oldest = page(oldest).unwrap();
    assert_eq!((ids(&oldest), &oldest["has_more"]), (vec!["i3", "i4"], &json!(false)));
    assert!(page(Page { limit: Some(0), ..Page::default() }).is_err());
    assert!(page(Page { limit: Some(101), ..Page::default() }).is_err());
    assert_eq!(
        page(Page { after: Some("x".to_owned()), ..Page::default() }).unwrap_err().param.as_deref(),
        Some("after")
    );
    assert_eq!(state::page(vec![], &Page::default()).unwrap()["first_id"], Value::Null);
}
