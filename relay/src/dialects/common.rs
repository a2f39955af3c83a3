//! What the dialects share: objects that are read field by field, bytes within addresses, arguments of tools,
//! signatures that travel through a foreign dialect, and sentences of providers that are made fit to be shown.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{MediaSource, Opaque};
use crate::{Dialect, InvalidRequest};

/// Begins a signature of another dialect where a dialect has one field for its own.
pub(crate) const CARRIED: &str = "carried-";
/// A provider's sentence is cut to this many characters before it is shown.
const MAX_MESSAGE_CHARS: usize = 300;
/// Its codes and names of parameters, to this many.
const MAX_WORD_CHARS: usize = 100;
/// What keys of OpenAI, Anthropic, Google and AWS begin with, and what is in every address.
const KEYS_AND_ADDRESSES: [&str; 6] = ["sk-", "AIza", "AKIA", "ASIA", "ABSK", "://"];

/// An object that is read field by field. What was taken is gone, so that the rest is what nobody knows; `null` counts
/// as absent. Its errors name the place and quote nothing.
pub(crate) struct Fields {
    map: Map<String, Value>,
    path: String,
}

impl Fields {
    /// The fields of an object that stands at `path`; empty for the body itself.
    pub(crate) fn new(map: Map<String, Value>, path: impl Into<String>) -> Self {
        Self { map, path: path.into() }
    }

    /// The same for any value.
    ///
    /// # Errors
    /// It is no object.
    pub(crate) fn of(value: Value, path: impl Into<String>) -> Result<Self, InvalidRequest> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ => Err(InvalidRequest::at(path, "This must be an object.")),
        }
    }

    /// Where a field stands, in the words of the dialect.
    pub(crate) fn place(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// An optional field.
    ///
    /// # Errors
    /// It has another type.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, InvalidRequest> {
        match self.map.shift_remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match serde_json::from_value(value) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(InvalidRequest::at(self.place(key), "This has the wrong type or is out of range.")),
            },
        }
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// It is absent or has another type.
    pub(crate) fn need<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, InvalidRequest> {
        self.take(key)?.ok_or_else(|| InvalidRequest::at(self.place(key), "This is required."))
    }

    /// A bound of tokens. More than any model gives is the highest that we can say.
    ///
    /// # Errors
    /// It is no whole number, or negative.
    pub(crate) fn bound(&mut self, key: &str) -> Result<Option<u32>, InvalidRequest> {
        Ok(self.take::<u64>(key)?.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX)))
    }

    /// An object within this one.
    ///
    /// # Errors
    /// It is no object.
    pub(crate) fn object(&mut self, key: &str) -> Result<Option<Self>, InvalidRequest> {
        Ok(self.take::<Map<String, Value>>(key)?.map(|map| Self::new(map, self.place(key))))
    }

    /// What nobody took, without what is `null`.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.map.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }
}

/// The source that an address is: bytes if it is a `data:` URL in base64, else the address.
pub(crate) fn media_of_url(url: String) -> MediaSource {
    let inline = url.strip_prefix("data:").and_then(|rest| {
        let (head, base64) = rest.split_once(',')?;
        let kind = head.strip_suffix(";base64")?;
        let media_type = kind.split(';').next().unwrap_or_default();
        Some((media_type.to_owned(), base64.to_owned()))
    });
    match inline {
        Some((media_type, base64)) => MediaSource::Inline { media_type, base64 },
        None => MediaSource::Url { url, media_type: None },
    }
}

/// A `data:` URL of those bytes.
pub(crate) fn data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}

/// The arguments of a call as the object that most providers want. Text that is no JSON object, as custom tools get it
/// and as models write it by mistake, becomes the one field `input`.
pub(crate) fn arguments_object(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(object @ Value::Object(_)) => object,
        _ if arguments.trim().is_empty() => Value::Object(Map::new()),
        _ => Value::Object(Map::from_iter([("input".to_owned(), Value::from(arguments))])),
    }
}

/// A signature as it travels.
#[derive(Serialize, Deserialize)]
struct Carried {
    d: Dialect,
    v: Value,
}

