//! Frames as bytes.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::{BatchId, Boot, ColumnId, Epoch, Lsn, PartitionId, SchemaVersion, TableId, Token};

use super::{DISK, open, options, read};
use crate::disk::SimDisk;
use crate::wal::codec::{
    Content, FILE_HEADER_BYTES, FileIdentity, HEADER_BYTES, Header, SEAL_BYTES, decode_frame, encode_frame,
    encode_seal, frame_stride,
};
use crate::wal::{
    CheckpointFrame, EpochStartFrame, ForgetFrame, Frame, MutationFrame, MutationKind, ObjectAction,
    ObjectReferenceFrame, Place, RowsFrame, RowsItem, SchemaFrame, SourceOffset, TruncateFrame,
    TtlCutoffFrame, ViewFrame,
};

const FILE: FileIdentity = FileIdentity { disk_id: DISK, thread: 3, sequence: 9 };

fn token() -> impl Strategy<Value = Token> {
    (any::<u64>(), any::<u64>()).prop_map(|(epoch, boot)| Token { epoch: Epoch(epoch), boot: Boot(boot) })
}

fn places() -> impl Strategy<Value = Vec<Place>> {
    let place = (any::<u16>(), any::<u64>());
    let place = place.prop_map(|(partition, lsn)| Place { partition: PartitionId(partition), lsn: Lsn(lsn) });
    prop::collection::vec(place, 0..5)
}

fn batch() -> impl Strategy<Value = Option<BatchId>> {
    prop_oneof![
        Just(None),
        (any::<u64>(), any::<u64>())
            .prop_map(|(producer, sequence)| Some(BatchId::Producer { producer, sequence })),
        any::<u128>().prop_map(|token| Some(BatchId::Token(token))),
    ]
}

fn rows_frame() -> impl Strategy<Value = Frame> {
    let item = (any::<u16>(), any::<u64>(), any::<u32>(), any::<u32>()).prop_map(
        |(partition, lsn, first_row, rows)| RowsItem {
            partition: PartitionId(partition),
            lsn: Lsn(lsn),
            first_row,
            rows,
        },
    );
    let ids = (any::<u64>(), any::<u32>(), any::<u32>());
    let items = prop::collection::vec(item, 0..6);
    let payload = prop::collection::vec(any::<u8>(), 0..300);
    (ids, token(), batch(), items, payload).prop_map(
        |((table, schema, block), token, batch, items, payload)| {
            let (table, schema, payload) = (TableId(table), SchemaVersion(schema), Bytes::from(payload));
            Frame::Rows(RowsFrame { table, schema, token, batch, block, items, payload })
        },
    )
}

fn schema() -> impl Strategy<Value = Arc<TableSchema>> {
    let types =
        prop::sample::select(vec!["Int64", "String", "DateTime64(9)", "Array(Float64)", "Nullable(UUID)"]);
    let column = ("[a-z]{1,8}", types, any::<u32>());
    (any::<u64>(), any::<u32>(), prop::collection::vec(column, 1..5), any::<Option<u64>>()).prop_map(
        |(id, version, columns, ttl_seconds)| {
            let columns = columns.into_iter().map(|(name, ty, id)| Column {
                id: ColumnId(id),
                name,
                ty: ty.parse().unwrap(),
                default: ColumnDefault::Constant("7".into()),
                comment: "π".into(),
            });
            Arc::new(TableSchema {
                id: TableId(id),
                version: SchemaVersion(version),
                name: TableName::new("default", "t"),
                columns: columns.collect(),
                key: Some(ColumnId(1)),
                time: None,
                order_by: vec![ColumnId(2)],
                ttl_seconds,
                engine: "MergeTree".into(),
                comment: String::new(),
            })
        },
    )
}

