//! What a power cut can leave of a simulated disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::content::{Change, Content};
use super::{Inode, NameChange, SimDisk, State};

/// One way in which a power cut may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashImage {
    /// Only what was synced is there.
    DurableOnly,
    /// All that was done is there.
    Everything,
    /// Unsynced bytes are there, unsynced names (creates, renames, removes) are not.
    NamesLost,
    /// Unsynced names are there, unsynced bytes are not.
    WritesLost,
    /// A part of both, drawn from the seed: prefixes of writes, single sectors, a prefix of each folder's names.
    Torn {
        /// Equal seeds give equal images.
        seed: u64,
    },
}

/// The disk as it stood when a sync was about to begin.
#[derive(Debug, Clone)]
pub struct Boundary {
    pub(super) number: u64,
    pub(super) state: State,
}

/// A small generator (SplitMix64) so that an image depends on its seed alone.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound as u64).max(1)) as usize
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

impl Boundary {
    /// Which sync this was, counted from 0; the count of all syncs for the end of a workload.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Every kind of image, with `torn` different torn ones.
    pub fn images(&self, torn: u64) -> impl Iterator<Item = (CrashImage, Arc<SimDisk>)> + '_ {
        let whole =
            [CrashImage::DurableOnly, CrashImage::Everything, CrashImage::NamesLost, CrashImage::WritesLost];
        // The boundary takes part in the seed, so that neighbours are not torn alike.
        let seeds =
            (0..torn).map(|n| CrashImage::Torn { seed: self.number.wrapping_mul(1_000_003).wrapping_add(n) });
        whole.into_iter().chain(seeds).map(|image| (image, self.image(image)))
    }

    /// The disk that a restart finds: all that is in it is durable, faults are gone.
    #[must_use]
    pub fn image(&self, image: CrashImage) -> Arc<SimDisk> {
        let mut draw = Draw(match image {
            CrashImage::Torn { seed } => seed,
            _ => 0,
        });
        let names = self.names(image, &mut draw);
        let mut inodes = BTreeMap::new();
        for &inode in names.values() {
            if let Some(found) = self.state.inodes.get(&inode) {
                let content = content(found, image, &mut draw);
                let links = names.values().filter(|&&other| other == inode).count() as u32;
                inodes.entry(inode).or_insert_with(|| Inode::durable(content, links));
            }
        }
        let mut dirs: BTreeSet<_> = self.state.dirs.clone();
        dirs.extend(names.keys().flat_map(|path| path.ancestors().skip(1)).map(Path::to_owned));
        SimDisk::from_image(State::durable(names, inodes, dirs, self.state.next_inode, self.state.capacity))
    }

    fn names(&self, image: CrashImage, draw: &mut Draw) -> super::Names {
        let state = &self.state;
        match image {
            CrashImage::DurableOnly | CrashImage::NamesLost => state.durable_names.clone(),
            CrashImage::Everything | CrashImage::WritesLost => state.names.clone(),
            CrashImage::Torn { .. } => {
                let mut names = state.durable_names.clone();
                let dirs: BTreeSet<_> = state.pending_names.iter().map(NameChange::dir).collect();
                for dir in dirs {
                    let here: Vec<_> =
                        state.pending_names.iter().filter(|change| change.dir() == dir).collect();
                    let survived = draw.below(here.len() + 1);
                    here[..survived].iter().for_each(|change| change.apply(&mut names));
                }
                names
            }
        }
    }
}

fn content(inode: &Inode, image: CrashImage, draw: &mut Draw) -> Content {
    match image {
        CrashImage::DurableOnly | CrashImage::WritesLost => inode.durable.clone(),
        CrashImage::Everything | CrashImage::NamesLost => inode.live.clone(),
        CrashImage::Torn { .. } => torn(inode, draw),
    }
}

fn torn(inode: &Inode, draw: &mut Draw) -> Content {
    let mut content = inode.durable.clone();
    let Some(last) = inode.pending.len().checked_sub(1) else {
        return content;
    };
    match draw.below(3) {
        // The disk kept the order and stopped at some byte.
        0 => {
            let whole = draw.below(last + 2);
            inode.pending[..whole].iter().for_each(|change| content.apply(change));
            if let Some(Change::Data(offset, bytes)) = inode.pending.get(whole) {
                content.write(&bytes[..draw.below(bytes.len() + 1)], *offset);
            }
        }
        // The disk kept no order at all.
        1 => inode.pending.iter().for_each(|change| content.apply_sectors(change, || draw.coin())),
        // All arrived but a part of the last write.
        _ => {
            inode.pending[..last].iter().for_each(|change| content.apply(change));
            content.apply_sectors(&inode.pending[last], || draw.coin());
        }
    }
    content
}
