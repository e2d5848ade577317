//! Why a peer is not believed or cannot answer, as a gRPC status and back. The reason travels in the metadata
//! `zepto-refusal`, so that a program need not read messages.

use std::fmt;

use tonic::{Code, Status};

/// The metadata key that carries a reason's name.
pub const REFUSAL_KEY: &str = "zepto-refusal";

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $code:ident;)*) => {
        /// A kind of refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum RefusedReason {
            $($(#[$doc])* $variant,)*
        }

        impl RefusedReason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The gRPC status.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$variant => Code::$code),* }
            }
        }
    };
}

reasons! {
    /// The peer does not know the cluster's secret.
    WrongSecret = "wrong-secret" Unauthenticated;
    /// The peer speaks another version of the protocol.
    WrongProtocol = "wrong-protocol" FailedPrecondition;
    /// The peer belongs to another cluster.
    WrongCluster = "wrong-cluster" FailedPrecondition;
    /// The message was meant for another member.
    WrongMember = "wrong-member" FailedPrecondition;
    /// No leader is known, or it did not answer in time: ask again.
    NoLeader = "no-leader" Unavailable;
    /// The message contradicts itself.
    BadMessage = "bad-message" InvalidArgument;
    /// Another node, or another start of this one, owns the partition.
    NotOwner = "not-owner" FailedPrecondition;
    /// A bound of this server is reached: ask again.
    Busy = "busy" ResourceExhausted;
}

/// A refusal, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// For programs.
    pub reason: RefusedReason,
    /// For people.
    pub message: String,
}

impl Refused {
    /// A refusal.
    pub fn new(reason: RefusedReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The refusal in a status; None if the status is another fault (a broken connection, a deadline).
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        let name = status.metadata().get(REFUSAL_KEY)?.to_str().ok()?;
        let reason = *RefusedReason::ALL.iter().find(|reason| reason.name() == name)?;
        Some(Self::new(reason, status.message()))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.name(), self.message)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let mut status = Self::new(refused.reason.code(), refused.message);
        let name = tonic::metadata::MetadataValue::from_static(refused.reason.name());
        status.metadata_mut().insert(REFUSAL_KEY, name);
        status
    }
}
