//! What no error may repeat of an account, whatever its provider quotes: keys, whole, in part or masked, and the host.
//!
//! Promise: a refusal that passed [`Hidden::clean`] has no word with eight characters of a key in a row, none with a
//! masked key, and none with the host that is asked. The dialects take out what looks like any provider's key or address;
//! only here it is known which key and which host are meant, also for an error in the middle of a stream.

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::RelayError;

/// So much of a key in one word gives it away. Shorter ones are no secrets of any provider's; they are taken out whole.
const TELLING: usize = 8;
/// A masked key shows so many characters of an end at least.
const SHOWN: usize = 2;
/// A key in several parts has regions beside its secrets, which are no secrets; they are shorter.
const PART: usize = 16;
/// How keys are masked in the middle.
const MASKS: [&str; 3] = ["...", "…", "**"];
const REMOVED: &str = "[removed]";

/// What is hidden.
pub(super) struct Hidden {
    keys: Vec<SecretString>,
    /// In lower case; empty where there is none.
    host: String,
}

impl Hidden {
    pub(super) fn new(keys: &[SecretString], base: &Url) -> Self {
        let keys = keys.iter().flat_map(|key| parts(key.expose_secret())).map(SecretString::from).collect();
        Self { keys, host: base.host_str().unwrap_or_default().to_ascii_lowercase() }
    }

    /// The same error, fit for users and logs.
    pub(super) fn clean(&self, error: RelayError) -> RelayError {
        match error {
            RelayError::UpstreamRefused { status, message, code, param } => RelayError::UpstreamRefused {
                status,
                message: self.cleaned(&message),
                code: code.filter(|code| !self.is_in(code)),
                param: param.filter(|param| !self.is_in(param)),
            },
            other => other,
        }
    }

    fn cleaned(&self, sentence: &str) -> String {
        let words = sentence.split(' ').map(|word| if self.is_in(word) { REMOVED } else { word });
        words.collect::<Vec<_>>().join(" ")
    }

    fn is_in(&self, word: &str) -> bool {
        let names_host = !self.host.is_empty() && word.to_ascii_lowercase().contains(&self.host);
        names_host || self.keys.iter().any(|key| quotes(word, key.expose_secret()) || masks(word, key.expose_secret()))
    }
}

/// What of a key must not be told: all of it, or the secrets among its parts.
fn parts(key: &str) -> Vec<&str> {
    let secrets: Vec<&str> = key.split(':').filter(|part| part.len() >= PART).collect();
    if key.contains(':') && !secrets.is_empty() { secrets } else { vec![key] }
}

/// Whether the word has a telling piece of the key.
fn quotes(word: &str, key: &str) -> bool {
    let chars: Vec<char> = key.chars().collect();
    if chars.len() < TELLING {
        return word.trim_matches(|c: char| !is_of_key(c)) == key;
    }
    chars.windows(TELLING).any(|piece| word.contains(&piece.iter().collect::<String>()))
}

/// Whether the word is the key with its middle left out.
fn masks(word: &str, key: &str) -> bool {
    let Some((at, mask)) = MASKS.iter().find_map(|mask| Some((word.find(mask)?, mask))) else { return false };
    let (before, rest) = word.split_at(at);
    let before = before.rsplit(|c: char| !is_of_key(c)).next().unwrap_or_default();
    let after = rest.trim_start_matches(|c: char| mask.contains(c));
    let after = after.split(|c: char| !is_of_key(c)).next().unwrap_or_default();
    let begins = before.len() >= SHOWN && key.starts_with(before);
    let ends = after.len() >= SHOWN && key.ends_with(after.trim_end_matches('.'));
    begins || ends
}

fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./+=".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(key: &str) -> Hidden {
        Hidden::new(&[key.to_owned().into()], &Url::parse("https://LLM.internal.example:8443/v1").unwrap())
    }

    fn cleaned(key: &str, sentence: &str) -> String {
        let RelayError::UpstreamRefused { message, .. } = hidden(key).clean(RelayError::refused(400, sentence)) else {
            panic!("a refusal stays one")
        };
        message
    }

    #[test]
    fn a_key_is_taken_out_whole_in_part_and_masked() {
        let key = "9f2c41d07ab84e55b1c3";
        for word in [
            "9f2c41d07ab84e55b1c3",
            "'9f2c41d07ab84e55b1c3',",
            "key=9f2c41d0",
            "9f2c...b1c3",
            "9f2c********",
            "(****b1c3).",
            "9f**c3",
            "\"9f2c…b1c3\"",
        ] {
            assert_eq!(cleaned(key, &format!("The key {word} is wrong")), "The key [removed] is wrong", "{word}");
        }
    }

    #[test]
    fn the_host_is_taken_out_however_it_is_written() {
        for word in [
            "llm.internal.example:8443",
            "LLM.INTERNAL.EXAMPLE",
            "//llm.internal.example/v1/chat",
            "@llm.internal.example",
        ] {
            assert_eq!(cleaned("k", &format!("No route to {word} today")), "No route to [removed] today", "{word}");
        }
    }

    #[test]
    fn what_is_neither_stays() {
        let sentence = "Unknown field messages[0].**name**: see ... the docs of gpt-4.1 in us-east-1, 9f2c41d";
        assert_eq!(cleaned("9f2c41d07ab84e55b1c3", sentence), sentence);
        let of_aws = "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY:ap-southeast-1";
        assert_eq!(cleaned(of_aws, "not in ap-southeast-1"), "not in ap-southeast-1");
        assert_eq!(cleaned(of_aws, "by wJalrXUtnFEMI"), "by [removed]");
        assert_eq!(hidden("k").clean(RelayError::UpstreamCut), RelayError::UpstreamCut);
    }

    #[test]
    fn a_code_or_a_parameter_that_quotes_a_key_is_left_out() {
        let refused = |word: &str| RelayError::UpstreamRefused {
            status: 400,
            message: "no".to_owned(),
            code: Some(word.to_owned()),
            param: Some(word.to_owned()),
        };
        assert_eq!(hidden("topsecretkey").clean(refused("x-topsecre")), RelayError::refused(400, "no"));
        assert_eq!(hidden("topsecretkey").clean(refused("tools[0]")), refused("tools[0]"));
    }
}
