//! Walks the log in Postgres as subscribers get it: each event with its capability and `prev`, the position of the one
//! before it in that capability.
//!
//! Promise: in order, no event twice, memory bounded by one page. What is wrong with the log itself (a missing position,
//! a position without its event, an aggregate that no capability owns) is told with the page, so that a reader may stop
//! there and an audit may go on.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
};

use async_nats::HeaderMap;
use futures::TryStreamExt;
use sqlx::{PgPool, QueryBuilder};

use crate::{
    event_ref::EventRef,
    headers::InvalidHeader,
    log::{LogError, LogRow, LoggedEvent, PAGE_BYTES},
    published,
    publisher::Capabilities,
};

/// Places of the order that are looked at in one go; they are small.
const PLACES: i64 = 10_000;

/// The events of these places. None is read twice, whatever the planner thinks of the log.
const EVENTS_AT: &str = "
    SELECT coalesce(x.epoch, 1) AS epoch, coalesce(x.first_position, 1) AS epoch_start,
           l.position, l.aggregate_type, l.aggregate_id, l.sequence,
           e.event_type, e.event_version, e.payload::text AS payload, e.metadata, e.recorded_at, e.tenant
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])
         AS l (position, aggregate_type, aggregate_id, sequence)
    CROSS JOIN LATERAL (SELECT * FROM events WHERE events.aggregate_type = l.aggregate_type
                        AND events.aggregate_id = l.aggregate_id AND events.sequence = l.sequence LIMIT 1) e
    LEFT JOIN LATERAL (SELECT epoch, first_position FROM publication_epochs
                       WHERE first_position <= l.position ORDER BY epoch DESC LIMIT 1) x ON true
    ORDER BY l.position";

/// Which events; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    pub capability: Option<String>,
    /// As stored: `wallet.granted`.
    pub event_type: Option<String>,
    pub aggregate_id: Option<String>,
}

/// An event with all that subscribers get of it.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub capability: String,
    /// The position of the event before it in its capability; 0 for the first.
    pub prev: i64,
    pub(crate) row: LogRow,
}

/// Something is wrong with the log at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFault {
    /// Positions are missing, and no epoch begins at `found`.
    Gap { after: i64, found: i64 },
    /// The order names an event that is not stored.
    NoEvent { position: i64, event: EventRef },
    /// An aggregate type that this release does not know.
    UnknownAggregate { position: i64, aggregate_type: String },
}

/// Some events, in order.
#[derive(Debug, Default)]
pub struct LogPage {
    pub envelopes: Vec<Envelope>,
    pub faults: Vec<LogFault>,
    /// Whether nothing followed when it was read.
    pub is_end: bool,
}

/// A place in the order of all events.
#[derive(Debug, Clone, sqlx::FromRow)]
struct Place {
    position: i64,
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    #[sqlx(default)]
    capability: String,
    #[sqlx(default)]
    prev: i64,
}

/// A cursor over the log.
pub struct LogReader {
    pool: PgPool,
    capabilities: Capabilities,
    filter: LogFilter,
    /// All places up to here were looked at.
    looked_to: i64,
    /// Nothing after this position is read.
    end: i64,
    prev: HashMap<String, i64>,
    /// Places that match and whose events were not read yet.
    places: VecDeque<Place>,
    faults: Vec<LogFault>,
}

impl LogReader {
    /// A reader of what follows `after` up to and with position `end` (`i64::MAX`: for ever).
    #[must_use]
    pub fn new(pool: PgPool, capabilities: Capabilities, filter: LogFilter, after: i64, end: i64) -> Self {
        let (prev, places, faults) = (HashMap::new(), VecDeque::new(), Vec::new());
        Self { pool, capabilities, filter, looked_to: after, end, prev, places, faults }
    }

