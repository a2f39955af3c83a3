//! Finding, sealing and opening `$sealed` fields in JSON.
//!
//! The additional data of each field names aggregate type, id, sequence and the path inside the payload: a ciphertext
//! copied to any other place does not open.

use std::collections::{BTreeSet, HashMap};

use aes_gcm::{
    Aes256Gcm, Key, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::VaultError;

const MARKER: &str = "$sealed";
const NONCE_BYTES: usize = 12;

/// Data keys by person; a person without one was erased.
pub(crate) type Keys = HashMap<Uuid, zeroize::Zeroizing<[u8; 32]>>;

/// Where a payload is stored.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub aggregate_type: &'a str,
    pub aggregate_id: &'a str,
    pub sequence: i64,
}

impl Place<'_> {
    fn binding(&self, path: &str) -> Vec<u8> {
        format!("{}\0{}\0{}\0{path}", self.aggregate_type, self.aggregate_id, self.sequence).into_bytes()
    }
}

/// Whether any field of this JSON text may be sealed or waits for it: false is certain.
#[must_use]
pub fn may_hold_sealed(json: &str) -> bool {
    // Our serializer never escapes these characters.
    json.contains(MARKER)
}

/// People whose open fields stand in `payload`.
pub(crate) fn subjects(payload: &Value) -> BTreeSet<Uuid> {
    found(payload, "open")
}

/// People whose encrypted fields stand in `payload`.
pub(crate) fn sealed_subjects(payload: &Value) -> BTreeSet<Uuid> {
    found(payload, "data")
}

fn found(payload: &Value, part: &str) -> BTreeSet<Uuid> {
    let mut subjects = BTreeSet::new();
    collect(payload, part, &mut subjects);
    subjects
}

fn collect(value: &Value, part: &str, subjects: &mut BTreeSet<Uuid>) {
    match value {
        Value::Object(fields) => match sealed_content(fields) {
            Some(content) if content.contains_key(part) => subjects.extend(subject_of(content)),
            Some(_) => {}
            None => fields.values().for_each(|field| collect(field, part, subjects)),
        },
        Value::Array(items) => items.iter().for_each(|item| collect(item, part, subjects)),
        _ => {}
    }
}

fn sealed_content(fields: &Map<String, Value>) -> Option<&Map<String, Value>> {
    if fields.len() == 1 { fields.get(MARKER)?.as_object() } else { None }
}

fn subject_of(content: &Map<String, Value>) -> Option<Uuid> {
    content.get("subject")?.as_str()?.parse().ok()
}

pub(crate) fn seal(place: &Place<'_>, payload: &mut Value, keys: &Keys) -> Result<(), VaultError> {
    each_sealed(payload, &mut String::new(), &mut |content, path| {
        let Some(open) = content.get("open") else { return Ok(()) };
        let subject = subject_of(content).ok_or_else(|| VaultError::Damaged { path: path.to_owned() })?;
        let key = keys.get(&subject).ok_or(VaultError::SubjectErased(subject))?;
        let sealed = encrypt(key, &place.binding(path), open.to_string().as_bytes())?;
        let (nonce, data) = sealed.split_at(NONCE_BYTES);
        *content = object(json!({
            "subject": subject, "key": 1, "nonce": STANDARD.encode(nonce), "data": STANDARD.encode(data),
        }));
        Ok(())
    })
}

