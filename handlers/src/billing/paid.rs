//! A command and its consequence for a wallet, in one transaction.

use std::marker::PhantomData;

use async_trait::async_trait;
use domain::{
    Decider,
    billing::{Paid, Wallet},
};
use nats::CommandMessage;

use crate::{
    bus::{Stop, Unit},
    dispatch::{Plan, body},
};

/// The plan of a command on `D` that may come as [`Paid`]; the wallet decides first, so its refusal stops everything.
pub(crate) struct Together<D>(PhantomData<fn() -> D>);

impl<D> Default for Together<D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

#[async_trait]
impl<D: Decider> Plan for Together<D> {
    async fn decide(&self, unit: &mut Unit<'_>, message: &CommandMessage) -> Result<(), Stop> {
        if message.body.get("wallet").is_none() {
            return unit.decide::<D>(&message.aggregate_id, body(message)?).await;
        }
        let Paid { command, payer, wallet } = body::<Paid<D::Command>>(message)?;
        unit.decide::<Wallet>(&payer.to_string(), wallet).await?;
        unit.decide::<D>(&message.aggregate_id, command).await
    }
}
