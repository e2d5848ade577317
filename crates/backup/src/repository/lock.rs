//! One writer at a time: a file that says who writes, and that is written again while he does.

use std::time::{Duration, Instant};

use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use zepto_common::clock::wall_nanos;
use zepto_common::{Error, ErrorCode, Result};

use super::Repository;

const LOCK: &str = "LOCK";
/// Between two signs of life.
const REFRESH: Duration = Duration::from_secs(30);
/// A writer without a sign of life for so long is gone.
const STALE: Duration = Duration::from_secs(600);

/// How often the lock is tried: one that is void goes in between.
const TRIES: u32 = 2;

/// Held by who writes; given back by [`Lock::release`]. One that is not is void after ten minutes.
#[derive(Debug)]
pub struct Lock {
    repository: Repository,
    text: String,
    refreshed: Instant,
}

impl Repository {
    /// Keeps other writers out; `who` is told to them.
    ///
    /// # Errors
    /// `Timeout` while another writes; the store's.
    pub async fn lock(&self, who: &str) -> Result<Lock> {
        let place = self.place(LOCK);
        let text = format!("{who}, since {}\n", wall_nanos());
        let fault =
            |error: &dyn std::fmt::Display| self.fault(ErrorCode::CannotWriteToFileDescriptor, LOCK, error);
        for _ in 0..TRIES {
            let options = PutOptions::from(PutMode::Create);
            match self.store.put_opts(&place, PutPayload::from(text.clone().into_bytes()), options).await {
                Ok(_) => return Ok(Lock { repository: self.clone(), text, refreshed: Instant::now() }),
                Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(fault(&error)),
            }
            let meta = match self.store.head(&place).await {
                Ok(meta) => meta,
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(fault(&error)),
            };
            let age = wall_nanos() - meta.last_modified.timestamp_nanos_opt().unwrap_or(i64::MAX);
            if i128::from(age) < STALE.as_nanos() as i128 {
                let found = self.store.get(&place).await;
                let other = match found {
                    Ok(found) => found.bytes().await.unwrap_or_default(),
                    Err(_) => bytes::Bytes::new(),
                };
                let other = String::from_utf8_lossy(&other).trim().to_owned();
                let message = format!(
                    "{}: another backup is being written or pruned ({other}); {LOCK} is void {} s after its last sign of life",
                    self.root,
                    STALE.as_secs()
                );
                return Err(Error::new(ErrorCode::TimeoutExceeded, message));
            }
            self.store.delete(&place).await.map_err(|error| fault(&error))?;
        }
        Err(fault(&"it cannot be taken: try again"))
    }
}

impl Lock {
    /// Says now and then that the writer is alive.
    ///
    /// # Errors
    /// `Timeout` when another has taken its place; the store's.
    pub async fn stay(&mut self) -> Result<()> {
        if self.refreshed.elapsed() < REFRESH {
            return Ok(());
        }
        let (repository, place) = (&self.repository, self.repository.place(LOCK));
        let fault = |error: &dyn std::fmt::Display| {
            repository.fault(ErrorCode::CannotWriteToFileDescriptor, LOCK, error)
        };
        let found = repository.store.get(&place).await.map_err(|error| fault(&error))?;
        let there = found.bytes().await.map_err(|error| fault(&error))?;
        if there != self.text.as_bytes() {
            let message = format!("{}: another writer has taken over: begin again", repository.root);
            return Err(Error::new(ErrorCode::TimeoutExceeded, message));
        }
        let text = PutPayload::from(self.text.clone().into_bytes());
        repository.store.put(&place, text).await.map_err(|error| fault(&error))?;
        self.refreshed = Instant::now();
        Ok(())
    }

    /// Lets others write.
    ///
    /// # Errors
    /// The store's; the lock is void after a while then.
    pub async fn release(self) -> Result<()> {
        let place = self.repository.place(LOCK);
        let removed = self.repository.store.delete(&place).await;
        removed.map_err(|error| self.repository.fault(ErrorCode::CannotWriteToFileDescriptor, LOCK, &error))
    }
}