/// A signature of another dialect as text, for a dialect that has one text field for its own: a client that gives back
/// what it got gives back the signature. [`carried_signature`] reads it again.
pub(crate) fn carry_signature(signature: &Opaque) -> String {
    let carried = Carried { d: signature.dialect, v: signature.value.clone() };
    // What was read from JSON can always be written as JSON.
    let json = serde_json::to_vec(&carried).unwrap_or_default();
    format!("{CARRIED}{}", URL_SAFE_NO_PAD.encode(json))
}

/// The signature within a text that [`carry_signature`] made; `None` for every other text.
pub(crate) fn carried_signature(text: &str) -> Option<Opaque> {
    let json = URL_SAFE_NO_PAD.decode(text.strip_prefix(CARRIED)?).ok()?;
    let carried: Carried = serde_json::from_slice(&json).ok()?;
    Some(Opaque { dialect: carried.d, value: carried.v })
}

/// The provider's sentence without the key, anything that looks like one, and addresses.
pub(crate) fn safe_message(message: &str, secret: Option<&str>) -> String {
    let words = message.split_whitespace().map(|word| if is_unsafe(word, secret) { "[removed]" } else { word });
    let sentence = words.collect::<Vec<_>>().join(" ");
    let printable: String = sentence.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE_CHARS).collect();
    if printable.is_empty() { "it gave no reason".to_owned() } else { printable }
}

/// A code or the name of a parameter; nothing where it could be anything else.
pub(crate) fn safe_word(value: &Value, secret: Option<&str>) -> Option<String> {
    let word = match value {
        Value::String(word) => word.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let is_word = !word.is_empty()
        && word.chars().count() <= MAX_WORD_CHARS
        && word.chars().all(|c| c.is_ascii_graphic() || c == ' ')
        && !is_unsafe(&word, secret);
    is_word.then_some(word)
}

fn is_unsafe(word: &str, secret: Option<&str>) -> bool {
    KEYS_AND_ADDRESSES.iter().any(|mark| word.contains(mark)) || secret.is_some_and(|secret| word.contains(secret))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_null_is_absent_and_one_of_another_type_is_named() {
        let Value::Object(map) = json!({"a": null, "b": "secret", "c": null, "d": 1}) else { panic!() };
        let mut fields = Fields::new(map, "tools[0]");
        assert_eq!(fields.take::<u32>("a").unwrap(), None);
        let Value::Object(map) = json!({"most": u64::MAX, "less": -1}) else { panic!() };
        let mut bounds = Fields::new(map, "");
        assert_eq!(bounds.bound("most").unwrap(), Some(u32::MAX));
        assert!(bounds.bound("less").is_err());
        let error = fields.take::<u32>("b").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tools[0].b"));
        assert!(!error.message.contains("secret"));
        assert_eq!(Value::Object(fields.rest()), json!({"d": 1}));
    }

    #[test]
    fn a_signature_survives_the_way_through_a_foreign_dialect() {
        let signature = Opaque { dialect: Dialect::GenerateContent, value: json!("CkQBjz1rXw==") };
        assert!(carried_signature(&carry_signature(&signature)) == Some(signature));
        assert!(carried_signature("EqQBCgIYAhIM1gbcDa9GJwZA2b3h").is_none());
        assert!(carried_signature("carried-###").is_none());
    }

    #[test]
    fn arguments_that_are_no_object_become_one() {
        assert_eq!(arguments_object(r#"{"b":1,"a":2}"#).to_string(), r#"{"b":1,"a":2}"#);
        assert_eq!(arguments_object(" "), json!({}));
        assert_eq!(arguments_object("*** Begin Patch"), json!({"input": "*** Begin Patch"}));
        assert_eq!(arguments_object("[1]"), json!({"input": "[1]"}));
    }

    #[test]
    fn a_data_url_is_bytes_and_every_other_address_is_an_address() {
        let png = media_of_url("data:image/png;base64,aGk=".to_owned());
        assert!(png == MediaSource::Inline { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() });
        assert_eq!(data_url("image/png", "aGk="), "data:image/png;base64,aGk=");
        for address in ["https://x.example/a.png", "data:text/plain,hi", "gs://bucket/a"] {
            let source = media_of_url(address.to_owned());
            assert!(source == MediaSource::Url { url: address.to_owned(), media_type: None });
        }
    }
}
