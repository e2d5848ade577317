//! A disk in memory that can lose power.
//!
//! Each file keeps the content that readers see, the content that is durable, and the changes between them; names
//! likewise. Every sync is a *boundary*: a test may have the disk freeze there ([`SimDisk::freeze_at`], every later
//! call fails, as if the power were gone), or let the workload run and look at all boundaries afterwards
//! ([`SimDisk::record`]). A [`Boundary`] gives the images that a power cut just before that sync could leave.
//! Images share pages, so hundreds cost milliseconds. Test code of every crate may use it.

mod content;
mod crash;
mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::content::{Change, Content};
pub use self::crash::{Boundary, CrashImage};
use self::file::SimFile;
use super::{Disk, DiskFile, Space};

type Names = BTreeMap<PathBuf, u64>;

/// A fault to be played until [`SimDisk::heal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `StorageFull` after so many more bytes of writing or growing.
    NoSpaceAfter(u64),
    /// Every change is refused with `ReadOnlyFilesystem`.
    ReadOnly,
    /// As that, after so many more bytes of writing or growing; the change that meets it is done in part.
    ReadOnlyAfter(u64),
    /// Every sync fails with EIO, and what it should have made durable never becomes so.
    SyncFails,
    /// Every write fails with EIO.
    WriteFails,
    /// Every read fails with EIO.
    ReadFails,
}

/// One file.
#[derive(Debug, Clone)]
struct Inode {
    /// What readers see.
    live: Content,
    /// What was synced.
    durable: Content,
    /// Changes since the last sync, in order.
    pending: Vec<Change>,
    /// A sync failed: `durable` can no longer be taken from `live`.
    lost: bool,
    /// Live names.
    links: u32,
}

impl Inode {
    fn durable(content: Content, links: u32) -> Self {
        Self { live: content.clone(), durable: content, pending: Vec::new(), lost: false, links }
    }

    fn change(&mut self, change: Change) {
        self.live.apply(&change);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        if self.lost {
            self.pending.drain(..).for_each(|change| self.durable.apply(&change));
        } else {
            self.pending.clear();
            self.durable = self.live.clone();
        }
    }
}

/// A change of names that is not synced.
#[derive(Debug, Clone)]
enum NameChange {
    Add(PathBuf, u64),
    Remove(PathBuf),
    Move(PathBuf, PathBuf, u64),
    /// Of a file in a folder that was removed whole: durable with the folder above.
    RemoveUnder(PathBuf, PathBuf),
}

impl NameChange {
    fn dir(&self) -> &Path {
        match self {
            Self::Add(path, _) | Self::Remove(path) | Self::Move(_, path, _) => parent(path),
            Self::RemoveUnder(dir, _) => dir,
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Remove(path) | Self::RemoveUnder(_, path) => {
                names.remove(path);
            }
            Self::Move(from, to, inode) => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    names: Names,
    durable_names: Names,
    pending_names: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    capacity: u64,
    faults: Vec<(String, Fault)>,
    boundaries: u64,
    freeze_at: Option<u64>,
    frozen: bool,
    recorded: Option<Vec<Boundary>>,
}

/// A disk in memory that can lose power; see the module.
#[derive(Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl SimDisk {
    /// An empty disk with the folder `/` and room without end.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let dirs = BTreeSet::from([PathBuf::from("/"), PathBuf::new()]);
        Self::from_image(State::durable(Names::new(), BTreeMap::new(), dirs, 0, u64::MAX))
    }

    fn from_image(state: State) -> Arc<Self> {
        Arc::new(Self { state: Arc::new(Mutex::new(state)) })
    }

    /// Sets the disk's size in bytes: files may not grow beyond it together.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// Plays a fault on every file.
    pub fn fail(&self, fault: Fault) {
        self.fail_on("", fault);
    }

    /// Plays a fault on files and folders whose path contains `fragment`.
    pub fn fail_on(&self, fragment: &str, fault: Fault) {
        self.state.lock().faults.push((fragment.to_owned(), fault));
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.state.lock().faults.clear();
    }

