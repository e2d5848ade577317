//! An open file of the simulated disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::content::Change;
use super::{Fault, State, eio};
use crate::disk::DiskFile;

/// A handle; it stays good when the name is gone.
#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) path: PathBuf,
    pub(super) inode: u64,
}

impl SimFile {
    /// Applies a change that makes the file `length` long, if there is room for the growth.
    fn grow(&self, length: u64, change: Change) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_change(&self.path)?;
        let growth = length.saturating_sub(state.inode(self.inode)?.live.length());
        if state.take_room(&self.path, growth, growth) < growth {
            return Err(state.want_of_room(&self.path));
        }
        state.inode(self.inode)?.change(change);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.check_power()?;
        if state.has(&self.path, Fault::ReadFails) {
            return Err(eio());
        }
        Ok(state.inode(self.inode)?.live.read(buffer, offset))
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_change(&self.path)?;
        if state.has(&self.path, Fault::WriteFails) {
            return Err(eio());
        }
        let end = offset + data.len() as u64;
        let growth = end.saturating_sub(state.inode(self.inode)?.live.length());
        let fits = state.take_room(&self.path, data.len() as u64, growth) as usize;
        if fits > 0 {
            state.inode(self.inode)?.change(Change::Data(offset, data[..fits].into()));
        }
        if fits < data.len() { Err(state.want_of_room(&self.path)) } else { Ok(()) }
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.grow(length, Change::AtLeast(length))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.grow(length, Change::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let begun = state.begin_sync(&self.path);
        let frozen = state.frozen;
        let inode = state.inode(self.inode)?;
        match begun {
            Ok(()) => inode.sync(),
            // The kernel marks the pages clean all the same: no later sync writes them.
            Err(_) if !frozen => {
                inode.lost = true;
                inode.pending.clear();
            }
            Err(_) => {}
        }
        begun
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.check_power()?;
        Ok(state.inode(self.inode)?.live.length())
    }
}
