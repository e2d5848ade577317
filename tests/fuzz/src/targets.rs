//! The targets by kind.

pub(crate) mod datagram;
pub(crate) mod packed;
pub(crate) mod request;
pub(crate) mod rows;
