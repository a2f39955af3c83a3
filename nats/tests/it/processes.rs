//! Processes that share the commands: they join, leave, die.

use std::time::Duration;

use nats::{CommandClient, CommandOptions, ConsumerOptions, Handled, Sent, StreamOptions, streams};
use tokio_util::sync::CancellationToken;

use crate::support::{Recorder, Running, command, done, eventually, logs, quick};

fn options() -> CommandOptions {
    CommandOptions { partitions: quick().partitions, ..CommandOptions::default() }
}

#[tokio::test]
async fn a_process_that_joins_gets_partitions_and_one_that_dies_gives_its_own_back() {
    logs();
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let (first, second) = (Recorder::done(), Recorder::done());
    let one = Running::start(&bus.url, first.clone(), quick());
    let send_some = async |count: usize| {
        for id in 0..count {
            let sent = client.send(command(&format!("aggregate-{id}"), "rename"), Duration::from_secs(10)).await;
            assert_eq!(sent, Ok(Sent::Outcome(done())));
        }
    };
    send_some(16).await;
    assert_eq!(first.seen().len(), 16);

    let two = Running::start(&bus.url, second.clone(), quick());
    eventually("the second process works", async || {
        send_some(16).await;
        !second.seen().is_empty()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = (first.seen().len(), second.seen().len());
    send_some(64).await;
    let shares = (first.seen().len() - before.0, second.seen().len() - before.1);
    assert_eq!(shares.0 + shares.1, 64, "nothing was handled twice: {shares:?}");
    assert!(shares.0 >= 16 && shares.1 >= 16, "{shares:?}");

    drop(one);
    let before = second.seen().len();
    send_some(32).await;
    assert_eq!(second.seen().len() - before, 32, "the survivor has taken over");
    two.stop().await;
}

#[tokio::test]
async fn a_command_in_the_hands_of_a_process_that_dies_is_handled_by_another() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let dying = Recorder::slow(Duration::from_secs(60), |_, _| Handled::Reply(done()));
    let first = Running::start(&bus.url, dying.clone(), quick());
    let orphan = command("a", "rename");
    let sent = tokio::spawn({
        let (client, orphan) = (client.clone(), orphan.clone());
        async move { client.send(orphan, Duration::from_secs(15)).await }
    });
    eventually("it is in hand", async || dying.seen().len() == 1).await;
    drop(first);
    let heir = Recorder::done();
    let second = Running::start(&bus.url, heir.clone(), quick());
    assert_eq!(sent.await.unwrap(), Ok(Sent::Outcome(done())));
    let seen = heir.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].command_id, seen[0].attempt), (orphan.command_id, 2));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_processes_come_and_go_in_order_no_command_waits_for_a_redelivery() {
    logs();
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    // A delivery that is lost on the way would come back after half a minute only.
    let patient = || ConsumerOptions { ack_wait: Duration::from_secs(30), ..quick() };
    let handlers: Vec<_> =
        (0..3).map(|_| Recorder::slow(Duration::from_millis(5), |_, _| Handled::Reply(done()))).collect();
    let one = Running::start(&bus.url, handlers[0].clone(), patient());
    let stop = CancellationToken::new();
    let senders: Vec<_> = (0..6)
        .map(|sender| {
            let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut count = 0;
                while !stop.is_cancelled() {
                    let next = command(&format!("{sender}-{}", count % 50), "rename");
                    assert_eq!(client.send(next, Duration::from_secs(10)).await, Ok(Sent::Outcome(done())));
                    count += 1;
                }
                count
            })
        })
        .collect();
    let second = Duration::from_secs(1);
    tokio::time::sleep(second).await;
    let two = Running::start(&bus.url, handlers[1].clone(), patient());
    tokio::time::sleep(2 * second).await;
    let three = Running::start(&bus.url, handlers[2].clone(), patient());
    tokio::time::sleep(2 * second).await;
    one.stop().await;
    tokio::time::sleep(second).await;
    three.stop().await;
    tokio::time::sleep(second).await;
    stop.cancel();
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.unwrap();
    }
    two.stop().await;
    let shares: Vec<_> = handlers.iter().map(|handler| handler.seen().len()).collect();
    assert_eq!(shares.iter().sum::<usize>(), sent, "{shares:?}");
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}
