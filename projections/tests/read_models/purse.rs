//! A wallet being lived with: commands are decided by the domain, and what they come to is stored as events.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ChannelId, Decider as _, HoldId, RunId, Sealed, SessionId, UserId,
    billing::{
        Basis, Currency, ExpiryPolicy, Nanos, Purpose, Quote, Rates, ReleaseReason, Source, Tokens, Wallet,
        WalletCommand, WalletEvent, WalletRefusal,
    },
};
use nats::EventRef;
use uuid::Uuid;

use crate::support::{World, at};

/// Seconds until a hold expires.
const LIFETIME: i64 = 60;

pub(crate) struct Purse<'w> {
    pub(crate) world: &'w World,
    pub(crate) owner: UserId,
    pub(crate) wallet: Wallet,
    pub(crate) seconds: i64,
    movements: u128,
}

/// An input token costs 1000 nano-units, an output token 2000.
pub(crate) fn prices() -> Rates {
    rates("1", "2")
}

pub(crate) fn rates(input: &str, output: &str) -> Rates {
    Rates { input: input.parse().unwrap(), output: output.parse().unwrap(), ..Rates::default() }
}

pub(crate) fn tokens(input: u64, output: u64) -> Tokens {
    Tokens { input, output, ..Tokens::default() }
}

pub(crate) fn hold_id(n: u128) -> HoldId {
    HoldId::new(Uuid::from_u128(n))
}

pub(crate) fn reply() -> Purpose {
    Purpose::Reply { session_id: SessionId::new(Uuid::now_v7()), run_id: RunId::new(Uuid::now_v7()) }
}

pub(crate) fn quote(input_tokens: u64, max_output_tokens: u32) -> Quote {
    Quote {
        model: "small".to_owned(),
        channel_id: ChannelId::new(Uuid::from_u128(7)),
        price_version: 3,
        prices: prices(),
        costs: rates("0.5", "1"),
        input_tokens,
        max_output_tokens,
        min_output_tokens: 1,
        pieces: domain::billing::Pieces::NONE,
        alternatives: vec![],
    }
}

impl<'w> Purse<'w> {
    pub(crate) fn open(world: &'w World, owner: UserId) -> Self {
        Self { world, owner, wallet: Wallet::default(), seconds: 0, movements: 0 }
    }

    pub(crate) fn tick(&mut self) -> DateTime<Utc> {
        self.seconds += 1;
        at(self.seconds)
    }

    /// Stores what `command` comes to; answers the name of its last event.
    pub(crate) async fn act(&mut self, command: WalletCommand) -> Result<Option<EventRef>, WalletRefusal> {
        let mut last = None;
        for event in self.wallet.decide(command)? {
            self.wallet.apply(event.clone());
            last = Some(self.world.append::<Wallet>(self.owner, event).await);
        }
        Ok(last)
    }

    /// Stores an event that no wallet has decided.
    pub(crate) async fn slip_in(&mut self, event: WalletEvent) -> EventRef {
        self.world.append::<Wallet>(self.owner, event).await
    }

    async fn must(&mut self, command: WalletCommand) -> EventRef {
        self.act(command).await.unwrap().expect("an event")
    }

    fn movement(&mut self) -> (Uuid, Option<Sealed<String>>, DateTime<Utc>) {
        self.movements += 1;
        let note = Sealed::new(self.owner, format!("movement {}", self.movements));
        (Uuid::from_u128(self.movements), Some(note), self.tick())
    }

    pub(crate) async fn grant(&mut self, nanos: i64) -> EventRef {
        let (reference, note, at) = self.movement();
        let (amount_nanos, currency, source) = (Nanos::new(nanos), Currency::USD, Source::SignUp);
        self.must(WalletCommand::Grant { reference, amount_nanos, currency, source, note, at }).await
    }

    pub(crate) async fn top_up(&mut self, nanos: i64) -> EventRef {
        let (reference, note, at) = self.movement();
        let (amount_nanos, currency, source) = (Nanos::new(nanos), Currency::USD, Source::Operator { by: self.owner });
        self.must(WalletCommand::TopUp { reference, amount_nanos, currency, source, note, at }).await
    }

    pub(crate) async fn adjust(&mut self, nanos: i64) -> EventRef {
        let (reference, note, at) = self.movement();
        let (amount_nanos, currency, source) = (Nanos::new(nanos), Currency::USD, Source::Operator { by: self.owner });
        self.must(WalletCommand::Adjust { reference, amount_nanos, currency, source, note, at }).await
    }

    pub(crate) async fn hold(&mut self, hold_id: HoldId, purpose: Purpose, input: u64, output: u32) -> EventRef {
        let at = self.tick();
        let expires_at = at + TimeDelta::seconds(LIFETIME);
        self.must(WalletCommand::Hold { hold_id, purpose, quote: quote(input, output), expires_at, at }).await
    }

    pub(crate) async fn extend(&mut self, hold_id: HoldId) -> EventRef {
        let at = self.tick();
        self.must(WalletCommand::ExtendHold { hold_id, expires_at: at + TimeDelta::seconds(2 * LIFETIME), at }).await
    }

    pub(crate) async fn charge(&mut self, hold_id: HoldId, tokens: Tokens) -> EventRef {
        let at = self.tick();
        let (basis, lost_attempts) = (Basis::Reported, 0);
        self.must(WalletCommand::ChargeTokens { hold_id, tokens, basis, by: None, lost_attempts, at }).await
    }

    pub(crate) async fn release(&mut self, hold_id: HoldId, lost_attempts: u32) -> EventRef {
        let at = self.tick();
        self.must(WalletCommand::Release { hold_id, reason: ReleaseReason::Failed, lost_attempts, at }).await
    }

    /// Long after its time, by the policy that charges nothing.
    pub(crate) async fn expire(&mut self, hold_id: HoldId) -> EventRef {
        let at = self.tick() + TimeDelta::seconds(10 * LIFETIME);
        self.must(WalletCommand::Expire { hold_id, policy: ExpiryPolicy::Release, at }).await
    }
}
