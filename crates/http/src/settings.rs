//! What a request asks for beside its statement: settings, parameters of the statement, format, identity.
//!
//! Every parameter of the URL is a setting of ClickHouse unless it is one of the interface. An unknown name is
//! refused (115), so that a misspelt setting never does nothing in silence.

mod escapes;
mod known;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use zepto_common::schema::DEFAULT_DATABASE;
use zepto_common::{Error, ErrorCode, Result};

use crate::params::Parameters;

/// Longest `query_id` and `X-Request-Id`, in bytes.
pub const ID_BYTES_MAX: usize = 128;

/// What `USE` says in a session, among the settings that it remembers.
pub(crate) const DATABASE: &str = "database";

/// How often progress is told when the client does not say.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Longest `max_execution_time` that is told from an endless one: a year.
const TIME_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);

/// The parameters of one request, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSettings {
    /// The `query` parameter; empty when it is missing.
    pub statement: String,
    /// For names without a database.
    pub database: String,
    /// For a statement without FORMAT: `default_format`, or else the `X-ClickHouse-Format` header.
    pub default_format: Option<String>,
    /// The client's id for the statement.
    pub query_id: Option<String>,
    /// Hold the answer back until it is whole, as far as the bound allows.
    pub wait_end_of_query: bool,
    /// The client's bound on the whole statement.
    pub max_execution_time: Option<Duration>,
    /// Bytes of the answer to hold back, however long they take; None: as the door does.
    pub buffer_size: Option<u64>,
    /// How often the answer's head tells how far the statement is; None: not at all.
    pub progress_interval: Option<Duration>,
    /// `compress=1`: the answer is in ClickHouse's native blocks.
    pub packed: bool,
    /// `client_protocol_version`: the revision of the Native blocks that the client reads; None is the first one.
    pub native_revision: Option<u64>,
    /// `readonly` is not 0.
    pub read_only: bool,
    /// `enable_http_compression` is not 0.
    pub compression: bool,
    /// Names the rows of an INSERT, so that a retry is recognised.
    pub deduplication_token: Option<String>,
    /// `add_http_cors_header` is not 0.
    pub cors: bool,
    /// All settings for the query service and the formats, by name.
    pub settings: BTreeMap<String, String>,
    /// `param_<name>`, unescaped; None is NULL.
    pub params: BTreeMap<String, Option<String>>,
    /// The same as they were sent.
    pub sent_params: BTreeMap<String, String>,
}

impl RequestSettings {
    /// Sorts the parameters of a request; `also` names further parameters that this route takes.
    ///
    /// # Errors
    /// `UnknownSetting` by name; ClickHouse's code for a value that cannot be.
    pub fn read(parameters: &Parameters, headers: &HeaderMap, also: &[&str]) -> Result<Self> {
        Self::read_over(&BTreeMap::new(), parameters, headers, also)
    }

