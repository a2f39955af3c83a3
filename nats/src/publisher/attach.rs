//! Whether this database and this stream belong together, and where in the stream to go on.

use async_nats::{jetstream, jetstream::stream::Info};

use super::{Publisher, PublisherError};
use crate::{
    epoch::{self, Cluster, Epoch},
    event_ref::EventRef,
    log::{last_position, position_of},
};

/// A stream that was found to be the published form of the log.
pub(super) struct Attached {
    pub(super) epoch: i64,
    /// The last position in the stream.
    pub(super) last: i64,
    /// The event there, if there is one: the log must still have it at each later look.
    pub(super) last_event: Option<EventRef>,
    /// The last position of each capability that was met so far.
    pub(super) prev: std::collections::HashMap<String, i64>,
}

impl Publisher {
    /// Compares everything that could differ; makes the stream when it is not there.
    pub(super) async fn attach(&self) -> Result<Attached, PublisherError> {
        let stream = epoch::stream_info(&self.client).await?;
        let Some(epoch) = epoch::current(&self.pool).await? else {
            if let Some(info) = stream.filter(|info| info.state.last_sequence > 0) {
                return Err(required(format!(
                    "the stream holds events up to {} but this database has never published",
                    info.state.last_sequence
                )));
            }
            epoch::open_first(&self.pool).await?;
            return Err(PublisherError::Moved);
        };
        self.check_cluster(&epoch).await?;
        let Some(info) = stream else { return self.make_stream(&epoch).await };
        let published = epoch::last_published(&self.client, &info).await?;
        match &published {
            Some(published) if published.epoch > epoch.epoch => {
                Err(required(format!("the stream is in epoch {}, this database in {}", published.epoch, epoch.epoch)))
            }
            // The operator has opened an epoch: the stream of the old one ends here.
            Some(published) if published.epoch < epoch.epoch => self.replace_stream(&epoch).await,
            Some(published) => {
                let found = position_of(&self.pool, &published.event).await?;
                if found != Some(published.position) || published.position != sequence(&info) {
                    return Err(required(format!(
                        "the stream's last event {} at {} is not in the log there",
                        published.event, published.position
                    )));
                }
                self.adjust_limits(&info).await?;
                Ok(attached(&epoch, published.position, Some(published.event.clone())))
            }
            None if info.state.messages > 0 => Err(required("the stream's last message is not an event".into())),
            None => self.attach_empty(&epoch, &info).await,
        }
    }

    /// An empty stream: new, or everything in it expired.
    async fn attach_empty(&self, epoch: &Epoch, info: &Info) -> Result<Attached, PublisherError> {
        let last = sequence(info);
        if last + 1 < epoch.first_position {
            return self.replace_stream(epoch).await;
        }
        if last + 1 > epoch.first_position && last > last_position(&self.pool).await? {
            return Err(required(format!("the stream had come to {last}, which the log has not reached")));
        }
        Ok(attached(epoch, last, self.event_at(last).await?))
    }

    async fn check_cluster(&self, epoch: &Epoch) -> Result<(), PublisherError> {
        let now = Cluster::of(&self.pool).await?;
        let then = Cluster { system_identifier: epoch.system_identifier.clone(), timeline: epoch.timeline };
        if now == then {
            return Ok(());
        }
        Err(required(format!(
            "the database cluster is {} on timeline {}, epoch {} was published by {} on timeline {}",
            now.system_identifier, now.timeline, epoch.epoch, then.system_identifier, then.timeline
        )))
    }

    async fn replace_stream(&self, epoch: &Epoch) -> Result<Attached, PublisherError> {
        super::republish(&self.client).await?;
        self.make_stream(epoch).await
    }

    /// The stream begins with the newest part of the log, within this epoch: readers of older parts page Postgres.
    async fn make_stream(&self, epoch: &Epoch) -> Result<Attached, PublisherError> {
        let end = last_position(&self.pool).await?;
        let first = epoch.first_position.max(end + 1 - self.options.refill_events);
        let config = self.options.streams.events(u64::try_from(first).unwrap_or(1));
        let context = jetstream::new(self.client.clone());
        // Another publisher may make it at the same time, with another beginning.
        context.create_stream(config).await.map_err(|error| PublisherError::Bus(error.to_string()))?;
        tracing::info!(epoch = epoch.epoch, first, "the event stream is made");
        metrics::counter!("events_stream_made_total").increment(1);
        Err(PublisherError::Moved)
    }

    /// Brings a stream that was made under other options up to date.
    async fn adjust_limits(&self, info: &Info) -> Result<(), PublisherError> {
        let wanted = &self.options.streams;
        let mut config = info.config.clone();
        if (config.max_bytes, config.num_replicas) == (wanted.events_max_bytes, wanted.replicas) {
            return Ok(());
        }
        config.max_bytes = wanted.events_max_bytes;
        config.num_replicas = wanted.replicas;
        let context = jetstream::new(self.client.clone());
        context.update_stream(config).await.map_err(|error| PublisherError::Bus(error.to_string()))?;
        Ok(())
    }

    /// With nothing to publish: is the stream still there, and the log still the same?
    pub(super) async fn check_quiet(&self, attached: &Attached) -> Result<(), PublisherError> {
        let there = epoch::stream_info(&self.client).await?.map(|info| sequence(&info));
        if there != Some(attached.last) || last_position(&self.pool).await? < attached.last_logged() {
            return Err(PublisherError::Moved);
        }
        Ok(())
    }

    /// Before publishing: the log must still hold what was published last, else it was replaced under us.
    pub(super) async fn check_log(&self, attached: &Attached) -> Result<(), PublisherError> {
        let Some(event) = &attached.last_event else { return Ok(()) };
        let found = position_of(&self.pool, event).await?;
        if found == Some(attached.last) { Ok(()) } else { Err(PublisherError::Moved) }
    }

    async fn event_at(&self, position: i64) -> Result<Option<EventRef>, PublisherError> {
        let query = "SELECT aggregate_type, aggregate_id, sequence FROM event_log WHERE position = $1";
        let row: Option<(String, String, i64)> =
            sqlx::query_as(query).bind(position).fetch_optional(&self.pool).await?;
        Ok(row.map(|(aggregate_type, aggregate_id, sequence)| EventRef { aggregate_type, aggregate_id, sequence }))
    }
}

impl Attached {
    /// The last published position that the log must have; an epoch begins above the log's end.
    fn last_logged(&self) -> i64 {
        if self.last_event.is_some() { self.last } else { 0 }
    }
}

fn attached(epoch: &Epoch, last: i64, last_event: Option<EventRef>) -> Attached {
    Attached { epoch: epoch.epoch, last, last_event, prev: std::collections::HashMap::new() }
}

fn sequence(info: &Info) -> i64 {
    i64::try_from(info.state.last_sequence).unwrap_or(i64::MAX)
}

fn required(reason: String) -> PublisherError {
    PublisherError::EpochRequired { reason }
}
