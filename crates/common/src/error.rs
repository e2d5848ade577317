//! Error codes with ClickHouse's number and name, HTTP status and retry action; and the error that carries one.

use std::fmt;
use std::time::Duration;

/// Result with the workspace's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller may do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// The same node may succeed at once (with the same batch id).
    SameNode,
    /// Another node may succeed, after the routing table was refreshed.
    Reroute,
    /// The same request may succeed after this time.
    After(Duration),
}

macro_rules! codes {
    ($($variant:ident = $number:literal $name:ident $status:literal;)*) => {
        /// A kind of fault: ClickHouse's number and name for it, and the HTTP status it is answered with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(
                #[doc = concat!("ClickHouse's ", stringify!($name), " (", $number, ").")]
                $variant,
            )*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// ClickHouse's number.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self { $(Self::$variant => $number),* }
            }

            /// ClickHouse's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name)),* }
            }

            /// The HTTP status, as ClickHouse's `exceptionCodeToHTTPStatus` maps it, but for overload and
            /// missing quorum, which are 429 and 503 so that drivers and load balancers understand them.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }
        }
    };
}

codes! {
    UnsupportedMethod = 1 UNSUPPORTED_METHOD 500;
    UnsupportedParameter = 2 UNSUPPORTED_PARAMETER 500;
    CannotParseText = 6 CANNOT_PARSE_TEXT 400;
    ThereIsNoColumn = 8 THERE_IS_NO_COLUMN 400;
    NotFoundColumnInBlock = 10 NOT_FOUND_COLUMN_IN_BLOCK 500;
    DuplicateColumn = 15 DUPLICATE_COLUMN 400;
    NoSuchColumnInTable = 16 NO_SUCH_COLUMN_IN_TABLE 500;
    NumberOfColumnsDoesntMatch = 20 NUMBER_OF_COLUMNS_DOESNT_MATCH 500;
    CannotParseEscapeSequence = 25 CANNOT_PARSE_ESCAPE_SEQUENCE 400;
    CannotParseQuotedString = 26 CANNOT_PARSE_QUOTED_STRING 400;
    CannotParseInputAssertionFailed = 27 CANNOT_PARSE_INPUT_ASSERTION_FAILED 400;
    AttemptToReadAfterEof = 32 ATTEMPT_TO_READ_AFTER_EOF 500;
    CannotReadAllData = 33 CANNOT_READ_ALL_DATA 500;
    TooManyArgumentsForFunction = 34 TOO_MANY_ARGUMENTS_FOR_FUNCTION 500;
    TooFewArgumentsForFunction = 35 TOO_FEW_ARGUMENTS_FOR_FUNCTION 500;
    BadArguments = 36 BAD_ARGUMENTS 400;
    UnknownElementInAst = 37 UNKNOWN_ELEMENT_IN_AST 400;
    CannotParseDate = 38 CANNOT_PARSE_DATE 400;
    CannotParseDateTime = 41 CANNOT_PARSE_DATETIME 400;
    NumberOfArgumentsDoesntMatch = 42 NUMBER_OF_ARGUMENTS_DOESNT_MATCH 500;
    IllegalTypeOfArgument = 43 ILLEGAL_TYPE_OF_ARGUMENT 500;
    IllegalColumn = 44 ILLEGAL_COLUMN 400;
    UnknownFunction = 46 UNKNOWN_FUNCTION 404;
    UnknownIdentifier = 47 UNKNOWN_IDENTIFIER 404;
    NotImplemented = 48 NOT_IMPLEMENTED 501;
    LogicalError = 49 LOGICAL_ERROR 500;
    UnknownType = 50 UNKNOWN_TYPE 404;
    EmptyListOfColumnsQueried = 51 EMPTY_LIST_OF_COLUMNS_QUERIED 500;
    TypeMismatch = 53 TYPE_MISMATCH 400;
    UnknownStorage = 56 UNKNOWN_STORAGE 404;
    TableAlreadyExists = 57 TABLE_ALREADY_EXISTS 500;
    UnknownTable = 60 UNKNOWN_TABLE 404;
    SyntaxError = 62 SYNTAX_ERROR 400;
    UnknownAggregateFunction = 63 UNKNOWN_AGGREGATE_FUNCTION 404;
    IllegalTypeOfColumnForFilter = 59 ILLEGAL_TYPE_OF_COLUMN_FOR_FILTER 500;
    ArgumentOutOfBound = 69 ARGUMENT_OUT_OF_BOUND 500;
    CannotConvertType = 70 CANNOT_CONVERT_TYPE 500;
    CannotParseNumber = 72 CANNOT_PARSE_NUMBER 400;
    UnknownFormat = 73 UNKNOWN_FORMAT 404;
    CannotOpenFile = 76 CANNOT_OPEN_FILE 503;
    UnknownTypeOfQuery = 78 UNKNOWN_TYPE_OF_QUERY 404;
    UnknownDatabase = 81 UNKNOWN_DATABASE 404;
    DatabaseAlreadyExists = 82 DATABASE_ALREADY_EXISTS 500;
    FormatIsNotSuitableForInput = 85 FORMAT_IS_NOT_SUITABLE_FOR_INPUT 500;
    IncorrectElementOfSet = 124 INCORRECT_ELEMENT_OF_SET 500;
    FormatIsNotSuitableForOutput = 399 FORMAT_IS_NOT_SUITABLE_FOR_OUTPUT 500;
    CannotUpdateColumn = 420 CANNOT_UPDATE_COLUMN 500;
    WithTiesWithoutOrderBy = 476 WITH_TIES_WITHOUT_ORDER_BY 500;
    UnknownSetting = 115 UNKNOWN_SETTING 404;
    IncorrectData = 117 INCORRECT_DATA 400;
    SizeOfFixedStringDoesntMatch = 19 SIZE_OF_FIXED_STRING_DOESNT_MATCH 500;
    TooLargeSizeCompressed = 39 TOO_LARGE_SIZE_COMPRESSED 500;
    ChecksumDoesntMatch = 40 CHECKSUM_DOESNT_MATCH 500;
    UnknownOverflowMode = 145 UNKNOWN_OVERFLOW_MODE 500;
    UnknownDirectionOfSorting = 152 UNKNOWN_DIRECTION_OF_SORTING 404;
    IncorrectResultOfScalarSubquery = 125 INCORRECT_RESULT_OF_SCALAR_SUBQUERY 500;
    CannotReadArrayFromText = 130 CANNOT_READ_ARRAY_FROM_TEXT 500;
    AggregateFunctionDoesntAllowParameters = 133 AGGREGATE_FUNCTION_DOESNT_ALLOW_PARAMETERS 500;
    UnknownTypeOfAstNode = 123 UNKNOWN_TYPE_OF_AST_NODE 400;
    UnknownDatabaseEngine = 336 UNKNOWN_DATABASE_ENGINE 404;
    InvalidSessionTimeout = 374 INVALID_SESSION_TIMEOUT 500;
    UnknownJoin = 418 UNKNOWN_JOIN 500;
    UnknownCodec = 432 UNKNOWN_CODEC 500;
    UnknownRole = 511 UNKNOWN_ROLE 404;
    SetNonGrantedRole = 512 SET_NON_GRANTED_ROLE 403;
    UnknownUnion = 557 UNKNOWN_UNION 500;
    CannotParseIpv4 = 675 CANNOT_PARSE_IPV4 400;
    CannotParseIpv6 = 676 CANNOT_PARSE_IPV6 400;
    UserSessionLimitExceeded = 700 USER_SESSION_LIMIT_EXCEEDED 500;
    EngineRequired = 119 ENGINE_REQUIRED 500;
    ReadonlySetting = 472 READONLY_SETTING 500;
    InsertIntoReadonly = 164 READONLY 500;
    TooLargeStringSize = 131 TOO_LARGE_STRING_SIZE 500;
    Decimals = 407 DECIMAL_OVERFLOW 500;
    IllegalDivision = 153 ILLEGAL_DIVISION 500;
    TooManyRows = 158 TOO_MANY_ROWS 500;
    TooManyBytes = 307 TOO_MANY_BYTES 500;
    TimeoutExceeded = 159 TIMEOUT_EXCEEDED 408;
    TooDeepRecursion = 306 TOO_DEEP_RECURSION 500;
    TooDeepAst = 167 TOO_DEEP_AST 400;
    TooBigAst = 168 TOO_BIG_AST 400;
    BadTypeOfField = 169 BAD_TYPE_OF_FIELD 500;
    IllegalAggregation = 184 ILLEGAL_AGGREGATION 500;
    UnknownUser = 192 UNKNOWN_USER 403;
    WrongPassword = 193 WRONG_PASSWORD 403;
    RequiredPassword = 194 REQUIRED_PASSWORD 401;
    TooManySimultaneousQueries = 202 TOO_MANY_SIMULTANEOUS_QUERIES 429;
    AmbiguousIdentifier = 207 AMBIGUOUS_IDENTIFIER 500;
    SocketTimeout = 209 SOCKET_TIMEOUT 503;
    UnknownLoadBalancing = 212 UNKNOWN_LOAD_BALANCING 500;
    UnknownTotalsMode = 213 UNKNOWN_TOTALS_MODE 500;
    NotAnAggregate = 215 NOT_AN_AGGREGATE 500;
    QueryWithSameIdIsAlreadyRunning = 216 QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING 500;
    UnexpectedAstStructure = 223 UNEXPECTED_AST_STRUCTURE 400;
    QueryIsTooLarge = 229 QUERY_IS_TOO_LARGE 413;
    TableIsReadOnly = 242 TABLE_IS_READ_ONLY 503;
    NotEnoughSpace = 243 NOT_ENOUGH_SPACE 503;
    TooManyParts = 252 TOO_MANY_PARTS 429;
    MemoryLimitExceeded = 241 MEMORY_LIMIT_EXCEEDED 500;
    CorruptedData = 246 CORRUPTED_DATA 500;
    InvalidJoinOnExpression = 403 INVALID_JOIN_ON_EXPRESSION 500;
    UnknownDistributedProductMode = 283 UNKNOWN_DISTRIBUTED_PRODUCT_MODE 500;
    TooFewLiveReplicas = 285 TOO_FEW_LIVE_REPLICAS 503;
    UnknownStatusOfInsert = 319 UNKNOWN_STATUS_OF_INSERT 500;
    ValueIsOutOfRange = 321 VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE 400;
    CannotInsertNullInOrdinaryColumn = 349 CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN 500;
    SessionNotFound = 372 SESSION_NOT_FOUND 500;
    SessionIsLocked = 373 SESSION_IS_LOCKED 500;
    CannotParseUuid = 376 CANNOT_PARSE_UUID 400;
    HttpLengthRequired = 381 HTTP_LENGTH_REQUIRED 411;
    NoCommonType = 386 NO_COMMON_TYPE 500;
    SizesOfArraysDontMatch = 190 SIZES_OF_ARRAYS_DONT_MATCH 500;
    ThrowIfValueIsNonZero = 395 FUNCTION_THROW_IF_VALUE_IS_NON_ZERO 500;
    InvalidWithFillExpression = 475 INVALID_WITH_FILL_EXPRESSION 500;
    UnionAllResultStructuresMismatch = 258 UNION_ALL_RESULT_STRUCTURES_MISMATCH 500;
    InvalidLimitExpression = 440 INVALID_LIMIT_EXPRESSION 500;
    ParameterOutOfBound = 12 PARAMETER_OUT_OF_BOUND 500;
    QueryWasCancelled = 394 QUERY_WAS_CANCELLED 500;
    TooManyRowsOrBytes = 396 TOO_MANY_ROWS_OR_BYTES 500;
    CannotCompileRegexp = 427 CANNOT_COMPILE_REGEXP 400;
    CannotScheduleTask = 439 CANNOT_SCHEDULE_TASK 503;
    CannotParseDomainValue = 441 CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING 400;
    UnknownQueryParameter = 456 UNKNOWN_QUERY_PARAMETER 500;
    BadQueryParameter = 457 BAD_QUERY_PARAMETER 500;
    AccessDenied = 497 ACCESS_DENIED 403;
    AuthenticationFailed = 516 AUTHENTICATION_FAILED 403;
    CannotParseBool = 467 CANNOT_PARSE_BOOL 500;
    UnsupportedMediaType = 779 UNSUPPORTED_MEDIA_TYPE 415;
    HaveDependentObjects = 630 HAVE_DEPENDENT_OBJECTS 500;
    AlterOfColumnIsForbidden = 524 ALTER_OF_COLUMN_IS_FORBIDDEN 500;
    InvalidConfigParameter = 318 INVALID_CONFIG_PARAMETER 500;
    CannotWriteToFileDescriptor = 75 CANNOT_WRITE_TO_FILE_DESCRIPTOR 503;
    CannotFsync = 204 CANNOT_FSYNC 503;
    UnknownCompressionMethod = 89 UNKNOWN_COMPRESSION_METHOD 400;
    CannotDecompress = 271 CANNOT_DECOMPRESS 500;
    Overloaded = 745 SERVER_OVERLOADED 429;
    NotReady = 279 ALL_CONNECTION_TRIES_FAILED 503;
}

impl ErrorCode {
    /// The code with this number, as another process sent it.
    #[must_use]
    pub fn of_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// What a caller may do.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::Overloaded | Self::TooManySimultaneousQueries | Self::TooManyParts => {
                Retry::After(Duration::from_secs(1))
            }
            Self::NotReady | Self::NotEnoughSpace | Self::TooFewLiveReplicas => {
                Retry::After(Duration::from_secs(5))
            }
            Self::UnknownStatusOfInsert => Retry::SameNode,
            _ => Retry::Never,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A fault with its code. The message says what happened and, where there is one, what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind.
    pub code: ErrorCode,
    /// For a person.
    pub message: String,
}

impl Error {
    /// An error of this kind.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A broken invariant of ours, not a fault of the caller.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::LogicalError, message)
    }

    /// `Code: N. DB::Exception: message. (NAME)`, the text that ClickHouse's clients parse.
    #[must_use]
    pub fn clickhouse_text(&self) -> String {
        let dot = if self.message.ends_with('.') { "" } else { "." };
        format!("Code: {}. DB::Exception: {}{dot} ({})", self.code.number(), self.message, self.code.name())
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::internal(error.to_string())
    }
}

#[cfg(test)]
mod tests;
