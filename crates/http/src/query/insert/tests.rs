use super::*;
use zepto_common::limits::BLOCK_ROWS;

use crate::inflate::Inflate;

fn ingest(first: &[u8], ended: bool) -> Ingest {
    let table = crate::tests::doubles::table();
    let settings = FormatSettings::default();
    let decoder = zepto_formats::decoder(Format::TabSeparated, &table, None, &settings, None).unwrap();
    Ingest::new(Inflate::of(None).unwrap(), decoder, Bytes::copy_from_slice(first), ended)
}

#[test]
fn a_step_ends_hungry_until_the_body_ends() {
    let mut ingest = ingest(b"a\t1\n", false);
    assert!(ingest.is_trifle());
    let step = ingest.step().unwrap();
    assert!(step.hungry && !step.finished && step.blocks.is_empty());
    ingest.feed(Some(Bytes::from_static(b"b\t2\nc")));
    assert!(ingest.step().unwrap().hungry);
    ingest.feed(Some(Bytes::from_static(b"\t3\n")));
    assert!(ingest.step().unwrap().hungry);
    ingest.feed(None);
    let last = ingest.step().unwrap();
    assert!(last.finished && last.blocks[0].num_rows() == 3);
    assert!(ingest.step().unwrap().finished);
}

#[test]
fn a_step_is_bounded_however_much_waits() {
    let body: Vec<u8> = (0..4 * BLOCK_ROWS).flat_map(|i| format!("key\t{i}\n").into_bytes()).collect();
    let mut ingest = ingest(b"", false);
    ingest.feed(Some(Bytes::from(body)));
    assert!(!ingest.is_trifle());
    let mut steps = 0;
    while !ingest.step().unwrap().hungry {
        steps += 1;
    }
    assert!(steps >= 2, "{steps} steps for 3 MB");
}

#[test]
fn an_error_tells_each_fate_and_never_invites_a_blind_repetition() {
    let mut tally = Tally::default();
    let receipt = |rows| Ok(WriteReceipt { rows, duplicate_rows: 0 });
    assert!(tally.nothing_stored());
    for block in [0, 2, 1, 5] {
        tally.add(block, 10, 100, receipt(10)).unwrap();
    }
    tally.add(3, 10, 100, Err(Error::new(ErrorCode::Overloaded, "full"))).unwrap_err();
    assert!(!tally.nothing_stored());
    let told = tally.explain(&Error::new(ErrorCode::NotEnoughSpace, "disk full."), false);
    assert_eq!(told.code, ErrorCode::UnknownStatusOfInsert);
    assert_eq!(
        told.message,
        "disk full. The INSERT was stored in part: stored 40 rows (blocks 0-2,5), refused 10 rows (blocks 3), \
         nothing after these blocks was stored. Without insert_deduplication_token a repetition stores those rows twice"
    );
    let told = tally.explain(&Error::new(ErrorCode::CannotParseText, "bad row"), true);
    assert_eq!(told.code, ErrorCode::CannotParseText);
    tally.add(4, 7, 100, Err(Error::internal("lost"))).unwrap_err();
    let told = tally.explain(&Error::new(ErrorCode::CannotParseText, "bad row"), true);
    assert_eq!(told.code, ErrorCode::UnknownStatusOfInsert);
    assert!(told.message.contains("perhaps stored 7 rows (blocks 4)"));
}

#[test]
fn duplicates_are_counted_apart_from_stored_rows() {
    let mut tally = Tally::default();
    tally.add(0, 10, 100, Ok(WriteReceipt { rows: 0, duplicate_rows: 10 })).unwrap();
    tally.add(1, 10, 100, Ok(WriteReceipt { rows: 4, duplicate_rows: 6 })).unwrap();
    let summary = summary(&tally);
    assert_eq!((summary.written_rows, summary.duplicate_rows), (4, 16));
}