    /// Everything that matches up to this position was returned.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.places.front().map_or(self.looked_to, |place| place.position - 1)
    }

    /// Up to `max` further events that match; fewer when they are large. None with `is_end` unset: ask again.
    ///
    /// # Errors
    /// The database is away; ask again, nothing is skipped.
    pub async fn next_page(&mut self, max: usize) -> Result<LogPage, sqlx::Error> {
        let mut is_end = false;
        if self.places.is_empty() {
            is_end = !self.look().await?;
        }
        let envelopes = self.read(max).await?;
        Ok(LogPage { envelopes, faults: std::mem::take(&mut self.faults), is_end })
    }

    /// The same, where nothing may be wrong.
    ///
    /// # Errors
    /// The database is away, or the log is damaged.
    pub async fn next_sound_page(&mut self, max: usize) -> Result<LogPage, LogError> {
        let page = self.next_page(max).await?;
        match page.faults.first() {
            Some(fault) => Err(LogError::Damaged(fault.clone())),
            None => Ok(page),
        }
    }

    /// Looks at the next places; whether there were any.
    async fn look(&mut self) -> Result<bool, sqlx::Error> {
        let places: Vec<Place> =
            sqlx::query_as("SELECT * FROM event_log WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3")
                .bind(self.looked_to)
                .bind(self.end)
                .bind(PLACES)
                .fetch_all(&self.pool)
                .await?;
        let starts: Vec<i64> =
            sqlx::query_scalar("SELECT first_position FROM publication_epochs").fetch_all(&self.pool).await?;
        let (mut after, mut matching, mut faults) = (self.looked_to, VecDeque::new(), Vec::new());
        let mut prev = self.prev.clone();
        for mut place in places {
            let position = place.position;
            if position != after + 1 && !starts.contains(&position) {
                faults.push(LogFault::Gap { after, found: position });
            }
            after = position;
            let Some(capability) = self.capabilities.of(&place.aggregate_type) else {
                faults.push(LogFault::UnknownAggregate { position, aggregate_type: place.aggregate_type });
                continue;
            };
            place.prev = match prev.get(capability) {
                Some(prev) => *prev,
                None => previous(&self.pool, &self.capabilities, capability, position).await?,
            };
            prev.insert(capability.to_owned(), position);
            capability.clone_into(&mut place.capability);
            if self.matches(&place) {
                matching.push_back(place);
            }
        }
        let found = after > self.looked_to;
        (self.looked_to, self.prev, self.places) = (after, prev, matching);
        self.faults.append(&mut faults);
        Ok(found)
    }

    fn matches(&self, place: &Place) -> bool {
        let LogFilter { capability, event_type, aggregate_id } = &self.filter;
        let of_type = event_type.as_deref().and_then(|name| name.split_once('.')).map(|(of, _)| of);
        capability.as_ref().is_none_or(|wanted| *wanted == place.capability)
            && of_type.is_none_or(|wanted| wanted == place.aggregate_type)
            && aggregate_id.as_ref().is_none_or(|wanted| *wanted == place.aggregate_id)
    }

    /// The events of the first places, which are then done.
    async fn read(&mut self, max: usize) -> Result<Vec<Envelope>, sqlx::Error> {
        let asked: Vec<&Place> = self.places.iter().take(max).collect();
        let mut rows: Vec<LogRow> = Vec::with_capacity(asked.len());
        let mut found = sqlx::query_as::<_, LogRow>(EVENTS_AT)
            .bind(asked.iter().map(|place| place.position).collect::<Vec<_>>())
            .bind(asked.iter().map(|place| place.aggregate_type.as_str()).collect::<Vec<_>>())
            .bind(asked.iter().map(|place| place.aggregate_id.as_str()).collect::<Vec<_>>())
            .bind(asked.iter().map(|place| place.sequence).collect::<Vec<_>>())
            .fetch(&self.pool);
        let (mut bytes, mut is_cut) = (0, false);
        while let Some(row) = found.try_next().await? {
            bytes += row.payload.len();
            rows.push(row);
            if bytes >= PAGE_BYTES {
                is_cut = true;
                break;
            }
        }
        drop(found);
        let done = if is_cut { rows.last().map_or(0, |row| row.position) } else { i64::MAX };
        let mut rows = rows.into_iter().peekable();
        let mut envelopes = Vec::new();
        for _ in 0..asked.len() {
            let Some(place) = self.places.pop_front_if(|place| place.position <= done) else { break };
            match rows.next_if(|row| row.position == place.position) {
                Some(row) if self.filter.event_type.as_ref().is_none_or(|wanted| *wanted == row.event_type) => {
                    envelopes.push(Envelope { capability: place.capability, prev: place.prev, row });
                }
                Some(_) => {}
                None => self.faults.push(LogFault::NoEvent { position: place.position, event: place.event_ref() }),
            }
        }
        Ok(envelopes)
    }
}

