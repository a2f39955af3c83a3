//! What the people of a run know: what they asked for and what they were told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use uuid::Uuid;

/// One thing that somebody did, all its tries together.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `u0`, `u1`, …, `operator`.
    pub who: String,
    pub did: Did,
    /// Requests sent, all tries and duplicates.
    pub sends: u32,
    /// One; two where it was sent twice at once.
    pub answers: Vec<Answer>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    Register {
        email: String,
    },
    SignIn,
    MakeKey,
    Begin {
        title: String,
    },
    /// `tag` is the first word of the message.
    Say {
        session: Uuid,
        tag: String,
    },
    Regenerate {
        session: Uuid,
        tag: String,
    },
    Stop {
        run: Uuid,
    },
    Rename {
        session: Uuid,
        title: String,
    },
    /// Read one's own writes.
    Look {
        session: Uuid,
        expects: Vec<Uuid>,
    },
    /// Read a reply while it was written; what was seen is acknowledged.
    Follow {
        run: Uuid,
    },
    /// Credit; the amount is of this movement alone.
    Move {
        owner: Uuid,
        nanos: i64,
    },
    /// A call of the compatible API by the process of this number.
    Call {
        owner: Uuid,
        tag: String,
        api: usize,
    },
}

/// What was told in the end.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// 2xx.
    Acknowledged(Value),
    Refused {
        status: u16,
        code: String,
    },
    /// No answer that says what came of it, however often it was asked.
    Unknown(String),
    /// The client hung up on purpose.
    Left,
}

impl Answer {
    /// The body of a 2xx answer.
    pub fn body(&self) -> Option<&Value> {
        match self {
            Self::Acknowledged(body) => Some(body),
            _ => None,
        }
    }
}

impl Entry {
    /// The body of the first 2xx answer.
    pub fn acknowledged(&self) -> Option<&Value> {
        self.answers.iter().find_map(Answer::body)
    }
}

/// Written by everybody at once.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Vec<Entry>>);

impl Journal {
    pub fn note(&self, entry: Entry) {
        self.lock().push(entry);
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id that a JSON answer holds under `name`.
pub fn id(body: &Value, name: &str) -> Option<Uuid> {
    body[name].as_str()?.parse().ok()
}
