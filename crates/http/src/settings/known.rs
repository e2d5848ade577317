//! Parameters of the URL that are no settings.

/// Parameters of the interface itself, not settings.
pub(super) const INTERFACE: &[&str] = &[
    "user",
    "password",
    "quota_key",
    "role",
    "session_id",
    "session_timeout",
    "session_check",
    "close_session",
    "buffer_size",
    "compress",
    "decompress",
    "stacktrace",
    "client_protocol_version",
];
