//! Which column a name in the data means.

use hashbrown::HashMap;
use zepto_common::{ErrorCode, Result};

use crate::scan::{Scan, excerpt, fault};

/// `input_format_column_name_matching_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameMatching {
    /// The name as it is, or else in other letters.
    #[default]
    Auto,
    /// As it is.
    Exact,
    /// In any letters.
    AnyCase,
}

impl NameMatching {
    /// The mode of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "match_case" => Some(Self::Exact),
            "ignore_case" => Some(Self::AnyCase),
            _ => None,
        }
    }
}

type Map<V> = HashMap<Box<[u8]>, V, foldhash::fast::RandomState>;

/// Columns by name.
#[derive(Debug)]
pub(crate) struct ByName {
    exact: Map<usize>,
    /// By the name in small letters; None where several columns have it.
    folded: Map<Option<usize>>,
}

impl ByName {
    pub(crate) fn new<'a>(columns: impl Iterator<Item = (&'a str, usize)>, matching: NameMatching) -> Self {
        let (mut exact, mut folded) = (Map::default(), Map::default());
        for (name, index) in columns {
            if matching != NameMatching::AnyCase {
                exact.insert(Box::from(name.as_bytes()), index);
            }
            if matching != NameMatching::Exact {
                let small = name.to_ascii_lowercase().into_bytes().into_boxed_slice();
                folded.entry(small).and_modify(|known| *known = None).or_insert(Some(index));
            }
        }
        Self { exact, folded }
    }

    /// The column of this name.
    ///
    /// # Errors
    /// `IncorrectData` when several columns have it in other letters.
    #[inline]
    pub(crate) fn find(&self, name: &[u8]) -> Scan<Option<usize>> {
        match self.exact.get(name) {
            Some(index) => Ok(Some(*index)),
            None => self.in_other_letters(name),
        }
    }

    #[cold]
    fn in_other_letters(&self, name: &[u8]) -> Scan<Option<usize>> {
        match self.folded.get(name.to_ascii_lowercase().as_slice()) {
            None => Ok(None),
            Some(Some(index)) => Ok(Some(*index)),
            Some(None) => {
                let message =
                    format!("Field {} is the name of several columns in other letters", excerpt(name));
                Err(fault(ErrorCode::IncorrectData, message))
            }
        }
    }

    /// As [`Self::find`], for readers of whole columns.
    pub(crate) fn column(&self, name: &str) -> Result<Option<usize>> {
        self.find(name.as_bytes()).map_err(crate::decode::error_of)
    }
}
