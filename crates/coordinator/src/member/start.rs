//! A member's first steps: is this disk new, may it take part, does it begin the group?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::BasicNode;
use openraft::error::{InitializeError, RaftError};
use zepto_proto::refusal::{Refused, RefusedReason};

use super::network::Call;
use super::service::ProbeAnswer;
use super::{Member, MemberError};
use crate::state::decode;

/// Wait between two rounds of asking the others.
const ROUND_PAUSE: Duration = Duration::from_millis(200);

impl Member {
    /// Whether this member has a log.
    pub(crate) async fn is_initialised(&self) -> Result<bool, Refused> {
        let known = self.raft.is_initialized().await;
        known.map_err(|error| Refused::new(RefusedReason::NoLeader, error.to_string()))
    }

    /// Looks around as long as this disk is fresh, then takes part; begins the group if asked to. Waits for the other
    /// members: for all of them with `bootstrap`, else for so many that with this one they are a majority.
    ///
    /// # Errors
    /// This member lost its disk, or `--bootstrap` meets a group that is there.
    pub(crate) async fn look_around(&self, bootstrap: bool, time: Duration) -> Result<(), MemberError> {
        if self.is_initialised().await? {
            self.admit();
            return Ok(());
        }
        let members = self.peers.members().clone();
        let others: Vec<u64> = members.keys().copied().filter(|id| *id != self.id()).collect();
        let needed = if bootstrap { others.len() } else { members.len() / 2 };
        let mut answered = BTreeSet::new();
        while answered.len() < needed {
            for &other in others.iter().filter(|id| !answered.contains(*id)).collect::<Vec<_>>() {
                match self.peers.call(other, Call::Probe, Vec::new(), time).await {
                    Ok(bytes) => {
                        self.consider(other, &bytes, bootstrap)?;
                        answered.insert(other);
                    }
                    Err(refused) if refused.reason == RefusedReason::NoLeader => {
                        tracing::debug!(member = other, %refused, "waiting for this member");
                    }
                    Err(refused) => return Err(refused.into()),
                }
            }
            if answered.len() < needed {
                tokio::time::sleep(ROUND_PAUSE).await;
            }
        }
        self.admit();
        // All may be told to bootstrap; one does.
        if bootstrap && members.keys().next() == Some(&self.id()) {
            self.begin(members).await?;
        }
        Ok(())
    }

    fn consider(&self, other: u64, bytes: &[u8], bootstrap: bool) -> Result<(), MemberError> {
        let answer: ProbeAnswer =
            decode(bytes).map_err(|error| Refused::new(RefusedReason::BadMessage, error.to_string()))?;
        if answer.asker_disk.is_some_and(|disk| disk != self.identity.disk) {
            return Err(MemberError::LostDisk { member: self.id() });
        }
        // The one that begins the group may have begun while this one still looked around.
        let begun_by_another = self.peers.members().keys().next() != Some(&self.id());
        if bootstrap && answer.initialised && !begun_by_another {
            let address = self.peers.address(other).unwrap_or_default().to_owned();
            return Err(MemberError::AlreadyInitialised { member: other, address });
        }
        Ok(())
    }

    async fn begin(&self, members: BTreeMap<u64, String>) -> Result<(), MemberError> {
        let nodes: BTreeMap<u64, BasicNode> =
            members.into_iter().map(|(id, address)| (id, BasicNode::new(address))).collect();
        match self.raft.initialize(nodes).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(MemberError::Stopped(error.to_string())),
        }
    }
}
