//! Bodies, queries and path parts, each with a rejection that a person can act on.
//!
//! Malformed JSON is 400 with the place; well-formed JSON of the wrong shape is 422 with the field; a body over the
//! limit is 413; a path part that is no id names nothing, so it is 404.

use axum::{
    RequestExt as _,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request, path::ErrorKind, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use uuid::Uuid;

use crate::{
    arriving::gather,
    problem::{FieldError, Problem},
};

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may be left out.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send the body as JSON, with `Content-Type: application/json`",
            ));
        }
        parse(&read(request).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if is_json(request.headers()) {
            let bytes = read(request).await?;
            return if bytes.is_empty() { Ok(Self(T::default())) } else { parse(&bytes).map(Self) };
        }
        if read(request).await?.is_empty() {
            return Ok(Self(T::default()));
        }
        Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send the body as JSON, with `Content-Type: application/json`",
        ))
    }
}

/// Whether what is sent says that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The bytes of a body within its limits of size and time.
pub(crate) async fn read(request: Request) -> Result<Bytes, Problem> {
    gather(request.into_limited_body()).await
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer);
    let value: T = parsed.map_err(|error| {
        let field = pointer(error.path());
        shape_problem(&field, error.inner())
    })?;
    deserializer.end().map_err(|error| shape_problem("", &error))?;
    Ok(value)
}

fn shape_problem(field: &str, error: &serde_json::Error) -> Problem {
    if error.classify() == Category::Data {
        // Its own " at line 1 column 7" says less than the field does.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        let (field, code) = match missing {
            Some(name) if field.is_empty() => (name.to_owned(), "missing_field"),
            Some(name) => (format!("{field}/{name}"), "missing_field"),
            None => (field.to_owned(), "invalid_field"),
        };
        return Problem::fields(vec![FieldError { field, code: code.into(), message }]);
    }
    let place = if field.is_empty() { String::new() } else { format!(", in `{field}`") };
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed_json",
        format!("the body is not JSON: {error}{place}"), // the error ends in "at line L column C"
    )
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment as S;
    let parts = path.iter().filter_map(|segment| match segment {
        S::Seq { index } => Some(index.to_string()),
        S::Map { key } => Some(key.replace('~', "~0").replace('/', "~1")),
        S::Enum { variant } => Some(variant.clone()),
        S::Unknown => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The one id in the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        ids(parts, state).await.map(Self)
    }
}

/// The two ids in the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids(pub(crate) Uuid, pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        ids(parts, state).await.map(|(outer, inner)| Self(outer, inner))
    }
}

async fn ids<T: DeserializeOwned + Send, S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<T, Problem> {
    match axum::extract::Path::<T>::from_request_parts(parts, state).await {
        Ok(axum::extract::Path(ids)) => Ok(ids),
        Err(PathRejection::FailedToDeserializePathParams(error))
            if !matches!(
                error.kind(),
                ErrorKind::UnsupportedType { .. } | ErrorKind::WrongNumberOfParameters { .. }
            ) =>
        {
            Err(Problem::not_found("not_found", "there is nothing under this address: its id is not a UUID"))
        }
        Err(error) => Err(Problem::bug(&error)),
    }
}

/// The one name in the path, which may be any text.
#[derive(Debug, Clone)]
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<String>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(name)) => Ok(Self(name)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => {
                Err(Problem::not_found("not_found", "there is nothing under this address: its name is no text"))
            }
            Err(error) => Err(Problem::bug(&error)),
        }
    }
}

/// The query string; repeated names become lists.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum_extra::extract::Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|axum_extra::extract::Query(query)| Self(query))
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid_query", error.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Letter {
        #[expect(dead_code, reason = "only its shape matters here")]
        lines: Vec<String>,
    }

    fn refused(body: &str) -> Problem {
        parse::<Letter>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn malformed_json_is_told_by_line_and_column() {
        let problem = format!("{:?}", refused("{\"lines\": [\n\"a\", oops]}"));
        assert!(problem.contains("malformed_json") && problem.contains("line 2 column 6"), "{problem}");
        assert_eq!(refused("{\"lines\": []} tail").code(), "malformed_json");
        assert_eq!(refused("").code(), "malformed_json");
    }

    #[test]
    fn json_of_the_wrong_shape_is_told_by_its_field() {
        let problem = format!("{:?}", refused("{\"lines\": [\"a\", 7]}"));
        assert!(problem.contains("422") && problem.contains("\"lines/1\""), "{problem}");
        let missing = format!("{:?}", refused("{}"));
        assert!(missing.contains("missing_field") && missing.contains("field: \"lines\""), "{missing}");
    }

    #[tokio::test]
    async fn a_body_that_is_not_declared_as_json_is_415_and_a_missing_one_may_be_left_out() {
        let text = Request::builder().header("content-type", "text/plain").body("{}".into()).unwrap();
        assert_eq!(Json::<Value>::from_request(text, &()).await.unwrap_err().code(), "unsupported_media_type");
        let empty = Request::builder().body(axum::body::Body::empty()).unwrap();
        assert!(OptionalJson::<Value>::from_request(empty, &()).await.is_ok());
    }
}
