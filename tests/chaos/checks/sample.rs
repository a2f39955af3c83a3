//! The evidence of a small run in which nothing is wrong, for tests that plant something.

use chrono::{DateTime, Utc};
use domain::billing::{Basis, Currency, Effect, Nanos, Purpose, Rates, Source, Tokens, WalletEvent};
use domain::chat::{Finish, SessionEvent, Usage};
use domain::{ApiKeyId, ChannelId, HoldId, MessageId, RunId, Sealed, SessionId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::evidence::{Evidence, Fact, Name, Stored};
use crate::journal::{Answer, Did, Entry};
use crate::upstream::{Asked, INPUT_TOKENS};

pub(super) const USER: Uuid = Uuid::from_u128(1);
pub(super) const SESSION: Uuid = Uuid::from_u128(2);
pub(super) const RUN: Uuid = Uuid::from_u128(3);
/// Another answer to the same question.
const RERUN: Uuid = Uuid::from_u128(4);
const MESSAGE: Uuid = Uuid::from_u128(5);
const CALL: Uuid = Uuid::from_u128(6);
const TAG: &str = "u0-1";
pub(super) const CALL_TAG: &str = "u0-2";
const GRANT: i64 = 500_000_001;

/// Somebody registers, says something, has it answered again, renames the conversation, gets credit, calls the API.
pub(super) fn innocent() -> Evidence {
    let mut evidence = Evidence {
        accounts: vec!["u0@example.org".to_owned()],
        journal: journal(),
        asked: vec![asked(TAG, 1_001), asked(TAG, 1_002), asked(CALL_TAG, 1_003)],
        ledger: vec![(1, 5), (1, -5)],
        ..Evidence::default()
    };
    evidence.sessions.insert(SESSION, conversation());
    let wallet = wallet();
    let charged: i64 = [1_001, 1_002, 1_003].map(price).iter().sum();
    evidence.wallet_rows.insert(USER, [GRANT - charged, 0, 0, 0]);
    evidence.wallets.insert(USER, wallet);
    for table in ["chat_v1.sessions", "billing_v1.wallets"] {
        let rows = vec![format!("{{\"table\": \"{table}\"}}")];
        evidence.tables.insert(table.to_owned(), rows.clone());
        evidence.rebuilt.insert(table.to_owned(), rows);
    }
    log(&mut evidence);
    evidence
}

fn at() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn price(output: u64) -> i64 {
    i64::try_from(INPUT_TOKENS * 2_500 + output * 10_000).unwrap()
}

fn sealed(text: &str) -> Sealed<String> {
    Sealed::new(UserId::new(USER), text.to_owned())
}

fn asked(tag: &str, output: u64) -> Asked {
    Asked { tag: tag.to_owned(), began: true, delivered: true, reported: Some((INPUT_TOKENS, output)) }
}

fn journal() -> Vec<Entry> {
    let entry =
        |did, body: Value| Entry { who: "u0".to_owned(), did, sends: 1, answers: vec![Answer::Acknowledged(body)] };
    let session = SESSION;
    vec![
        entry(Did::Register { email: "u0@example.org".to_owned() }, json!({})),
        entry(Did::Begin { title: "u0-0".to_owned() }, json!({"id": SESSION})),
        entry(Did::Say { session, tag: TAG.to_owned() }, json!({"message_id": MESSAGE, "run_id": RUN})),
        entry(Did::Regenerate { session, tag: TAG.to_owned() }, json!({"run_id": RERUN})),
        entry(Did::Follow { run: RUN }, json!({"text": "an answer"})),
        entry(Did::Stop { run: RUN }, json!({})),
        entry(Did::Rename { session, title: "u0-3".to_owned() }, json!({"id": SESSION})),
        entry(Did::Look { session, expects: vec![MESSAGE] }, json!({"items": [{"id": MESSAGE}]})),
        entry(Did::Move { owner: USER, nanos: GRANT }, json!({})),
        entry(Did::Call { owner: USER, tag: CALL_TAG.to_owned(), api: 0 }, json!({"prompt_tokens": INPUT_TOKENS})),
    ]
}

fn conversation() -> Vec<Fact<SessionEvent>> {
    use SessionEvent as E;
    let message_id = MessageId::new(MESSAGE);
    let mut facts = vec![
        by("begin", E::Started { owner: UserId::new(USER), title: Some(sealed("u0-0")), at: at() }),
        by("say", E::MessageSent { message_id, parent_id: None, content: sealed("u0-1 hello"), at: at() }),
    ];
    for (run, output) in [(RUN, 1_001), (RERUN, 1_002)] {
        let run_id = RunId::new(run);
        let (reply_id, parent_id, model) = (MessageId::new(run), message_id, "m".to_owned());
        let usage = Some(Usage { input_tokens: INPUT_TOKENS, output_tokens: output, basis: "reported".to_owned() });
        let (content, finish) = (sealed("an answer"), Finish::Stop);
        let end = format!("end {run}");
        facts.extend([
            by("say", E::ReplyRequested { run_id, reply_id, parent_id, model, at: at() }),
            by("start", E::ReplyStarted { run_id, attempt: 1, at: at() }),
            by(&end, E::ReplyCompleted { run_id, attempt: 1, content, finish, usage, at: at() }),
        ]);
    }
    facts.push(by("rename", E::Renamed { title: sealed("u0-3"), at: at() }));
    facts
}

fn wallet() -> Vec<Fact<WalletEvent>> {
    let granted = WalletEvent::Granted {
        reference: USER,
        amount_nanos: Nanos::new(GRANT),
        currency: Currency::USD,
        effect: Effect::default(),
        source: Source::SignUp,
        note: None,
        at: at(),
    };
    let mut facts = vec![by("grant", granted)];
    let reply = |run| Purpose::Reply { session_id: SessionId::new(SESSION), run_id: RunId::new(run) };
    let api = Purpose::Api { api_key_id: Some(ApiKeyId::new(USER)) };
    for (hold, purpose, output) in [(RUN, reply(RUN), 1_001), (RERUN, reply(RERUN), 1_002), (CALL, api, 1_003)] {
        facts.push(by("hold", held(hold, purpose)));
        facts.push(by(&format!("end {hold}"), charged(hold, purpose, output)));
    }
    facts
}

fn held(hold: Uuid, purpose: Purpose) -> WalletEvent {
    WalletEvent::Held {
        hold_id: HoldId::new(hold),
        purpose,
        amount_nanos: Nanos::new(50_000_000),
        model: "m".to_owned(),
        channel_id: ChannelId::new(USER),
        price_version: 1,
        prices: Rates::default(),
        costs: Rates::default(),
        input_tokens: 10,
        max_output_tokens: 4_096,
        pieces: domain::billing::Pieces::default(),
        alternatives: vec![],
        expires_at: at(),
        at: at(),
    }
}

fn charged(hold: Uuid, purpose: Purpose, output: u64) -> WalletEvent {
    WalletEvent::Charged {
        hold_id: HoldId::new(hold),
        purpose,
        model: "m".to_owned(),
        channel_id: ChannelId::new(USER),
        tokens: Tokens { input: INPUT_TOKENS, output, ..Tokens::default() },
        basis: Basis::Reported,
        price_version: 1,
        prices: Rates::default(),
        costs: Rates::default(),
        charged_nanos: Nanos::new(price(output)),
        cost_nanos: Nanos::ZERO,
        lost_cost_nanos: Nanos::ZERO,
        effect: Effect::default(),
        released_nanos: Nanos::ZERO,
        at: at(),
    }
}

fn by<E>(command: &str, event: E) -> Fact<E> {
    Fact { command_id: Some(command.to_owned()), event }
}

/// Everything that happened, in one order, with outcomes.
fn log(evidence: &mut Evidence) {
    let commands = |facts: Vec<Option<String>>, aggregate: String| {
        (1_i64..).zip(facts).map(move |(sequence, command_id)| Stored {
            name: Name { aggregate: aggregate.clone(), sequence },
            kind: "an.event".to_owned(),
            command_id,
        })
    };
    let of_session = evidence.sessions[&SESSION].iter().map(|fact| fact.command_id.clone()).collect();
    let of_wallet = evidence.wallets[&USER].iter().map(|fact| fact.command_id.clone()).collect();
    evidence.events = commands(of_session, format!("session:{SESSION}"))
        .chain(commands(of_wallet, format!("wallet:{USER}")))
        .collect();
    for (position, event) in (1_i64..).zip(&evidence.events) {
        evidence.log.push((position, event.name.clone()));
        evidence.stream.push((position.unsigned_abs(), position, event.name.clone()));
        evidence.outcomes.extend(event.command_id.clone().map(|command| (command, "done".to_owned())));
    }
}
