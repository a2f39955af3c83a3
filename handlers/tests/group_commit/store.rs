//! The event store of cqrs-es on the committer.

use chrono::DateTime;
use cqrs_es::{AggregateError, CqrsFramework, EventStore as _, persist::PersistedEventStore};
use domain::{
    Decided, UserId,
    users::{Device, DeviceCommand, DeviceEvent},
};
use handlers::GroupStore;
use postgres_es::PostgresEventRepository;
use uuid::Uuid;

use crate::{
    groups::{ONE_AT_A_TIME, Plug, bus, done, transactions},
    money::grant,
    support::{CommandSide, command, new_user},
};

type Ours = CqrsFramework<Decided<Device>, GroupStore>;
type Stock = CqrsFramework<Decided<Device>, PersistedEventStore<PostgresEventRepository, Decided<Device>>>;

fn at() -> DateTime<chrono::Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn sign_in(user: UserId) -> DeviceCommand {
    DeviceCommand::SignIn { user, at: at() }
}

const fn rotate(generation: u32, at: DateTime<chrono::Utc>) -> DeviceCommand {
    DeviceCommand::RotateRefresh { generation, at }
}

fn stock(side: &CommandSide) -> Stock {
    let repository = PostgresEventRepository::new(side.database.pool.clone());
    CqrsFramework::new(PersistedEventStore::new_event_store(repository), vec![], ())
}

#[tokio::test]
async fn the_framework_of_cqrs_es_runs_on_the_committer() {
    let side = CommandSide::start().await;
    let bus = bus(&side, 2);
    let ours: Ours = CqrsFramework::new(bus.event_store(), vec![], ());
    let id = Uuid::now_v7().to_string();
    ours.execute(&id, sign_in(new_user())).await.unwrap();
    ours.execute(&id, rotate(0, at())).await.unwrap();
    let again = ours.execute(&id, sign_in(new_user())).await;
    assert!(matches!(again, Err(AggregateError::UserError(_))), "{again:?}");
    // Commands by the bus see what came by the framework, and the other way round.
    done(&bus, &command::<Device>(&id, "rotate_refresh", &rotate(1, at()))).await;
    ours.execute(&id, rotate(2, at())).await.unwrap();
    assert_eq!(side.store.load::<Device>(&id).await.unwrap().sequence, 4);
    let metadata = std::collections::HashMap::from([("why".to_owned(), "because".to_owned())]);
    ours.execute_with_metadata(&id, rotate(3, at()), metadata.clone()).await.unwrap();
    assert_eq!(side.store.events::<Device>(&id).await.unwrap()[4].metadata, metadata);
}

#[tokio::test]
async fn a_commit_on_a_base_that_has_moved_on_is_a_conflict() {
    let side = CommandSide::start().await;
    let (store, elsewhere) = (bus(&side, 2).event_store(), bus(&side, 2).event_store());
    let id = Uuid::now_v7().to_string();
    let framework: Ours = CqrsFramework::new(store.clone(), vec![], ());
    framework.execute(&id, sign_in(new_user())).await.unwrap();
    let load = |store: GroupStore| {
        let id = id.clone();
        async move { cqrs_es::EventStore::<Decided<Device>>::load_aggregate(&store, &id).await.unwrap() }
    };
    let (here, there) = (load(store.clone()).await, load(elsewhere.clone()).await);
    framework.execute(&id, rotate(0, at())).await.unwrap();
    for (store, stale) in [(&store, here), (&elsewhere, there)] {
        let late = store.commit(vec![DeviceEvent::SignedOut { at: at() }], stale, Default::default()).await;
        assert!(matches!(late, Err(AggregateError::AggregateConflict)), "{late:?}");
    }
    assert_eq!(transactions(&side.database.pool, &id).await.len(), 2);
}

#[tokio::test]
async fn what_is_loaded_from_memory_is_never_older_than_what_is_stored() {
    let side = CommandSide::start().await;
    let ours: Ours = CqrsFramework::new(bus(&side, 2).event_store(), vec![], ());
    let stock = stock(&side);
    let id = Uuid::now_v7().to_string();
    ours.execute(&id, sign_in(new_user())).await.unwrap();
    for generation in 0..6 {
        // In turns: each is behind when it comes, and neither is refused or in conflict for it.
        if generation % 2 == 0 {
            stock.execute(&id, rotate(generation, at())).await.unwrap();
        } else {
            ours.execute(&id, rotate(generation, at())).await.unwrap();
        }
    }
    let events = side.store.events::<Device>(&id).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), (1..=7).collect::<Vec<_>>());
}

#[tokio::test]
async fn commits_of_the_framework_share_transactions_with_commands() {
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let store = bus.event_store();
    let ids: Vec<String> = (0..5).map(|_| Uuid::now_v7().to_string()).collect();
    let mut contexts = vec![];
    for id in &ids {
        contexts.push(cqrs_es::EventStore::<Decided<Device>>::load_aggregate(&store, id).await.unwrap());
    }
    let plug = Plug::put(&side, &bus, &grant(new_user(), 1)).await;
    let commits = contexts.into_iter().map(|context| {
        let store = store.clone();
        tokio::spawn(async move {
            let signed_in = vec![DeviceEvent::SignedIn { user: new_user(), at: at() }];
            store.commit(signed_in, context, Default::default()).await.unwrap().len()
        })
    });
    let commits: Vec<_> = commits.collect();
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    plug.pull().await.unwrap();
    for commit in commits {
        assert_eq!(commit.await.unwrap(), 1);
    }
    let mut used = std::collections::BTreeSet::new();
    for id in &ids {
        used.extend(transactions(&side.database.pool, id).await);
    }
    assert_eq!(used.len(), 1);
}