pub(crate) fn unseal(place: &Place<'_>, payload: &mut Value, keys: &Keys) -> Result<(), VaultError> {
    each_sealed(payload, &mut String::new(), &mut |content, path| {
        if !content.contains_key("data") {
            return Ok(());
        }
        let damaged = || VaultError::Damaged { path: path.to_owned() };
        let subject = subject_of(content).ok_or_else(damaged)?;
        let Some(key) = keys.get(&subject) else {
            *content = object(json!({ "subject": subject }));
            return Ok(());
        };
        let bytes = |part| STANDARD.decode(content.get(part)?.as_str()?).ok();
        let sealed = [bytes("nonce").ok_or_else(damaged)?, bytes("data").ok_or_else(damaged)?].concat();
        let plain = decrypt(key, &place.binding(path), &sealed).ok_or_else(damaged)?;
        let open: Value = serde_json::from_slice(&plain).map_err(|_| damaged())?;
        *content = object(json!({ "subject": subject, "open": open }));
        Ok(())
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

type Visit<'v> = dyn FnMut(&mut Map<String, Value>, &str) -> Result<(), VaultError> + 'v;

fn each_sealed(value: &mut Value, path: &mut String, visit: &mut Visit<'_>) -> Result<(), VaultError> {
    let length = path.len();
    match value {
        Value::Object(fields) if sealed_content(fields).is_some() => {
            if let Some(Value::Object(content)) = fields.get_mut(MARKER) {
                visit(content, path)?;
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                path.push('/');
                path.push_str(name);
                each_sealed(field, path, visit)?;
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push_str(&format!("/{index}"));
                each_sealed(item, path, visit)?;
                path.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Nonce and ciphertext with its tag, one after the other.
pub(crate) fn encrypt(key: &[u8; 32], binding: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| VaultError::NoRandomness)?;
    let sealed = Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: binding })
        .map_err(|_| VaultError::Damaged { path: "a text longer than the cipher's bound".to_owned() })?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// `None` if the bytes were altered, cut, or sealed with another key or for another place.
pub(crate) fn decrypt(key: &[u8; 32], binding: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, data) = sealed.split_at_checked(NONCE_BYTES)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key)).decrypt(&Nonce::from(nonce), Payload { msg: data, aad: binding }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { aggregate_type: "session", aggregate_id: "s", sequence: 3 };

    fn keys() -> Keys {
        HashMap::from([(Uuid::nil(), zeroize::Zeroizing::new([7; 32]))])
    }

    fn payload() -> Value {
        json!({"sent": {"text": {"$sealed": {"subject": Uuid::nil(), "open": "你好 \"x\""}}, "n": 1,
                        "list": [{"$sealed": {"subject": Uuid::nil(), "open": {"a": 1}}}]}})
    }

    #[test]
    fn sealed_fields_open_to_what_they_were_and_other_fields_are_untouched() {
        let mut value = payload();
        seal(&PLACE, &mut value, &keys()).unwrap();
        assert!(!value.to_string().contains("你好"));
        assert_eq!(value["sent"]["n"], 1);
        unseal(&PLACE, &mut value, &keys()).unwrap();
        assert_eq!(value, payload());
    }

    #[test]
    fn the_same_text_is_never_sealed_to_the_same_bytes() {
        let (mut a, mut b) = (payload(), payload());
        seal(&PLACE, &mut a, &keys()).unwrap();
        seal(&PLACE, &mut b, &keys()).unwrap();
        assert_ne!(a["sent"]["text"], b["sent"]["text"]);
    }

    #[test]
    fn a_field_moved_to_another_event_or_field_does_not_open() {
        let mut value = payload();
        seal(&PLACE, &mut value, &keys()).unwrap();
        let elsewhere = Place { sequence: 4, ..PLACE };
        assert!(matches!(unseal(&elsewhere, &mut value.clone(), &keys()), Err(VaultError::Damaged { .. })));
        let mut swapped = value.clone();
        swapped["sent"]["text"] = value["sent"]["list"][0].clone();
        assert!(matches!(unseal(&PLACE, &mut swapped, &keys()), Err(VaultError::Damaged { .. })));
    }

    #[test]
    fn without_the_key_a_field_reads_as_erased() {
        let mut value = payload();
        seal(&PLACE, &mut value, &keys()).unwrap();
        unseal(&PLACE, &mut value, &Keys::new()).unwrap();
        assert_eq!(value["sent"]["text"], json!({"$sealed": {"subject": Uuid::nil()}}));
    }

    #[test]
    fn nothing_is_sealed_for_an_erased_person() {
        assert!(matches!(seal(&PLACE, &mut payload(), &Keys::new()), Err(VaultError::SubjectErased(_))));
    }
}
