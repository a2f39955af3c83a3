//! What happens to events that cannot be applied: alone, in a crowd, for a while, and when the fault lies elsewhere.

use std::{collections::HashSet, sync::Mutex, time::Duration};

use async_trait::async_trait;
use domain::users::{NameKind, Reservation, ReservationEvent};
use projections::{
    Backoff, Checkpoint, ProjectedEvent, ProjectionError, Projector, RunError, RunnerOptions, Touched, lag,
    run_until_caught_up,
};
use sqlx::PgConnection;

use crate::support::{World, user, world};

/// Writes down every event it applies; breaks where it is told to.
#[derive(Default)]
pub(crate) struct Scribe {
    /// Aggregates whose events it refuses, by a statement that Postgres refuses.
    pub(crate) refuses: Mutex<HashSet<String>>,
    /// Something it needs is away from this position on.
    pub(crate) away_from: Mutex<Option<i64>>,
}

impl Scribe {
    pub(crate) async fn new(world: &World) -> Self {
        sqlx::query("CREATE TABLE scribbled (position bigint PRIMARY KEY, id text NOT NULL, sequence bigint NOT NULL)")
            .execute(&world.pool)
            .await
            .unwrap();
        Self::default()
    }

    fn refuse(&self, id: &str) {
        self.refuses.lock().unwrap().insert(id.to_owned());
    }

    fn accept_all(&self) {
        self.refuses.lock().unwrap().clear();
    }
}

#[async_trait]
impl Projector for Scribe {
    fn name(&self) -> &'static str {
        "scribe_v1"
    }

    fn handles(&self, aggregate_type: &str) -> bool {
        aggregate_type == "reservation"
    }

    async fn apply(&self, tx: &mut PgConnection, events: &[&ProjectedEvent]) -> Result<Touched, ProjectionError> {
        for event in events {
            event.decode::<ReservationEvent>()?;
            if self.away_from.lock().unwrap().is_some_and(|position| event.position >= position) {
                return Err(ProjectionError::Database(sqlx::Error::PoolTimedOut));
            }
            let refused = self.refuses.lock().unwrap().contains(&event.aggregate_id);
            let id = if refused { None } else { Some(&event.aggregate_id) };
            sqlx::query("INSERT INTO scribbled (position, id, sequence) VALUES ($1, $2, $3)")
                .bind(event.position)
                .bind(id)
                .bind(event.sequence)
                .execute(&mut *tx)
                .await?;
        }
        Ok(Touched::default())
    }

    async fn reset(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("TRUNCATE scribbled").execute(tx).await?;
        Ok(())
    }
}

/// What `id` claims or releases next is of no matter here.
pub(crate) async fn scribble(world: &World, id: &str) {
    let event = ReservationEvent::Claimed { kind: NameKind::Email, holder: user() };
    world.append::<Reservation>(id, event).await;
}

/// Retries at once, so that tests need not wait.
fn options() -> RunnerOptions {
    let parked = Backoff { first: Duration::ZERO, most: Duration::ZERO };
    RunnerOptions { batch_max: 4, parked, ..RunnerOptions::default() }
}

async fn catch_up(world: &World, scribe: &Scribe) -> Result<Checkpoint, RunError> {
    run_until_caught_up(&world.pool, &world.vault, scribe, &options()).await
}

/// Aggregate and sequence in the order of application.
pub(crate) async fn scribbled(world: &World) -> Vec<(String, i64)> {
    sqlx::query_as("SELECT id, sequence FROM scribbled ORDER BY ctid").fetch_all(&world.pool).await.unwrap()
}

fn named(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter().map(|(id, sequence)| ((*id).to_owned(), *sequence)).collect()
}

