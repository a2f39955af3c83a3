//! What a channel changes about the requests that go through it.
//!
//! Promise: a value that may be a secret arrives encrypted for its channel and its place, and is never opened here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::ChannelId;

/// Parameters that one channel changes, at most; headers as well.
pub(super) const MAX_OVERRIDES: usize = 50;
/// Characters of the name of a parameter or header, at most.
const MAX_NAME_CHARS: usize = 100;
/// Bytes of one value, as JSON.
const MAX_VALUE_BYTES: usize = 8 * 1024;
/// What the connection itself consists of is not a channel's to change.
const OF_THE_CONNECTION: [&str; 9] =
    ["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// A provider's key, encrypted under the master secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealedKey {
    /// Its last characters, by which people know it.
    pub hint: String,
    /// The encrypted key, as base64; only the server can open it.
    pub sealed: String,
}

/// By so many characters of its end people know a key; of a short one they see nothing.
const HINT_CHARS: usize = 4;

impl SealedKey {
    /// The name under which the health of this key of `channel` is kept; another key has another one.
    #[must_use]
    pub fn name(&self, channel: ChannelId) -> Uuid {
        Uuid::new_v5(&channel.uuid(), self.sealed.as_bytes())
    }

    /// What a key of `channel` is encrypted for: it opens nowhere else.
    #[must_use]
    pub fn context(channel: ChannelId) -> String {
        format!("channel:{channel}")
    }

    /// What the value of a header is encrypted for.
    #[must_use]
    pub fn header_context(channel: ChannelId, name: &str) -> String {
        format!("channel:{channel}:header:{}", name.to_ascii_lowercase())
    }

    /// What the address of a proxy is encrypted for.
    #[must_use]
    pub fn proxy_context(channel: ChannelId) -> String {
        format!("channel:{channel}:proxy")
    }

    /// What people may see of `key`.
    #[must_use]
    pub fn hint_of(key: &str) -> String {
        let shown = key.len().checked_sub(HINT_CHARS).filter(|rest| *rest >= 2 * HINT_CHARS);
        shown.and_then(|from| key.get(from..)).unwrap_or_default().to_owned()
    }
}

/// What is different about the requests of a channel.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overrides {
    /// Of the request's body, at its top, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterOverride>,
    /// Of the request's headers, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderOverride>,
    /// Where requests go first; straight to the provider where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

/// One change of the request's body. Paths are names of fields joined by dots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ParameterOverride {
    /// The field has this value, whatever the client sent.
    Set {
        /// Where the field is.
        path: String,
        /// Any JSON.
        value: Value,
    },
    /// The field has this value where the client sent none.
    Default {
        /// Where the field is.
        path: String,
        /// Any JSON.
        value: Value,
    },
    /// The provider never sees the field.
    Remove {
        /// Where the field is.
        path: String,
    },
    /// The provider calls the field something else.
    Rename {
        /// Where the client puts it.
        from: String,
        /// Where the provider wants it.
        to: String,
    },
}

/// A header of every request, added to ours or in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeaderOverride {
    /// What it is called.
    pub name: String,
    /// What it says.
    pub value: HeaderText,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderText {
    /// Everybody may see it.
    Plain(String),
    /// It may be a secret.
    Sealed(SealedKey),
}

/// Where requests go first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proxy {
    /// Its address without credentials.
    pub url: String,
    /// The address with its credentials, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<SealedKey>,
}

impl Overrides {
    /// The first entry that cannot be, by its name.
    pub(super) fn invalid(&self) -> Option<String> {
        if self.parameters.len() > MAX_OVERRIDES || self.headers.len() > MAX_OVERRIDES {
            return Some(format!("more than {MAX_OVERRIDES}"));
        }
        let parameter = self.parameters.iter().find_map(|parameter| match parameter {
            ParameterOverride::Set { path, value } | ParameterOverride::Default { path, value } => {
                (!is_path(path) || !is_storable(value)).then(|| path.clone())
            }
            ParameterOverride::Remove { path } => (!is_path(path)).then(|| path.clone()),
            ParameterOverride::Rename { from, to } => {
                (!is_path(from) || !is_path(to) || from == to).then(|| from.clone())
            }
        });
        let header = self.headers.iter().enumerate().find_map(|(place, HeaderOverride { name, value })| {
            let again = self.headers.iter().take(place).any(|other| other.name.eq_ignore_ascii_case(name));
            let sendable = match value {
                HeaderText::Plain(text) => {
                    text.len() <= MAX_VALUE_BYTES && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
                }
                HeaderText::Sealed(_) => true,
            };
            (again || !sendable || !is_header(name)).then(|| name.clone())
        });
        parameter.or(header)
    }
}

/// Short enough, and without the one character that no row can hold.
fn is_storable(value: &Value) -> bool {
    let text = value.to_string();
    text.len() <= MAX_VALUE_BYTES && !text.contains("\\u0000")
}

/// The model's name and whether there is a stream are the relay's to say.
fn is_path(name: &str) -> bool {
    let fits = !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.contains(char::is_control);
    fits && !matches!(name, "model" | "stream")
}

/// RFC 9110, section 5.1.
fn is_header(name: &str) -> bool {
    let of_a_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let fits = !name.is_empty() && name.len() <= MAX_NAME_CHARS && name.bytes().all(of_a_token);
    fits && !OF_THE_CONNECTION.iter().any(|own| own.eq_ignore_ascii_case(name))
}
