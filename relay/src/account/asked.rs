//! What goes upstream for one call, and what it is counted by.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::media;
use crate::body::{LONG, Marks};
use crate::count::{self, Generated};
use crate::dialects::chat_completions::Ours;
use crate::dialects::{custom, generate_content, messages, responses, served};
use crate::http::{self, ParameterOverride};
use crate::model::Prompt;
use crate::providers::Vendor;
use crate::{Dialect, InvalidRequest, RelayError, RequestBody, ServedCall, Usage};

/// One request as it goes upstream.
pub(crate) struct Asked {
    /// As it is spoken upstream.
    pub(crate) dialect: Dialect,
    /// The upstream's id of the model.
    pub(crate) model: String,
    pub(crate) stream: bool,
    body: Body,
    /// Answers to the same question that were asked for, where it is translated.
    candidates: u32,
    /// The client's custom tools, where it is translated.
    pub(super) custom: BTreeSet<String>,
    pub(super) question: Question,
}

/// What it says.
enum Body {
    /// All of it.
    Tree(Map<String, Value>),
    /// The parameters; what may be long is as it was sent, and something stands for it here.
    Head(Map<String, Value>, RequestBody),
    /// As it was sent but for what is ours in it, and how that is written.
    Sent(RequestBody, Bytes),
}

/// What was asked, kept to the end of the answer, because a missing usage is counted from it.
#[derive(Clone)]
pub(super) enum Question {
    Call {
        dialect: Dialect,
        model: String,
        body: RequestBody,
        /// Tokens of all answers to it, at most.
        most: Option<u64>,
    },
    Prompt {
        prompt: Arc<Prompt>,
    },
}

impl Asked {
    /// A client's call, in its own dialect where the vendor speaks it, else in translation; with an operator's changes.
    ///
    /// # Errors
    /// [`RelayError::UpstreamRefused`] with status 400 if the body is none of its dialect, or holds what the upstream
    /// cannot be given. Nothing was sent.
    pub(super) fn of_call(
        call: &ServedCall,
        vendor: &dyn Vendor,
        changes: &[ParameterOverride],
    ) -> Result<Self, RelayError> {
        let dialect = vendor.dialect(Some(call.dialect), &call.model);
        let (mut candidates, mut custom) = (1, BTreeSet::new());
        let body = if dialect == call.dialect {
            passing(call, vendor, changes)?
        } else {
            let mut prompt = understood(call)?;
            call.memory.complete(&mut prompt);
            media::check(&prompt, dialect).map_err(invalid)?;
            candidates = prompt.candidates.unwrap_or(1);
            custom = custom::names(&prompt);
            let mut body = vendor.spoken(dialect).write(&prompt);
            vendor.adapt(dialect, &mut body);
            http::apply(changes, &mut body);
            Body::Tree(body)
        };
        let most = call.max_output_tokens.map(|most| u64::from(most).saturating_mul(choices(&call.body)));
        let question =
            Question::Call { dialect: call.dialect, model: call.model.clone(), body: call.body.clone(), most };
        Ok(Self { dialect, model: call.model.clone(), stream: call.stream, body, candidates, custom, question })
    }

    /// A question of our own.
    ///
    /// # Errors
    /// As [`Self::of_call`].
    pub(super) fn of_prompt(
        prompt: Prompt,
        vendor: &dyn Vendor,
        changes: &[ParameterOverride],
    ) -> Result<Self, RelayError> {
        let dialect = vendor.dialect(None, &prompt.model);
        media::check(&prompt, dialect).map_err(invalid)?;
        let mut body = vendor.spoken(dialect).write(&prompt);
        vendor.adapt(dialect, &mut body);
        http::apply(changes, &mut body);
        let (model, stream) = (prompt.model.clone(), prompt.stream);
        Ok(Self {
            dialect,
            model,
            stream,
            body: Body::Tree(body),
            candidates: 1,
            custom: BTreeSet::new(),
            question: Question::Prompt { prompt: Arc::new(prompt) },
        })
    }
}

impl Asked {
    /// The bytes that go upstream.
    ///
    /// # Errors
    /// [`RelayError::Misconfigured`] if it cannot be written.
    pub(super) fn written(&self) -> Result<Bytes, RelayError> {
        match &self.body {
            Body::Tree(body) => serde_json::to_vec(body).map(Bytes::from).map_err(unwritable),
            Body::Head(head, sent) => sent.write(head).map(Bytes::from).map_err(unwritable),
            Body::Sent(_, written) => Ok(written.clone()),
        }
    }

    /// A parameter that goes upstream.
    pub(super) fn parameter(&self, name: &str) -> Option<&Value> {
        match &self.body {
            Body::Tree(body) | Body::Head(body, _) => body.get(name),
            Body::Sent(sent, _) => sent.get(name),
        }
    }

    /// How many answers can come.
    pub(super) fn candidates(&self) -> u32 {
        match self.dialect {
            Dialect::ChatCompletions | Dialect::GenerateContent => self.candidates,
            // The others know one.
            Dialect::Responses | Dialect::Messages | Dialect::Converse => 1,
        }
    }
}

impl Question {
    /// Tokens that can be generated for it, if that is bounded.
    pub(super) fn most(&self) -> Option<u64> {
        match self {
            Self::Call { most, .. } => *most,
            Self::Prompt { prompt } => prompt.max_output_tokens.map(u64::from),
        }
    }

