//! `oblivious events republish`: the stream made again under a house that runs on.

use async_nats::jetstream;
use serde_json::json;

use crate::configured_nats::ConfiguredNats;
use crate::house::{House, id};
use crate::support::{ALL_ROLES, Said, command, converse, settled};

async fn first_of(client: &async_nats::Client) -> u64 {
    let stream = jetstream::new(client.clone()).get_stream("EVENTS").await.unwrap();
    stream.get_info().await.unwrap().state.first_sequence
}

#[tokio::test]
async fn the_stream_is_made_again_from_any_position_while_the_house_runs_on() {
    let house = House::open().await;
    let process = house.serve(ALL_ROLES);
    let ann = process.client().sign_up("ann").await;
    converse(&house, &ann, 2).await;
    let client = &house.nats.client;
    for from in [1, 7] {
        let talking = converse(&house, &ann, 2);
        let republished = tokio::task::spawn_blocking({
            let from = from.to_string();
            let (data_dir, database, nats) =
                (house.data_dir.path().to_owned(), house.database.url.clone(), house.nats.url.clone());
            move || Said::by(command(&["republish", "--from", &from, "--yes"], &data_dir, &database, Some(&nats)))
        });
        let (republished, ()) = tokio::join!(republished, talking);
        let said = republished.unwrap();
        assert!(said.code == Some(0), "{}", said.error);
        assert!(said.error.contains("EVENTS is deleted and made again"), "it says what it does: {}", said.error);
        settled(&house, client).await;
        assert_eq!(first_of(client).await, from);
        let verified = house.events(&["verify"]);
        assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.error);
    }
    // The feeds of projections and reactions have missed nothing either.
    let session = ann.post("sessions", &json!({})).await;
    let path = format!("sessions/{}/messages", id(&session, "id"));
    ann.post(&path, &json!({"content": "still there?"})).await;
    assert_eq!(ann.finished(id(&session, "id")).await[1]["content"], "re: still there?");
}

#[tokio::test]
async fn without_a_publisher_that_runs_it_fills_the_stream_by_itself() {
    let house = crate::support::lived_in().await;
    let last = nats::last_position(&house.database.pool).await.unwrap();
    jetstream::new(house.nats.client.clone()).delete_stream("EVENTS").await.unwrap();
    let said = house.events(&["republish", "--yes"]);
    assert_eq!(said.out, format!("EVENTS has the positions from 1 on; {last} was the last when this ended.\n"));
    assert_eq!(house.events(&["verify"]).code, Some(0));

    let beyond = (last + 1).to_string();
    let said = house.events(&["republish", "--yes", "--from", &beyond]);
    assert!(said.code == Some(1) && said.error.contains(&format!("1 to {last}, not with {beyond}")), "{}", said.error);
    let said = house.events(&["republish"]);
    assert!(said.code == Some(1) && said.error.contains("--yes"), "{}", said.error);
    assert_eq!(house.events(&["verify"]).code, Some(0), "nothing was touched");
}

#[tokio::test]
async fn a_database_that_is_not_the_published_one_may_not_make_the_stream_again() {
    let house = crate::support::lived_in().await;
    let restored = house.database.copy().await;
    let oldest = "DELETE FROM event_log WHERE position > 5";
    sqlx::query(oldest).execute(&restored.pool).await.unwrap();
    let said = Said::by(command(&["republish", "--yes"], house.data_dir.path(), &restored.url, Some(&house.nats.url)));
    assert!(said.code == Some(1) && said.error.contains("a new epoch is required"), "{}", said.error);
    assert_eq!(first_of(&house.nats.client).await, 1, "the stream, the only witness, is still there");
}

#[tokio::test]
async fn only_the_publisher_s_user_may_do_it() {
    let (house, nats) = tokio::join!(House::open(), ConfiguredNats::start());
    let _others = house.serve_on("api,handlers,projections,reactions", &nats.url("app"));
    let _publisher = house.serve_on("publisher", &nats.url("publisher"));
    let client = nats.client("app").await;
    let last = settled(&house, &client).await;
    let republish = |user: &str| {
        let arguments = ["republish", "--from", "1", "--yes"];
        Said::by(command(&arguments, house.data_dir.path(), &house.database.url, Some(&nats.url(user))))
    };
    let said = republish("app");
    assert!(said.code == Some(1) && said.error.contains("only the publisher's may"), "{}", said.error);
    assert_eq!(nats::last_streamed(&client).await.unwrap(), Some(last), "nothing was touched");
    let said = republish("publisher");
    assert_eq!(said.code, Some(0), "{}", said.error);
    assert_eq!(settled(&house, &client).await, last);
}
