//! Rebuilds beside rows that are read: what they come to, what they leave behind, what goes on meanwhile.

use std::sync::Arc;

use domain::users::{NameKind, Reservation, ReservationEvent};
use projections::{
    Projector, all,
    billing::BillingProjector,
    chat::ChatProjector,
    rebuild::{Compared, DifferenceKind, Progress, RebuildError, RebuildOptions, Rebuilt, Start, rebuild, verify},
};
use serde_json::Value;
use sqlx::Executor as _;

use crate::{
    rebuild::{dump, live_a_little},
    support::{Talk, World, user, world},
};

pub(crate) async fn rebuilt(world: &World, projector: &Arc<dyn Projector>) -> Result<Rebuilt, RebuildError> {
    rebuild(&world.pool, &world.vault, projector, RebuildOptions::default(), &mut |_| {}).await
}

pub(crate) async fn compared(world: &World, projector: &Arc<dyn Projector>) -> Compared {
    verify(&world.pool, &world.vault, projector, RebuildOptions::default(), &mut |_| {}).await.unwrap()
}

pub(crate) fn chat() -> Arc<dyn Projector> {
    Arc::new(ChatProjector)
}

/// What a rebuild may not leave behind.
pub(crate) async fn nothing_is_left(world: &World) {
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%rebuild%') \
         + (SELECT count(*) FROM checkpoints WHERE name LIKE '%rebuild%') \
         + (SELECT count(*) FROM parked_keys WHERE projection LIKE '%rebuild%')",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

/// All that the catalog says about the tables of the read models, whoever made them.
async fn catalog(world: &World) -> Vec<Value> {
    let schemas = "(SELECT oid FROM pg_namespace WHERE nspname LIKE '%\\_v1')";
    let sql = format!(
        "SELECT to_jsonb(x) FROM ( \
         SELECT table_schema || '.' || table_name AS of, column_name AS name, (to_jsonb(c) - 'ordinal_position' \
             - 'dtd_identifier')::text AS what FROM information_schema.columns c WHERE table_schema LIKE '%\\_v1' \
         UNION ALL SELECT schemaname || '.' || tablename, indexname, indexdef FROM pg_indexes \
             WHERE schemaname LIKE '%\\_v1' \
         UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE connamespace IN {schemas} \
         UNION ALL SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal \
         UNION ALL SELECT oid::regclass::text, relkind::text, concat_ws(' ', relacl, reloptions, \
             obj_description(oid, 'pg_class')) FROM pg_class WHERE relnamespace IN {schemas} \
         UNION ALL SELECT oid::regprocedure::text, 'function', prosrc FROM pg_proc WHERE pronamespace IN {schemas} \
         ) x ORDER BY x.of, x.name, x.what"
    );
    sqlx::query_scalar(&sql).fetch_all(&world.pool).await.unwrap()
}

#[tokio::test]
async fn rebuilt_rows_are_the_live_ones_to_the_byte_in_tables_that_are_the_same_and_nothing_is_left_behind() {
    let world = world().await;
    live_a_little(&world).await;
    // What operators may do to a table, and the release knows nothing of.
    for sql in [
        "COMMENT ON TABLE chat_v1.sessions IS 'it''s read by reports'",
        "ALTER TABLE billing_v1.charges SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)",
        "GRANT SELECT ON billing_v1.ledger_entries TO PUBLIC",
    ] {
        world.pool.execute(sql).await.unwrap();
    }
    for projector in all() {
        world.project(&*projector).await;
    }
    let (rows, tables) = (dump(&world).await, catalog(&world).await);
    assert!(rows.iter().filter(|table| table.is_empty()).count() <= 2, "a history with everything in it");
    let last = nats::last_position(&world.pool).await.unwrap();
    for projector in all() {
        let Rebuilt { position, parked } = rebuilt(&world, &projector).await.unwrap();
        assert_eq!((position, parked.len()), (last, 0), "{}", projector.name());
    }
    assert_eq!(dump(&world).await, rows);
    assert_eq!(catalog(&world).await, tables);
    nothing_is_left(&world).await;
    for projector in all() {
        let compared = compared(&world, &projector).await;
        assert_eq!((compared.difference_count, compared.position), (0, last), "{:?}", compared.differences);
        assert!(compared.rows > 0);
    }
    nothing_is_left(&world).await;
    // And life goes on in them.
    live_a_little(&world).await;
    for projector in all() {
        world.project(&*projector).await;
        assert_eq!(compared(&world, &projector).await.difference_count, 0);
    }
}

#[tokio::test]
async fn a_rebuild_that_is_cut_off_anywhere_goes_on_where_it_stopped() {
    let world = world().await;
    live_a_little(&world).await;
    world.project(&ChatProjector).await;
    let before = dump(&world).await;
    let last = nats::last_position(&world.pool).await.unwrap();
    let options = RebuildOptions { batch_max: 5, ..RebuildOptions::default() };
    let (mut before_it, mut runs) = (-1, 0);
    loop {
        // Cut off after each batch: what the future holds is dropped in the middle.
        let (heard, mut hear) = tokio::sync::mpsc::unbounded_channel();
        let mut tell = |progress| heard.send(progress).unwrap();
        let projector = chat();
        let running = rebuild(&world.pool, &world.vault, &projector, options, &mut tell);
        let mut cut = false;
        let done = tokio::select! {
            done = running => Some(done),
            () = async {
                let Some(Progress::Begun { after, start }) = hear.recv().await else { panic!("a beginning") };
                assert!(after > before_it, "{after} follows {before_it}");
                before_it = after;
                assert_eq!(start, if runs == 0 { Start::Fresh } else { Start::Resumed });
                while let Some(progress) = hear.recv().await {
                    if let Progress::Applied { position, .. } = progress {
                        cut = position < last;
                        if cut { return }
                    }
                }
                std::future::pending::<()>().await;
            } => None,
        };
        runs += 1;
        assert_eq!(dump(&world).await, before, "readers see nothing of it");
        if let Some(done) = done {
            assert_eq!(done.unwrap().position, last);
            break;
        }
        assert!(cut);
    }
    assert!(runs > 5, "{runs}");
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn an_aggregate_that_is_left_behind_in_both_stays_so_and_is_told() {
    let world = world().await;
    live_a_little(&world).await;
    let bad = Talk::start(&world, user(), 0, Some("bad")).await;
    sqlx::query("UPDATE events SET event_version = '9' WHERE aggregate_id = $1")
        .bind(bad.id.to_string())
        .execute(&world.pool)
        .await
        .unwrap();
    live_a_little(&world).await;
    world.project(&ChatProjector).await;
    let before = dump(&world).await;

    let found = compared(&world, &chat()).await;
    assert_eq!((found.difference_count, found.parked.len()), (0, 1));
    assert_eq!(found.parked[0].aggregate_id, bad.id.to_string());
    let rebuilt = rebuilt(&world, &chat()).await.unwrap();
    assert_eq!(rebuilt.parked, found.parked);
    assert_eq!(dump(&world).await, before);
    nothing_is_left(&world).await;
    let parked: Vec<(String, String)> =
        sqlx::query_as("SELECT projection, aggregate_id FROM parked_keys").fetch_all(&world.pool).await.unwrap();
    assert_eq!(parked, [("chat_v1".to_owned(), bad.id.to_string())]);
}

#[tokio::test]
async fn live_rows_that_cannot_be_made_again_are_not_replaced() {
    let world = world().await;
    live_a_little(&world).await;
    let talk = Talk::start(&world, user(), 0, Some("good until now")).await;
    world.project(&ChatProjector).await;
    let before = dump(&world).await;
    let damage = |version| {
        let id = talk.id.to_string();
        let query = sqlx::query("UPDATE events SET event_version = $2 WHERE aggregate_id = $1").bind(id).bind(version);
        query.execute(&world.pool)
    };
    damage("9").await.unwrap();
    let refused = rebuilt(&world, &chat()).await;
    assert!(matches!(&refused, Err(RebuildError::NewlyParked(parked)) if parked.len() == 1), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains(&talk.id.to_string()));
    assert_eq!(dump(&world).await, before);
    // The comparison says so too.
    let found = compared(&world, &chat()).await;
    let tables: Vec<&str> = found.differences.iter().map(|difference| difference.table.as_str()).collect();
    assert_eq!(tables, ["chat_v1.sessions", "parked_keys"]);
    // Once it is repaired, the rebuild comes to its end.
    damage("1").await.unwrap();
    rebuilt(&world, &chat()).await.unwrap();
    assert_eq!(dump(&world).await, before);
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn of_two_rebuilds_of_a_projection_the_second_is_refused() {
    let world = world().await;
    live_a_little(&world).await;
    world.project(&ChatProjector).await;
    let (heard, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let (projector, pool, vault) = (chat(), world.pool.clone(), world.vault.clone());
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let first = tokio::task::spawn_blocking(move || {
        tokio::runtime::Handle::current().block_on(async {
            let mut wait = Some(wait);
            let mut tell = |progress| {
                let _ = heard.send(progress);
                // It stands still after its beginning.
                if let Some(wait) = wait.take() {
                    wait.recv().unwrap();
                }
            };
            rebuild(&pool, &vault, &projector, RebuildOptions::default(), &mut tell).await
        })
    });
    hear.recv().await.unwrap();
    let second = rebuilt(&world, &chat()).await;
    assert!(matches!(&second, Err(RebuildError::Busy(name)) if name == "chat_v1"), "{second:?}");
    go_on.send(()).unwrap();
    first.await.unwrap().unwrap();
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn a_reader_that_does_not_let_go_is_waited_for_while_others_read_and_the_projection_goes_on() {
    let world = world().await;
    live_a_little(&world).await;
    world.project(&ChatProjector).await;
    let count = "SELECT count(*) FROM chat_v1.messages";
    let mut reader = world.pool.begin().await.unwrap();
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut *reader).await.unwrap();
    let (heard, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let mut tell = |progress| heard.send(progress).unwrap();
    let projector = chat();
    let running = rebuild(&world.pool, &world.vault, &projector, RebuildOptions::default(), &mut tell);
    let meanwhile = async {
        while hear.recv().await != Some(Progress::Switching { attempt: 2 }) {}
        Talk::start(&world, user(), 0, None).await.ask(None, "still here?").await;
        world.project(&ChatProjector).await;
        let other: i64 = sqlx::query_scalar(count).fetch_one(&world.pool).await.unwrap();
        assert_eq!(other, before + 2);
        reader.commit().await.unwrap();
    };
    let (done, ()) = tokio::join!(running, meanwhile);
    assert_eq!(done.unwrap().position, nats::last_position(&world.pool).await.unwrap());
    let after: i64 = sqlx::query_scalar(count).fetch_one(&world.pool).await.unwrap();
    assert_eq!(after, before + 2);
    assert_eq!(compared(&world, &chat()).await.difference_count, 0);
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn what_an_earlier_run_has_left_is_thrown_away_if_it_is_not_wanted_or_from_before_a_migration() {
    let world = world().await;
    live_a_little(&world).await;
    world.project(&ChatProjector).await;
    let start_of = async |options: RebuildOptions| {
        let mut starts = vec![];
        let mut tell = |progress| {
            if let Progress::Begun { start, .. } = progress {
                starts.push(start);
            }
        };
        verify(&world.pool, &world.vault, &chat(), options, &mut tell).await.unwrap();
        starts
    };
    let keep = RebuildOptions { keep: true, ..RebuildOptions::default() };
    assert_eq!(start_of(keep).await, [Start::Fresh]);
    assert_eq!(start_of(keep).await, [Start::Resumed]);
    assert_eq!(start_of(RebuildOptions { restart: true, ..keep }).await, [Start::Discarded]);
    world.pool.execute("ALTER TABLE chat_v1.sessions ADD COLUMN later int").await.unwrap();
    assert_eq!(start_of(keep).await, [Start::Discarded]);
    // It has seen what the live rows have not seen yet.
    sqlx::query("UPDATE checkpoints SET position = position - 1 WHERE name = 'chat_v1'")
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(start_of(RebuildOptions::default()).await, [Start::Resumed, Start::Discarded]);
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn a_planted_difference_in_any_table_is_found_and_named_without_a_value() {
    let world = world().await;
    live_a_little(&world).await;
    for projector in all() {
        world.project(&*projector).await;
    }
    // In one row some columns are changed, in another one the key: so it is missing, and there is one too many.
    let planted = [
        ("billing_v1.ledger_entries", "model = coalesce(model, '') || '!'", &["model"][..], "line = 99"),
        ("billing_v1.wallets", "granted_nanos = granted_nanos + 1", &["granted_nanos"], "owner = gen_random_uuid()"),
        ("billing_v1.holds", "prices = '{}', model = 'x'", &["model", "prices"], "hold_id = gen_random_uuid()"),
        ("billing_v1.charges", "at = at - interval '1 microsecond'", &["at"], "position = -position"),
        ("chat_v1.messages", "content = content || ' '", &["content"], "id = gen_random_uuid()"),
        ("chat_v1.sessions", "deleted_at = now()", &["deleted_at", "deleted"], "id = gen_random_uuid()"),
        ("relay_v1.channels", "enabled = NOT enabled", &["enabled"], "id = gen_random_uuid()"),
        ("users_v1.names", "kind = 'username'", &["kind"], "name_hash = 'x'"),
        ("users_v1.devices", "last_seen_at = signed_in_at", &["last_seen_at"], "id = gen_random_uuid()"),
        ("users_v1.api_keys", "scopes = '{}'", &["scopes"], "id = gen_random_uuid()"),
    ];
    for (table, change, columns, key_change) in planted {
        let projector = all().into_iter().find(|projector| table.starts_with(projector.name())).unwrap();
        let sql = format!("SELECT min(ctid)::text, max(ctid)::text FROM {table}");
        let (first, last): (String, String) = sqlx::query_as(&sql).fetch_one(&world.pool).await.unwrap();
        for (change, row) in [(change, first), (key_change, last)] {
            let plant = format!("UPDATE {table} SET {change} WHERE ctid = '{row}'");
            assert_eq!(world.pool.execute(&*plant).await.unwrap().rows_affected(), 1);
        }
        let found = compared(&world, &projector).await;
        assert_eq!((found.difference_count, found.differences.len()), (3, 3), "{:?}", found.differences);
        assert!(found.differences.iter().all(|told| told.table == table && !told.key.is_empty()));
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        for kind in [DifferenceKind::Changed { columns }, DifferenceKind::Missing, DifferenceKind::Extra] {
            assert!(found.differences.iter().any(|told| told.kind == kind), "{kind:?}: {:?}", found.differences);
        }
        // And a rebuild puts it right.
        rebuilt(&world, &projector).await.unwrap();
    }
    for projector in all() {
        assert_eq!(compared(&world, &projector).await.difference_count, 0);
    }
    let extra = "INSERT INTO users_v1.names (name_hash, kind, user_id) VALUES ('x', 'email', gen_random_uuid())";
    world.pool.execute(extra).await.unwrap();
    let users = all().into_iter().find(|projector| projector.name() == "users_v1").unwrap();
    let found = compared(&world, &users).await;
    assert_eq!(found.differences[0].to_string(), "users_v1.names, name_hash x: no event makes this row");
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn a_table_that_something_else_depends_on_is_not_replaced_and_the_reason_names_it() {
    let world = world().await;
    live_a_little(&world).await;
    world.project(&BillingProjector).await;
    world.pool.execute("CREATE VIEW public.report AS SELECT * FROM billing_v1.charges").await.unwrap();
    let billing: Arc<dyn Projector> = Arc::new(BillingProjector);
    let failed = rebuilt(&world, &billing).await.unwrap_err().to_string();
    assert!(failed.contains("depend"), "{failed}");
    world.pool.execute("DROP VIEW public.report; CREATE VIEW billing_v1.report AS SELECT 1 AS one").await.unwrap();
    let failed = rebuilt(&world, &billing).await.unwrap_err();
    assert!(matches!(&failed, RebuildError::DefinitionsDiffer(line) if line.contains("report")), "{failed}");
    world.pool.execute("DROP VIEW billing_v1.report").await.unwrap();
    rebuilt(&world, &billing).await.unwrap();
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn a_projection_that_never_ran_is_rebuilt_too() {
    let world = world().await;
    let kind = NameKind::Email;
    world.append::<Reservation>("email:x", ReservationEvent::Claimed { kind, holder: user() }).await;
    for projector in all() {
        assert_eq!(rebuilt(&world, &projector).await.unwrap().position, 1);
    }
    nothing_is_left(&world).await;
}
