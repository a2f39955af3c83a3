//! A streamed answer of an upstream.
//!
//! Compatible servers differ in what they leave out: starts of blocks, `ping`, the usage in either place. All of that is
//! read; kinds of events, blocks and deltas that nobody knows are passed over, as the documentation of the stream asks.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::usage::Counters;
use super::{answer, block, refusal};
use crate::dialects::claude;
use crate::model::{Delta, Opaque, Part};
use crate::{DeltaReader, RelayError};

/// Blocks that are open at once, at most; documented is one.
const MAX_OPEN_BLOCKS: usize = 128;
/// Bytes of the input of a tool that the provider runs, and of one signature, at most.
const MAX_HELD_BYTES: usize = 4 << 20;

/// What is known of one answer so far.
#[derive(Default)]
pub(super) struct Reader {
    begun: bool,
    ended: bool,
    finished: bool,
    calls: u32,
    counters: Counters,
    open: BTreeMap<u64, Block>,
}

/// A block that has begun.
enum Block {
    Text { citations: Vec<Opaque> },
    Thinking { signature: String },
    Call { number: u32, argued: bool, input: Value },
    Other { block: Value, input: String },
}

impl DeltaReader for Reader {
    fn read(&mut self, name: Option<&str>, data: &str) -> Result<Vec<Delta>, RelayError> {
        let mut event: Map<String, Value> =
            serde_json::from_str(data).map_err(|_| garbage("an event of the stream is no JSON object"))?;
        let kind = event.get("type").and_then(Value::as_str).or(name).unwrap_or_default().to_owned();
        let mut deltas = Vec::new();
        match kind.as_str() {
            "error" => return Err(refusal::of_event(event.get("error").unwrap_or(&Value::Null))),
            "message_start" => self.begin(event.get("message").unwrap_or(&Value::Null), &mut deltas),
            "message_stop" => {
                self.finish(&Value::Null, &mut deltas);
                self.finished = true;
            }
            _ if self.ended => {}
            "content_block_start" => {
                let block = event.remove("content_block").ok_or_else(|| garbage("a block has no content"))?;
                self.start(index(&event), block, &mut deltas)?;
            }
            "content_block_delta" => self.grow(index(&event), event.get("delta"), &mut deltas)?,
            "content_block_stop" => self.stop(index(&event), &mut deltas),
            "message_delta" => {
                self.counters.add(event.get("usage"));
                let delta = event.get("delta").unwrap_or(&Value::Null);
                if delta.get("stop_reason").is_some_and(Value::is_string) {
                    self.finish(delta, &mut deltas);
                } else {
                    deltas.extend(self.counters.usage().map(Delta::Usage));
                }
            }
            _ => {}
        }
        if !self.begun && !deltas.is_empty() {
            self.begun = true;
            deltas.insert(0, Delta::Begin { id: String::new(), model: String::new(), usage: None });
        }
        Ok(deltas)
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}

fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}

fn index(event: &Map<String, Value>) -> u64 {
    event.get("index").and_then(Value::as_u64).unwrap_or_default()
}

