//! Room that a node keeps for its next start: a start writes a few small files, and on a disk without a free byte it
//! could not be done, so that nobody could read, drop or free anything. The file goes when the disk is that full, and
//! comes back when there is room.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;

/// Room for the small files of some hundred starts.
const BALLAST_BYTES: u64 = 4 << 20;

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("BALLAST")
}

/// Throws the ballast off if less than it is free. Before a start writes its first byte.
pub(crate) fn throw_off(disk: &dyn Disk, data_dir: &Path) {
    let short = disk.space(data_dir).is_ok_and(|space| space.free < BALLAST_BYTES);
    if short && disk.remove(&path(data_dir)).is_ok() {
        tracing::warn!(bytes = BALLAST_BYTES, "the disk is full: what was kept for this start is used");
    }
}

/// Takes ballast on, if it is not there and the disk has room for more than `reserve`.
///
/// # Errors
/// The disk's; no part of the file stays.
pub(crate) fn take_on(disk: &dyn Disk, data_dir: &Path, reserve: u64) -> io::Result<()> {
    let path = path(data_dir);
    if disk.space(data_dir)?.free < reserve + 2 * BALLAST_BYTES {
        return Ok(());
    }
    let file = match disk.create(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    };
    let filled = file.allocate(BALLAST_BYTES).and_then(|()| file.sync_data());
    if filled.is_err() {
        let _ = disk.remove(&path);
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
        assert_eq!(disk.space(dir).unwrap().free, 0);
        throw_off(disk.as_ref(), dir);
        assert_eq!(disk.space(dir).unwrap().free, BALLAST_BYTES);
        take_on(disk.as_ref(), dir, 1 << 20).unwrap();
        assert_eq!(disk.space(dir).unwrap().free, BALLAST_BYTES, "what is free is for the start");
        other.set_len(0).unwrap();
        take_on(disk.as_ref(), dir, 1 << 20).unwrap();
        assert_eq!(disk.space(dir).unwrap().free, 16 << 20);
        throw_off(disk.as_ref(), dir);
        assert_eq!(disk.space(dir).unwrap().free, 16 << 20, "there is room enough");
    }
}
