//! One command, delivered several times: in one group, in two, before and after its commit, in two processes.

use nats::{CommandMessage, Outcome};

use crate::{
    groups::{
        ONE_AT_A_TIME, Plug, answers_of, bus, done, hot_wallets, insist_on, new_hold, outcomes, submit, transactions,
    },
    money::{CALL, appended, grant, insist},
    support::{CommandSide, new_user},
};

#[tokio::test]
async fn a_command_delivered_again_while_it_is_in_a_group_has_one_effect_and_one_answer() {
    let side = CommandSide::start().await;
    let bus = bus(&side, ONE_AT_A_TIME);
    let owners = hot_wallets(&bus, 11).await;
    let owner = owners[0];
    let (under_way, waiting) = (grant(owner, CALL), new_hold(owner));
    let plug = Plug::put(&side, &bus, &under_way).await;
    let reused = CommandMessage { body: grant(owner, 7).body, ..under_way.clone() };
    let mut messages = vec![under_way.clone(), reused, waiting.clone(), waiting.clone(), waiting.clone()];
    messages.extend(owners[1..].iter().map(|other| new_hold(*other)));
    let answers = submit(&bus, &messages).await;
    let first = plug.pull().await.unwrap();
    let outcomes = outcomes(answers).await;
    assert_eq!((&outcomes[0], &outcomes[1]), (&first, &Outcome::KeyReused));
    assert_eq!(appended(&outcomes[2]), ["wallet.held"]);
    assert!(outcomes[2..5].iter().all(|outcome| *outcome == outcomes[2]));
    let mut used = transactions(&side.database.pool, owner).await.split_off(2);
    assert_eq!(used.len(), 1, "granted, granted, held");
    for other in &owners[1..] {
        used.push(transactions(&side.database.pool, other).await.remove(1));
    }
    assert!(used.iter().all(|one| *one == used[0]), "repetitions do not make the group fail: {used:?}");
}

#[tokio::test]
async fn repetitions_in_a_group_get_their_old_answers_and_the_others_are_committed() {
    let side = CommandSide::start().await;
    let (bus, elsewhere) = (bus(&side, ONE_AT_A_TIME), bus(&side, 1));
    let owners = hot_wallets(&bus, 6).await;
    let (mut old, mut answers_before) = (vec![], vec![]);
    for owner in &owners[..3] {
        let message = new_hold(*owner);
        answers_before.push(done(&elsewhere, &message).await);
        old.push(message);
    }
    let reused = CommandMessage { body: grant(owners[0], 7).body, ..old[0].clone() };
    let new: Vec<_> = owners[3..].iter().map(|owner| new_hold(*owner)).collect();
    let plug = Plug::put(&side, &bus, &grant(new_user(), CALL)).await;
    let answers = submit(&bus, &[&old[1..], &[reused], &new[..], &old[..1]].concat()).await;
    plug.pull().await.unwrap();
    let outcomes = outcomes(answers).await;
    assert_eq!(outcomes[..2], answers_before[1..]);
    assert_eq!((&outcomes[2], &outcomes[6]), (&Outcome::KeyReused, &answers_before[0]));
    assert!(outcomes[3..6].iter().all(|outcome| appended(outcome) == ["wallet.held"]));
    assert_eq!(side.count("events").await, 6 + 1 + 6, "nothing twice");
}

#[tokio::test]
async fn the_same_commands_in_overlapping_groups_of_two_processes_take_effect_once() {
    let side = CommandSide::start().await;
    let nodes = [bus(&side, ONE_AT_A_TIME), bus(&side, ONE_AT_A_TIME)];
    let owners = hot_wallets(&nodes[0], 20).await;
    let messages: Vec<_> = owners.iter().map(|owner| new_hold(*owner)).collect();
    let reversed: Vec<_> = messages.iter().rev().cloned().collect();
    let plug = Plug::put(&side, &nodes[0], &grant(new_user(), 1)).await;
    let other_plug = Plug::put(&side, &nodes[1], &grant(new_user(), 1)).await;
    let answers = (submit(&nodes[0], &messages).await, submit(&nodes[1], &reversed).await);
    let pulled = tokio::join!(plug.pull(), other_plug.pull());
    assert!(pulled.0.is_ok() && pulled.1.is_ok());
    answers_of(answers.0).await;
    answers_of(answers.1).await;
    let third = side.node();
    for (message, owner) in messages.iter().zip(owners) {
        // Losing every race is an answer too: then the queue delivers again.
        let (one, other) = (insist_on(&nodes[0], message).await, insist_on(&nodes[1], message).await);
        assert_eq!((appended(&one), &one), (&["wallet.held".to_owned()][..], &other));
        assert_eq!(insist(&third, message).await, one);
        assert_eq!(transactions(&side.database.pool, owner).await.len(), 2, "granted, held");
    }
}
