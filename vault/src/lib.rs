//! The keys of the house: one master secret, one data key a person.
//!
//! Promise: every sealed field of a payload is encrypted with its person's data key (AES-256-GCM, NIST SP 800-38D)
//! before it is written, bound to the exact place where it stands, and reads as erased once that key is destroyed. The
//! data keys lie wrapped in their own schema. A node with another master secret than its database's does not start.
//! Knows no other member of the workspace: it finds sealed fields by their marker in JSON.

mod data_keys;
mod fields;
mod master;

use std::time::Duration;

use data_keys::DataKeys;
pub use fields::{Place, may_hold_sealed};
pub use master::MasterKey;
use serde_json::Value;
use sqlx::PgPool;
use thiserror::Error;
use uuid::Uuid;

/// Why something could not be sealed or opened. Never carries data or key material.
#[derive(Debug, Error)]
pub enum VaultError {
    #[error("the key store cannot be reached: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the master secret is not the one this database was written with; restore the old secret key")]
    WrongMasterKey,
    #[error("the master secret must be 32 bytes in base64")]
    InvalidMasterKey,
    #[error("person {0} was erased; nothing more can be stored about them")]
    SubjectErased(Uuid),
    #[error("the sealed field at {path} was altered, moved or has an unknown form")]
    Damaged { path: String },
    #[error("the operating system gave no randomness")]
    NoRandomness,
}

/// Seals and opens; cheap to clone, shared by all roles of a process.
#[derive(Clone)]
pub struct Vault {
    keys: DataKeys,
    master: MasterKey,
}

impl Vault {
    /// Opens the vault of this database with `master`, or makes one in an empty database.
    ///
    /// # Errors
    /// [`VaultError::WrongMasterKey`] if the database was written under another master secret.
    pub async fn open(pool: PgPool, master: MasterKey) -> Result<Self, VaultError> {
        let expected = master.derive::<32>("master check");
        sqlx::query("INSERT INTO vault.master_check (id, check_value) VALUES (1, $1) ON CONFLICT DO NOTHING")
            .bind(expected.as_slice())
            .execute(&pool)
            .await?;
        let stored: Vec<u8> =
            sqlx::query_scalar("SELECT check_value FROM vault.master_check WHERE id = 1").fetch_one(&pool).await?;
        if stored != expected.as_slice() {
            return Err(VaultError::WrongMasterKey);
        }
        Ok(Self { keys: DataKeys::new(pool, &master, Duration::from_secs(60)), master })
    }

    /// Encrypts every open `$sealed` field of `payload` for the place where it will be stored.
    ///
    /// # Errors
    /// The key store is away, or a person was erased. `payload` is then unusable and must not be stored.
    pub async fn seal(&self, place: &Place<'_>, payload: &mut Value) -> Result<(), VaultError> {
        let keys = self.keys.for_sealing(&fields::subjects(payload)).await?;
        fields::seal(place, payload, &keys)
    }

    /// Opens every `$sealed` field of `payload` that was stored at `place`; fields of erased people stay without value.
    ///
    /// # Errors
    /// The key store is away, or a field was altered or moved.
    pub async fn unseal(&self, place: &Place<'_>, payload: &mut Value) -> Result<(), VaultError> {
        let keys = self.keys.for_opening(&fields::sealed_subjects(payload)).await?;
        fields::unseal(place, payload, &keys)
    }

    /// Destroys the data key of `subject`: everything sealed for them reads as erased from now on (on other nodes within
    /// a minute).
    ///
    /// # Errors
    /// The key store is away.
    pub async fn destroy(&self, subject: Uuid) -> Result<(), VaultError> {
        self.keys.destroy(subject).await
    }

    /// The id of the reservation of a canonical name: `email:<hex of HMAC-SHA-256>`.
    #[must_use]
    pub fn name_hash(&self, kind: &str, canonical: &str) -> String {
        format!("{kind}:{}", hex::encode(self.master.mac("name", &[kind.as_bytes(), canonical.as_bytes()])))
    }

    /// The HMAC key of access tokens (32 bytes).
    #[must_use]
    pub fn access_token_key(&self) -> [u8; 32] {
        self.master.derive("access token")
    }

    /// What makes a refresh token of this device and generation unforgeable.
    #[must_use]
    pub fn refresh_tag(&self, device: Uuid, generation: u32) -> [u8; 32] {
        self.master.mac("refresh token", &[device.as_bytes(), &generation.to_be_bytes()])
    }

    /// Whether `tag` is the tag of this device and generation, in constant time.
    #[must_use]
    pub fn check_refresh_tag(&self, device: Uuid, generation: u32, tag: &[u8]) -> bool {
        use subtle::ConstantTimeEq as _;
        self.refresh_tag(device, generation).ct_eq(tag).into()
    }

    /// The secret part of the API key `id`: the same for ever, so that a repeated request for a new key gets the same one.
    #[must_use]
    pub fn api_key_secret(&self, id: Uuid) -> [u8; 32] {
        self.master.mac("api key", &[id.as_bytes()])
    }

    /// Encrypts bytes that belong to no single person (a dead letter) under the master secret, bound to `context`.
    ///
    /// # Errors
    /// [`VaultError::NoRandomness`].
    pub fn seal_bytes(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        fields::encrypt(&self.master.derive("sealed bytes"), context.as_bytes(), plain)
    }

    /// Opens what [`Self::seal_bytes`] made for the same `context`.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] if it was altered or belongs to another context.
    pub fn open_bytes(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        fields::decrypt(&self.master.derive("sealed bytes"), context.as_bytes(), sealed)
            .ok_or_else(|| VaultError::Damaged { path: context.to_owned() })
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(closed)")
    }
}
