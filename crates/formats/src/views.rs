//! Texts in Arrow's views: the low 32 bits are the length; a short text lies behind them, a long one in the buffer and at
//! the place that the highest 64 bits tell.

use arrow::array::StringViewArray;

/// Bytes of a text that lies in its view.
pub(crate) const INLINE_BYTES: usize = 12;

/// The length of a view's text.
#[inline(always)]
pub(crate) fn length(view: u128) -> usize {
    view as u32 as usize
}

/// A long text, and what lies behind it in its buffer.
#[inline(always)]
pub(crate) fn long_and_more(array: &StringViewArray, view: u128) -> &[u8] {
    debug_assert!(length(view) > INLINE_BYTES, "the text lies in its view");
    let (buffer, offset) = ((view >> 64) as u32 as usize, (view >> 96) as usize);
    &array.data_buffers()[buffer][offset..]
}
