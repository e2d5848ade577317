//! Header lines of the WithNames and WithNamesAndTypes formats: which field goes into which column.

use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use crate::decode::Block;
use crate::scan::{Scan, fault};

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
}

impl Header {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, fields: None, typed: false }
    }

    /// Whether the format has no header: fields are the target columns.
    pub(crate) fn is_absent(&self) -> bool {
        self.names == Names::Absent
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
            None => self.fields = Some(columns_of(&line, block)?),
            Some(fields) => {
                check_types(&line, fields, block)?;
                self.typed = true;
            }
        }
        Ok(())
    }
}

fn columns_of(line: &[String], block: &Block) -> Scan<Vec<Option<usize>>> {
    let mut fields: Vec<Option<usize>> = Vec::with_capacity(line.len());
    for name in line {
        let found = block.targets.iter().copied().find(|index| *block.columns[*index].name == **name);
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
