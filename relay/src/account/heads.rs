//! The heads of an account's requests, made once for each way in which it asks.
//!
//! Promise: what is kept differs in nothing from what would be made anew. A head depends on the model, on what is spoken,
//! on whether the answer streams, and on the key, and on nothing else: whoever signs every request for itself is not kept.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::http::Prepared;
use crate::{Dialect, RelayError};

/// Models whose heads are kept, at most: more than a channel offers.
const MAX_MODELS: usize = 512;

/// The heads that are known, by the model's name.
#[derive(Default)]
pub(super) struct Heads(RwLock<HashMap<String, OfModel>>);

type OfModel = Vec<(Form, Arc<Prepared>)>;

/// In which form a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) dialect: Dialect,
    pub(super) stream: bool,
    /// Which of the account's keys is used.
    pub(super) key: Option<usize>,
}

impl Heads {
    /// The head that is known, or the one that `make` makes.
    ///
    /// # Errors
    /// As `make`; that is not kept.
    pub(super) fn get(
        &self,
        model: &str,
        form: Form,
        make: impl FnOnce() -> Result<Prepared, RelayError>,
    ) -> Result<Arc<Prepared>, RelayError> {
        let known = |heads: &OfModel| heads.iter().find(|(known, _)| *known == form).map(|(_, head)| Arc::clone(head));
        let found = self.0.read().unwrap_or_else(PoisonError::into_inner).get(model).and_then(known);
        if let Some(head) = found {
            return Ok(head);
        }
        let made = Arc::new(make()?);
        let mut heads = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if heads.len() >= MAX_MODELS && !heads.contains_key(model) {
            heads.clear();
        }
        let of_model = heads.entry(model.to_owned()).or_default();
        // Somebody else may have been faster.
        if known(of_model).is_none() {
            of_model.push((form, Arc::clone(&made)));
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::{Method, Request, Url};

    use super::*;

    fn head() -> Result<Prepared, RelayError> {
        Prepared::of(&Request::new(Method::POST, Url::parse("http://h.example/").unwrap()))
    }

    #[test]
    fn a_head_is_made_once_for_each_model_form_and_key() {
        let heads = Heads::default();
        let form = Form { dialect: Dialect::ChatCompletions, stream: false, key: Some(0) };
        let first = heads.get("m", form, head).unwrap();
        let again = heads.get("m", form, || panic!("it is known")).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        for (model, other) in [
            ("n", form),
            ("m", Form { stream: true, ..form }),
            ("m", Form { key: Some(1), ..form }),
            ("m", Form { dialect: Dialect::Responses, ..form }),
        ] {
            assert!(!Arc::ptr_eq(&first, &heads.get(model, other, head).unwrap()), "{model} {other:?}");
        }
    }

    #[test]
    fn what_cannot_be_made_is_not_kept_and_no_more_is_kept_than_allowed() {
        let heads = Heads::default();
        let form = Form { dialect: Dialect::Messages, stream: true, key: None };
        assert!(heads.get("m", form, || Err(RelayError::Busy)).is_err());
        for number in 0..=MAX_MODELS {
            heads.get(&number.to_string(), form, head).unwrap();
        }
        assert!(heads.0.read().unwrap().len() <= MAX_MODELS);
    }
}
