//! Which branches were taken: the compiler's 8-bit counters (`-sanitizer-coverage-inline-8bit-counters`, see LLVM's
//! SanitizerCoverage), which a build with the feature `coverage` registers here. Without it there are none.

/// How often a branch was taken, in the classes that AFL uses: 1, 2, 3, 4 to 7, 8 to 15, 16 to 31, 32 to 127, more.
#[must_use]
pub fn class_of(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..=7 => 8,
        8..=15 => 16,
        16..=31 => 32,
        32..=127 => 64,
        128..=255 => 128,
    }
}

#[cfg(feature = "coverage")]
mod counters {
    #![expect(unsafe_code, reason = "the compiler hands over its counters as two addresses")]

    use std::sync::Mutex;

    /// First address and length of the counters of each object that was loaded.
    static REGIONS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

    /// Called by each instrumented object before `main`.
    // SAFETY: the name is the one that LLVM's instrumentation calls, and nothing else has it.
    #[unsafe(no_mangle)]
    extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, end: *mut u8) {
        let mut regions = REGIONS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let region = (start as usize, end as usize - start as usize);
        if region.1 > 0 && !regions.contains(&region) {
            regions.push(region);
        }
    }

    /// Calls `see` with each region and the index of its first counter.
    pub(super) fn each(mut see: impl FnMut(usize, &mut [u8])) {
        let regions = REGIONS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut index = 0;
        for &(start, length) in regions.iter() {
            // SAFETY: the region is the compiler's array of counters, which lives as long as the program; a program that
            // counts runs one target on one thread, and this function calls nothing that is counted while it looks.
            let counters = unsafe { std::slice::from_raw_parts_mut(start as *mut u8, length) };
            see(index, counters);
            index += length;
        }
    }
}

/// Whether this build counts branches.
#[must_use]
pub fn counts() -> bool {
    cfg!(feature = "coverage")
}

/// Sets all counters to zero.
pub fn clear() {
    #[cfg(feature = "coverage")]
    counters::each(|_, counters| counters.fill(0));
}

/// Branches that were taken since [`clear`], with the class of how often. Most are zero, so eight are looked at at once.
#[must_use]
pub fn taken() -> Vec<(usize, u8)> {
    #[cfg_attr(not(feature = "coverage"), expect(unused_mut, reason = "nothing is counted"))]
    let mut taken = Vec::new();
    #[cfg(feature = "coverage")]
    counters::each(|first, counters| {
        for (group, eight) in counters.chunks(8).enumerate() {
            let whole = eight.try_into().map_or(1, u64::from_ne_bytes);
            if whole != 0 {
                let at = first + group * 8;
                let hits = eight.iter().enumerate().filter(|(_, count)| **count > 0);
                taken.extend(hits.map(|(of, count)| (at + of, class_of(*count))));
            }
        }
    });
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_single_bits_that_grow_with_the_count() {
        let classes: Vec<u8> = (0..=u8::MAX).map(class_of).collect();
        assert!(classes.is_sorted());
        assert!(classes[1..].iter().all(|class| class.count_ones() == 1));
    }
}
