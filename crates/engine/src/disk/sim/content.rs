//! Bytes of a simulated file: sparse pages, shared until written, so that an image of a disk costs little.

use std::collections::BTreeMap;
use std::sync::Arc;

const PAGE_BYTES: u64 = 4096;
/// What a disk writes whole or not at all.
pub(super) const SECTOR_BYTES: u64 = 512;

type Page = [u8; PAGE_BYTES as usize];

/// A file's bytes; a page that is absent is zeros.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pages: Arc<BTreeMap<u64, Arc<Page>>>,
    length: u64,
}

/// One change that may or may not have reached the disk.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Bytes at an offset.
    Data(u64, Arc<[u8]>),
    /// Cut or filled up to a length.
    Length(u64),
    /// At least this long.
    AtLeast(u64),
}

impl Content {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let end = self.length.min(offset.saturating_add(buffer.len() as u64));
        let mut at = offset;
        while at < end {
            let (page, start) = (at / PAGE_BYTES, (at % PAGE_BYTES) as usize);
            let part = ((end - at) as usize).min(PAGE_BYTES as usize - start);
            let target = &mut buffer[(at - offset) as usize..][..part];
            match self.pages.get(&page) {
                Some(bytes) => target.copy_from_slice(&bytes[start..start + part]),
                None => target.fill(0),
            }
            at += part as u64;
        }
        end.saturating_sub(offset) as usize
    }

    pub(super) fn write(&mut self, data: &[u8], offset: u64) {
        let pages = Arc::make_mut(&mut self.pages);
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let (page, start) = (at / PAGE_BYTES, (at % PAGE_BYTES) as usize);
            let part = (data.len() - done).min(PAGE_BYTES as usize - start);
            let bytes = pages.entry(page).or_insert_with(|| Arc::new([0; PAGE_BYTES as usize]));
            Arc::make_mut(bytes)[start..start + part].copy_from_slice(&data[done..done + part]);
            done += part;
        }
        self.length = self.length.max(offset + data.len() as u64);
    }

    pub(super) fn set_length(&mut self, length: u64) {
        if length < self.length {
            let pages = Arc::make_mut(&mut self.pages);
            pages.retain(|page, _| page * PAGE_BYTES < length);
            let start = (length % PAGE_BYTES) as usize;
            if let Some(last) = pages.get_mut(&(length / PAGE_BYTES)) {
                Arc::make_mut(last)[start..].fill(0);
            }
        }
        self.length = length;
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Data(offset, bytes) => self.write(bytes, *offset),
            Change::Length(length) => self.set_length(*length),
            Change::AtLeast(length) => self.length = self.length.max(*length),
        }
    }

    /// Applies the sectors of a change that `survives` says yes to.
    pub(super) fn apply_sectors(&mut self, change: &Change, mut survives: impl FnMut() -> bool) {
        let Change::Data(offset, bytes) = change else {
            if survives() {
                self.apply(change);
            }
            return;
        };
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let part = ((SECTOR_BYTES - at % SECTOR_BYTES) as usize).min(bytes.len() - done);
            if survives() {
                self.write(&bytes[done..done + part], at);
            }
            done += part;
        }
    }
}
