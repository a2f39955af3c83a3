//! A streamed answer: the events of [`super::frames`], in order.

use std::collections::BTreeMap;

use serde_json::Value;

use super::frames::FAILURE;
use super::{answer, block, refusal, usage};
use crate::dialects::claude;
use crate::model::Delta;
use crate::{DeltaReader, RelayError};

/// Bytes of one signature or of hidden thoughts, at most.
const MAX_HELD_BYTES: usize = 4 << 20;

/// What is known of one answer so far.
#[derive(Default)]
pub(super) struct Reader {
    begun: bool,
    ended: bool,
    finished: bool,
    calls: u32,
    open: BTreeMap<u64, Block>,
}

/// A block that ends with something to say.
enum Block {
    Call { number: u32, argued: bool },
    Thinking { signature: String, hidden: String },
}

impl DeltaReader for Reader {
    fn read(&mut self, name: Option<&str>, data: &str) -> Result<Vec<Delta>, RelayError> {
        let name = name.unwrap_or_default();
        let event = serde_json::from_str::<Value>(data);
        if let Some(kind) = name.strip_prefix(FAILURE) {
            return Err(refusal::of_exception(kind, &event.unwrap_or_default()));
        }
        let event = event.map_err(|_| garbage("an event of the stream is no JSON"))?;
        let mut deltas = Vec::new();
        let index = event.get("contentBlockIndex").and_then(Value::as_u64).unwrap_or_default();
        match name {
            "messageStart" => self.begin(&mut deltas),
            "contentBlockStart" if !self.ended => self.start(index, event.pointer("/start/toolUse"), &mut deltas)?,
            "contentBlockDelta" if !self.ended => self.grow(index, event.get("delta"), &mut deltas)?,
            "contentBlockStop" if !self.ended => self.stop(index, &mut deltas),
            "messageStop" if !self.ended => {
                self.begin(&mut deltas);
                for index in self.open.keys().copied().collect::<Vec<_>>() {
                    self.stop(index, &mut deltas);
                }
                let word = event.get("stopReason").and_then(Value::as_str);
                let finish = answer::finish_reason(word, self.calls > 0);
                deltas.push(Delta::Finish { candidate: 0, finish, stop_sequence: None });
                self.ended = true;
            }
            "metadata" => {
                deltas.extend(usage::read(event.get("usage")).map(Delta::Usage));
                // It is the last event; before the reason of the end it would be a cut.
                self.finished = self.ended;
            }
            _ => {}
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

/// A text that says something.
fn said(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Reader {
    fn begin(&mut self, deltas: &mut Vec<Delta>) {
        if !std::mem::replace(&mut self.begun, true) {
            deltas.push(Delta::Begin { id: String::new(), model: String::new(), usage: None });
        }
    }

    /// Only calls begin with something to say.
    fn start(&mut self, index: u64, call: Option<&Value>, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        self.begin(deltas);
        let Some(call) = call else { return Ok(()) };
        let text = |key: &str| said(call.get(key)).ok_or_else(|| garbage("a call has no id or name"));
        let (id, name, number) = (text("toolUseId")?, text("name")?, self.calls);
        self.stop(index, deltas);
        self.calls += 1;
        deltas.push(Delta::ToolCall { candidate: 0, call: number, id, name, custom: false, signature: None });
        self.open.insert(index, Block::Call { number, argued: false });
        Ok(())
    }

    fn grow(&mut self, index: u64, delta: Option<&Value>, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        self.begin(deltas);
        let delta = delta.ok_or_else(|| garbage("a delta is empty"))?;
        deltas.extend(said(delta.get("text")).map(|text| Delta::Text { candidate: 0, text }));
        if let Some(citation) = delta.get("citation") {
            deltas.push(Delta::Citation { candidate: 0, citation: block::citation(citation.clone()) });
        }
        if let Some(call) = delta.get("toolUse") {
            let Some(Block::Call { number, argued }) = self.open.get_mut(&index) else {
                return Err(garbage("arguments belong to no call"));
            };
            if let Some(fragment) = said(call.get("input")) {
                *argued = true;
                deltas.push(Delta::ToolArguments { candidate: 0, call: *number, fragment });
            }
        }
        match delta.get("reasoningContent") {
            Some(thought) => self.think(index, thought, deltas),
            None => Ok(()),
        }
    }

    fn think(&mut self, index: u64, thought: &Value, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        deltas.extend(said(thought.get("text")).map(|text| Delta::Reasoning { candidate: 0, text }));
        let nothing = Block::Thinking { signature: String::new(), hidden: String::new() };
        let Block::Thinking { signature, hidden } = self.open.entry(index).or_insert(nothing) else {
            return Err(garbage("thoughts stand in a call"));
        };
        for (held, key) in [(signature, "signature"), (hidden, "redactedContent")] {
            let more = said(thought.get(key)).unwrap_or_default();
            if held.len() + more.len() > MAX_HELD_BYTES {
                return Err(garbage("a block is too long"));
            }
            held.push_str(&more);
        }
        Ok(())
    }

    fn stop(&mut self, index: u64, deltas: &mut Vec<Delta>) {
        let mut sign = |signature| deltas.push(Delta::ReasoningSignature { candidate: 0, signature });
        match self.open.remove(&index) {
            Some(Block::Thinking { hidden, .. }) if !hidden.is_empty() => sign(claude::redacted(&hidden)),
            Some(Block::Thinking { signature, .. }) if !signature.is_empty() => sign(claude::signed(&signature)),
            Some(Block::Call { number, argued: false }) => {
                deltas.push(Delta::ToolArguments { candidate: 0, call: number, fragment: "{}".to_owned() });
            }
            None | Some(Block::Thinking { .. } | Block::Call { .. }) => {}
        }
    }
}