fn small_frame() -> impl Strategy<Value = Frame> {
    let kinds = prop::sample::select(vec![
        MutationKind::Delete,
        MutationKind::Update,
        MutationKind::TruncateTable,
        MutationKind::DropTable,
    ]);
    let actions = prop::sample::select(vec![ObjectAction::Add, ObjectAction::Drop]);
    let offsets = prop::collection::vec((any::<u32>(), any::<u64>()), 0..5);
    prop_oneof![
        (token(), places(), schema()).prop_map(|(token, places, schema)| Frame::Schema(SchemaFrame {
            token,
            places,
            schema
        })),
        (token(), places(), any::<u64>(), ".{0,9}", offsets).prop_map(
            |(token, places, table, feed, offsets)| {
                let offsets =
                    offsets.into_iter().map(|(source, offset)| SourceOffset { source, offset }).collect();
                Frame::Checkpoint(CheckpointFrame { token, places, table: TableId(table), feed, offsets })
            }
        ),
        (token(), places()).prop_map(|(token, places)| Frame::EpochStart(EpochStartFrame { token, places })),
        (token(), places(), any::<u64>(), any::<i64>()).prop_map(|(token, places, table, cutoff)| {
            Frame::TtlCutoff(TtlCutoffFrame { token, places, table: TableId(table), cutoff })
        }),
        (token(), any::<u16>(), any::<u64>()).prop_map(|(token, partition, to)| {
            Frame::Truncate(TruncateFrame { token, partition: PartitionId(partition), to: Lsn(to) })
        }),
        (token(), places(), any::<(u64, u64)>(), kinds, ".{0,30}").prop_map(
            |(token, places, (table, mutation), kind, predicate)| {
                let table = TableId(table);
                Frame::Mutation(MutationFrame { token, places, table, mutation, kind, predicate })
            }
        ),
        (token(), places(), any::<(u64, u64)>(), ".{0,30}").prop_map(
            |(token, places, (source, view), definition)| {
                Frame::View(ViewFrame {
                    token,
                    places,
                    source: TableId(source),
                    view: TableId(view),
                    definition,
                })
            }
        ),
        (token(), any::<u16>(), any::<u64>()).prop_map(|(token, partition, epoch)| {
            Frame::Forget(ForgetFrame { token, partition: PartitionId(partition), epoch: Epoch(epoch) })
        }),
        (token(), places(), any::<(u64, u64, u64)>(), actions, ".{0,30}").prop_map(
            |(token, places, (table, rows, bytes), action, object)| {
                let table = TableId(table);
                Frame::ObjectReference(ObjectReferenceFrame {
                    token,
                    places,
                    table,
                    action,
                    object,
                    rows,
                    bytes,
                })
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_frame_comes_back_as_it_was(frame in prop_oneof![rows_frame(), small_frame()], start in 0u64..1000) {
        let offset = start * 8;
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, &FILE, offset, offset, &frame);
        prop_assert_eq!(bytes.len(), frame_stride(&frame));
        prop_assert_eq!(bytes.len() % 8, 0);
        let header = Header::decode(&bytes, &FILE, offset).unwrap();
        prop_assert_eq!(header.stride(), bytes.len() as u64);
        let body = Bytes::copy_from_slice(&bytes[HEADER_BYTES..header.frame_bytes()]);
        prop_assert_eq!(crc32c::crc32c(&body), header.body_crc);
        prop_assert_eq!(decode_frame(&header, body).unwrap(), Content::Frame(frame));
    }

    #[test]
    fn any_frames_come_back_through_the_files(frames in prop::collection::vec(prop_oneof![rows_frame(), small_frame()], 0..30)) {
        let disk = SimDisk::new();
        let mut log = open(&disk, options(0, 1, 4096), 1);
        for group in frames.chunks(4) {
            group.iter().for_each(|frame| log.append(frame).unwrap());
            log.sync().unwrap();
        }
        let (found, outcome) = read(&disk, false);
        outcome.unwrap();
        prop_assert_eq!(found.into_iter().map(|(_, frame)| frame).collect::<Vec<_>>(), frames);
    }

    #[test]
    fn any_body_under_a_good_checksum_is_read_or_refused_without_a_panic(
        kind in 0u8..14, body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = Vec::new();
        encode_seal(&mut bytes, &FILE, 0, 0, None);
        let mut header = Header::decode(&bytes, &FILE, 0).unwrap();
        header.kind = kind;
        for flags in [0, 1, 2] {
            header.flags = flags;
            let _ = decode_frame(&header, Bytes::from(body.clone()));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_noticed(frame in prop_oneof![rows_frame(), small_frame()], at in any::<prop::sample::Index>(), bit in 0u32..8) {
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, &FILE, 64, 64, &frame);
        let length = Header::decode(&bytes, &FILE, 64).unwrap().frame_bytes();
        let at = at.index(length);
        // The four reserved bytes behind the header's checksum carry nothing.
        prop_assume!(!(52..56).contains(&at));
        bytes[at] ^= 1 << bit;
        let noticed = match Header::decode(&bytes, &FILE, 64) {
            None => true,
            Some(header) => crc32c::crc32c(&bytes[HEADER_BYTES..header.frame_bytes()]) != header.body_crc,
        };
        prop_assert!(noticed);
    }
}

#[test]
fn a_frame_is_valid_at_its_own_place_only() {
    let mut bytes = Vec::new();
    encode_seal(&mut bytes, &FILE, 128, 64, Some(4096));
    assert_eq!(bytes.len(), SEAL_BYTES);
    assert!(Header::decode(&bytes, &FILE, 128).is_some());
    assert!(Header::decode(&bytes, &FILE, 136).is_none(), "another offset");
    assert!(Header::decode(&bytes, &FileIdentity { sequence: 10, ..FILE }, 128).is_none(), "a recycled file");
    assert!(Header::decode(&bytes, &FileIdentity { thread: 4, ..FILE }, 128).is_none(), "another thread");
    let disk_id = zepto_common::DiskId(1);
    assert!(Header::decode(&bytes, &FileIdentity { disk_id, ..FILE }, 128).is_none(), "another disk");
    assert_eq!(FILE_HEADER_BYTES % 8, 0);
}
