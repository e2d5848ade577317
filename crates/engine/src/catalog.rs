//! The catalog of one node: the common one ([`zepto_common::catalog`]) and the file that keeps it.

pub(crate) mod file;
#[cfg(test)]
mod tests;

pub use zepto_common::catalog::{AlterOp, Catalog, ColumnPosition, NewTable, TableEntry, ViewDefinition};
