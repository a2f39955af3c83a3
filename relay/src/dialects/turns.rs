//! Conversations for upstreams that want two who take turns.

use serde_json::{Value, json};

use crate::model::{Author, Message, Part};

/// The operator's words, gathered, and the turns of the others as `role` and `content`: one turn each, outcomes of tools
/// first, as such upstreams want them. Where nobody but the operator speaks, his words are asked.
pub(crate) fn alternate(
    messages: &[Message],
    write: impl Fn(&Part) -> Vec<Value>,
    is_outcome: impl Fn(&Value) -> bool,
) -> (Vec<Value>, Vec<Value>) {
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let blocks = message.parts.iter().flat_map(&write);
        let role = match message.author {
            Author::System => {
                system.extend(blocks);
                continue;
            }
            Author::User => "user",
            Author::Assistant => "assistant",
        };
        let blocks: Vec<_> = blocks.collect();
        match turns.last_mut() {
            Some((last, gathered)) if *last == role => gathered.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => turns.push((role, blocks)),
        }
    }
    if turns.is_empty() && !system.is_empty() {
        turns.push(("user", std::mem::take(&mut system)));
    }
    for (_, blocks) in &mut turns {
        // The sort is stable.
        blocks.sort_by_key(|block| !is_outcome(block));
    }
    let turns = turns.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
    (system, turns)
}
