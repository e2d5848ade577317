//! Bugs to plant, one at a time, so that the simulation proves that it would catch them.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// A copy answers before its log is synced.
    AnswerBeforeSync,
    /// Messages of an older epoch are followed.
    FollowOlderEpoch,
    /// The highest token seen is not logged.
    ForgetToken,
    /// Keys of frames that this node applied as a follower are not remembered (a bug of the shell).
    ForgetKeys,
    /// An owner reads and acknowledges without a lease.
    IgnoreLease,
    /// A follower follows the next owner at once.
    NoGuard,
    /// An owner stops counting a follower when it proposes the removal.
    CountLessBeforeAgreed,
    /// An owner counts a new follower only when the addition is agreed.
    CountMoreAfterAgreed,
    /// A new owner serves before its first frame is committed.
    ServeBeforeStart,
    /// Frames follow whatever the log ends with.
    NoPreviousCheck,
    /// The owner acknowledges when one follower has synced.
    CommitOnFirst,
    /// Of a source only the committed offsets are known.
    OnlyCommittedOffsets,
    /// The start counter is not raised.
    SameBoot,
    /// A copy that owns nothing takes a write that an old routing table has sent, into its own log alone.
    StaleRouting,
    /// Entries wait for their commit without a bound.
    UnboundedQueue,
}
