//! Looks at the room on the disk now and then, so that writes are refused before the last byte is used: segments,
//! the manifest and the operating system need room too, or nothing could ever be freed.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use zepto_common::{Error, ErrorCode, Result};

use crate::disk::Disk;
use crate::store::shared::Shared;

/// How long an answer is believed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes of the file that tries a disk which refused rows.
const PROBE_BYTES: usize = 4_096;

/// The last look.
#[derive(Debug)]
pub(crate) struct SpaceWatch {
    looked: Option<Instant>,
    short: Option<u64>,
    tried: Option<Instant>,
}

impl SpaceWatch {
    pub(crate) fn new() -> Self {
        Self { looked: None, short: None, tried: None }
    }

    /// Whether a disk that refused rows takes them again: there is room, and a small file reaches it. Asked once a
    /// second at most; without it a node that is not ready gets no writes, and without writes it would stay so.
    pub(super) fn takes_rows_again(&mut self, shared: &Shared, index: usize, now: Instant) -> bool {
        if self.tried.is_some_and(|tried| now.duration_since(tried) < LOOK_EVERY) {
            return false;
        }
        self.tried = Some(now);
        self.check(shared, now).is_ok() && probe(shared.disk(), &shared.options.data_dir, index).is_ok()
    }

    /// Whether there is room for rows.
    ///
    /// # Errors
    /// `NotEnoughSpace`.
    pub(super) fn check(&mut self, shared: &Shared, now: Instant) -> Result<()> {
        let reserve = shared.options.disk_reserve;
        // While room is short every pass looks again, so that the first write after it came back succeeds.
        let stale = self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK_EVERY);
        if stale || self.short.is_some() {
            self.looked = Some(now);
            // A disk that cannot tell is tried by the write itself.
            let free = shared.disk().space(&shared.options.data_dir).map(|space| space.free);
            self.short = free.ok().filter(|&free| free < reserve);
        }
        match self.short {
            None => Ok(()),
            Some(free) => {
                let message = format!(
                    "{free} bytes are free on the disk of {} and {reserve} are kept in reserve: free some space",
                    shared.options.data_dir.display()
                );
                Err(Error::new(ErrorCode::NotEnoughSpace, message))
            }
        }
    }
}

/// Makes a file's bytes durable and removes it.
fn probe(disk: &dyn Disk, dir: &Path, index: usize) -> io::Result<()> {
    let path = dir.join(format!("PROBE-{index}"));
    match disk.remove(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&path)?;
    file.write_at(&[0; PROBE_BYTES], 0)?;
    file.sync_data()?;
    disk.remove(&path)
}