/// A text that says something.
fn said(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Reader {
    fn begin(&mut self, message: &Value, deltas: &mut Vec<Delta>) {
        self.counters.add(message.get("usage"));
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        deltas.push(Delta::Begin { id: text("id"), model: text("model"), usage: self.counters.usage() });
    }

    fn start(&mut self, index: u64, mut block: Value, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        if self.open.len() >= MAX_OPEN_BLOCKS {
            return Err(garbage("too many blocks are open"));
        }
        self.stop(index, deltas);
        let opened = match block.get("type").and_then(Value::as_str).unwrap_or_default() {
            "text" => {
                deltas.extend(said(block.get("text")).map(|text| Delta::Text { candidate: 0, text }));
                let citations = block.get("citations").and_then(Value::as_array).into_iter().flatten();
                Block::Text { citations: citations.cloned().map(block::opaque).collect() }
            }
            "thinking" => {
                deltas.extend(said(block.get("thinking")).map(|text| Delta::Reasoning { candidate: 0, text }));
                Block::Thinking { signature: said(block.get("signature")).unwrap_or_default() }
            }
            "redacted_thinking" => {
                let data = said(block.get("data")).ok_or_else(|| garbage("redacted thinking has no data"))?;
                deltas.push(Delta::ReasoningSignature { candidate: 0, signature: claude::redacted(&data) });
                return Ok(());
            }
            "tool_use" => {
                let text = |key: &str| said(block.get(key)).ok_or_else(|| garbage("a call has no id or name"));
                let (id, name, number) = (text("id")?, text("name")?, self.calls);
                self.calls += 1;
                deltas.push(Delta::ToolCall { candidate: 0, call: number, id, name, custom: false, signature: None });
                let input = block.get_mut("input").map(Value::take).unwrap_or_default();
                Block::Call { number, argued: false, input }
            }
            _ => Block::Other { block, input: String::new() },
        };
        self.open.insert(index, opened);
        Ok(())
    }

    fn grow(&mut self, index: u64, delta: Option<&Value>, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        let delta = delta.ok_or_else(|| garbage("a delta is empty"))?;
        let kind = delta.get("type").and_then(Value::as_str).unwrap_or_default();
        match (kind, self.open.get_mut(&index)) {
            ("text_delta", _) => {
                deltas.extend(said(delta.get("text")).map(|text| Delta::Text { candidate: 0, text }));
            }
            ("thinking_delta", open) => {
                deltas.extend(said(delta.get("thinking")).map(|text| Delta::Reasoning { candidate: 0, text }));
                if open.is_none() {
                    self.open.insert(index, Block::Thinking { signature: String::new() });
                }
            }
            ("signature_delta", Some(Block::Thinking { signature })) => {
                hold(signature, delta.get("signature"))?;
            }
            ("signature_delta", None) => {
                let signature = said(delta.get("signature")).unwrap_or_default();
                self.open.insert(index, Block::Thinking { signature });
            }
            ("citations_delta", Some(Block::Text { citations })) => {
                citations.extend(delta.get("citation").cloned().map(block::opaque));
            }
            ("input_json_delta", Some(Block::Call { number, argued, .. })) => {
                if let Some(fragment) = said(delta.get("partial_json")) {
                    *argued = true;
                    deltas.push(Delta::ToolArguments { candidate: 0, call: *number, fragment });
                }
            }
            ("input_json_delta", Some(Block::Other { input, .. })) => hold(input, delta.get("partial_json"))?,
            ("input_json_delta", _) => return Err(garbage("arguments belong to no call")),
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, index: u64, deltas: &mut Vec<Delta>) {
        match self.open.remove(&index) {
            Some(Block::Text { citations }) => {
                deltas.extend(citations.into_iter().map(|citation| Delta::Citation { candidate: 0, citation }));
            }
            Some(Block::Thinking { signature }) if !signature.is_empty() => {
                deltas.push(Delta::ReasoningSignature { candidate: 0, signature: claude::signed(&signature) });
            }
            Some(Block::Call { number, argued: false, input }) => {
                let input = if input.is_object() { input } else { Value::Object(Map::new()) };
                deltas.push(Delta::ToolArguments { candidate: 0, call: number, fragment: input.to_string() });
            }
            None | Some(Block::Thinking { .. } | Block::Call { .. }) => {}
            Some(Block::Other { mut block, input }) => {
                if let (Ok(input), Some(fields)) = (serde_json::from_str(&input), block.as_object_mut()) {
                    fields.insert("input".to_owned(), input);
                }
                deltas.push(Delta::Part { candidate: 0, part: Part::Other(block::opaque(block)) });
            }
        }
    }

    /// Ends the answer once, with what is still open.
    fn finish(&mut self, delta: &Value, deltas: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        for index in self.open.keys().copied().collect::<Vec<_>>() {
            self.stop(index, deltas);
        }
        let word = delta.get("stop_reason").and_then(Value::as_str);
        let finish = answer::finish_reason(word, self.calls > 0);
        deltas.push(Delta::Finish { candidate: 0, finish, stop_sequence: said(delta.get("stop_sequence")) });
        deltas.extend(self.counters.usage().map(Delta::Usage));
    }
}

fn hold(held: &mut String, more: Option<&Value>) -> Result<(), RelayError> {
    let more = more.and_then(Value::as_str).unwrap_or_default();
    if held.len() + more.len() > MAX_HELD_BYTES {
        return Err(garbage("a block is too long"));
    }
    held.push_str(more);
    Ok(())
}
