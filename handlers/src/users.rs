//! Commands on accounts, devices and API keys.

use domain::{
    UserId,
    billing::Wallet,
    relay::{Group, GroupCommand, group},
    users::{ApiKey, Device, NameKind, RegisterUser, Reservation, ReservationCommand, User, UserCommand},
};
use nats::CommandMessage;

use crate::{
    dispatch::{Plan, Plans, body},
    unit::{Stop, Unit},
};

pub(crate) fn plans() -> Plans {
    Plans::default()
        .aggregate::<User>()
        .aggregate::<Device>()
        .aggregate::<Reservation>()
        .aggregate::<ApiKey>()
        .verb::<User>("register_user", Registration)
        .verb::<User>("assign_group", Assignment)
}

/// Claims both names, gives the first credit and opens the account, in one transaction.
struct Registration;

impl Plan for Registration {
    fn decide(&self, unit: &mut Unit<'_>, message: &CommandMessage) -> Result<(), Stop> {
        let RegisterUser { email_key, username_key, command, grant } = body(message)?;
        let holder: UserId = message
            .aggregate_id
            .parse()
            .map_err(|_| Stop::Malformed("the id of an account must be a UUID".to_owned()))?;
        for (key, kind) in [(email_key, NameKind::Email), (username_key, NameKind::Username)] {
            unit.decide::<Reservation>(&key, ReservationCommand::ClaimName { kind, holder })?;
        }
        if let Some(grant) = grant {
            unit.decide::<Wallet>(&message.aggregate_id, grant)?;
        }
        unit.decide::<User>(&message.aggregate_id, command)
    }
}

/// Puts an account into a group that is there.
struct Assignment;

impl Plan for Assignment {
    fn decide(&self, unit: &mut Unit<'_>, message: &CommandMessage) -> Result<(), Stop> {
        let command: UserCommand = body(message)?;
        if let UserCommand::AssignGroup { group: name, .. } = &command
            && name != group::DEFAULT
        {
            unit.decide::<Group>(&group::id_of(name).to_string(), GroupCommand::RequireGroup)?;
        }
        unit.decide::<User>(&message.aggregate_id, command)
    }
}
