//! The data keys of people: made on first use, wrapped at rest, cached for a minute, destroyed on erasure.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use moka::sync::Cache;
use sqlx::PgPool;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    MasterKey, VaultError,
    fields::{Keys, decrypt, encrypt},
};

/// Keys held in memory at most, 32 bytes each.
const CACHED_KEYS: u64 = 50_000;

#[derive(Clone)]
pub(crate) struct DataKeys {
    pool: PgPool,
    wrapping: Arc<Zeroizing<[u8; 32]>>,
    cache: Cache<Uuid, Zeroizing<[u8; 32]>>,
}

impl DataKeys {
    pub(crate) fn new(pool: PgPool, master: &MasterKey, cached_for: Duration) -> Self {
        Self {
            pool,
            wrapping: Arc::new(Zeroizing::new(master.derive("wrap data keys"))),
            cache: Cache::builder().max_capacity(CACHED_KEYS).time_to_live(cached_for).build(),
        }
    }

    /// The keys of `subjects`, made where there is none yet.
    pub(crate) async fn for_sealing(&self, subjects: &BTreeSet<Uuid>) -> Result<Keys, VaultError> {
        let mut keys = self.for_opening(subjects).await?;
        for subject in subjects {
            if !keys.contains_key(subject) {
                keys.insert(*subject, self.make(*subject).await?);
            }
        }
        Ok(keys)
    }

    /// The keys of those of `subjects` that have one.
    pub(crate) async fn for_opening(&self, subjects: &BTreeSet<Uuid>) -> Result<Keys, VaultError> {
        let mut keys = Keys::new();
        let mut missing = vec![];
        for subject in subjects {
            match self.cache.get(subject) {
                Some(key) => drop(keys.insert(*subject, key)),
                None => missing.push(*subject),
            }
        }
        if missing.is_empty() {
            return Ok(keys);
        }
        let rows: Vec<(Uuid, Vec<u8>)> = sqlx::query_as(
            "SELECT subject, wrapped_key FROM vault.data_keys WHERE subject = ANY($1) AND wrapped_key IS NOT NULL",
        )
        .bind(missing)
        .fetch_all(&self.pool)
        .await?;
        for (subject, wrapped) in rows {
            let key = self.unwrap(subject, &wrapped)?;
            self.cache.insert(subject, key.clone());
            keys.insert(subject, key);
        }
        Ok(keys)
    }

    /// Committed on its own, before what it seals: a key without data harms nobody, data without a key is lost.
    async fn make(&self, subject: Uuid) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let mut fresh = Zeroizing::new([0; 32]);
        getrandom::fill(fresh.as_mut_slice()).map_err(|_| VaultError::NoRandomness)?;
        let wrapped = encrypt(&self.wrapping, subject.as_bytes(), fresh.as_slice())?;
        sqlx::query("INSERT INTO vault.data_keys (subject, wrapped_key) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(subject)
            .bind(wrapped)
            .execute(&self.pool)
            .await?;
        // Another node may have been first: what is stored counts.
        let stored: Option<Vec<u8>> = sqlx::query_scalar("SELECT wrapped_key FROM vault.data_keys WHERE subject = $1")
            .bind(subject)
            .fetch_one(&self.pool)
            .await?;
        let key = self.unwrap(subject, &stored.ok_or(VaultError::SubjectErased(subject))?)?;
        self.cache.insert(subject, key.clone());
        Ok(key)
    }

    pub(crate) async fn destroy(&self, subject: Uuid) -> Result<(), VaultError> {
        sqlx::query(
            "INSERT INTO vault.data_keys (subject, wrapped_key, destroyed_at) VALUES ($1, NULL, clock_timestamp()) \
             ON CONFLICT (subject) DO UPDATE SET wrapped_key = NULL, \
             destroyed_at = coalesce(data_keys.destroyed_at, clock_timestamp())",
        )
        .bind(subject)
        .execute(&self.pool)
        .await?;
        self.cache.invalidate(&subject);
        Ok(())
    }

    fn unwrap(&self, subject: Uuid, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let damaged = || VaultError::Damaged { path: format!("data key of {subject}") };
        let plain = Zeroizing::new(decrypt(&self.wrapping, subject.as_bytes(), wrapped).ok_or_else(damaged)?);
        let key: [u8; 32] = plain.as_slice().try_into().map_err(|_| damaged())?;
        Ok(Zeroizing::new(key))
    }
}
