//! What both sides check of every message: the secret, the protocol, the cluster.
//!
//! The secret itself never travels. `zepto-proof` in the metadata is SHA-256 over a fixed text and the secret, in
//! hexadecimal; requests and answers have different texts, so that neither can be played back as the other. It proves
//! that the peer knows the secret; it hides nothing and stops nobody who reads the wire: that is TLS's part ([`crate::wire`]). The
//! comparison takes the same time for a right and a wrong proof.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::coordinate::Envelope;
use crate::refusal::{Refused, RefusedReason};
use crate::wire::Wire;

/// The version that this build speaks.
pub const PROTOCOL: u32 = 1;
/// The metadata key of the proof.
pub const PROOF_KEY: &str = "zepto-proof";

/// The cluster's secret as the proofs that are made of it, and the connections over which they go. `Debug` hides it.
#[derive(Clone)]
pub struct Secret {
    request: MetadataValue<Ascii>,
    answer: MetadataValue<Ascii>,
    wire: Wire,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(<hidden>)")
    }
}

impl Secret {
    /// The secret in this text; space around it does not count. An empty one is for processes that run alone.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let (request, answer) = (proof("zepto request 1", text), proof("zepto answer 1", text));
        Self { request, answer, wire: Wire::default() }
    }

    /// With connections of this kind.
    #[must_use]
    pub fn over(self, wire: Wire) -> Self {
        Self { wire, ..self }
    }

    /// How connections are made and taken.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Puts the proof of a request into its metadata.
    pub fn sign_request(&self, metadata: &mut MetadataMap) {
        metadata.insert(PROOF_KEY, self.request.clone());
    }

    /// Puts the proof of an answer into its metadata.
    pub fn sign_answer(&self, metadata: &mut MetadataMap) {
        metadata.insert(PROOF_KEY, self.answer.clone());
    }

    /// Checks a request's proof.
    ///
    /// # Errors
    /// `WrongSecret`.
    pub fn check_request(&self, metadata: &MetadataMap) -> Result<(), Refused> {
        check(&self.request, metadata, "the peer that asks")
    }

    /// Checks an answer's proof.
    ///
    /// # Errors
    /// `WrongSecret`.
    pub fn check_answer(&self, metadata: &MetadataMap) -> Result<(), Refused> {
        check(&self.answer, metadata, "the peer that answers")
    }
}

fn proof(purpose: &str, secret: &str) -> MetadataValue<Ascii> {
    let digest = Sha256::new().chain_update(purpose).chain_update([0]).chain_update(secret).finalize();
    let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    // Hexadecimal digits are always a valid value.
    MetadataValue::try_from(text).unwrap_or_else(|_| MetadataValue::from_static(""))
}

fn check(expected: &MetadataValue<Ascii>, metadata: &MetadataMap, who: &str) -> Result<(), Refused> {
    let given = metadata.get(PROOF_KEY).map(MetadataValue::as_encoded_bytes).unwrap_or_default();
    if !given.is_empty() && bool::from(expected.as_encoded_bytes().ct_eq(given)) {
        return Ok(());
    }
    Err(Refused::new(RefusedReason::WrongSecret, format!("{who} does not know this cluster's secret")))
}

/// Checks who sent a message.
///
/// # Errors
/// `BadMessage` without an envelope, `WrongProtocol`, `WrongCluster`. A peer that has no cluster yet (an empty id)
/// passes if `may_be_new`; so does everyone while this side has none.
pub fn check_envelope(
    envelope: Option<&Envelope>,
    cluster_id: &str,
    may_be_new: bool,
) -> Result<Envelope, Refused> {
    let Some(envelope) = envelope else {
        return Err(Refused::new(RefusedReason::BadMessage, "a message without an envelope"));
    };
    if envelope.protocol != PROTOCOL {
        let message = format!("protocol {} came, this side speaks {PROTOCOL}", envelope.protocol);
        return Err(Refused::new(RefusedReason::WrongProtocol, message));
    }
    let theirs = envelope.cluster_id.as_str();
    let unknown = cluster_id.is_empty() || (theirs.is_empty() && may_be_new);
    if theirs != cluster_id && !unknown {
        let message = format!("the peer is of cluster {theirs:?}, this side of {cluster_id:?}");
        return Err(Refused::new(RefusedReason::WrongCluster, message));
    }
    Ok(envelope.clone())
}
