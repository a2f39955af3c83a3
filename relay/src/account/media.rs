//! Pictures, documents and sound that an upstream cannot be given: an explicit error instead of an answer about a picture
//! that the model never saw.
//!
//! Sources: "Create chat completion" and "Responses" of OpenAI's API reference; "Vision" and "PDF support" at
//! platform.claude.com/docs; "Part" and "Blob" of Google's Gemini API reference; `ContentBlock`, `ImageSource` and
//! `DocumentSource` of the Bedrock runtime's API reference.

use crate::model::{MediaSource, Part, Prompt};
use crate::{Dialect, InvalidRequest};

/// Whether everything in a prompt can be said in `dialect`.
///
/// # Errors
/// The first part that cannot, in a sentence for the developer.
pub(super) fn check(prompt: &Prompt, dialect: Dialect) -> Result<(), InvalidRequest> {
    for (at, message) in prompt.messages.iter().enumerate() {
        check_parts(&message.parts, dialect).map_err(|what| InvalidRequest::at(format!("messages[{at}]"), what))?;
    }
    Ok(())
}

fn check_parts(parts: &[Part], dialect: Dialect) -> Result<(), &'static str> {
    for part in parts {
        match part {
            Part::Image { source, .. } => check_source(source, dialect)?,
            Part::File { source, .. } => check_source(source, dialect)?,
            Part::Audio(_) if matches!(dialect, Dialect::Messages | Dialect::Responses | Dialect::Converse) => {
                return Err("This model cannot be given audio.");
            }
            Part::ToolResult(outcome) => check_parts(&outcome.content, dialect)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_source(source: &MediaSource, dialect: Dialect) -> Result<(), &'static str> {
    let MediaSource::Url { url, .. } = source else { return Ok(()) };
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let fetched: &[&str] = match dialect {
        Dialect::Converse => &["s3"],
        Dialect::GenerateContent => &["gs", "https", "http"],
        Dialect::ChatCompletions | Dialect::Responses | Dialect::Messages => &["https", "http"],
    };
    if fetched.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    Err(match dialect {
        Dialect::Converse => {
            "This model's provider fetches no addresses but those of S3: send the data itself, as base64."
        }
        _ => "This model's provider does not fetch addresses of that kind: send the data itself, as base64.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Audio, Author, Message, ToolOutcome};

    fn asks(part: Part) -> Prompt {
        let message = Message { author: Author::User, name: None, parts: vec![Part::text("What is it?"), part] };
        Prompt { messages: vec![Message::text(Author::User, "Hello"), message], ..Prompt::default() }
    }

    fn image(url: &str) -> Part {
        let source = MediaSource::Url { url: url.to_owned(), media_type: None };
        Part::Image { source, detail: None, cache: None }
    }

    #[test]
    fn an_address_that_the_upstream_cannot_fetch_is_refused_with_its_place_and_without_repeating_it() {
        let web = "https://secret.example/a.png";
        let error = check(&asks(image(web)), Dialect::Converse).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("messages[1]"));
        assert!(!error.message.contains("secret"));
        for (url, dialect, is_fine) in [
            (web, Dialect::Messages, true),
            (web, Dialect::GenerateContent, true),
            ("s3://bucket/a.png", Dialect::Converse, true),
            ("s3://bucket/a.png", Dialect::Messages, false),
            ("gs://bucket/a.png", Dialect::GenerateContent, true),
            ("gs://bucket/a.png", Dialect::ChatCompletions, false),
            ("file:///etc/passwd", Dialect::ChatCompletions, false),
        ] {
            assert_eq!(check(&asks(image(url)), dialect).is_ok(), is_fine, "{url} {dialect:?}");
        }
    }

    #[test]
    fn what_is_inside_of_a_tools_result_is_looked_at_too_and_data_is_always_fine() {
        let outcome = |part| {
            Part::ToolResult(ToolOutcome {
                call_id: "a".to_owned(),
                name: None,
                content: vec![part],
                is_error: false,
                cache: None,
            })
        };
        assert!(check(&asks(outcome(image("https://x.example"))), Dialect::Converse).is_err());
        let source = MediaSource::Inline { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() };
        let inline = Part::Image { source, detail: None, cache: None };
        assert!(check(&asks(outcome(inline)), Dialect::Converse).is_ok());
    }

    #[test]
    fn audio_is_refused_where_no_model_hears_it() {
        let audio = Audio { format: "wav".to_owned(), base64: "aGk=".to_owned(), transcript: None, id: None };
        assert!(check(&asks(Part::Audio(audio.clone())), Dialect::Messages).is_err());
        assert!(check(&asks(Part::Audio(audio)), Dialect::GenerateContent).is_ok());
    }
}
