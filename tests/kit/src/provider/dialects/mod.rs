//! What the mock provider speaks, one file a dialect, each written from its provider's own documentation.

pub(super) mod chat_completions;
pub(super) mod generate_content;
pub(super) mod messages;
pub(super) mod responses;

#[cfg(test)]
mod spec;

/// OpenAI's body of an error, of both its dialects.
fn openai_refusal(refusal: &super::script::Refusal) -> String {
    let told = match &refusal.words {
        super::script::Words::Exactly(body) => return body.clone(),
        super::script::Words::Told(told) => told,
    };
    let kind = match refusal.status {
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    serde_json::json!({"error": {"message": told.message, "type": kind, "param": told.param, "code": told.code}})
        .to_string()
}
