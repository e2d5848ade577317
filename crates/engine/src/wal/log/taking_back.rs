//! How a log takes back what it wrote of a group that the disk then refused: no restart may replay what was refused.
//!
//! A full disk lets files be cut. One that turned read-only does not: the cut is owed, the writers hear that it is not
//! known whether their rows are stored, and nothing is written before the cut is made up for.

use super::{Log, Segment};
use crate::error::{EngineError, IoAction, Result};
use crate::wal::chain::TAKEN_BACK_BYTES;

impl Log {
    /// Cuts off what was written of the group up to the segment `last`. Returns what the writers hear.
    pub(super) fn take_back(&mut self, last: usize, refusal: EngineError) -> EngineError {
        self.owed = self.segments[..=last].to_vec();
        let settled = self.settle();
        match settled {
            Ok(()) => self.refuse(refusal),
            Err(EngineError::ReadOnlyDisk { path }) => self.refuse(EngineError::LeftBehind { path }),
            Err(error) => self.poison(&error),
        }
    }

    /// Makes up for what is owed though nobody writes. False while the disk refuses.
    ///
    /// # Errors
    /// `LogFailed`: what the files hold is not known any more.
    pub fn settle_or_fail(&mut self) -> Result<bool> {
        self.check()?;
        match self.settle() {
            Ok(()) => Ok(true),
            Err(EngineError::ReadOnlyDisk { .. }) => Ok(false),
            Err(error) => Err(self.poison(&error)),
        }
    }

    /// Cuts off what an earlier group left behind, if anything.
    ///
    /// # Errors
    /// `ReadOnlyDisk`: still owed. Others: what the files hold is not known.
    pub(super) fn settle(&mut self) -> Result<()> {
        // Later files first: a file's seal must not go while a later file has frames.
        while let Some(segment) = self.owed.last().copied() {
            self.wipe(segment)?;
            self.owed.pop();
        }
        Ok(())
    }

    /// Cutting the file needs no room, unlike writing zeros on a file system that copies on write.
    fn wipe(&mut self, segment: Segment) -> Result<()> {
        let Segment { sequence, offset, .. } = segment;
        let path = self.path(sequence);
        let Some(open) = self.files.get_mut(&sequence) else {
            return Err(EngineError::Internal(format!("log file {sequence} was not made")));
        };
        let length = offset.max(TAKEN_BACK_BYTES);
        open.file.set_len(length).map_err(|error| EngineError::io(IoAction::Write, &path, &error))?;
        open.reserved = length;
        // Not by `EngineError::io`: after a sync that fails it is open what is stored, whatever the disk says.
        open.file.sync_data().map_err(|error| {
            let (action, kind, message) = (IoAction::Sync, error.kind(), error.to_string());
            EngineError::Io { action, path, kind, message }
        })
    }
}
