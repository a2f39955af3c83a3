//! Embeddings: texts as vectors.
//!
//! Source: `createEmbedding` of OpenAI's API description. The official SDK for Python asks for base64 unless told
//! otherwise, and many servers answer with numbers all the same; so both are made of each other here.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::dialects::common::Fields;
use crate::{InvalidRequest, Usage};

/// Inputs of one request at most, as OpenAI has it.
const MAX_INPUTS: usize = 2_048;

/// A request for vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The model by the name that the asked side knows.
    pub model: String,
    /// At least one.
    pub input: Vec<Input>,
    /// Numbers of each vector; `None` leaves it to the model.
    pub dimensions: Option<u32>,
    /// The form of the vectors in the answer.
    pub encoding: Encoding,
    /// What the texts are, for models that tell questions from documents: `query`, `document` or the model's own word.
    pub input_type: Option<String>,
}

/// A text, or the tokens that it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Input {
    /// As people write it.
    Text(String),
    /// As OpenAI's vocabulary `cl100k_base` has it: clients that count before they ask send these.
    Tokens(Vec<u32>),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Tokens(tokens) => write!(f, "Tokens({})", tokens.len()),
        }
    }
}

/// The form of the vectors in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Lists of numbers.
    Float,
    /// Base64 of 32-bit floats, the lowest byte first.
    Base64,
}

impl Encoding {
    /// What a request asks for.
    ///
    /// # Errors
    /// It is neither.
    pub fn of(body: &Map<String, Value>) -> Result<Self, InvalidRequest> {
        match body.get("encoding_format") {
            None | Some(Value::Null) => Ok(Self::Float),
            Some(Value::String(word)) if word == "float" => Ok(Self::Float),
            Some(Value::String(word)) if word == "base64" => Ok(Self::Base64),
            Some(_) => Err(InvalidRequest::at("encoding_format", "This must be `float` or `base64`.")),
        }
    }

    pub(super) fn write(self, vector: &[f64]) -> Value {
        match self {
            Self::Float => json!(vector),
            Self::Base64 => {
                #[expect(clippy::cast_possible_truncation, reason = "the form has 32 bits a number")]
                let bytes: Vec<u8> = vector.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect();
                STANDARD.encode(bytes).into()
            }
        }
    }
}

/// The vector in a list of numbers or in base64; `None` of anything else.
pub(super) fn vector(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Array(numbers) => numbers.iter().map(Value::as_f64).collect(),
        Value::String(text) => {
            let bytes = STANDARD.decode(text).ok()?;
            let (numbers, rest) = bytes.as_chunks::<4>();
            // The shortest number that is this float, not its 52 binary digits.
            let shortest = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes).to_string().parse().ok();
            rest.is_empty().then(|| numbers.iter().map(shortest).collect())?
        }
        _ => None,
    }
}

impl Embeddings {
    /// What a client asks.
    ///
    /// # Errors
    /// It is malformed; the error names the parameter.
    pub fn read(body: Map<String, Value>) -> Result<Self, InvalidRequest> {
        let encoding = Encoding::of(&body)?;
        let mut fields = Fields::new(body, "");
        let input = inputs(fields.need("input")?)?;
        let dimensions: Option<u32> = fields.take("dimensions")?;
        if dimensions == Some(0) {
            return Err(InvalidRequest::at("dimensions", "This must be at least 1."));
        }
        let input_type = match fields.take("input_type")? {
            Some(kind) => Some(kind),
            None => fields.take("task_type")?,
        };
        Ok(Self { model: fields.need("model")?, input, dimensions, encoding, input_type })
    }

    /// The inputs as texts, for models with a vocabulary of their own and for counting. Tokens that OpenAI's vocabulary
    /// does not have are left out.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let text = |input: &Input| match input {
            Input::Text(text) => text.clone(),
            Input::Tokens(tokens) => tiktoken_rs::cl100k_base_singleton().decode(tokens).unwrap_or_default(),
        };
        self.input.iter().map(text).collect()
    }

    /// Whether the texts are questions; `None` where the client does not say.
    pub(super) fn are_questions(&self) -> Option<bool> {
        let kind = self.input_type.as_deref()?.to_ascii_lowercase();
        if kind.contains("query") || kind.contains("question") {
            return Some(true);
        }
        (kind.contains("document") || kind.contains("passage")).then_some(false)
    }

    /// The answer in OpenAI's form.
    pub(super) fn told(&self, vectors: &[Vec<f64>], usage: Option<&Usage>) -> Value {
        let data = vectors.iter().enumerate().map(|(index, vector)| {
            json!({ "object": "embedding", "index": index, "embedding": self.encoding.write(vector) })
        });
        let tokens = usage.map_or(0, |usage| usage.input_tokens);
        json!({
            "object": "list",
            "data": data.collect::<Vec<_>>(),
            "model": self.model,
            "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
        })
    }
}

