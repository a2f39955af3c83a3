//! What an operator changes about every request of a channel: fields of its body, and headers.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::RelayError;

/// More fields on the way to one are a mistake.
const MAX_DEPTH: usize = 8;
/// Fields that are ours: what is billed, or what the answer's form depends on.
const OURS: [&str; 12] = [
    "model",
    "stream",
    "stream_options",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "generationConfig.maxOutputTokens",
    "generationConfig.candidateCount",
    "inferenceConfig.maxTokens",
    "generationConfig",
    "inferenceConfig",
];
/// Headers that belong to the connection, not to the request.
const OF_THE_CONNECTION: [&str; 9] =
    ["connection", "content-length", "content-type", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"];

/// A change of the body that goes upstream, after everything else that is done to it. Paths are names of fields joined by
/// dots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ParameterOverride {
    /// The field has this value, whatever the client sent.
    Set {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// The field has this value where the client sent none.
    Default {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// The field is not sent.
    Remove {
        /// Where.
        path: String,
    },
    /// The field is sent under another name.
    Rename {
        /// What it is called.
        from: String,
        /// What the provider calls it.
        to: String,
    },
}

/// Whether overrides can work.
///
/// # Errors
/// [`RelayError::Misconfigured`] names the first that cannot.
pub(crate) fn check_parameters(overrides: &[ParameterOverride]) -> Result<(), RelayError> {
    let wrong = |path: &str, what: &str| RelayError::Misconfigured(format!("the parameter override `{path}` {what}"));
    for change in overrides {
        let paths: &[&String] = match change {
            ParameterOverride::Set { path, .. }
            | ParameterOverride::Default { path, .. }
            | ParameterOverride::Remove { path } => &[path],
            ParameterOverride::Rename { from, to } => &[from, to],
        };
        for path in paths {
            if path.split('.').any(str::is_empty) || path.split('.').count() > MAX_DEPTH {
                return Err(wrong(path, "is no path of a field"));
            }
        }
        match change {
            ParameterOverride::Set { path, .. } | ParameterOverride::Default { path, .. }
                if OURS.contains(&path.as_str()) =>
            {
                return Err(wrong(path, "would change what is billed or how answers are read"));
            }
            ParameterOverride::Remove { path } if OURS.contains(&path.as_str()) && !path.contains("stream_options") => {
                return Err(wrong(path, "would change what is billed or how answers are read"));
            }
            ParameterOverride::Rename { to, .. } if OURS.contains(&to.as_str()) && !to.starts_with("max_") => {
                return Err(wrong(to, "would change what is billed or how answers are read"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether one of them is about the field with this name, or about something in it.
pub(crate) fn concern(overrides: &[ParameterOverride], name: &str) -> bool {
    let is_in = |path: &String| path.split('.').next() == Some(name);
    overrides.iter().any(|change| match change {
        ParameterOverride::Set { path, .. }
        | ParameterOverride::Default { path, .. }
        | ParameterOverride::Remove { path } => is_in(path),
        ParameterOverride::Rename { from, to } => is_in(from) || is_in(to),
    })
}

/// Changes a body.
pub(crate) fn apply(overrides: &[ParameterOverride], body: &mut Map<String, Value>) {
    for change in overrides {
        match change {
            ParameterOverride::Set { path, value } => put(body, path, value.clone()),
            ParameterOverride::Default { path, value } if !has(body, path) => put(body, path, value.clone()),
            ParameterOverride::Default { .. } => {}
            ParameterOverride::Remove { path } => drop(take(body, path)),
            ParameterOverride::Rename { from, to } => {
                if let Some(value) = take(body, from) {
                    put(body, to, value);
                }
            }
        }
    }
}

fn has(body: &Map<String, Value>, path: &str) -> bool {
    let mut names = path.split('.');
    let first = names.next().and_then(|name| body.get(name));
    names.try_fold(first, |at, name| at.map(|value| value.get(name))).flatten().is_some_and(|value| !value.is_null())
}

/// The fields around the last one, made where they are missing; `None` where something else is in the way.
fn around<'a>(body: &'a mut Map<String, Value>, path: &str, make: bool) -> Option<&'a mut Map<String, Value>> {
    let mut at = body;
    let (parents, _) = path.rsplit_once('.').unwrap_or(("", path));
    for name in parents.split('.').filter(|name| !name.is_empty()) {
        if make {
            at.entry(name).or_insert_with(|| Map::new().into());
        }
        at = at.get_mut(name)?.as_object_mut()?;
    }
    Some(at)
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn put(body: &mut Map<String, Value>, path: &str, value: Value) {
    if let Some(at) = around(body, path, true) {
        at.insert(last(path).to_owned(), value);
    }
}

fn take(body: &mut Map<String, Value>, path: &str) -> Option<Value> {
    around(body, path, false)?.shift_remove(last(path))
}

/// Headers that an operator adds to every request.
///
/// # Errors
/// [`RelayError::Misconfigured`] names the first that cannot be sent; never its value.
pub(crate) fn check_headers(headers: &[(String, String)]) -> Result<HeaderMap, RelayError> {
    let mut checked = HeaderMap::new();
    for (name, value) in headers {
        let wrong = |what: &str| RelayError::Misconfigured(format!("the header `{}` {what}", name.escape_default()));
        let lower = name.trim().to_ascii_lowercase();
        if OF_THE_CONNECTION.contains(&lower.as_str()) {
            return Err(wrong("belongs to the connection and cannot be set"));
        }
        let name = HeaderName::from_bytes(lower.as_bytes()).map_err(|_| wrong("has no name of a header"))?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong("has no value of a header"))?;
        value.set_sensitive(true);
        checked.insert(name, value);
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(overrides: Value, body: Value) -> Value {
        let overrides: Vec<ParameterOverride> = serde_json::from_value(overrides).unwrap();
        check_parameters(&overrides).unwrap();
        let Value::Object(mut body) = body else { panic!("a body is an object") };
        apply(&overrides, &mut body);
        body.into()
    }

    #[test]
    fn fields_are_set_given_a_default_removed_and_renamed_also_within_objects() {
        let overrides = json!([
            {"action": "set", "path": "temperature", "value": 0.5},
            {"action": "set", "path": "provider.order", "value": ["a"]},
            {"action": "default", "path": "top_p", "value": 0.9},
            {"action": "default", "path": "reasoning.effort", "value": "low"},
            {"action": "remove", "path": "reasoning.summary"},
            {"action": "rename", "from": "user", "to": "metadata.user_id"},
        ]);
        let body = json!({"temperature": 1, "top_p": 0.1, "reasoning": {"summary": "auto", "x": 1}, "user": "u"});
        let expected = json!({"temperature": 0.5, "top_p": 0.1, "reasoning": {"x": 1, "effort": "low"},
            "provider": {"order": ["a"]}, "metadata": {"user_id": "u"}});
        assert_eq!(changed(overrides, body), expected);
    }

    #[test]
    fn what_is_not_there_or_in_the_way_is_left_as_it_is() {
        let overrides = json!([
            {"action": "remove", "path": "a.b.c"},
            {"action": "rename", "from": "x", "to": "y"},
            {"action": "set", "path": "text.more", "value": 1},
        ]);
        assert_eq!(changed(overrides, json!({"text": "plain"})), json!({"text": "plain"}));
    }

    #[test]
    fn an_override_of_what_is_billed_or_without_a_path_is_refused_by_its_name() {
        for (change, name) in [
            (json!({"action": "set", "path": "max_tokens", "value": 9}), "max_tokens"),
            (json!({"action": "set", "path": "generationConfig.maxOutputTokens", "value": 9}), "maxOutputTokens"),
            (json!({"action": "default", "path": "n", "value": 9}), "`n`"),
            (json!({"action": "remove", "path": "model"}), "model"),
            (json!({"action": "rename", "from": "x", "to": "stream"}), "stream"),
            (json!({"action": "remove", "path": "a..b"}), "a..b"),
        ] {
            let change: ParameterOverride = serde_json::from_value(change).unwrap();
            let error = check_parameters(&[change]).unwrap_err();
            assert_eq!(error.code(), "misconfigured");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn headers_are_checked_and_their_values_not_repeated() {
        let header = |name: &str, value: &str| check_headers(&[(name.to_owned(), value.to_owned())]);
        assert_eq!(header("X-Title", " mine ").unwrap()["x-title"], "mine");
        for (name, value) in [("Host", "x"), ("content-length", "1"), ("a b", "x"), ("", "x"), ("x-a", "secret\nb")] {
            let error = header(name, value).unwrap_err();
            assert!(error.code() == "misconfigured" && !error.to_string().contains("secret"), "{error}");
        }
    }
}
