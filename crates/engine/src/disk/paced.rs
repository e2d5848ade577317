//! The real disk with syncs that take at least a given time: what depends on a disk's speed can be tested and measured
//! alike on machines whose disks differ, or answer a sync from a cache.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Disk, DiskFile, RealDisk, Space};

/// A disk whose every [`DiskFile::sync_data`] takes at least this long.
#[derive(Debug)]
pub struct PacedDisk {
    sync: Duration,
}

#[derive(Debug)]
struct PacedFile {
    file: Arc<dyn DiskFile>,
    sync: Duration,
}

impl PacedDisk {
    /// The system's disk with a sync of at least this long.
    #[must_use]
    pub fn new(sync: Duration) -> Self {
        Self { sync }
    }

    fn paced(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(PacedFile { file, sync: self.sync })
    }
}

impl Disk for PacedDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.create(path).map(|file| self.paced(file))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path).map(|file| self.paced(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.hard_link(from, to)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(dir)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        RealDisk.remove_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
    fn space(&self, dir: &Path) -> io::Result<Space> {
        RealDisk.space(dir)
    }
}

impl DiskFile for PacedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(data, offset)
    }
    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "stands for a device's time: there is no event to wait for"
    )]
    fn sync_data(&self) -> io::Result<()> {
        let start = Instant::now();
        self.file.sync_data()?;
        std::thread::sleep(self.sync.saturating_sub(start.elapsed()));
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
