//! Room that a node keeps for its next start: a start writes a few small files, and on a disk without a free byte it
//! could not be done, so that nobody could read, drop or free anything. The file gives up what a start needs when
//! the disk is that full, and is filled up when there is room.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;

/// What is kept: room for a dozen starts on a disk that another program fills up again each time.
const BALLAST_BYTES: u64 = 4 << 20;
/// A start's small files need some kilobytes; with less free than this, so much is given up.
const START_BYTES: u64 = 320 << 10;

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("BALLAST")
}

/// Gives up as much ballast as a start needs. Before it writes its first byte.
pub(crate) fn throw_off(disk: &dyn Disk, data_dir: &Path) {
    let told = |error: io::Error| {
        tracing::warn!(%error, "the disk may be full, and what was kept for starts cannot be used");
    };
    let (file, length) = match disk.open(&path(data_dir)).and_then(|file| Ok((file.len()?, file))) {
        Ok((length, file)) => (file, length),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return told(error),
    };
    if disk.space(data_dir).map_or(true, |space| space.free >= START_BYTES) {
        return;
    }
    let kept = length.saturating_sub(START_BYTES);
    match file.set_len(kept).and_then(|()| file.sync_data()) {
        Ok(()) => tracing::warn!(kept, "the disk is full: some of what was kept for starts is used"),
        Err(error) => told(error),
    }
}

/// Takes ballast on, up to its full size, if the disk has room for more than `reserve`.
///
/// # Errors
/// The disk's; what was there before stays.
pub(crate) fn take_on(disk: &dyn Disk, data_dir: &Path, reserve: u64) -> io::Result<()> {
    let path = path(data_dir);
    let file = match disk.create(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => disk.open(&path)?,
        made => made?,
    };
    let length = file.len()?;
    if length >= BALLAST_BYTES || disk.space(data_dir)?.free < reserve + 2 * BALLAST_BYTES {
        return Ok(());
    }
    let filled = file.allocate(BALLAST_BYTES).and_then(|()| file.sync_data());
    if filled.is_err() {
        // File systems keep what they could reserve.
        let _ = file.set_len(length);
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::SimDisk;

    #[test]
    fn a_full_disk_has_room_for_a_start_and_gets_it_back_when_it_is_empty() {
        let dir = Path::new("/data");
        let disk = SimDisk::new();
        disk.create_dir_all(dir).unwrap();
        disk.set_capacity(20 << 20);
        take_on(disk.as_ref(), dir, 1 << 20).unwrap();
        take_on(disk.as_ref(), dir, 1 << 20).unwrap();
        let other = disk.create(Path::new("/data/other")).unwrap();
        other.allocate(16 << 20).unwrap();
        let free = || disk.space(dir).unwrap().free;
        assert_eq!(free(), 0);
        for filled_up_again in 1..=12 {
            throw_off(disk.as_ref(), dir);
            assert_eq!(free(), START_BYTES, "{filled_up_again}");
            throw_off(disk.as_ref(), dir);
            assert_eq!(free(), START_BYTES, "what is free is enough for a start");
            take_on(disk.as_ref(), dir, 1 << 20).unwrap();
            other.allocate(other.len().unwrap() + free()).unwrap();
        }
        other.set_len(0).unwrap();
        take_on(disk.as_ref(), dir, 1 << 20).unwrap();
        assert_eq!(free(), 16 << 20);
        throw_off(disk.as_ref(), dir);
        assert_eq!(free(), 16 << 20, "there is room enough");
    }
}
