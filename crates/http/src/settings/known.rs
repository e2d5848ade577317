//! Parameters of the URL that are no settings, and settings of which only one value can be taken.

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

/// Settings whose meaning would change the answer if they were taken and not done: only their neutral value is.
pub(super) const NEUTRAL: &[(&str, &[&str])] = &[
    ("input_format_allow_errors_num", &["0"]),
    ("input_format_allow_errors_ratio", &["0", "0.0"]),
    ("input_format_csv_skip_first_lines", &["0"]),
    ("input_format_tsv_skip_first_lines", &["0"]),
    ("extremes", &["0"]),
    ("format_csv_null_representation", &["\\N"]),
    ("format_tsv_null_representation", &["\\N"]),
    ("output_format_tsv_crlf_end_of_line", &["0"]),
    ("output_format_csv_crlf_end_of_line", &["0"]),
    ("insert_quorum", &["0", "1", "auto"]),
    ("http_write_exception_in_output_format", &["0", "false"]),
];
