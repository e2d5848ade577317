//! Laws of the formats, from outside: golden files of a real ClickHouse, round trips, cuts, hostile input.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod formats {
    mod cuts;
    mod exceptions;
    mod golden;
    mod hostile;
    mod insert_head;
    mod msgpack;
    mod native;
    mod round_trip;
    mod rules;
    pub(crate) mod support;
}