    /// The same over what the request's session remembers: settings by name, and a `database`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_over(
        session: &BTreeMap<String, String>,
        parameters: &Parameters,
        headers: &HeaderMap,
        also: &[&str],
    ) -> Result<Self> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let database = header("x-clickhouse-database").or(session.get(DATABASE).map(String::as_str));
        let mut this = Self {
            statement: String::new(),
            database: database.unwrap_or(DEFAULT_DATABASE).to_owned(),
            default_format: header("x-clickhouse-format").map(str::to_owned),
            query_id: None,
            wait_end_of_query: false,
            max_execution_time: None,
            buffer_size: None,
            progress_interval: None,
            native_revision: None,
            packed: false,
            read_only: false,
            compression: true,
            deduplication_token: None,
            cors: false,
            settings: BTreeMap::new(),
            params: BTreeMap::new(),
            sent_params: BTreeMap::new(),
        };
        for (name, value) in session.iter().filter(|(name, _)| *name != DATABASE) {
            this.take(name, value)?;
        }
        for (name, value) in parameters.iter() {
            if !also.contains(&name) {
                this.take(name, value)?;
            }
        }
        if flag("send_progress_in_http_headers", this.setting("send_progress_in_http_headers"))? {
            let wanted = zepto_common::settings::size(this.setting("http_headers_progress_interval_ms"));
            this.progress_interval = Some(wanted.map_or(PROGRESS_INTERVAL, Duration::from_millis));
        }
        Ok(this)
    }

    /// The value of a setting; empty when it was not sent.
    fn setting(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", String::as_str)
    }

    /// The values of `param_<name>` for this statement: those of arrays, tuples and maps as they were sent, because
    /// their escapes belong to the texts within them.
    #[must_use]
    pub fn params_for(&self, statement: &str) -> BTreeMap<String, Option<String>> {
        let mut params = self.params.clone();
        for (name, sent) in &self.sent_params {
            if sent.contains('\\') && escapes::is_container(statement, name) {
                params.insert(name.clone(), Some(sent.clone()));
            }
        }
        params
    }

    /// The same with the settings of a statement's SETTINGS clause over it.
    ///
    /// # Errors
    /// As [`Self::read`]; names of the interface are no settings.
    pub fn with_clause(&self, clause: &BTreeMap<String, String>) -> Result<Self> {
        let mut this = self.clone();
        for (name, value) in clause {
            let of_interface = known::INTERFACE.contains(&name.as_str())
                || name.starts_with("param_")
                || matches!(name.as_str(), "query" | "query_id" | "database" | "default_format");
            if of_interface {
                return Err(unknown(name));
            }
            this.take(name, value)?;
        }
        Ok(this)
    }

    /// The same with parameters that a statement has set: `param_<name>`.
    ///
    /// # Errors
    /// `CannotParseEscapeSequence`, `BadArguments` for a value that is not UTF-8.
    pub fn with_params(&self, params: &BTreeMap<String, String>) -> Result<Self> {
        let mut this = self.clone();
        params.iter().try_for_each(|(name, value)| this.take(name, value))?;
        Ok(this)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<()> {
        if let Some(parameter) = name.strip_prefix("param_") {
            self.params.insert(parameter.to_owned(), escapes::unescape(value)?);
            self.sent_params.insert(parameter.to_owned(), value.to_owned());
            return Ok(());
        }
        match name {
            // Several are one text, also when one of them comes in a form.
            "query" => self.statement.push_str(value),
            "database" if value.is_empty() => {}
            "database" => value.clone_into(&mut self.database),
            "default_format" => self.default_format = Some(value.to_owned()).filter(|name| !name.is_empty()),
            "query_id" => self.query_id = query_id(value)?,
            "wait_end_of_query" => self.wait_end_of_query = flag(name, value)?,
            "enable_http_compression" => self.compression = flag(name, value)?,
            "add_http_cors_header" => self.cors = flag(name, value)?,
            "insert_deduplication_token" => {
                self.deduplication_token = Some(value.to_owned()).filter(|token| !token.is_empty());
                // For an INSERT … SELECT, which the query side writes.
                self.settings.insert(name.to_owned(), value.to_owned());
            }
            "compress" => self.packed = flag(name, value)?,
            "decompress" => flag(name, value).map(|_| ())?,
            "buffer_size" => self.buffer_size = Some(value.parse().map_err(|_| bad_value(name, value))?),
            "client_protocol_version" => {
                self.native_revision = Some(value.parse().map_err(|_| bad_value(name, value))?);
            }
            _ if known::INTERFACE.contains(&name) => {}
            _ if zepto_common::settings::exists(name) => {
                zepto_common::settings::check(name, value)?;
                match name {
                    "max_execution_time" => self.max_execution_time = seconds(name, value)?,
                    "http_wait_end_of_query" => self.wait_end_of_query = flag(name, value)?,
                    "http_response_buffer_size" => {
                        self.buffer_size = zepto_common::settings::size(value).filter(|size| *size > 0);
                    }
                    "readonly" => self.read_only = value != "0" && !value.is_empty(),
                    _ => {}
                }
                self.settings.insert(name.to_owned(), value.to_owned());
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorCode::UnknownSetting, format!("Unknown setting '{}'", shorten(name)))
}

fn shorten(name: &str) -> String {
    name.chars().take(zepto_common::limits::NAME_BYTES_MAX).flat_map(char::escape_debug).collect()
}

fn bad_value(name: &str, value: &str) -> Error {
    let text = format!("Cannot use value '{}' for setting {name}", shorten(value));
    Error::new(ErrorCode::BadArguments, text)
}

fn flag(name: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" | "" => Ok(false),
        _ => Err(bad_value(name, value)),
    }
}

/// Seconds, possibly with a fraction; 0 is no bound, and beyond [`TIME_MAX`] nothing changes.
fn seconds(name: &str, value: &str) -> Result<Option<Duration>> {
    let seconds: f64 = value.parse().map_err(|_| bad_value(name, value))?;
    let bound = Duration::try_from_secs_f64(seconds).map_err(|_| bad_value(name, value))?;
    Ok(Some(bound.min(TIME_MAX)).filter(|bound| !bound.is_zero()))
}

/// An id that may stand in a header; empty means none.
fn query_id(value: &str) -> Result<Option<String>> {
    if value.len() > ID_BYTES_MAX || !value.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
        let text = format!("query_id has at most {ID_BYTES_MAX} bytes of printable ASCII");
        return Err(Error::new(ErrorCode::BadArguments, text));
    }
    Ok(Some(value.to_owned()).filter(|id| !id.is_empty()))
}
