//! The seam between storage and the file system.
//!
//! [`RealDisk`] is the operating system's. [`SimDisk`] keeps what a file *shows* and what would *survive* a power
//! cut apart, so a test can cut the power at every sync and look at what is left. [`PacedDisk`] is the real one with the
//! sync time of a slower one. The rules all follow:
//!
//! - written bytes survive for certain only after [`DiskFile::sync_data`];
//! - a created, linked, renamed or removed name survives for certain only after [`Disk::sync_dir`] of its folder;
//! - folders made by [`Disk::create_dir_all`] are durable when it returns.

mod paced;
mod real;
pub mod sim;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use paced::PacedDisk;
pub use real::RealDisk;
pub use sim::SimDisk;

/// Room on the disk that holds a folder, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Free for this process.
    pub free: u64,
    /// In all.
    pub total: u64,
}

/// Names and folders. Errors are the system's.
pub trait Disk: Send + Sync + Debug {
    /// A new empty file for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists`, `StorageFull`, `ReadOnlyFilesystem`, or the system's.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// An existing file for reading and writing; where the disk permits reading only, writes to it fail.
    ///
    /// # Errors
    /// `NotFound`, or the system's.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, taking the place of a file that had it.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name; the room is free when the last name and handle are gone.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// A second name for a file.
    ///
    /// # Errors
    /// `AlreadyExists`, or the system's.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Names of files and folders in a folder, sorted.
    ///
    /// # Errors
    /// `NotFound`, or the system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes a folder and those above it, durably; no fault if they exist.
    ///
    /// # Errors
    /// The system's.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Removes a folder and all in it. A crash may leave a part until the folder above is synced.
    ///
    /// # Errors
    /// The system's.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Room on the disk.
    ///
    /// # Errors
    /// The system's.
    fn space(&self, dir: &Path) -> io::Result<Space>;
}

/// One open file; it may be shared by threads.
#[expect(clippy::len_without_is_empty, reason = "a length that the system is asked for, not a container's")]
pub trait DiskFile: Send + Sync + Debug {
    /// Reads up to the buffer's length; 0 at the end of the file.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `data`, growing the file if needed.
    ///
    /// # Errors
    /// The system's; a part may have been written then.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file at least this long, with its room reserved; new bytes read as zero.
    ///
    /// # Errors
    /// `StorageFull`, or the system's.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Cuts the file to this length or fills it up with zeros.
    ///
    /// # Errors
    /// The system's.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes the content and length durable.
    ///
    /// # Errors
    /// The system's; what was written since the last success may be lost then, even if a later call succeeds.
    fn sync_data(&self) -> io::Result<()>;

    /// Bytes of the file.
    ///
    /// # Errors
    /// The system's.
    fn len(&self) -> io::Result<u64>;
}

/// Reads until the buffer is full or the file ends; how many bytes were read.
///
/// # Errors
/// The file's.
pub fn read_full(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// The whole content of a file that is known to be small.
///
/// # Errors
/// The disk's; `FileTooLarge` over `limit` bytes.
pub fn read_file(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let length = file.len()?;
    if length > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{length} bytes, at most {limit} expected"),
        ));
    }
    let mut contents = vec![0; length as usize];
    let read = read_full(file.as_ref(), &mut contents, 0)?;
    contents.truncate(read);
    Ok(contents)
}

/// Replaces a file's content atomically: after a crash there is the old content or the new, never a mixture.
/// Written aside (`<name>.new`), synced, renamed, folder synced.
///
/// # Errors
/// The disk's. After an error either content may be the one that survives a crash.
pub fn replace_file(disk: &dyn Disk, path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = Path::new(&aside);
    match disk.remove(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(aside)?;
    file.write_at(contents, 0)?;
    file.sync_data()?;
    disk.rename(aside, path)?;
    match path.parent() {
        Some(dir) => disk.sync_dir(dir),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "a file needs a folder")),
    }
}
