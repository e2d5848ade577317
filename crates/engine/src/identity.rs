//! Who a data directory is: the file `DISK` with its random id, its partitions and its counter of starts; and the
//! file `LOCK` that keeps a second process out.

use std::path::Path;

use serde::{Deserialize, Serialize};
use zepto_common::{Boot, DiskId, Error, ErrorCode, Result};

use crate::disk::{Disk, replace_file};
use crate::envelope;
use crate::error::{EngineError, IoAction};
use crate::wal::LogHeads;

const MAGIC: [u8; 4] = *b"ZPID";
const FORMAT: u32 = 1;

/// The contents of `DISK` after this start was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Made with the directory.
    pub(crate) disk_id: DiskId,
    /// This start.
    pub(crate) boot: Boot,
    /// Fixed when the directory was made.
    pub(crate) partitions: u16,
    /// The files with which the last start began its logs; None before the first, and in directories of 0.1.
    pub(crate) heads: Option<LogHeads>,
}

#[derive(Serialize, Deserialize)]
struct IdentityFile {
    /// 32 hexadecimal digits.
    disk_id: String,
    boot: u64,
    partitions: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logs: Option<LogHeads>,
}

impl Identity {
    /// Counts a start: reads the file, or makes one, and syncs it with the next boot, which is also greater than
    /// `boot_before` (a restored snapshot has a manifest but no such file).
    ///
    /// # Errors
    /// `CorruptedData`; `InvalidConfigParameter` if the directory was made with other partitions; the disk's.
    pub(crate) fn start(
        disk: &dyn Disk,
        data_dir: &Path,
        partitions: Option<u16>,
        partitions_default: u16,
        boot_before: Boot,
    ) -> Result<Self> {
        let path = data_dir.join("DISK");
        let before = match envelope::read(disk, &path)? {
            Some(bytes) => Some(decode(&bytes, &path)?),
            None => None,
        };
        let mut identity = before.unwrap_or_else(|| Self {
            disk_id: DiskId(rand::random()),
            boot: Boot(0),
            partitions: partitions.unwrap_or(partitions_default),
            heads: None,
        });
        if let Some(wanted) = partitions
            && wanted != identity.partitions
        {
            let message = format!(
                "{} was made with {} partitions and the configuration says {wanted}: this cannot be changed later",
                data_dir.display(),
                identity.partitions
            );
            return Err(Error::new(ErrorCode::InvalidConfigParameter, message));
        }
        identity.boot = Boot(identity.boot.max(boot_before).0 + 1);
        identity.write(disk, data_dir)?;
        Ok(identity)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn write(&self, disk: &dyn Disk, data_dir: &Path) -> Result<()> {
        let path = data_dir.join("DISK");
        let replaced = replace_file(disk, &path, &encode(self)?);
        Ok(replaced.map_err(|error| EngineError::io(IoAction::Write, &path, &error))?)
    }
}

fn encode(identity: &Identity) -> Result<Vec<u8>> {
    let file = IdentityFile {
        disk_id: identity.disk_id.to_string(),
        boot: identity.boot.0,
        partitions: identity.partitions,
        logs: identity.heads.clone(),
    };
    let json = serde_json::to_vec(&file).map_err(|error| Error::internal(error.to_string()))?;
    Ok(envelope::seal(MAGIC, FORMAT, &json))
}

fn decode(bytes: &[u8], path: &Path) -> Result<Identity> {
    let json = envelope::unseal(MAGIC, FORMAT, bytes, path)?;
    let corrupt =
        |what: String| Error::new(ErrorCode::CorruptedData, format!("{}: byte 20: {what}", path.display()));
    let file: IdentityFile = serde_json::from_slice(&json).map_err(|error| corrupt(error.to_string()))?;
    let disk_id = u128::from_str_radix(&file.disk_id, 16).map_err(|error| corrupt(error.to_string()))?;
    let IdentityFile { boot, partitions, logs: heads, .. } = file;
    Ok(Identity { disk_id: DiskId(disk_id), boot: Boot(boot), partitions, heads })
}

/// Held while a process uses a data directory; the system lets go of it when the process ends in any way.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: std::fs::File,
}

impl DirectoryLock {
    /// Locks `LOCK` in a directory of the real file system.
    ///
    /// # Errors
    /// `CannotOpenFile`, naming the directory and the process that has it.
    pub(crate) fn take(data_dir: &Path) -> Result<Self> {
        use std::io::{Read, Seek, Write};
        let path = data_dir.join("LOCK");
        let fault = |what: String| Error::new(ErrorCode::CannotOpenFile, what);
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| fault(format!("cannot open {}: {error}", path.display())))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let message = format!(
                    "the data directory {} is in use by another process ({})",
                    data_dir.display(),
                    holder.trim()
                );
                return Err(fault(message));
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(fault(format!("cannot lock {}: {error}", path.display())));
            }
        }
        let pid = format!("pid {}\n", std::process::id());
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(pid.as_bytes()));
        if let Err(error) = written {
            // The lock holds all the same; only the other process's message will name nobody.
            tracing::warn!(path = %path.display(), %error, "cannot write the process id into the lock file");
        }
        Ok(Self { _file: file })
    }
}
