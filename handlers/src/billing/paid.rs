//! A command and its consequence for a wallet, in one transaction.

use std::marker::PhantomData;

use domain::{
    Decider,
    billing::{Paid, Wallet},
};
use nats::CommandMessage;

use crate::{
    dispatch::{Plan, body},
    unit::{Stop, Unit},
};

/// The plan of a command on `D` that may come as [`Paid`]; the wallet decides first, so its refusal stops everything.
pub(crate) struct Together<D>(PhantomData<fn() -> D>);

impl<D> Default for Together<D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<D: Decider> Plan for Together<D> {
    fn decide(&self, unit: &mut Unit<'_>, message: &CommandMessage) -> Result<(), Stop> {
        if !message.body.has("wallet") {
            return unit.decide::<D>(&message.aggregate_id, body(message)?);
        }
        let Paid { command, payer, wallet } = body::<Paid<D::Command>>(message)?;
        unit.decide::<Wallet>(&payer.to_string(), wallet)?;
        unit.decide::<D>(&message.aggregate_id, command)
    }
}
