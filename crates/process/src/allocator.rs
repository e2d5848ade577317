//! The allocator of the programs: when it gives freed memory back to the system.
//!
//! By itself mimalloc keeps freed pages for a second, and those of its arenas for ten. Under a load that frees and takes some
//! hundred megabytes a second a process held up to twice what it used.

use libmimalloc_sys::mi_option_t;

/// `mi_option_purge_delay` of mimalloc 3 (`mimalloc.h`), which the crate has no name for.
const PURGE_DELAY: mi_option_t = 15;
/// Milliseconds until freed pages go back; ten times that for those of arenas. What version 2 had.
const PURGE_DELAY_MS: std::ffi::c_long = 10;

/// Has freed memory given back soon, unless the environment says otherwise (`MIMALLOC_PURGE_DELAY`). To be called first
/// thing by a program whose allocator mimalloc is.
#[expect(unsafe_code, reason = "the allocator's C interface has no safe form")]
pub fn give_back_soon() {
    // SAFETY: sets a number that the allocator reads when it frees; the option's number is checked by the callee.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) }
}

/// Gives back all that is free now. Takes some milliseconds.
#[expect(unsafe_code, reason = "the allocator's C interface has no safe form")]
pub fn give_back_now() {
    // SAFETY: may be called from any thread at any time; it touches free memory only.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(unsafe_code, reason = "the allocator's C interface has no safe form")]
    fn delay() -> std::ffi::c_long {
        // SAFETY: reads a number.
        unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }
    }

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        assert_eq!(delay(), 1_000, "what mimalloc 3 does by itself");
        give_back_soon();
        assert_eq!(delay(), PURGE_DELAY_MS);
    }
}