    /// Lets the power go just before sync number `boundary` (counted from 0) does its work.
    pub fn freeze_at(&self, boundary: u64) {
        self.state.lock().freeze_at = Some(boundary);
    }

    /// Ends the freeze as if only the process had been killed: what was written is still shown, and is as little
    /// durable as before.
    pub fn thaw(&self) {
        let mut state = self.state.lock();
        (state.frozen, state.freeze_at) = (false, None);
    }

    /// Whether the power is gone.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.state.lock().frozen
    }

    /// Syncs begun so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.state.lock().boundaries
    }

    /// Keeps an image of every boundary from now on.
    pub fn record(&self) {
        self.state.lock().recorded = Some(Vec::new());
    }

    /// The boundaries recorded, and this moment as the last one.
    #[must_use]
    pub fn boundaries(&self) -> Vec<Boundary> {
        let mut recorded = self.state.lock().recorded.clone().unwrap_or_default();
        recorded.push(self.now());
        recorded
    }

    /// This moment as a boundary.
    #[must_use]
    pub fn now(&self) -> Boundary {
        let state = self.state.lock();
        Boundary { number: state.boundaries, state: state.image() }
    }

    /// Changes one byte of a file, live and durable, as a failing disk would.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = state.inode_of(path)?;
        let inode = state.inode(inode)?;
        for content in [&mut inode.live, &mut inode.durable] {
            let mut byte = [0];
            if content.read(&mut byte, offset) == 1 {
                content.write(&[byte[0] ^ mask], offset);
            }
        }
        Ok(())
    }

    /// Every file with its length.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state.lock();
        let length = |inode: &u64| state.inodes.get(inode).map_or(0, |inode| inode.live.length());
        state.names.iter().map(|(path, inode)| (path.clone(), length(inode))).collect()
    }

    fn file(&self, path: &Path, inode: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { state: self.state.clone(), path: path.to_owned(), inode })
    }
}

impl State {
    fn durable(
        names: Names,
        inodes: BTreeMap<u64, Inode>,
        dirs: BTreeSet<PathBuf>,
        next_inode: u64,
        capacity: u64,
    ) -> Self {
        Self { durable_names: names.clone(), names, dirs, inodes, next_inode, capacity, ..Self::default() }
    }

    /// A copy without faults and recordings, and without files that no name leads to.
    fn image(&self) -> Self {
        let named: BTreeSet<u64> = self.names.values().chain(self.durable_names.values()).copied().collect();
        let pending = self.pending_names.iter().filter_map(|change| match change {
            NameChange::Add(_, inode) | NameChange::Move(_, _, inode) => Some(*inode),
            _ => None,
        });
        let named: BTreeSet<u64> = named.into_iter().chain(pending).collect();
        let inodes = self.inodes.iter().filter(|(inode, _)| named.contains(inode));
        Self {
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            pending_names: self.pending_names.clone(),
            dirs: self.dirs.clone(),
            inodes: inodes.map(|(number, inode)| (*number, inode.clone())).collect(),
            next_inode: self.next_inode,
            capacity: self.capacity,
            ..Self::default()
        }
    }

