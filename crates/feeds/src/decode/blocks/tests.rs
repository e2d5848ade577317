//! Blocks end where a message ends, and no block is larger than its bound but for one message.

use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use zepto_common::source::split_offsets;

use super::*;

/// Rows 0 to 9 in batches of four, each 8 bytes, with a text of the message beside them.
fn ten(texts: &[&str]) -> Rows {
    let numbers = |range: Range<i64>| Arc::new(Int64Array::from_iter_values(range)) as ArrayRef;
    let fields = [("n", DataType::Int64), ("s", DataType::Utf8)];
    let fields = fields.map(|(name, ty)| Field::new(name, ty, false));
    let texts = Arc::new(StringArray::from_iter_values(texts)) as ArrayRef;
    let values = Values::Rows(vec![numbers(0..4), numbers(4..8), numbers(8..10)]);
    Rows::new(Arc::new(Schema::new(fields.to_vec())), vec![values, Values::Messages(texts)], [4, 4, 2])
}

fn parts(lengths: &[usize]) -> Vec<Part> {
    let mut first = 0;
    let part = |(message, rows): (usize, &usize)| {
        first += rows;
        Part { message, rows: first - rows..first, nth: message as u32 }
    };
    lengths.iter().enumerate().map(part).collect()
}

#[test]
fn blocks_end_at_their_bound_and_only_between_messages() {
    // Each row: 8 bytes, 4 of an offset, 4 of text.
    let rows = ten(&["aaaa", "bbbb", "cccc"]);
    let cut = |block, message| {
        let (blocks, too_large) = rows.cut(parts(&[3, 3, 4]), Bounds { block, message });
        let messages = |block: &Vec<Part>| block.iter().map(|it| it.message).collect::<Vec<_>>();
        (blocks.iter().map(messages).collect::<Vec<_>>(), too_large)
    };
    assert_eq!(cut(160, 160), (vec![vec![0, 1, 2]], vec![]));
    assert_eq!(cut(159, 160), (vec![vec![0, 1], vec![2]], vec![]));
    assert_eq!(cut(95, 160), (vec![vec![0], vec![1], vec![2]], vec![]));
    assert_eq!(cut(1, 160), (vec![vec![0], vec![1], vec![2]], vec![]));
    assert_eq!(cut(1_000, 63), (vec![vec![0, 1]], vec![(2, 64)]));
    assert_eq!(cut(1, 1), (vec![], vec![(0, 48), (1, 48), (2, 64)]));
}

#[test]
fn blocks_together_have_every_row_of_their_messages_in_order() {
    let rows = ten(&["a", "b", "c", "d"]);
    let mut parts = parts(&[1, 5, 1, 3]);
    // One that is no good takes nobody along.
    parts.remove(2);
    let block = rows.block(&parts, |message| 100 + message as u64).unwrap();
    let (block, offsets) = split_offsets(&block).unwrap();
    let numbers = block.column(0).as_primitive::<arrow::datatypes::Int64Type>();
    assert_eq!(numbers.values().to_vec(), [0, 1, 2, 3, 4, 5, 7, 8, 9]);
    let texts: Vec<&str> = block.column(1).as_string::<i32>().iter().flatten().collect();
    assert_eq!(texts.concat(), "abbbbbddd");
    assert_eq!(offsets.values().to_vec(), [100, 101, 101, 101, 101, 101, 103, 103, 103]);
}
