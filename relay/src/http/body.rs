//! Bodies of responses that are one document, read with a limit.

use std::time::Duration;

use super::Response;
use crate::RelayError;

/// An error body, or an answer without streaming, is read up to this size.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
/// How long an error body may take.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The whole body as text.
///
/// # Errors
/// It is cut, too long, or not UTF-8.
pub(crate) async fn read_body(response: Response) -> Result<String, RelayError> {
    let body = read_bytes(response, MAX_BODY_BYTES).await?;
    String::from_utf8(body).map_err(|_| RelayError::UpstreamGarbage("the text is not UTF-8".to_owned()))
}

/// The whole body, of at most so many bytes.
///
/// # Errors
/// It is cut or too long.
pub(crate) async fn read_bytes(mut response: Response, most: usize) -> Result<Vec<u8>, RelayError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| RelayError::UpstreamCut)? {
        if body.len() + chunk.len() > most {
            return Err(RelayError::UpstreamGarbage("the answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The body of a refusal; empty where it does not come in time or cannot be read.
pub(crate) async fn read_error_body(response: Response) -> String {
    match tokio::time::timeout(ERROR_BODY_TIMEOUT, read_body(response)).await {
        Ok(Ok(body)) => body,
        _ => String::new(),
    }
}
