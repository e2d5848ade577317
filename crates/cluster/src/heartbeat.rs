//! The heartbeat: one UDP datagram, authenticated, with all that peers want to know often. Its bytes are described in
//! `docs/formats/heartbeat.md`; integers are little-endian.
//!
//! A datagram is believed when its code (HMAC-SHA-256 under the cluster's secret, cut to 16 bytes) is right. It is new
//! when its incarnation is higher than the last one of that node, or its counter within the same incarnation is: so
//! neither a recorded nor a late datagram moves anything back.

#[cfg(test)]
mod tests;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zepto_common::ids::{DiskId, NodeId, PlacementVersion};

/// First bytes of every datagram.
pub const MAGIC: [u8; 4] = *b"ZHB1";
/// Most bytes of a datagram: it fits one Ethernet frame with room to spare.
pub const MAX_DATAGRAM: usize = 1024;
/// Most bytes of the cluster's name, and of a host.
pub const MAX_TEXT: usize = 255;
/// Bytes of the code at the end.
const CODE: usize = 16;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Holds partitions.
    Storage,
    /// Takes rows and passes them on.
    Ingest,
    /// A member of the group that agrees.
    Coordinator,
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The cluster's name; a datagram of another cluster is dropped.
    pub cluster: String,
    /// Who speaks.
    pub node: NodeId,
    /// What it is.
    pub role: Role,
    /// Its data directory; zero for a node without one.
    pub disk: DiskId,
    /// Which start of it; grows.
    pub incarnation: u64,
    /// Grows with every datagram of one incarnation.
    pub counter: u64,
    /// It is about to go.
    pub leaving: bool,
    /// Its disk does not answer, or its log failed: it may not own anything.
    pub disk_stuck: bool,
    /// Where others reach it.
    pub host: String,
    /// HTTP.
    pub http_port: u16,
    /// gRPC.
    pub rpc_port: u16,
    /// The placement that it knows.
    pub placement: PlacementVersion,
    /// The catalog that it knows.
    pub catalog: u64,
    /// Rows per second that it takes.
    pub rows_per_second: u32,
    /// How full its queue is, in thousandths.
    pub queue_permille: u16,
    /// Milliseconds since its last finished sync; `u32::MAX` for a node without a log.
    pub sync_age_ms: u32,
    /// Its wall clock, in milliseconds since 1970; 0 when it does not say.
    pub wall_ms: u64,
}

/// The cluster's secret, for the code of datagrams. Never printed.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a datagram is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It is no heartbeat, or of a version that this build does not know.
    NotOurs,
    /// It ends too early, or says something that cannot be.
    Malformed,
    /// Its code is wrong: another secret, or changed on its way.
    WrongSecret,
    /// It is of another cluster that has the same secret.
    OtherCluster,
}

impl Secret {
    /// Of these bytes.
    #[must_use]
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self(secret.into())
    }

    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length: the error has no case")]
    fn code(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut code = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length");
        code.update(bytes);
        code
    }
}

impl Heartbeat {
    /// The datagram. Texts longer than [`MAX_TEXT`] are cut; the configuration refuses them before.
    #[must_use]
    pub fn encode(&self, secret: &Secret) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.cluster.len() + self.host.len());
        out.extend_from_slice(&MAGIC);
        out.push(self.role as u8);
        out.push(u8::from(self.leaving) | u8::from(self.disk_stuck) << 1);
        out.extend_from_slice(&self.http_port.to_le_bytes());
        out.extend_from_slice(&self.rpc_port.to_le_bytes());
        out.extend_from_slice(&self.queue_permille.to_le_bytes());
        out.extend_from_slice(&self.node.0.to_le_bytes());
        out.extend_from_slice(&self.rows_per_second.to_le_bytes());
        out.extend_from_slice(&self.sync_age_ms.to_le_bytes());
        out.extend_from_slice(&self.disk.0.to_le_bytes());
        for number in [self.incarnation, self.counter, self.placement.0, self.catalog] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for text in [&self.cluster, &self.host] {
            let bytes = &text.as_bytes()[..text.len().min(MAX_TEXT)];
            out.push(bytes.len() as u8);
            out.extend_from_slice(bytes);
        }
        if self.wall_ms != 0 {
            out.extend_from_slice(&self.wall_ms.to_le_bytes());
        }
        let code = secret.code(&out).finalize().into_bytes();
        out.extend_from_slice(&code[..CODE]);
        out
    }

    /// Reads a datagram of this cluster.
    ///
    /// # Errors
    /// Why it is to be dropped; nothing in it is looked at before its code was found right.
    pub fn decode(datagram: &[u8], cluster: &str, secret: &Secret) -> Result<Self, Dropped> {
        if datagram.len() > MAX_DATAGRAM || !datagram.starts_with(&MAGIC) {
            return Err(Dropped::NotOurs);
        }
        let (body, code) = datagram.split_last_chunk::<CODE>().ok_or(Dropped::Malformed)?;
        secret.code(body).verify_truncated_left(code).map_err(|_| Dropped::WrongSecret)?;
        let mut rest = Rest(&body[MAGIC.len()..]);
        let heartbeat = rest.heartbeat().ok_or(Dropped::Malformed)?;
        // What a newer build adds stands behind; it may change nothing that stands before.
        if heartbeat.cluster == cluster { Ok(heartbeat) } else { Err(Dropped::OtherCluster) }
    }
}

/// What of a datagram is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn heartbeat(&mut self) -> Option<Heartbeat> {
        let role = match self.take::<1>()?[0] {
            0 => Role::Storage,
            1 => Role::Ingest,
            2 => Role::Coordinator,
            _ => return None,
        };
        let flags = self.take::<1>()?[0];
        let (http_port, rpc_port) = (self.u16()?, self.u16()?);
        let queue_permille = self.u16()?;
        let node = NodeId(self.u32()?);
        let (rows_per_second, sync_age_ms) = (self.u32()?, self.u32()?);
        let disk = DiskId(u128::from_le_bytes(self.take()?));
        let (incarnation, counter) = (self.u64()?, self.u64()?);
        let (placement, catalog) = (PlacementVersion(self.u64()?), self.u64()?);
        let (cluster, host) = (self.text()?, self.text()?);
        // Builds of before end here.
        let wall_ms = self.u64().unwrap_or(0);
        Some(Heartbeat {
            cluster,
            node,
            role,
            disk,
            incarnation,
            counter,
            leaving: flags & 1 != 0,
            disk_stuck: flags & 2 != 0,
            host,
            http_port,
            rpc_port,
            placement,
            catalog,
            rows_per_second,
            queue_permille,
            sync_age_ms,
            wall_ms,
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.take::<1>()?[0]);
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(taken.to_vec()).ok()
    }
}