impl Place {
    fn event_ref(self) -> EventRef {
        EventRef { aggregate_type: self.aggregate_type, aggregate_id: self.aggregate_id, sequence: self.sequence }
    }
}

impl Envelope {
    #[must_use]
    pub fn position(&self) -> i64 {
        self.row.position
    }

    /// Which event of which aggregate.
    #[must_use]
    pub fn event_ref(&self) -> EventRef {
        let LogRow { aggregate_type, aggregate_id, sequence, .. } = &self.row;
        EventRef { aggregate_type: aggregate_type.clone(), aggregate_id: aggregate_id.clone(), sequence: *sequence }
    }

    /// The bytes of the payload as they are stored and published; personal fields are sealed in them.
    #[must_use]
    pub fn payload(&self) -> &str {
        &self.row.payload
    }

    /// The event itself.
    #[must_use]
    pub fn event(&self) -> LoggedEvent {
        self.row.clone().into_event()
    }

    /// The subject it is published on; `None` if its type cannot be one.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        published::event_subject(&self.capability, &self.row.aggregate_type, &self.row.event_type)
    }

    /// The headers it is published with.
    ///
    /// # Errors
    /// A value that no header can carry.
    pub fn headers(&self) -> Result<HeaderMap, InvalidHeader> {
        published::headers(&self.row, self.prev)
    }
}

impl fmt::Display for LogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { after, found } => {
                write!(f, "the log goes from position {after} to {found}, and no epoch begins there")
            }
            Self::NoEvent { position, event } => {
                write!(f, "position {position} is that of {event}, which is not stored")
            }
            Self::UnknownAggregate { position, aggregate_type } => {
                write!(f, "the aggregate type `{aggregate_type}` at position {position} belongs to no known capability")
            }
        }
    }
}

/// The last position before `position` of any aggregate of the capability; 0 if there is none.
pub(crate) async fn previous(
    pool: &PgPool,
    capabilities: &Capabilities,
    capability: &str,
    position: i64,
) -> Result<i64, sqlx::Error> {
    // The row before (type, position) in the order of the index: one probe a type, however rare the type is.
    let query = "SELECT coalesce(max(p.position), 0) FROM unnest($1::text[]) t(name), LATERAL (
        SELECT l.aggregate_type, l.position FROM event_log l WHERE (l.aggregate_type, l.position) < (t.name, $2)
        ORDER BY l.aggregate_type DESC, l.position DESC LIMIT 1) p
        WHERE p.aggregate_type = t.name";
    sqlx::query_scalar(query).bind(capabilities.types_of(capability)).bind(position).fetch_one(pool).await
}

/// The position before the last `count` events that match; where a reader of just those begins.
///
/// # Errors
/// The database is away.
pub async fn before_last(
    pool: &PgPool,
    capabilities: &Capabilities,
    filter: &LogFilter,
    count: i64,
) -> Result<i64, sqlx::Error> {
    let LogFilter { capability, event_type, aggregate_id } = filter;
    // Only conditions that are asked for are written down, so that an index of theirs can be used.
    let mut query = QueryBuilder::new("SELECT min(position) FROM (SELECT l.position FROM event_log l");
    if let Some(event_type) = event_type {
        query.push(
            " JOIN events e ON e.aggregate_type = l.aggregate_type AND e.aggregate_id = l.aggregate_id \
             AND e.sequence = l.sequence AND e.event_type = ",
        );
        query.push_bind(event_type);
    }
    query.push(" WHERE true");
    let of_event = event_type.as_deref().and_then(|name| name.split_once('.')).map(|(of, _)| vec![of.to_owned()]);
    if let Some(types) = of_event.or_else(|| Some(capabilities.types_of(capability.as_deref()?))) {
        query.push(" AND l.aggregate_type = ANY(").push_bind(types).push(")");
    }
    if let Some(aggregate_id) = aggregate_id {
        // The index begins with the type.
        let all: Vec<String> = capabilities.0.keys().cloned().collect();
        query.push(" AND l.aggregate_type = ANY(").push_bind(all).push(") AND l.aggregate_id = ");
        query.push_bind(aggregate_id);
    }
    query.push(" ORDER BY l.position DESC LIMIT ").push_bind(count).push(") last");
    let first: Option<i64> = query.build_query_scalar().fetch_one(pool).await?;
    match first {
        Some(first) => Ok(first - 1),
        None => crate::log::last_position(pool).await,
    }
}