async fn parked(world: &World) -> Vec<(String, i64, i32)> {
    sqlx::query_as("SELECT aggregate_id, first_position, attempts FROM parked_keys ORDER BY aggregate_id")
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_failing_event_parks_its_aggregate_and_the_others_flow_on() {
    let world = world().await;
    let scribe = Scribe::new(&world).await;
    scribe.refuse("bad");
    for id in ["good", "bad", "good", "bad", "other", "good"] {
        scribble(&world, id).await;
    }
    let at = catch_up(&world, &scribe).await.unwrap();
    assert_eq!(at.position, 6);
    assert_eq!(scribbled(&world).await, named(&[("good", 1), ("good", 2), ("other", 1), ("good", 3)]));
    assert!(matches!(parked(&world).await.as_slice(), [(id, 2, _)] if id == "bad"));
    let lags = sqlx::query_as::<_, (Option<String>,)>("SELECT last_error FROM checkpoints WHERE name = 'scribe_v1'");
    let (error,) = lags.fetch_one(&world.pool).await.unwrap();
    assert!(error.is_some_and(|error| error.starts_with("parked: ") && error.contains("null value")));
}

#[tokio::test]
async fn later_events_of_a_parked_aggregate_wait_and_are_applied_in_order_once_it_works() {
    let world = world().await;
    let scribe = Scribe::new(&world).await;
    scribe.refuse("bad");
    for id in ["bad", "bad", "good", "bad"] {
        scribble(&world, id).await;
    }
    catch_up(&world, &scribe).await.unwrap();
    scribble(&world, "bad").await;
    catch_up(&world, &scribe).await.unwrap();
    assert_eq!(scribbled(&world).await, named(&[("good", 1)]));
    let tries = parked(&world).await[0].2;
    assert!(tries >= 2, "tried {tries} times");

    scribe.accept_all();
    catch_up(&world, &scribe).await.unwrap();
    assert_eq!(scribbled(&world).await, named(&[("good", 1), ("bad", 1), ("bad", 2), ("bad", 3), ("bad", 4)]));
    assert_eq!(parked(&world).await, []);
    scribble(&world, "bad").await;
    catch_up(&world, &scribe).await.unwrap();
    assert_eq!(scribbled(&world).await.last(), named(&[("bad", 5)]).last());
    let error: Option<String> =
        sqlx::query_scalar("SELECT last_error FROM checkpoints").fetch_one(&world.pool).await.unwrap();
    assert_eq!(error, None);
}

#[tokio::test]
async fn a_parked_aggregate_with_more_events_than_fit_into_one_transaction_goes_on_where_it_stopped() {
    let world = world().await;
    let scribe = Scribe::new(&world).await;
    scribe.refuse("bad");
    for sql in [
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
         SELECT 'reservation', 'bad', n, 'reservation.released', '1', \
         json_build_object('released', json_build_object('holder', gen_random_uuid())), '{}' \
         FROM generate_series(1, 1100) n",
        "INSERT INTO event_log SELECT sequence, aggregate_type, aggregate_id, sequence FROM events",
    ] {
        sqlx::query(sql).execute(&world.pool).await.unwrap();
    }
    let options = RunnerOptions { batch_max: 1000, ..options() };
    for accepted in [0, 500, 1000, 1100] {
        run_until_caught_up(&world.pool, &world.vault, &scribe, &options).await.unwrap();
        assert_eq!(scribbled(&world).await.len(), accepted);
        scribe.accept_all();
    }
    assert!(scribbled(&world).await.iter().map(|(_, sequence)| *sequence).eq(1..=1100));
    assert_eq!(parked(&world).await, []);
}

#[tokio::test]
async fn an_event_of_an_unknown_version_or_with_a_damaged_payload_parks_instead_of_being_guessed() {
    let world = world().await;
    let scribe = Scribe::new(&world).await;
    for id in ["future", "damaged", "good"] {
        scribble(&world, id).await;
    }
    let alter = [
        "UPDATE events SET event_version = '2' WHERE aggregate_id = 'future'",
        "UPDATE events SET payload = '{\"claimed\": {\"$sealed\": {\"subject\": \"x\", \"data\": \"AA\"}}}' \
         WHERE aggregate_id = 'damaged'",
    ];
    for sql in alter {
        sqlx::query(sql).execute(&world.pool).await.unwrap();
    }
    catch_up(&world, &scribe).await.unwrap();
    assert_eq!(scribbled(&world).await, named(&[("good", 1)]));
    let parked: Vec<String> = parked(&world).await.into_iter().map(|(id, ..)| id).collect();
    assert_eq!(parked, ["damaged", "future"]);
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_batch_leaves_nothing_and_redelivery_applies_it_once() {
    let world = world().await;
    let scribe = Scribe::new(&world).await;
    for id in ["a", "b", "a", "b", "a", "b"] {
        scribble(&world, id).await;
    }
    *scribe.away_from.lock().unwrap() = Some(6);
    // The first batch of four is committed, the second fails after one of its two events was written.
    assert!(matches!(catch_up(&world, &scribe).await, Err(RunError::Projection(_))));
    assert_eq!(scribbled(&world).await.len(), 4);
    assert_eq!(parked(&world).await, []);

    *scribe.away_from.lock().unwrap() = None;
    assert_eq!(catch_up(&world, &scribe).await.unwrap().position, 6);
    assert_eq!(scribbled(&world).await, named(&[("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3), ("b", 3)]));
}

#[tokio::test]
async fn two_at_once_apply_every_event_once_and_in_order() {
    let world = world().await;
    let scribe = Scribe::new(&world).await;
    for n in 0..60 {
        scribble(&world, ["a", "b", "c"][n % 3]).await;
    }
    // Losing a race for a batch is no error: what was applied by the other is skipped.
    let (one, two, three) =
        tokio::join!(catch_up(&world, &scribe), catch_up(&world, &scribe), catch_up(&world, &scribe));
    assert_eq!([one, two, three].map(|at| at.unwrap().position), [60; 3]);
    let rows = scribbled(&world).await;
    assert_eq!(rows.len(), 60);
    for id in ["a", "b", "c"] {
        let sequences: Vec<i64> = rows.iter().filter(|(row, _)| row == id).map(|(_, sequence)| *sequence).collect();
        assert_eq!(sequences, Vec::from_iter(1..=20));
    }
}

#[tokio::test]
async fn a_missing_position_stops_the_projection_and_nothing_is_skipped() {
    let world = world().await;
    let scribe = Scribe::new(&world).await;
    for id in ["a", "b", "c", "d"] {
        scribble(&world, id).await;
    }
    sqlx::query("DELETE FROM event_log WHERE position = 3").execute(&world.pool).await.unwrap();
    let failed = catch_up(&world, &scribe).await;
    assert!(matches!(&failed, Err(RunError::Log(_) | RunError::Gap { .. })), "{failed:?}");
    assert!(scribbled(&world).await.iter().all(|(id, _)| id != "d"));
}

#[tokio::test]
async fn a_declared_epoch_may_jump_over_positions() {
    let world = world().await;
    let scribe = Scribe::new(&world).await;
    scribble(&world, "a").await;
    for (epoch, first) in [(1, 1), (2, 101)] {
        sqlx::query(
            "INSERT INTO publication_epochs (epoch, first_position, system_identifier, timeline, reason) \
             VALUES ($1, $2, 's', 1, 'restored')",
        )
        .bind(epoch)
        .bind(first)
        .execute(&world.pool)
        .await
        .unwrap();
    }
    let event = ReservationEvent::Released { holder: user() };
    let event = world.store::<Reservation>("a", event).await;
    world.give_position(&event, Some(101)).await;
    scribble(&world, "b").await;
    assert_eq!(catch_up(&world, &scribe).await.unwrap(), Checkpoint { epoch: 2, position: 102 });
    assert_eq!(scribbled(&world).await, named(&[("a", 1), ("a", 2), ("b", 1)]));
    assert!(lag(&world.pool).await.unwrap().iter().all(|lag| lag.position == 0));
}
