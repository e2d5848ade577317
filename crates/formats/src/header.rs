//! Header lines of the WithNames and WithNamesAndTypes formats: which field goes into which column.

use std::collections::HashSet;

use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use crate::decode::Block;
use crate::scan::{Cursor, Scan, Stop, fault};

/// Which header lines a format has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// None.
    Absent,
    /// The columns' names.
    Plain,
    /// The columns' names, then their types.
    WithTypes,
}

/// The header of an input.
#[derive(Debug)]
pub(crate) struct Header {
    names: Names,
    /// Column of each field (None: passed over), once the names were read.
    fields: Option<Vec<Option<usize>>>,
    typed: bool,
    /// Reading is past what may stand before the rows without a word in the format's name.
    begun: bool,
}

impl Header {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, fields: None, typed: false, begun: false }
    }

    /// Whether the format has no header: fields are the target columns.
    pub(crate) fn is_absent(&self) -> bool {
        self.names == Names::Absent && self.fields.is_none()
    }

    /// Whether [`Self::begin`] is still to come.
    #[inline]
    pub(crate) fn is_new(&self) -> bool {
        !self.begun
    }

    /// Passes over lines that the settings leave out, and over a header that a format without one has all the same
    /// (with `detect`): a line in which all fields are columns' names or all columns are named, and a line of types
    /// behind it.
    pub(crate) fn begin(
        &mut self,
        cursor: &mut Cursor<'_>,
        block: &Block,
        skip: u64,
        detect: bool,
        line: impl Fn(&mut Cursor<'_>) -> Scan<Vec<String>>,
    ) -> Scan<()> {
        for _ in 0..skip {
            if cursor.peek_or_end()?.is_none() {
                break;
            }
            line(cursor)?;
        }
        if self.names == Names::Absent && detect {
            let names = attempt(cursor, &line, |names| are_names(names, block))?;
            let types = match &names {
                Some(_) => {
                    attempt(cursor, &line, |types| types.iter().all(|ty| ty.parse::<ColumnType>().is_ok()))?
                }
                None => None,
            };
            // Only now: with too few bytes all this is done once more.
            for line in names.into_iter().chain(types) {
                self.take_line(line, block)?;
            }
        }
        self.begun = true;
        Ok(())
    }

    /// Whether header lines are still to come.
    pub(crate) fn is_open(&self) -> bool {
        match self.names {
            Names::Absent => false,
            Names::Plain => self.fields.is_none(),
            Names::WithTypes => !self.typed,
        }
    }

    /// Fields of a row.
    #[inline]
    pub(crate) fn count(&self, block: &Block) -> usize {
        self.fields.as_ref().map_or(block.targets.len(), Vec::len)
    }

    /// The column of a field; None for a field that is passed over.
    #[inline]
    pub(crate) fn target(&self, at: usize, block: &Block) -> Option<usize> {
        match &self.fields {
            Some(fields) => fields[at],
            None => Some(block.targets[at]),
        }
    }

    /// Takes the next header line.
    pub(crate) fn take_line(&mut self, line: Vec<String>, block: &Block) -> Scan<()> {
        match &self.fields {
            None if block.settings.use_header_names => self.fields = Some(columns_of(&line, block)?),
            None => self.fields = Some(block.targets.iter().copied().map(Some).collect()),
            Some(fields) => {
                if block.settings.use_header_types {
                    check_types(&line, fields, block)?;
                }
                self.typed = true;
            }
        }
        Ok(())
    }
}

/// The line at the cursor if it is one that is looked for; the cursor stays where it is if not.
fn attempt(
    cursor: &mut Cursor<'_>,
    line: impl Fn(&mut Cursor<'_>) -> Scan<Vec<String>>,
    is_wanted: impl Fn(&[String]) -> bool,
) -> Scan<Option<Vec<String>>> {
    if cursor.peek_or_end()?.is_none() {
        return Ok(None);
    }
    let start = cursor.at;
    match line(cursor) {
        Ok(words) if is_wanted(&words) => return Ok(Some(words)),
        Err(Stop::More) => return Err(Stop::More),
        // What is wrong with it is told when it is read as a row.
        Ok(_) | Err(Stop::Fault(_)) => cursor.at = start,
    }
    Ok(None)
}

/// Whether these fields are a header: each is a target column's name, or each target column is named.
fn are_names(line: &[String], block: &Block) -> bool {
    let name = |index: &usize| &*block.columns[*index].name;
    let columns: HashSet<&str> = block.targets.iter().map(name).collect();
    let words: HashSet<&str> = line.iter().map(String::as_str).collect();
    words.is_subset(&columns) || columns.is_subset(&words)
}

fn columns_of(line: &[String], block: &Block) -> Scan<Vec<Option<usize>>> {
    let mut fields: Vec<Option<usize>> = Vec::with_capacity(line.len());
    let columns = block.by_name(block.settings.name_matching);
    for name in line {
        let found = columns.find(name.as_bytes())?;
        if found.is_none() && !block.settings.skip_unknown_fields {
            let message = format!("Unknown field found in the header: '{name}'");
            return Err(fault(ErrorCode::IncorrectData, message));
        }
        if found.is_some() && fields.contains(&found) {
            return Err(fault(
                ErrorCode::IncorrectData,
                format!("Duplicate field found in the header: '{name}'"),
            ));
        }
        fields.push(found);
    }
    Ok(fields)
}

fn check_types(line: &[String], fields: &[Option<usize>], block: &Block) -> Scan<()> {
    if line.len() != fields.len() {
        let message = format!("The header has {} names but {} types", fields.len(), line.len());
        return Err(fault(ErrorCode::IncorrectData, message));
    }
    for (name, field) in line.iter().zip(fields) {
        let Some(index) = field else {
            // The bytes of an unknown field are passed over by its type in binary formats.
            continue;
        };
        let column = &block.columns[*index];
        if !same_type(name, &column.ty) {
            let message = format!("Type of '{}' must be {}, not {name}", column.name, column.ty);
            return Err(fault(ErrorCode::IncorrectData, message));
        }
    }
    Ok(())
}

/// Whether a header's type is the column's: LowCardinality and zones do not change how a value is written.
pub(crate) fn same_type(name: &str, ty: &ColumnType) -> bool {
    name.parse::<ColumnType>().is_ok_and(|given| plain(&given) == plain(ty))
}

fn plain(ty: &ColumnType) -> ColumnType {
    use ColumnType as T;
    match ty {
        T::Symbol => T::String,
        T::DateTime(_) => T::DateTime(None),
        T::DateTime64(precision, _) => T::DateTime64(*precision, None),
        T::Nullable(of) => plain(of).nullable(),
        T::Array(of) => T::Array(Box::new(plain(of))),
        T::Tuple(of) => T::Tuple(of.iter().map(plain).collect()),
        T::Map(key, value) => T::Map(Box::new(plain(key)), Box::new(plain(value))),
        other => other.clone(),
    }
}
