//! Who reaches whom, and when a message comes, if it comes.

use std::collections::BTreeSet;

use crate::random::Random;

/// An end of a link: a node's number, or one of these.
pub type End = u32;
/// The coordinator.
pub const COORDINATOR: End = 1000;
/// All clients.
pub const CLIENTS: End = 1001;

/// A millisecond of simulated time.
pub const MS: u64 = 1_000_000;

/// The links.
#[derive(Debug, Default)]
pub struct Network {
    cut: BTreeSet<(End, End)>,
    /// Percent of messages that are lost.
    pub loss: u64,
    /// Percent that come twice.
    pub doubled: u64,
    /// Percent that come much later.
    pub late: u64,
}

impl Network {
    /// Cuts one direction.
    pub fn cut(&mut self, from: End, to: End) {
        self.cut.insert((from, to));
    }

    /// Mends one direction.
    pub fn mend(&mut self, from: End, to: End) {
        self.cut.remove(&(from, to));
    }

    /// Mends everything.
    pub fn heal(&mut self) {
        *self = Self::default();
    }

    /// The delays after which copies of a message come: none, one or two.
    pub fn delays(&self, random: &mut Random, from: End, to: End) -> Vec<u64> {
        if self.cut.contains(&(from, to)) || random.chance(self.loss) {
            return Vec::new();
        }
        let copies = if random.chance(self.doubled) { 2 } else { 1 };
        (0..copies)
            .map(|_| {
                let late = if random.chance(self.late) { random.range(0, 700 * MS) } else { 0 };
                random.range(MS / 10, 3 * MS) + late
            })
            .collect()
    }
}
