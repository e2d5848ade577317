//! The formats by name: ClickHouse's spellings, their aliases, their media types and directions.

use zepto_common::{Error, ErrorCode, Result};

macro_rules! formats {
    ($($variant:ident $name:literal $read:literal $write:literal $media:literal [$($alias:literal)*];)*) => {
        /// A way to write rows as bytes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Format {
            $(#[doc = concat!("ClickHouse's ", $name, ".")] $variant,)*
        }

        impl Format {
            /// Every format.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The canonical name, as `X-ClickHouse-Format` says it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The media type of an answer.
            #[must_use]
            pub const fn content_type(self) -> &'static str {
                match self { $(Self::$variant => $media),* }
            }

            /// Whether [`crate::decoder`] takes it.
            #[must_use]
            pub const fn can_read(self) -> bool {
                match self { $(Self::$variant => $read),* }
            }

            /// Whether [`crate::encoder`] gives it.
            #[must_use]
            pub const fn can_write(self) -> bool {
                match self { $(Self::$variant => $write),* }
            }

            const fn aliases(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($alias),*]),* }
            }
        }
    };
}

formats! {
    TabSeparated "TabSeparated" true true "text/tab-separated-values; charset=UTF-8" ["TSV"];
    TabSeparatedWithNames "TabSeparatedWithNames" true true "text/tab-separated-values; charset=UTF-8" ["TSVWithNames"];
    TabSeparatedWithNamesAndTypes "TabSeparatedWithNamesAndTypes" true true "text/tab-separated-values; charset=UTF-8" ["TSVWithNamesAndTypes"];
    TabSeparatedRaw "TabSeparatedRaw" true true "text/tab-separated-values; charset=UTF-8" ["TSVRaw" "Raw"];
    TabSeparatedRawWithNames "TabSeparatedRawWithNames" true true "text/tab-separated-values; charset=UTF-8" ["TSVRawWithNames" "RawWithNames"];
    TabSeparatedRawWithNamesAndTypes "TabSeparatedRawWithNamesAndTypes" true true "text/tab-separated-values; charset=UTF-8" ["TSVRawWithNamesAndTypes" "RawWithNamesAndTypes"];
    Csv "CSV" true true "text/csv; charset=UTF-8; header=absent" [];
    CsvWithNames "CSVWithNames" true true "text/csv; charset=UTF-8; header=present" [];
    CsvWithNamesAndTypes "CSVWithNamesAndTypes" true true "text/csv; charset=UTF-8; header=present" [];
    Values "Values" true true "text/plain; charset=UTF-8" [];
    Json "JSON" true true "application/json; charset=UTF-8" [];
    JsonCompact "JSONCompact" true true "application/json; charset=UTF-8" [];
    JsonStrings "JSONStrings" false true "application/json; charset=UTF-8" [];
    JsonCompactStrings "JSONCompactStrings" false true "application/json; charset=UTF-8" [];
    JsonColumns "JSONColumns" true true "application/json; charset=UTF-8" [];
    JsonCompactColumns "JSONCompactColumns" true true "application/json; charset=UTF-8" [];
    JsonColumnsWithMetadata "JSONColumnsWithMetadata" true true "application/json; charset=UTF-8" [];
    JsonEachRow "JSONEachRow" true true "application/x-ndjson; charset=UTF-8" ["JSONLines" "NDJSON" "JSONL"];
    JsonCompactEachRow "JSONCompactEachRow" true true "application/x-ndjson; charset=UTF-8" [];
    JsonCompactEachRowWithNames "JSONCompactEachRowWithNames" true true "application/x-ndjson; charset=UTF-8" [];
    JsonCompactEachRowWithNamesAndTypes "JSONCompactEachRowWithNamesAndTypes" true true "application/x-ndjson; charset=UTF-8" [];
    JsonStringsEachRow "JSONStringsEachRow" true true "application/x-ndjson; charset=UTF-8" [];
    JsonCompactStringsEachRow "JSONCompactStringsEachRow" true true "application/x-ndjson; charset=UTF-8" [];
    JsonCompactStringsEachRowWithNames "JSONCompactStringsEachRowWithNames" true true "application/x-ndjson; charset=UTF-8" [];
    JsonCompactStringsEachRowWithNamesAndTypes "JSONCompactStringsEachRowWithNamesAndTypes" true true "application/x-ndjson; charset=UTF-8" [];
    RowBinary "RowBinary" true true "application/octet-stream" [];
    RowBinaryWithNames "RowBinaryWithNames" true true "application/octet-stream" [];
    RowBinaryWithNamesAndTypes "RowBinaryWithNamesAndTypes" true true "application/octet-stream" [];
    Native "Native" true true "application/octet-stream" [];
    Arrow "Arrow" true true "application/octet-stream" [];
    ArrowStream "ArrowStream" true true "application/octet-stream" [];
    Parquet "Parquet" true true "application/octet-stream" [];
    MsgPack "MsgPack" true true "application/msgpack" [];
    MsgPackColumns "MsgPackColumns" true false "application/msgpack" [];
    Pretty "Pretty" false true "text/plain; charset=UTF-8" [];
    PrettyNoEscapes "PrettyNoEscapes" false true "text/plain; charset=UTF-8" [];
    PrettyCompact "PrettyCompact" false true "text/plain; charset=UTF-8" [];
    PrettyCompactNoEscapes "PrettyCompactNoEscapes" false true "text/plain; charset=UTF-8" [];
    PrettySpace "PrettySpace" false true "text/plain; charset=UTF-8" [];
    PrettySpaceNoEscapes "PrettySpaceNoEscapes" false true "text/plain; charset=UTF-8" [];
    PrettyMonoBlock "PrettyMonoBlock" false true "text/plain; charset=UTF-8" [];
    PrettyNoEscapesMonoBlock "PrettyNoEscapesMonoBlock" false true "text/plain; charset=UTF-8" [];
    PrettyCompactMonoBlock "PrettyCompactMonoBlock" false true "text/plain; charset=UTF-8" [];
    PrettyCompactNoEscapesMonoBlock "PrettyCompactNoEscapesMonoBlock" false true "text/plain; charset=UTF-8" [];
    PrettySpaceMonoBlock "PrettySpaceMonoBlock" false true "text/plain; charset=UTF-8" [];
    PrettySpaceNoEscapesMonoBlock "PrettySpaceNoEscapesMonoBlock" false true "text/plain; charset=UTF-8" [];
    Markdown "Markdown" false true "text/markdown; charset=UTF-8" ["MD"];
    Vertical "Vertical" false true "text/plain; charset=UTF-8" [];
    Null "Null" false true "text/plain; charset=UTF-8" [];
}

