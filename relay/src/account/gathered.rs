//! Whole answers of an upstream that only streams: asked as a stream, put together here.

use super::reply::Steps;
use super::stream::{Next, Reading};
use crate::model::{Answer, Gathered};
use crate::{RelayError, Usage};

/// The answer that the steps of a stream amount to, and what it consumed. Dropping the future stops the generation.
///
/// # Errors
/// What ended the stream before its end: half an answer is none.
pub(super) async fn gathered(mut reading: Reading<Steps>) -> Result<(Answer, Usage), RelayError> {
    let mut gathered = Gathered::default();
    while let Some(next) = reading.next().await {
        match next {
            Next::Step(delta) => gathered.take(delta),
            Next::End { cancelled: true, .. } => return Err(RelayError::Cancelled),
            Next::End { cancelled: false, usage } => return Ok((gathered.answer(), usage)),
            Next::Failed { error, .. } => return Err(error),
        }
    }
    Err(RelayError::UpstreamCut)
}
