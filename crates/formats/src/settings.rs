//! The request settings that change how rows are read and written; ClickHouse's names and defaults.

use std::collections::BTreeMap;

use zepto_common::{Error, ErrorCode, Result};

/// How DateTime and DateTime64 are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeOutput {
    /// `2024-01-02 03:04:05.678`.
    #[default]
    Simple,
    /// `2024-01-02T03:04:05.678Z`, in UTC.
    Iso,
    /// Seconds since 1970 with the fraction.
    Unix,
}

/// Settings of one request, with ClickHouse's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatSettings {
    /// `date_time_input_format` is not `basic`.
    pub best_effort: bool,
    /// `date_time_output_format`.
    pub time_output: TimeOutput,
    /// `input_format_null_as_default`: NULL for a column that is not Nullable stores its default.
    pub null_as_default: bool,
    /// `input_format_skip_unknown_fields`: fields that are no column are passed over.
    pub skip_unknown_fields: bool,
    /// `input_format_csv_empty_as_default`: an empty unquoted CSV field stores the default.
    pub csv_empty_as_default: bool,
    /// `input_format_tsv_empty_as_default`: the same for TabSeparated.
    pub tsv_empty_as_default: bool,
    /// `input_format_values_interpret_expressions`.
    pub interpret_expressions: bool,
    /// `format_csv_delimiter`: one byte.
    pub csv_delimiter: u8,
    /// `output_format_json_quote_64bit_integers`.
    pub quote_64bit_integers: bool,
    /// `output_format_json_quote_denormals`: nan and inf as strings instead of null.
    pub quote_denormals: bool,
    /// `output_format_json_escape_forward_slashes`.
    pub escape_forward_slashes: bool,
    /// `output_format_json_quote_64bit_floats`: Float64 in quotes, also what stands for nan.
    pub quote_64bit_floats: bool,
    /// `output_format_json_quote_decimals`.
    pub quote_decimals: bool,
    /// `output_format_json_array_of_rows`: the rows of JSONEachRow are one array.
    pub json_array_of_rows: bool,
    /// `output_format_json_pretty_print`: nested values of JSON documents have lines of their own.
    pub json_pretty_print: bool,
    /// `output_format_write_statistics`: JSON documents tell the elapsed time and what was read.
    pub write_statistics: bool,
    /// `output_format_pretty_row_numbers`.
    pub pretty_row_numbers: bool,
    /// `output_format_pretty_max_rows`.
    pub pretty_max_rows: u64,
    /// `output_format_pretty_color` is 1: bold names (never when `auto`, there is no terminal).
    pub pretty_color: bool,
    /// `session_timezone`: the zone of DateTime types that name none.
    pub time_zone: Option<chrono_tz::Tz>,
    /// `client_protocol_version`: the revision of ClickHouse's protocol whose Native blocks the client reads.
    pub client_protocol_version: u64,
}

impl Default for FormatSettings {
    fn default() -> Self {
        Self {
            best_effort: true,
            time_output: TimeOutput::Simple,
            null_as_default: true,
            skip_unknown_fields: true,
            csv_empty_as_default: true,
            tsv_empty_as_default: false,
            interpret_expressions: true,
            csv_delimiter: b',',
            quote_64bit_integers: false,
            quote_denormals: false,
            escape_forward_slashes: true,
            quote_64bit_floats: false,
            quote_decimals: false,
            json_array_of_rows: false,
            json_pretty_print: true,
            write_statistics: true,
            pretty_row_numbers: true,
            pretty_max_rows: 1_000,
            pretty_color: false,
            time_zone: None,
            client_protocol_version: 0,
        }
    }
}

impl FormatSettings {
    /// Names that [`FormatSettings::from_map`] understands.
    pub const NAMES: &'static [&'static str] = zepto_common::settings::FORMATS;

    /// Takes the known names out of a request's settings; other names are not this crate's to judge.
    ///
    /// # Errors
    /// `BadArguments` for a value that does not fit its name.
    pub fn from_map(map: &BTreeMap<String, String>) -> Result<Self> {
        let mut settings = Self::default();
        for (name, value) in map {
            settings.set(name, value)?;
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let bad = || {
            let message = format!("Cannot use value '{value}' for setting {name}");
            Error::new(ErrorCode::BadArguments, message)
        };
        let flag = || match value.to_ascii_lowercase().as_str() {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(bad()),
        };
        match name {
            "date_time_input_format" => self.best_effort = value != "basic",
            "date_time_output_format" => {
                self.time_output = match value {
                    "simple" => TimeOutput::Simple,
                    "iso" => TimeOutput::Iso,
                    "unix_timestamp" => TimeOutput::Unix,
                    _ => return Err(bad()),
                };
            }
            "input_format_null_as_default" => self.null_as_default = flag()?,
            "input_format_skip_unknown_fields" => self.skip_unknown_fields = flag()?,
            "input_format_csv_empty_as_default" => self.csv_empty_as_default = flag()?,
            "input_format_tsv_empty_as_default" => self.tsv_empty_as_default = flag()?,
            "input_format_values_interpret_expressions" => self.interpret_expressions = flag()?,
            "format_csv_delimiter" => match value.as_bytes() {
                [one] if !matches!(one, b'"' | b'\'' | b'\n' | b'\r' | b'\\') => self.csv_delimiter = *one,
                _ => return Err(bad()),
            },
            "output_format_json_quote_64bit_integers" => self.quote_64bit_integers = flag()?,
            "output_format_json_quote_denormals" => self.quote_denormals = flag()?,
            "output_format_json_escape_forward_slashes" => self.escape_forward_slashes = flag()?,
            "output_format_json_quote_64bit_floats" => self.quote_64bit_floats = flag()?,
            "output_format_json_quote_decimals" => self.quote_decimals = flag()?,
            "output_format_json_array_of_rows" => self.json_array_of_rows = flag()?,
            "output_format_json_pretty_print" => self.json_pretty_print = flag()?,
            "output_format_write_statistics" => self.write_statistics = flag()?,
            "output_format_pretty_row_numbers" => self.pretty_row_numbers = flag()?,
            "output_format_pretty_max_rows" => self.pretty_max_rows = value.parse().map_err(|_| bad())?,
            "output_format_pretty_color" => self.pretty_color = matches!(value, "1" | "true"),
            "session_timezone" if !value.is_empty() => {
                self.time_zone = Some(value.parse().map_err(|_| bad())?);
            }
            "client_protocol_version" => {
                self.client_protocol_version = value.parse().map_err(|_| bad())?;
            }
            _ => {}
        }
        Ok(())
    }
}
