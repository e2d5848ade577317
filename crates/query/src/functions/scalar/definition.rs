//! What a table row says of its scalar function.

use arrow::array::ArrayRef;
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;
use zepto_common::types::ColumnType;

use super::{Arguments, Call};

/// Who deals with NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// A NULL argument makes a NULL result.
    Spread,
    /// The body and the type rule do.
    Own,
}

/// How a scalar function computes.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    /// Float to float.
    Floats(fn(f64) -> f64),
    /// Anything.
    Call(fn(&Call<'_>) -> Result<ArrayRef>),
}

/// The definition of a scalar function in a table row.
#[derive(Clone, Copy)]
pub(crate) struct Scalar {
    /// Least and most arguments.
    pub(crate) arguments: (usize, usize),
    /// Who deals with NULL.
    pub(crate) nulls: Nulls,
    /// Whether equal arguments give equal results.
    pub(crate) volatility: Volatility,
    /// The result type; Nullable is added by [`Nulls::Spread`].
    pub(crate) returns: fn(&Arguments<'_>) -> Result<ColumnType>,
    /// The computation.
    pub(crate) body: Body,
    /// Whether the result is a condition: Boolean inside, UInt8 to the outside.
    pub(crate) test: bool,
}

/// Any number of arguments.
pub(crate) const MANY: usize = 255;

impl Scalar {
    /// A pure function that gives NULL for NULL.
    pub(crate) const fn pure(
        arguments: (usize, usize),
        returns: fn(&Arguments<'_>) -> Result<ColumnType>,
        body: fn(&Call<'_>) -> Result<ArrayRef>,
    ) -> Self {
        Self {
            arguments,
            nulls: Nulls::Spread,
            volatility: Volatility::Immutable,
            returns,
            body: Body::Call(body),
            test: false,
        }
    }

    /// A pure condition that gives NULL for NULL; the body gives Booleans.
    pub(crate) const fn test(arguments: (usize, usize), body: fn(&Call<'_>) -> Result<ArrayRef>) -> Self {
        Self { test: true, ..Self::pure(arguments, |_| Ok(ColumnType::UInt8), body) }
    }

    /// The same, dealing with NULL itself.
    pub(crate) const fn own_nulls(mut self) -> Self {
        self.nulls = Nulls::Own;
        self
    }

    /// The same with a value that is fixed for one statement only.
    pub(crate) const fn stable(mut self) -> Self {
        self.volatility = Volatility::Stable;
        self
    }

    /// The same with a value per row.
    pub(crate) const fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }

    /// Float to float.
    pub(crate) const fn floats(body: fn(f64) -> f64) -> Self {
        Self {
            arguments: (1, 1),
            nulls: Nulls::Spread,
            volatility: Volatility::Immutable,
            returns: |_| Ok(ColumnType::Float64),
            body: Body::Floats(body),
            test: false,
        }
    }
}
