//! Datagrams of other nodes: read before anybody is trusted.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zepto_cluster::heartbeat::{Heartbeat, Role, Secret};
use zepto_common::ids::{DiskId, NodeId, PlacementVersion};

use crate::target::Target;

const SECRET: &[u8] = b"secret";
/// Bytes of the code at a datagram's end.
const CODE_BYTES: usize = 16;

pub(crate) fn heartbeat() -> Target {
    let mut seed = vec![1];
    seed.extend(known().encode(&Secret::new(SECRET)));
    seed.truncate(seed.len() - CODE_BYTES);
    Target {
        name: "heartbeat",
        seeds: vec![seed],
        words: vec![b"zepto", b"\xFF", b"\0"],
        memory: 256 << 10,
        memory_per_byte: 16,
        run: Box::new(|choice, data| {
            let mut datagram = data.to_vec();
            if choice % 2 == 1 {
                datagram.extend_from_slice(&code(data));
            }
            if let Ok(read) = Heartbeat::decode(&datagram, &known().cluster, &Secret::new(SECRET)) {
                let again = read.encode(&Secret::new(SECRET));
                assert_eq!(
                    Heartbeat::decode(&again, &read.cluster, &Secret::new(SECRET)).as_ref(),
                    Ok(&read)
                );
            }
        }),
    }
}

/// The code that makes a datagram one of the cluster's.
fn code(body: &[u8]) -> [u8; CODE_BYTES] {
    let mut code = [0; CODE_BYTES];
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET) {
        mac.update(body);
        code.copy_from_slice(&mac.finalize().into_bytes()[..CODE_BYTES]);
    }
    code
}

fn known() -> Heartbeat {
    Heartbeat {
        cluster: "zepto".to_owned(),
        node: NodeId(3),
        role: Role::Storage,
        disk: DiskId(77),
        incarnation: 4,
        counter: 5,
        leaving: false,
        disk_stuck: true,
        host: "storage-0.storage".to_owned(),
        http_port: 8123,
        rpc_port: 9001,
        placement: PlacementVersion(9),
        catalog: 10,
        rows_per_second: 11,
        queue_permille: 12,
        sync_age_ms: 13,
        wall_ms: 0,
    }
}
