//! Refresh tokens: `obl_rt_` and, in base64url, the device, the generation and a tag that only this house can make.
//!
//! Nothing about them is stored: the same device and generation give the same token, so the answer to a repeated
//! refresh is the same successor, on every node.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use domain::DeviceId;
use uuid::Uuid;
use vault::Vault;

const PREFIX: &str = "obl_rt_";
const DEVICE_BYTES: usize = 16;
const GENERATION_BYTES: usize = 4;

/// What a valid token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RefreshToken {
    pub(super) device: DeviceId,
    pub(super) generation: u32,
}

impl RefreshToken {
    /// Whether its device signed in so lately that the read model may not know it yet. (Its id is a UUIDv7.)
    pub(super) fn is_new(self, now: DateTime<Utc>) -> bool {
        const LONGEST_LAG: TimeDelta = TimeDelta::minutes(10);
        let made = self.device.uuid().get_timestamp().and_then(|at| i64::try_from(at.to_unix().0).ok());
        made.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).is_some_and(|at| now - at < LONGEST_LAG)
    }

    /// The text for the client.
    pub(super) fn write(self, vault: &Vault) -> String {
        let device = self.device.uuid();
        let mut bytes = Vec::with_capacity(DEVICE_BYTES + GENERATION_BYTES + 32);
        bytes.extend_from_slice(device.as_bytes());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&vault.refresh_tag(device, self.generation));
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a text; `None` unless this house made it.
    pub(super) fn read(text: &str, vault: &Vault) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (device, rest) = bytes.split_first_chunk::<DEVICE_BYTES>()?;
        let (generation, tag) = rest.split_first_chunk::<GENERATION_BYTES>()?;
        let (device, generation) = (Uuid::from_bytes(*device), u32::from_be_bytes(*generation));
        vault.check_refresh_tag(device, generation, tag).then_some(Self { device: DeviceId::new(device), generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_new_for_ten_minutes() {
        let token = RefreshToken { device: DeviceId::new(Uuid::now_v7()), generation: 0 };
        assert!(token.is_new(Utc::now()));
        assert!(!token.is_new(Utc::now() + TimeDelta::minutes(11)));
        assert!(!RefreshToken { device: DeviceId::new(Uuid::nil()), generation: 0 }.is_new(Utc::now()));
    }
}
