//! The values as they were written, each with where it came from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, bail};

use super::keys::{KEYS, Key, is_other_variable};
use crate::secret::{MASK, Secret};

/// How a value is written and printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    /// In the file an array of strings, in the environment separated by commas.
    List,
    /// Printed masked.
    SecretText,
    /// Printed with its password masked.
    Url,
}

#[derive(Debug)]
struct Value {
    text: String,
    origin: String,
}

/// What was set, by name.
#[derive(Debug)]
pub(crate) struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// Merges defaults, file and environment.
    ///
    /// # Errors
    /// The file is no TOML, or a name is unknown.
    pub(super) fn collect(file: Option<(&Path, &str)>, environment: &[(String, String)]) -> anyhow::Result<Self> {
        let mut values = BTreeMap::new();
        for key in KEYS {
            if let Some(text) = key.default {
                values.insert(key.name, Value { text: text.into(), origin: "default".into() });
            }
        }
        if let Some((path, text)) = file {
            read_file(path, text, &mut values)?;
        }
        for (name, text) in environment {
            match KEYS.iter().find(|key| key.variable == name) {
                // Composed files pass variables on as empty ones.
                Some(_) if text.is_empty() => {}
                Some(key) => {
                    values.insert(key.name, Value { text: text.clone(), origin: name.clone() });
                }
                None if name.starts_with("OBLIVIOUS_") && !is_other_variable(name) => {
                    bail!("the variable {name} is unknown; did you mean {}?", nearest(name, |key| key.variable))
                }
                None => {}
            }
        }
        Ok(Self(values))
    }

    /// How many settings there are.
    pub(crate) fn count() -> usize {
        KEYS.len()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| value.text.clone())
    }

    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.0.get(name).map(|value| items(&value.text).map(Into::into).collect()).unwrap_or_default()
    }

    pub(super) fn parse<T: FromStr>(&self, name: &str, expected: &str) -> anyhow::Result<T> {
        self.read(name, expected, |text| text.parse().ok())
    }

    pub(super) fn within<T>(&self, name: &str, least: T, most: T) -> anyhow::Result<T>
    where
        T: FromStr + PartialOrd + Copy + std::fmt::Display,
    {
        let expected = format!("a number from {least} to {most}");
        self.read(name, &expected, |text| text.parse().ok().filter(|number| (&least..=&most).contains(&number)))
    }

    pub(super) fn one_of<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> anyhow::Result<T> {
        let expected = choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
        self.read(name, &expected, |text| choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice))
    }

    /// Never for a secret: the message repeats the value.
    pub(super) fn read<T>(&self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let value = self.0.get(name).with_context(|| format!("`{name}` is not set; it must be {expected}"))?;
        parse(value.text.trim())
            .with_context(|| format!("`{name}` ({}) is `{}`; it must be {expected}", value.origin, value.text))
    }

    /// The effective configuration as a file that could be used again, but for the masked secrets.
    pub(crate) fn to_toml(&self) -> String {
        let mut output = String::new();
        for key in KEYS {
            let _ = match self.0.get(key.name) {
                Some(value) => {
                    writeln!(output, "{} = {}  # from {}", key.name, printed(key.kind, &value.text), value.origin)
                }
                None => writeln!(output, "# {} is not set (variable {})", key.name, key.variable),
            };
        }
        output
    }
}

fn read_file(path: &Path, text: &str, values: &mut BTreeMap<&'static str, Value>) -> anyhow::Result<()> {
    let origin = path.display().to_string();
    // Only the place and the reason: the library's own message quotes the line, which may hold a secret.
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
        anyhow::anyhow!("{origin} is not valid TOML, at line {line}: {}", error.message())
    })?;
    for (name, value) in table {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            bail!("{origin}: the setting `{name}` is unknown; did you mean `{}`?", nearest(&name, |key| key.name));
        };
        let text = written(&value).with_context(|| {
            format!(
                "{origin}: `{name}` must be a text, a number, true, false or a list of texts, not a {}",
                value.type_str()
            )
        })?;
        values.insert(key.name, Value { text, origin: origin.clone() });
    }
    Ok(())
}

fn written(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(choice) => Some(choice.to_string()),
        toml::Value::Array(list) => Some(list.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>()?.join(",")),
        _ => None,
    }
}

fn nearest(name: &str, of: impl Fn(&Key) -> &'static str) -> &'static str {
    let distance = |key: &&Key| strsim::damerau_levenshtein(name, of(key));
    KEYS.iter().min_by_key(distance).map_or("", of)
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn printed(kind: Kind, text: &str) -> String {
    let quoted = |text: &str| toml::Value::String(text.into()).to_string();
    match kind {
        Kind::Number => text.trim().to_owned(),
        Kind::Text => quoted(text),
        Kind::SecretText => quoted(MASK),
        Kind::Url => quoted(&without_password(text)),
        Kind::List => format!("[{}]", items(text).map(quoted).collect::<Vec<_>>().join(", ")),
    }
}

/// `scheme://user:password@host/…` with the password masked; a URL that hides one elsewhere is masked as a whole.
fn without_password(url: &str) -> String {
    let parts = url.split_once("://").filter(|(_, rest)| !rest.contains("password"));
    let Some((scheme, rest)) = parts else { return MASK.into() };
    let Some((credentials, host)) = rest.rsplit_once('@') else { return url.into() };
    match credentials.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:{MASK}@{host}"),
        // A single word may be a token.
        None => format!("{scheme}://{MASK}@{host}"),
    }
}
