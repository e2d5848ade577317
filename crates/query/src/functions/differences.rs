//! Functions that answer otherwise than ClickHouse's of the same name, each with the reason. The published list of
//! what is compatible is made from this table.

/// A function and why it differs.
const DIFFERENCES: &[(&str, &str)] = &[
    ("arrayReduce", "knows sum, min, max, avg, count, uniq and any"),
    ("arrayPartialSort", "sorts the whole"),
    ("avgWeighted", "keeps the fraction of x with a whole weight"),
    ("dictGet", "there are no dictionaries"),
    ("farmHash64", "up to 511 bytes of text: longer ones depend on the processor there"),
    ("MD5", "inside hex and base64Encode"),
    ("SHA1", "inside hex and base64Encode"),
    ("SHA224", "inside hex and base64Encode"),
    ("SHA256", "inside hex and base64Encode"),
    ("SHA384", "inside hex and base64Encode"),
    ("SHA512", "inside hex and base64Encode"),
    ("SHA512_256", "inside hex and base64Encode"),
    ("getSetting", "settings that are there"),
    ("JSONExtract", "numbers, Bool, String and arrays of numbers or String"),
    ("toLowCardinality", "of texts"),
    ("isValidUTF8", "always 1: texts are checked when they come in"),
    ("lag", "takes rows of the whole window"),
    ("lead", "takes rows of the whole window"),
    ("median", "exact over any number of values"),
    ("quantile", "exact over any number of values"),
    ("quantileTDigest", "exact, Float64"),
    ("quantileTiming", "exact, Float64"),
    ("quantiles", "exact over any number of values"),
    ("quantilesTDigest", "exact, Float64"),
    ("rowNumberInAllBlocks", "counts within a block"),
    ("sum", "an error when a whole sum does not fit 64 bits"),
    ("timezone", "UTC where the session has none"),
    ("topK", "exact"),
    ("topKWeighted", "exact"),
    ("uniq", "exact"),
    ("uniqCombined", "exact"),
    ("uniqCombined64", "exact"),
    ("uniqHLL12", "exact"),
    ("uniqTheta", "exact"),
    ("version", "a version whose protocol is spoken"),
];

/// Why a function differs; None when it does not.
#[must_use]
pub fn difference(name: &str) -> Option<&'static str> {
    DIFFERENCES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, why)| *why)
}
