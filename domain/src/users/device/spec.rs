//! Devices as their rules say.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::Decided;

fn me() -> UserId {
    UserId::new(Uuid::from_u128(1))
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn given(events: Vec<DeviceEvent>) -> AggregateTestExecutor<Decided<Device>> {
    TestFramework::with(()).given(events)
}

fn signed_in() -> DeviceEvent {
    DeviceEvent::SignedIn { user: me(), at: at(0) }
}

#[test]
fn the_current_token_is_exchanged_for_the_next_generation() {
    given(vec![signed_in()])
        .when(DeviceCommand::RotateRefresh { generation: 0, at: at(10) })
        .then_expect_events(vec![DeviceEvent::Rotated { generation: 1, at: at(10) }]);
}

#[test]
fn the_previous_token_within_the_grace_changes_nothing() {
    given(vec![signed_in(), DeviceEvent::Rotated { generation: 1, at: at(10) }])
        .when(DeviceCommand::RotateRefresh { generation: 0, at: at(40) })
        .then_expect_events(vec![]);
}

#[test]
fn the_previous_token_after_the_grace_ends_the_device() {
    given(vec![signed_in(), DeviceEvent::Rotated { generation: 1, at: at(10) }])
        .when(DeviceCommand::RotateRefresh { generation: 0, at: at(41) })
        .then_expect_events(vec![DeviceEvent::ReuseDetected { generation: 0, at: at(41) }]);
}

#[test]
fn a_token_two_generations_old_ends_the_device_even_within_the_grace() {
    given(vec![
        signed_in(),
        DeviceEvent::Rotated { generation: 1, at: at(10) },
        DeviceEvent::Rotated { generation: 2, at: at(11) },
    ])
    .when(DeviceCommand::RotateRefresh { generation: 0, at: at(12) })
    .then_expect_events(vec![DeviceEvent::ReuseDetected { generation: 0, at: at(12) }]);
}

#[test]
fn after_a_reuse_no_token_is_exchanged_any_more() {
    given(vec![signed_in(), DeviceEvent::ReuseDetected { generation: 0, at: at(50) }])
        .when(DeviceCommand::RotateRefresh { generation: 1, at: at(51) })
        .then_expect_error(DeviceRefusal::NotSignedIn);
}

#[test]
fn a_device_idle_for_thirty_days_must_sign_in_again() {
    given(vec![signed_in()])
        .when(DeviceCommand::RotateRefresh { generation: 0, at: at(0) + IDLE_LIFETIME + TimeDelta::seconds(1) })
        .then_expect_error(DeviceRefusal::Expired);
}

#[test]
fn signing_out_twice_changes_nothing() {
    given(vec![signed_in(), DeviceEvent::SignedOut { at: at(5) }])
        .when(DeviceCommand::SignOut { at: at(6) })
        .then_expect_events(vec![]);
}

#[test]
fn an_ended_device_is_never_signed_in_again() {
    given(vec![signed_in(), DeviceEvent::SignedOut { at: at(5) }])
        .when(DeviceCommand::SignIn { user: me(), at: at(6) })
        .then_expect_error(DeviceRefusal::AlreadySignedIn);
}

proptest! {
    #[test]
    fn generations_only_grow_and_an_ended_device_stays_ended(
        asks in proptest::collection::vec((0u8..4, 0u32..6, 0i64..40), 0..80)
    ) {
        let mut state = Device::default();
        let mut clock = 0;
        let mut highest = 0;
        let mut ended = false;
        for (what, generation, wait) in asks {
            clock += wait;
            let command = match what {
                0 => DeviceCommand::SignIn { user: me(), at: at(clock) },
                1 => DeviceCommand::SignOut { at: at(clock) },
                _ => DeviceCommand::RotateRefresh { generation, at: at(clock) },
            };
            for event in state.decide(command).unwrap_or_default() {
                state.apply(event);
            }
            match &state {
                Device::SignedIn { generation, .. } => {
                    prop_assert!(!ended);
                    prop_assert!(*generation >= highest);
                    highest = *generation;
                }
                Device::Ended => ended = true,
                Device::Unknown => prop_assert!(!ended),
            }
        }
    }
}
