//! Integration tests of real processes.
