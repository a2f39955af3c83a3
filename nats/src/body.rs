//! The body of a command or an event: JSON that is written once, by whoever makes it, and read once, by whoever needs what
//! it says.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

/// JSON as bytes; cheap to clone. Two bodies are equal if their bytes are.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(Bytes);

impl Body {
    /// What serde writes of `command`.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn of(command: &(impl Serialize + ?Sized)) -> serde_json::Result<Self> {
        serde_json::to_vec(command).map(|json| Self(json.into()))
    }

    /// Bytes that are known to be JSON, because whoever hands them over wrote them with serde or has them from the log.
    #[must_use]
    pub fn known(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// What came as bytes.
    ///
    /// # Errors
    /// They are no JSON.
    pub fn read_from(bytes: impl Into<Bytes>) -> serde_json::Result<Self> {
        let bytes = bytes.into();
        serde_json::from_slice::<IgnoredAny>(&bytes).map(|_| Self(bytes))
    }

    /// It as text; `None` where the bytes are none, and so no JSON.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// It as what it claims to be.
    ///
    /// # Errors
    /// It is something else.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.0)
    }

    /// The first name in it, which in a command as serde writes an enum is that of its variant: its verb.
    #[must_use]
    pub fn verb(&self) -> Option<&str> {
        let text = self.text()?;
        let (name, _) = text.strip_prefix('{').unwrap_or(text).strip_prefix('"')?.split_once('"')?;
        Some(name)
    }

    /// Whether it is an object with a field of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let fields = BTreeMap::<String, IgnoredAny>::deserialize(&mut serde_json::Deserializer::from_slice(&self.0));
        fields.is_ok_and(|fields| fields.contains_key(name))
    }

    /// The JSON.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl From<Value> for Body {
    fn from(value: Value) -> Self {
        Self(value.to_string().into())
    }
}

/// Never prints what people said.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of JSON", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Command {
        Rename { title: &'static str },
        Stop,
    }

    #[test]
    fn a_verb_is_the_variant_s_name_with_and_without_fields() {
        assert_eq!(Body::of(&Command::Rename { title: "\"{" }).unwrap().verb(), Some("rename"));
        assert_eq!(Body::of(&Command::Stop).unwrap().verb(), Some("stop"));
        for nothing in [json!({}), json!([]), json!(1), json!(null)] {
            assert_eq!(Body::from(nothing).verb(), None);
        }
    }

    #[test]
    fn a_body_has_the_fields_of_its_object_and_of_no_other() {
        let body = Body::from(json!({ "wallet": null, "command": { "inner": 1 } }));
        assert_eq!(["wallet", "command", "inner"].map(|name| body.has(name)), [true, true, false]);
        assert!(!Body::from(json!("wallet")).has("wallet") && !Body::from(json!(["wallet"])).has("wallet"));
    }

    #[test]
    fn what_is_no_json_is_no_body_and_a_body_prints_nothing_of_itself() {
        assert!(Body::read_from("{").is_err() && Body::read_from("").is_err() && Body::read_from("{} x").is_err());
        let body = Body::read_from(r#"{"said":"secret"}"#).unwrap();
        assert_eq!(format!("{body:?}"), "17 bytes of JSON");
        assert_eq!(body.read::<Value>().unwrap(), json!({ "said": "secret" }));
    }
}
