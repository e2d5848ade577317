//! The request settings that change how rows are read and written; ClickHouse's names and defaults.

use std::collections::BTreeMap;
use std::sync::Arc;

use zepto_common::{Error, ErrorCode, Result};

use crate::by_name::NameMatching;

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

/// What NULL and the flags are called in formats of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// `format_csv_null_representation`.
    pub csv_null: String,
    /// `format_tsv_null_representation`.
    pub tsv_null: String,
    /// `bool_true_representation`.
    pub yes: String,
    /// `bool_false_representation`.
    pub no: String,
}

impl Words {
    /// The usual word for a flag that has this name.
    pub(crate) fn flag(&self, text: &[u8]) -> Option<&'static [u8]> {
        let is = |word: &String| word.as_bytes() == text;
        if is(&self.yes) { Some(b"true") } else { is(&self.no).then_some(b"false") }
    }
}

impl Default for Words {
    fn default() -> Self {
        Self { csv_null: "\\N".into(), tsv_null: "\\N".into(), yes: "true".into(), no: "false".into() }
    }
}

/// Rows that may be wrong and are left out then.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tolerance {
    /// `input_format_allow_errors_num`.
    pub rows: u64,
    /// `input_format_allow_errors_ratio`: of all rows so far.
    pub share: f64,
}

/// Settings of one request, with ClickHouse's defaults.
#[derive(Debug, Clone, PartialEq)]
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
    /// `input_format_column_name_matching_mode`.
    pub name_matching: NameMatching,
    /// `input_format_arrow_case_insensitive_column_matching`.
    pub arrow_any_case: bool,
    /// `input_format_parquet_case_insensitive_column_matching`.
    pub parquet_any_case: bool,
    /// `input_format_csv_detect_header`: a first line of columns' names is a header.
    pub csv_detect_header: bool,
    /// `input_format_tsv_detect_header`: the same for TabSeparated.
    pub tsv_detect_header: bool,
    /// `input_format_with_names_use_header`: a header says where fields go.
    pub use_header_names: bool,
    /// `input_format_with_types_use_header`: a header's types must be the columns'.
    pub use_header_types: bool,
    /// `input_format_csv_skip_first_lines`.
    pub csv_skip_lines: u64,
    /// `input_format_tsv_skip_first_lines`.
    pub tsv_skip_lines: u64,
    /// `output_format_csv_crlf_end_of_line`.
    pub csv_crlf: bool,
    /// `output_format_tsv_crlf_end_of_line`.
    pub tsv_crlf: bool,
    /// `output_format_decimal_trailing_zeros`.
    pub decimal_zeros: bool,
    /// Other words for NULL and the flags; None: the usual ones.
    pub words: Option<Arc<Words>>,
    /// Rows that may be wrong.
    pub tolerance: Tolerance,
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
            name_matching: NameMatching::Auto,
            arrow_any_case: false,
            parquet_any_case: false,
            csv_detect_header: true,
            tsv_detect_header: true,
            use_header_names: true,
            use_header_types: true,
            csv_skip_lines: 0,
            tsv_skip_lines: 0,
            csv_crlf: false,
            tsv_crlf: false,
            decimal_zeros: false,
            words: None,
            tolerance: Tolerance::default(),
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

    /// The same for values that are written only to be read again.
    pub(crate) fn without_words(&self) -> Self {
        Self { words: None, decimal_zeros: false, ..self.clone() }
    }

    fn words(&mut self) -> &mut Words {
        Arc::make_mut(self.words.get_or_insert_default())
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
            _ => return self.set_of_lines(name, value, flag(), bad()),
        }
        Ok(())
    }

    /// Settings of headers, names and lines; `flag` is the value as one, `bad` the fault of a value that is none.
    fn set_of_lines(&mut self, name: &str, value: &str, flag: Result<bool>, bad: Error) -> Result<()> {
        let size = || zepto_common::settings::size(value);
        match name {
            "input_format_column_name_matching_mode" => {
                self.name_matching = NameMatching::parse(value).ok_or(bad)?;
            }
            "input_format_arrow_case_insensitive_column_matching" => self.arrow_any_case = flag?,
            "input_format_parquet_case_insensitive_column_matching" => self.parquet_any_case = flag?,
            "input_format_csv_detect_header" => self.csv_detect_header = flag?,
            "input_format_tsv_detect_header" => self.tsv_detect_header = flag?,
            "input_format_with_names_use_header" => self.use_header_names = flag?,
            "input_format_with_types_use_header" => self.use_header_types = flag?,
            "input_format_csv_skip_first_lines" => self.csv_skip_lines = size().ok_or(bad)?,
            "input_format_tsv_skip_first_lines" => self.tsv_skip_lines = size().ok_or(bad)?,
            "output_format_csv_crlf_end_of_line" => self.csv_crlf = flag?,
            "output_format_tsv_crlf_end_of_line" => self.tsv_crlf = flag?,
            "output_format_decimal_trailing_zeros" => self.decimal_zeros = flag?,
            "format_csv_null_representation" => value.clone_into(&mut self.words().csv_null),
            "format_tsv_null_representation" => value.clone_into(&mut self.words().tsv_null),
            "bool_true_representation" => value.clone_into(&mut self.words().yes),
            "bool_false_representation" => value.clone_into(&mut self.words().no),
            "input_format_allow_errors_num" => self.tolerance.rows = size().ok_or(bad)?,
            "input_format_allow_errors_ratio" => self.tolerance.share = value.parse().map_err(|_| bad)?,
            _ => {}
        }
        Ok(())
    }
}