    fn check_power(&self) -> io::Result<()> {
        if self.frozen { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }

    fn has(&self, path: &Path, wanted: Fault) -> bool {
        let path = path.to_string_lossy();
        self.faults.iter().any(|(fragment, fault)| *fault == wanted && path.contains(fragment.as_str()))
    }

    fn check_change(&self, path: &Path) -> io::Result<()> {
        self.check_power()?;
        if self.has(path, Fault::ReadOnly) || self.has(path, Fault::ReadOnlyAfter(0)) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(())
    }

    /// Begins a sync: records it, or loses the power.
    fn begin_sync(&mut self, path: &Path) -> io::Result<()> {
        self.check_power()?;
        if self.recorded.is_some() {
            let boundary = Boundary { number: self.boundaries, state: self.image() };
            self.recorded.get_or_insert_default().push(boundary);
        }
        self.frozen = self.freeze_at == Some(self.boundaries);
        self.boundaries += 1;
        self.check_power()?;
        if self.has(path, Fault::SyncFails) { Err(eio()) } else { Ok(()) }
    }

    fn inode_of(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn used(&self) -> u64 {
        self.inodes.values().filter(|inode| inode.links > 0).map(|inode| inode.live.length()).sum()
    }

    /// Takes up to `wanted` bytes of room that grow a file and `written` bytes that count for the fault; how
    /// many of the bytes fit.
    fn take_room(&mut self, path: &Path, written: u64, growth: u64) -> u64 {
        let over = growth.saturating_sub(self.capacity.saturating_sub(self.used()));
        let mut fits = written.saturating_sub(over);
        let path = path.to_string_lossy();
        for (fragment, fault) in &mut self.faults {
            if let Fault::NoSpaceAfter(left) | Fault::ReadOnlyAfter(left) = fault
                && path.contains(fragment.as_str())
            {
                fits = fits.min(*left);
                *left -= fits;
            }
        }
        fits
    }

    /// Why not all bytes of a change fit.
    fn want_of_room(&self, path: &Path) -> io::Error {
        let read_only = self.has(path, Fault::ReadOnlyAfter(0));
        let kind = if read_only { io::ErrorKind::ReadOnlyFilesystem } else { io::ErrorKind::StorageFull };
        kind.into()
    }

    fn add_name(&mut self, path: &Path, inode: u64) -> io::Result<()> {
        if !self.dirs.contains(parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.names.contains_key(path) || self.dirs.contains(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.inode(inode)?.links += 1;
        self.names.insert(path.to_owned(), inode);
        self.pending_names.push(NameChange::Add(path.to_owned(), inode));
        Ok(())
    }

    fn drop_link(&mut self, inode: u64) {
        if let Some(inode) = self.inodes.get_mut(&inode) {
            inode.links = inode.links.saturating_sub(1);
        }
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.check_change(path)?;
        let inode = state.next_inode;
        state.inodes.insert(inode, Inode::durable(Content::default(), 0));
        state.add_name(path, inode)?;
        state.next_inode += 1;
        Ok(self.file(path, inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state.lock();
        state.check_power()?;
        Ok(self.file(path, state.inode_of(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_change(to)?;
        let inode = state.inode_of(from)?;
        if !state.dirs.contains(parent(to)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.names.remove(from);
        if let Some(replaced) = state.names.insert(to.to_owned(), inode) {
            state.drop_link(replaced);
        }
        state.pending_names.push(NameChange::Move(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_change(path)?;
        let inode = state.inode_of(path)?;
        state.names.remove(path);
        state.drop_link(inode);
        state.pending_names.push(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_change(to)?;
        let inode = state.inode_of(from)?;
        state.add_name(to, inode)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.check_power()?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().chain(&state.dirs).filter(|path| path.parent() == Some(dir));
        let mut names: Vec<String> = inside
            .filter_map(|path| path.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.dirs.contains(dir) {
            return state.check_power();
        }
        state.check_change(dir)?;
        state.dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_change(dir)?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside: Vec<PathBuf> = state.names.keys().filter(|path| path.starts_with(dir)).cloned().collect();
        for path in inside {
            if let Some(inode) = state.names.remove(&path) {
                state.drop_link(inode);
            }
            state.pending_names.push(NameChange::RemoveUnder(parent(dir).to_owned(), path));
        }
        state.dirs.retain(|path| !path.starts_with(dir));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin_sync(dir)?;
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.pending_names).into_iter().partition(|change| change.dir() == dir);
        state.pending_names = elsewhere;
        here.iter().for_each(|change| change.apply(&mut state.durable_names));
        Ok(())
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let state = self.state.lock();
        state.check_power()?;
        Ok(Space { free: state.capacity.saturating_sub(state.used()), total: state.capacity })
    }
}
