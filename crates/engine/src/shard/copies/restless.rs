//! Which copies may have something to do at a turn's end: hundreds lie still while a few work, and looking at all of
//! them costs more than what the few want.
//!
//! Promise: a partition that was noted comes out until somebody has seen that it lies still.

/// A set of partitions, in their order.
#[derive(Debug, Default)]
pub(super) struct Restless(Vec<u64>);

const BITS: usize = u64::BITS as usize;

impl Restless {
    pub(super) fn note(&mut self, partition: u16) {
        let (word, bit) = (usize::from(partition) / BITS, usize::from(partition) % BITS);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << bit;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            let first = index * BITS;
            std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)))
                .take_while(|rest| *rest != 0)
                .map(move |rest| (first + rest.trailing_zeros() as usize) as u16)
        })
    }

    /// Those that there are now, while others are noted.
    pub(super) fn all(&self) -> Vec<u16> {
        self.iter().collect()
    }

    /// Leaves out those that lie still.
    pub(super) fn retain(&mut self, is_restless: impl Fn(u16) -> bool) {
        for partition in self.all() {
            if !is_restless(partition)
                && let Some(word) = self.0.get_mut(usize::from(partition) / BITS)
            {
                *word &= !(1 << (usize::from(partition) % BITS));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_comes_out_in_order_until_it_lies_still() {
        let mut restless = Restless::default();
        assert_eq!(restless.all(), Vec::<u16>::new());
        for partition in [64, 0, 63, 65_535, 127, 64] {
            restless.note(partition);
        }
        assert_eq!(restless.all(), [0, 63, 64, 127, 65_535]);
        restless.retain(|it| it % 2 == 1);
        assert_eq!(restless.all(), [63, 127, 65_535]);
        restless.note(0);
        restless.retain(|it| it == 0);
        assert_eq!(restless.all(), [0]);
    }
}
