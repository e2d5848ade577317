//! Files that a log lets go of, and those that wait to be used again.

use super::{FileName, Log};
use crate::error::{EngineError, IoAction, Result};
use crate::wal::LogPosition;

impl Log {
    /// Gives up files that lie wholly below `covered`: they become spares or go. After a crash such a file may be
    /// found again; replay then yields frames that are covered.
    ///
    /// # Errors
    /// `Io`; files not yet released stay known, and the log itself is not hurt.
    pub fn release(&mut self, covered: LogPosition) -> Result<()> {
        while let Some(&(sequence, capacity)) = self.sealed.first()
            && sequence < covered.sequence
        {
            let path = self.path(sequence);
            if capacity == self.options.file_bytes && self.spares.len() < self.options.spares_max {
                let spare = FileName::spare(self.options.thread, sequence).in_dir(&self.dir);
                let renamed = self.disk.rename(&path, &spare);
                renamed.map_err(|error| EngineError::io(IoAction::Rename, &path, &error))?;
                self.spares.push(spare);
            } else {
                self.disk.remove(&path).map_err(|error| EngineError::io(IoAction::Remove, &path, &error))?;
            }
            self.sealed.remove(0);
        }
        Ok(())
    }

    /// Removes the files that wait to be used again.
    ///
    /// # Errors
    /// `Io`; the rest stays.
    pub fn drop_spares(&mut self) -> Result<()> {
        while let Some(path) = self.spares.last() {
            crate::wal::summary::remove(self.disk.as_ref(), path)?;
            self.spares.pop();
        }
        Ok(())
    }

    /// Takes over the spares of an earlier start; those of another size or over the limit go.
    pub(super) fn adopt_spares(&mut self) -> Result<()> {
        let names =
            self.disk.list(&self.dir).map_err(|error| EngineError::io(IoAction::List, &self.dir, &error))?;
        for name in names.iter().filter_map(|name| FileName::parse(name)) {
            if !name.spare || name.thread != self.options.thread {
                continue;
            }
            let path = name.in_dir(&self.dir);
            let length = self.disk.open(&path).and_then(|file| file.len());
            let length = length.map_err(|error| EngineError::io(IoAction::Open, &path, &error))?;
            if length == self.options.file_bytes && self.spares.len() < self.options.spares_max {
                self.spares.push(path);
            } else {
                self.disk.remove(&path).map_err(|error| EngineError::io(IoAction::Remove, &path, &error))?;
            }
        }
        Ok(())
    }
}
