//! One atomic batch: all of it directly behind the last position, or nothing.

use std::time::Duration;

use async_nats::{HeaderMap, header};
use bytes::Bytes;
use uuid::Uuid;

use super::{Publisher, PublisherError, attach::Attached};
use crate::{
    ack::{self, PublishFailure},
    event_ref::EventRef,
    headers::InvalidHeader,
    log::LogRow,
    published, reader,
};

const ACK_TIMEOUT: Duration = Duration::from_secs(5);

struct Prepared {
    subject: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Publisher {
    /// Publishes rows that follow the last position.
    pub(super) async fn publish(&self, attached: &mut Attached, rows: &[LogRow]) -> Result<(), PublisherError> {
        // A jump means that an epoch was opened: the stream has to be another one.
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        if first.position != attached.last + 1 {
            return Err(PublisherError::Moved);
        }
        // Rows of two epochs never share a batch.
        let rows: Vec<&LogRow> = rows.iter().filter(|row| row.epoch == first.epoch).collect();
        let mut prepared = Vec::with_capacity(rows.len());
        for row in &rows {
            prepared.push(self.prepare(attached, row).await?);
        }
        let end = rows.last().copied().unwrap_or(last);
        let result = self.send(attached.last, prepared).await;
        let stored = result.map_err(|failure| match failure {
            // Unknown: stored or not, the stream will tell.
            PublishFailure::WrongLastSequence | PublishFailure::NoStream | PublishFailure::Unknown => {
                PublisherError::Moved
            }
            other => PublisherError::Bus(other.to_string()),
        })?;
        if i64::try_from(stored) != Ok(end.position) {
            return Err(PublisherError::EpochRequired {
                reason: format!("position {} was stored as sequence {stored}", end.position),
            });
        }
        attached.last = end.position;
        attached.last_event = Some(EventRef {
            aggregate_type: end.aggregate_type.clone(),
            aggregate_id: end.aggregate_id.clone(),
            sequence: end.sequence,
        });
        metrics::counter!("events_published_total").increment(rows.len() as u64);
        Ok(())
    }

    async fn prepare(&self, attached: &mut Attached, row: &LogRow) -> Result<Prepared, PublisherError> {
        let position = row.position;
        let capability = self
            .capabilities
            .of(&row.aggregate_type)
            .ok_or_else(|| PublisherError::UnknownAggregate { aggregate_type: row.aggregate_type.clone(), position })?;
        let prev = match attached.prev.get(capability) {
            Some(prev) => *prev,
            None => reader::previous(&self.pool, &self.capabilities, capability, position).await?,
        };
        attached.prev.insert(capability.to_owned(), position);
        let unpublishable = |source| PublisherError::Unpublishable { position, source };
        let subject = published::event_subject(capability, &row.aggregate_type, &row.event_type)
            .ok_or_else(|| unpublishable(InvalidHeader("Type")))?;
        let headers = published::headers(row, prev).map_err(unpublishable)?;
        Ok(Prepared { subject, headers, body: Bytes::from(row.payload.clone()) })
    }

    /// Sends the messages as one; the stream sequence of the last.
    async fn send(&self, after: i64, mut messages: Vec<Prepared>) -> Result<u64, PublishFailure> {
        // Only the first names its predecessor: the server checks the batch as a whole.
        if let Some(first) = messages.first_mut() {
            first.headers.insert(header::NATS_EXPECTED_LAST_SEQUENCE, after.to_string());
        }
        let count = messages.len();
        let batch = Uuid::now_v7().simple().to_string();
        let mut last_sequence = 0;
        for (index, mut message) in messages.into_iter().enumerate() {
            if count > 1 {
                message.headers.insert(header::NATS_BATCH_ID, batch.as_str());
                message.headers.insert(header::NATS_BATCH_SEQUENCE, (index + 1).to_string());
            }
            if index + 1 < count {
                let sent = self.client.publish_with_headers(message.subject, message.headers, message.body).await;
                sent.map_err(|error| PublishFailure::Unavailable(error.to_string()))?;
                continue;
            }
            if count > 1 {
                message.headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
            }
            let ack = ack::publish(&self.client, message.subject, message.headers, message.body, ACK_TIMEOUT).await?;
            last_sequence = ack.sequence;
        }
        Ok(last_sequence)
    }
}
