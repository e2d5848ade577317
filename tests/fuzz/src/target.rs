//! What is fuzzed.

use crate::targets;

/// Reads what is behind an input's first byte, which it gets as well.
pub type Run = Box<dyn Fn(u8, &[u8]) + Send + Sync>;

/// A decoder, and what it promises.
pub struct Target {
    /// Name, also of the folder of its kept inputs.
    pub name: &'static str,
    /// Inputs to begin with, apart from the kept ones.
    pub seeds: Vec<Vec<u8>>,
    /// Words that mean something to it.
    pub words: Vec<&'static [u8]>,
    /// Bytes that it may have allocated at once whatever the input is.
    pub memory: usize,
    /// Bytes that it may have allocated at once for each byte of input.
    pub memory_per_byte: usize,
    /// Reads an input; panics when a promise that the result itself shows is broken.
    pub run: Run,
}

impl Target {
    /// Reads an input whose first byte chooses.
    pub fn run(&self, input: &[u8]) {
        if let Some((choice, data)) = input.split_first() {
            (self.run)(*choice, data);
        }
    }

    /// Bytes that an input may cost.
    #[must_use]
    pub fn bound(&self, input: &[u8]) -> usize {
        self.memory + self.memory_per_byte * input.len()
    }
}

/// All targets.
#[must_use]
pub fn all() -> Vec<Target> {
    let mut all = targets::rows::all();
    all.extend(targets::packed::all());
    all.extend(targets::request::all());
    all.push(targets::datagram::heartbeat());
    all
}

/// Names of all targets, for tests that are made one per target.
pub const NAMES: &[&str] = &[
    "tab_separated",
    "csv",
    "values",
    "json",
    "json_columns",
    "json_each_row",
    "json_compact_each_row",
    "row_binary",
    "native",
    "msgpack",
    "arrow",
    "parquet",
    "gzip",
    "zlib",
    "zstd",
    "brotli",
    "lz4",
    "native_blocks",
    "multipart",
    "statement_head",
    "url_and_headers",
    "heartbeat",
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_of_names_is_whole() {
        let names: Vec<_> = super::all().into_iter().map(|target| target.name).collect();
        assert_eq!(names, super::NAMES);
    }
}
