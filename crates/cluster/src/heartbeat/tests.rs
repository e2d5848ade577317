use proptest::prelude::*;
use zepto_common::ids::{DiskId, NodeId, PlacementVersion};

use super::{Dropped, Heartbeat, MAX_DATAGRAM, Role, Secret};

fn example() -> Heartbeat {
    Heartbeat {
        cluster: "prod".to_owned(),
        node: NodeId(2),
        role: Role::Storage,
        disk: DiskId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
        incarnation: 7,
        counter: 99,
        leaving: false,
        disk_stuck: true,
        host: "zeptodb-2.zeptodb-headless".to_owned(),
        http_port: 8123,
        rpc_port: 8223,
        placement: PlacementVersion(41),
        catalog: 12,
        rows_per_second: 1_250_000,
        queue_permille: 17,
        sync_age_ms: 4,
        wall_ms: 0,
    }
}

/// The bytes of [`example`] under the secret `secret`, as version 1 of the format has them for good; the code at the
/// end was computed by another implementation of HMAC-SHA-256.
const GOLDEN: &str = "5a484231 00 02 bb1f 1f20 1100 02000000 d0121300 04000000 100f0e0d0c0b0a090807060504030201 \
    0700000000000000 6300000000000000 2900000000000000 0c00000000000000 04 70726f64 \
    1a 7a6570746f64622d322e7a6570746f64622d686561646c657373 79013a3d0b55c6a170648bedc0c888d6";

fn golden() -> Vec<u8> {
    let digits: Vec<u8> = GOLDEN.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let secret = Secret::new("secret");
    assert_eq!(example().encode(&secret), golden());
    assert_eq!(Heartbeat::decode(&golden(), "prod", &secret), Ok(example()));
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    let secret = Secret::new("secret");
    for at in 0..golden().len() {
        let mut changed = golden();
        changed[at] ^= 1;
        let expected = if at < 4 { Dropped::NotOurs } else { Dropped::WrongSecret };
        assert_eq!(Heartbeat::decode(&changed, "prod", &secret), Err(expected), "byte {at}");
    }
}

#[test]
fn another_secret_or_cluster_is_refused() {
    assert_eq!(Heartbeat::decode(&golden(), "prod", &Secret::new("secreT")), Err(Dropped::WrongSecret));
    assert_eq!(Heartbeat::decode(&golden(), "test", &Secret::new("secret")), Err(Dropped::OtherCluster));
}

/// A datagram of `example` with more behind its host.
fn with_more(more: &[u8], secret: &Secret) -> Vec<u8> {
    let bytes = golden();
    let mut newer = bytes[..bytes.len() - 16].to_vec();
    newer.extend_from_slice(more);
    let code = hmac::Mac::finalize(secret.code(&newer)).into_bytes();
    newer.extend_from_slice(&code[..16]);
    newer
}

#[test]
fn the_wall_clock_stands_behind_the_host() {
    let secret = Secret::new("secret");
    let said = Heartbeat { wall_ms: 0x0102_0304_0506, ..example() };
    let bytes = with_more(&[6, 5, 4, 3, 2, 1, 0, 0], &secret);
    assert_eq!(said.encode(&secret), bytes);
    assert_eq!(Heartbeat::decode(&bytes, "prod", &secret), Ok(said));
}

#[test]
fn what_a_newer_build_adds_behind_is_passed_over() {
    let secret = Secret::new("secret");
    let newer = with_more(b"\x06\x05\x04\x03\x02\x01\x00\x00something new", &secret);
    let known = Heartbeat { wall_ms: 0x0102_0304_0506, ..example() };
    assert_eq!(Heartbeat::decode(&newer, "prod", &secret), Ok(known));
}

#[test]
fn a_secret_is_not_printed() {
    assert_eq!(format!("{:?}", Secret::new("hidden")), "Secret(..)");
}

proptest! {
    #[test]
    fn what_is_sent_is_read(
        (node, disk, incarnation, counter) in any::<(u32, u128, u64, u64)>(),
        (leaving, disk_stuck, http_port, rpc_port) in any::<(bool, bool, u16, u16)>(),
        (placement, catalog, rows_per_second, queue_permille, sync_age_ms, wall_ms) in any::<(u64, u64, u32, u16, u32, u64)>(),
        cluster in "[a-z-]{0,60}", host in "[ -~]{0,255}",
    ) {
        let heartbeat = Heartbeat {
            cluster: cluster.clone(), node: NodeId(node), role: Role::Ingest, disk: DiskId(disk), incarnation, counter,
            leaving, disk_stuck, host, http_port, rpc_port, placement: PlacementVersion(placement), catalog,
            rows_per_second, queue_permille, sync_age_ms, wall_ms,
        };
        let secret = Secret::new("s");
        let datagram = heartbeat.encode(&secret);
        prop_assert!(datagram.len() <= MAX_DATAGRAM);
        prop_assert_eq!(Heartbeat::decode(&datagram, &cluster, &secret), Ok(heartbeat));
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..200) {
        let secret = Secret::new("secret");
        let _ = Heartbeat::decode(&bytes, "prod", &secret);
        // With a right code around a wrong body.
        let mut body = super::MAGIC.to_vec();
        body.extend_from_slice(&golden()[4..cut.clamp(4, golden().len())]);
        body.extend_from_slice(&bytes);
        let code = hmac::Mac::finalize(secret.code(&body)).into_bytes();
        body.extend_from_slice(&code[..16]);
        let _ = Heartbeat::decode(&body, "prod", &secret);
    }
}