impl Format {
    /// The format of this name or alias, without regard to case.
    ///
    /// # Errors
    /// `UnknownFormat`.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|format| {
                format.name().eq_ignore_ascii_case(name)
                    || format.aliases().iter().any(|alias| alias.eq_ignore_ascii_case(name))
            })
            .ok_or_else(|| Error::new(ErrorCode::UnknownFormat, format!("Unknown format {name}")))
    }

    /// Whether a result that broke off can end with the exception inside the format, as ClickHouse writes it there.
    #[must_use]
    pub const fn holds_exceptions(self) -> bool {
        matches!(
            self,
            Self::Json
                | Self::JsonCompact
                | Self::JsonStrings
                | Self::JsonCompactStrings
                | Self::JsonEachRow
                | Self::JsonStringsEachRow
                | Self::JsonCompactEachRow
                | Self::JsonCompactEachRowWithNames
                | Self::JsonCompactEachRowWithNamesAndTypes
                | Self::JsonCompactStringsEachRow
                | Self::JsonCompactStringsEachRowWithNames
                | Self::JsonCompactStringsEachRowWithNamesAndTypes
        )
    }

    /// The error for a format that is written but not read.
    pub(crate) fn no_input(self) -> Error {
        let message = format!("Format {} is not suitable for input", self.name());
        Error::new(ErrorCode::FormatIsNotSuitableForInput, message)
    }

    /// The same for output.
    pub(crate) fn no_output(self) -> Error {
        let message = format!("Format {} is not suitable for output", self.name());
        Error::new(ErrorCode::FormatIsNotSuitableForOutput, message)
    }
}
