//! What only the tables can say: neighbours in a stream, and events that were forgotten.

use nats::{Envelope, EventRef};
use sqlx::PgPool;

use super::findings::{Finding, Kind};

/// Of these events those whose predecessor in the aggregate has no earlier place in the order.
const WITHOUT_PREDECESSOR: &str = "
    SELECT e.position, p.position FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])
         AS e (position, aggregate_type, aggregate_id, sequence)
    LEFT JOIN LATERAL (SELECT l.position FROM event_log l WHERE l.aggregate_type = e.aggregate_type
         AND l.aggregate_id = e.aggregate_id AND l.sequence = e.sequence - 1 LIMIT 1) p ON true
    WHERE e.sequence > 1 AND (p.position IS NULL OR p.position >= e.position)";

/// Events that the sequencer has seen and that have no place all the same. One that is newer than its last step is only
/// waiting for the next.
const WITHOUT_POSITION: &str = "
    SELECT e.aggregate_type, e.aggregate_id, e.sequence FROM events e CROSS JOIN sequencer s
    WHERE s.id = 1 AND pg_visible_in_snapshot(e.xid, s.snap)
      AND NOT EXISTS (SELECT FROM event_log l WHERE l.aggregate_type = e.aggregate_type
                      AND l.aggregate_id = e.aggregate_id AND l.sequence = e.sequence)
    ORDER BY e.ins";

/// Events that do not follow one of their own aggregate, though they are not its first.
pub(super) async fn without_predecessor(pool: &PgPool, page: &[Envelope]) -> sqlx::Result<Vec<Finding>> {
    let names: Vec<EventRef> = page.iter().map(Envelope::event_ref).collect();
    let rows: Vec<(i64, Option<i64>)> = sqlx::query_as(WITHOUT_PREDECESSOR)
        .bind(page.iter().map(Envelope::position).collect::<Vec<_>>())
        .bind(names.iter().map(|name| name.aggregate_type.as_str()).collect::<Vec<_>>())
        .bind(names.iter().map(|name| name.aggregate_id.as_str()).collect::<Vec<_>>())
        .bind(names.iter().map(|name| name.sequence).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    let mut findings = Vec::new();
    for (position, predecessor) in rows {
        let event = page.iter().zip(&names).find(|(envelope, _)| envelope.position() == position);
        let what = match predecessor {
            None => "the event before it in its aggregate is missing".to_owned(),
            Some(later) => format!("the event before it in its aggregate stands later, at position {later}"),
        };
        let event = event.map(|(_, name)| name.clone());
        findings.push(Finding { position: Some(position), event, kind: Kind::Sequence, what });
    }
    for (envelope, name) in page.iter().zip(&names).filter(|(_, name)| name.sequence < 1) {
        let what = "the events of an aggregate are numbered from 1".to_owned();
        let (position, event) = (Some(envelope.position()), Some(name.clone()));
        findings.push(Finding { position, event, kind: Kind::Sequence, what });
    }
    Ok(findings)
}

/// Committed events that no reader of the log will ever meet.
pub(super) async fn without_position(pool: &PgPool) -> sqlx::Result<Vec<Finding>> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(WITHOUT_POSITION).fetch_all(pool).await?;
    let finding = |(aggregate_type, aggregate_id, sequence)| Finding {
        position: None,
        event: Some(EventRef { aggregate_type, aggregate_id, sequence }),
        kind: Kind::NoPosition,
        what: "the event is stored and has no position, so nobody ever reads it".to_owned(),
    };
    Ok(rows.into_iter().map(finding).collect())
}