    /// What it and its answer would be in tokens of the model. Call it off the async threads.
    pub(super) fn count(&self, generated: &Generated) -> Usage {
        match self {
            Self::Call { dialect, model, body, .. } => count::count(*dialect, model, body.tree(), generated),
            Self::Prompt { prompt } => count::count_prompt_and_answer(prompt, generated),
        }
    }
}

/// How many answers to the same question a client's body asks for.
fn choices(body: &RequestBody) -> u64 {
    let in_config = || body.get("generationConfig")?.get("candidateCount");
    body.get("n").or_else(in_config).and_then(Value::as_u64).unwrap_or(1).max(1)
}

/// What of a conversation [`with_ours`] may change.
fn reach(dialect: Dialect) -> Marks {
    match dialect {
        Dialect::ChatCompletions => Marks::NONE,
        Dialect::Messages => messages::passing::REACH,
        Dialect::GenerateContent => generate_content::passing::reach(),
        Dialect::Responses => responses::passing::REACH,
        // Never served.
        Dialect::Converse => Marks::ALL,
    }
}

/// Whether an operator changes something within the members that are not read.
fn concerns_long(body: &RequestBody, changes: &[ParameterOverride]) -> bool {
    !changes.is_empty() && LONG.iter().any(|name| body.keeps(name) && http::concern(changes, name))
}

/// A client's body in its own dialect, with what is ours in its place and an operator's changes.
fn passing(call: &ServedCall, vendor: &dyn Vendor, changes: &[ParameterOverride]) -> Result<Body, RelayError> {
    let (dialect, body) = (call.dialect, &call.body);
    let is_whole = body.marks().any(vendor.reach(dialect) | reach(dialect)) || concerns_long(body, changes);
    if !is_whole && changes.is_empty() {
        let ours = Ours { model: &call.model, stream: call.stream, bound: call.max_output_tokens };
        if let Some(written) = vendor.in_place(dialect, body, &ours) {
            return Ok(Body::Sent(body.clone(), written.map_err(unwritable)?.into()));
        }
    }
    let mut parameters = with_ours(call, if is_whole { body.tree().clone() } else { body.head() });
    vendor.adapt(dialect, &mut parameters);
    http::apply(changes, &mut parameters);
    Ok(if is_whole { Body::Tree(parameters) } else { Body::Head(parameters, body.clone()) })
}

/// The client's body with what is ours in its place: the model, the bound, and whether it is a stream.
fn with_ours(call: &ServedCall, mut body: Map<String, Value>) -> Map<String, Value> {
    match call.dialect {
        Dialect::GenerateContent => generate_content::passing::ask(&mut body, &call.model),
        _ => {
            body.insert("model".to_owned(), call.model.as_str().into());
            body.insert("stream".to_owned(), call.stream.into());
            if call.dialect == Dialect::Responses {
                responses::passing::ask(&mut body);
            }
        }
    }
    if let Some(bound) = call.max_output_tokens {
        set_bound(&mut body, call.dialect, bound);
    }
    if call.dialect == Dialect::Messages {
        messages::passing::ask(&mut body);
    }
    body
}

fn set_bound(body: &mut Map<String, Value>, dialect: Dialect, bound: u32) {
    let (within, key) = match dialect {
        Dialect::ChatCompletions => {
            // The vendor gives it the name that the server knows.
            drop(body.shift_remove("max_tokens"));
            (None, "max_completion_tokens")
        }
        Dialect::Responses => (None, "max_output_tokens"),
        Dialect::Messages => (None, "max_tokens"),
        Dialect::GenerateContent => (Some("generationConfig"), "maxOutputTokens"),
        Dialect::Converse => (Some("inferenceConfig"), "maxTokens"),
    };
    let Some(within) = within else {
        body.insert(key.to_owned(), bound.into());
        return;
    };
    match body.get_mut(within) {
        Some(Value::Object(config)) => drop(config.insert(key.to_owned(), bound.into())),
        _ => drop(body.insert(within.to_owned(), Map::from_iter([(key.to_owned(), bound.into())]).into())),
    }
}

/// A client's request in the model of all dialects, with what is ours in its place.
///
/// # Errors
/// [`RelayError::UpstreamRefused`] with status 400 if the body is none of its dialect.
pub(crate) fn understood(call: &ServedCall) -> Result<Prompt, RelayError> {
    let mut body = call.body.tree().clone();
    body.insert("model".to_owned(), call.model.as_str().into());
    let mut prompt = served(call.dialect)?.read(body).map_err(invalid)?;
    prompt.model.clone_from(&call.model);
    prompt.stream = call.stream;
    prompt.max_output_tokens = call.max_output_tokens.or(prompt.max_output_tokens);
    Ok(prompt)
}

fn unwritable(_: serde_json::Error) -> RelayError {
    RelayError::Misconfigured("the request cannot be written as JSON".to_owned())
}

/// A request that cannot be served, as its dialect's clients are told of it.
fn invalid(error: InvalidRequest) -> RelayError {
    RelayError::UpstreamRefused {
        status: 400,
        message: error.message,
        code: Some("invalid_request".to_owned()),
        param: error.param,
    }
}

#[cfg(test)]
mod spec;
