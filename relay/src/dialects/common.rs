//! What the dialects share: objects that are read field by field, and bytes within addresses.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::InvalidRequest;
use crate::model::MediaSource;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_null_is_absent_and_one_of_another_type_is_named() {
        let Value::Object(map) = json!({"a": null, "b": "secret", "c": null, "d": 1}) else { panic!() };
        let mut fields = Fields::new(map, "tools[0]");
        assert_eq!(fields.take::<u32>("a").unwrap(), None);
        let error = fields.take::<u32>("b").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tools[0].b"));
        assert!(!error.message.contains("secret"));
        assert_eq!(Value::Object(fields.rest()), json!({"d": 1}));
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