/// A text, several, the tokens of one, or those of several.
fn inputs(input: Value) -> Result<Vec<Input>, InvalidRequest> {
    let wrong = || InvalidRequest::at("input", "This must be a text, a list of texts, or lists of token ids.");
    let inputs = match input {
        Value::String(text) => vec![Input::Text(text)],
        Value::Array(list) if list.first().is_some_and(Value::is_number) => vec![tokens(&list).ok_or_else(wrong)?],
        Value::Array(list) => {
            let one = |value: Value| match value {
                Value::String(text) => Some(Input::Text(text)),
                Value::Array(list) => tokens(&list),
                _ => None,
            };
            list.into_iter().map(one).collect::<Option<_>>().ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    let is_empty = |input: &Input| match input {
        Input::Text(text) => text.is_empty(),
        Input::Tokens(tokens) => tokens.is_empty(),
    };
    if inputs.is_empty() || inputs.iter().any(is_empty) {
        return Err(InvalidRequest::at("input", "This must not be empty."));
    }
    if inputs.len() > MAX_INPUTS {
        return Err(InvalidRequest::at("input", format!("These are more than {MAX_INPUTS} inputs.")));
    }
    Ok(inputs)
}

fn tokens(list: &[Value]) -> Option<Input> {
    let tokens: Option<Vec<u32>> = list.iter().map(|token| u32::try_from(token.as_u64()?).ok()).collect();
    tokens.map(Input::Tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Embeddings, InvalidRequest> {
        let Value::Object(map) = body else { panic!("no object") };
        Embeddings::read(map)
    }

    #[test]
    fn texts_and_tokens_come_alone_and_in_lists() {
        let input = |input: Value| read(json!({ "model": "m", "input": input })).map(|asked| asked.input);
        let text = |text: &str| Input::Text(text.to_owned());
        assert_eq!(input(json!("a")), Ok(vec![text("a")]));
        assert_eq!(input(json!(["a", "b"])), Ok(vec![text("a"), text("b")]));
        assert_eq!(input(json!([1, 2])), Ok(vec![Input::Tokens(vec![1, 2])]));
        assert_eq!(input(json!([[1], [2, 3]])), Ok(vec![Input::Tokens(vec![1]), Input::Tokens(vec![2, 3])]));
        for bad in
            [json!([]), json!(""), json!([""]), json!([[]]), json!([1, "a"]), json!([-1]), json!({}), json!(null)]
        {
            assert_eq!(input(bad.clone()).unwrap_err().param.as_deref(), Some("input"), "{bad}");
        }
        let many = vec!["a"; MAX_INPUTS + 1];
        assert_eq!(input(json!(many)).unwrap_err().param.as_deref(), Some("input"));
    }

    #[test]
    fn tokens_of_openais_vocabulary_are_the_text_that_they_stand_for() {
        let tokens = tiktoken_rs::cl100k_base_singleton().encode_ordinary("hello 世界");
        let asked = read(json!({ "model": "m", "input": [tokens, tokens] })).unwrap();
        assert_eq!(asked.texts(), ["hello 世界", "hello 世界"]);
    }

    #[test]
    fn numbers_and_base64_are_made_of_each_other_without_loss() {
        let numbers = [0.1, -2.5, 0.007_929_948];
        let base64 = Encoding::Base64.write(&numbers);
        assert_eq!(base64, json!("zczMPQAAIMCd7AE8"));
        assert_eq!(vector(&base64), Some(numbers.to_vec()));
        assert_eq!(vector(&Encoding::Float.write(&numbers)), Some(numbers.to_vec()));
        assert_eq!(vector(&json!("zczMPQ")), None);
        assert_eq!(vector(&json!([1, "x"])), None);
    }
}
