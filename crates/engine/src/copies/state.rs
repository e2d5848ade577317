//! What a copy remembers, folded from the entries of its log: the same at a start, in the manifest, and while it runs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use zepto_common::ids::SetVersion;
use zepto_common::placement::{Grant, Replica};
use zepto_common::{Epoch, Lsn, Token};
use zepto_replication::{History, LogOp};

use super::Payload;

/// A copy's memory after its entry `number`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(crate) struct CopyState {
    pub(crate) number: u64,
    pub(crate) committed: Lsn,
    pub(crate) seen: Token,
    pub(crate) grant: Option<Grant>,
    pub(crate) followed: Epoch,
    pub(crate) pending: Option<(SetVersion, BTreeSet<Replica>)>,
    pub(crate) history: History,
}

/// Its form in the manifest.
#[derive(Serialize, Deserialize)]
struct Stored {
    number: u64,
    committed: Lsn,
    seen: Token,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<Grant>,
    followed: Epoch,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<(SetVersion, BTreeSet<Replica>)>,
    /// Token and first lsn of each stretch.
    history: Vec<(Token, Lsn)>,
    end: Lsn,
}

impl From<CopyState> for Stored {
    fn from(state: CopyState) -> Self {
        let CopyState { number, committed, seen, grant, followed, pending, history } = state;
        let end = history.end().lsn;
        Self { number, committed, seen, grant, followed, pending, history: history.stretches().to_vec(), end }
    }
}

impl TryFrom<Stored> for CopyState {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { number, committed, seen, grant, followed, pending, history, end } = stored;
        let history = History::from_stretches(history, end).ok_or("a history that is out of order")?;
        if committed > end {
            return Err(format!("committed {committed} above the end {end}"));
        }
        Ok(Self { number, committed, seen, grant, followed, pending, history })
    }
}

impl CopyState {
    /// Takes the next entry in.
    ///
    /// # Errors
    /// What no log can say.
    pub(crate) fn take(&mut self, op: &LogOp<Payload>) -> Result<(), String> {
        match op {
            LogOp::Append(entry) => {
                let next = self.history.end().lsn.next();
                let falls = entry.position.token < self.history.end().token;
                if entry.position.lsn != next || falls {
                    return Err(format!("entry {:?} follows {:?}", entry.position, self.history.end()));
                }
                self.history.append(entry.position.token);
            }
            LogOp::Truncate(to) if *to < self.committed => {
                return Err(format!("a cut at {to} below the committed {}", self.committed));
            }
            LogOp::Truncate(to) => self.history.truncate(*to),
            LogOp::Seen(token, grant) => (self.seen, self.grant) = (*token, Some(grant.clone())),
            LogOp::Followed(epoch) => self.followed = *epoch,
            LogOp::Pending(base, members) => self.pending = Some((*base, members.clone())),
            LogOp::Committed(lsn) if *lsn > self.history.end().lsn => {
                return Err(format!("committed {lsn} above the end {}", self.history.end().lsn));
            }
            LogOp::Committed(lsn) => self.committed = self.committed.max(*lsn),
            LogOp::Installed(history) => {
                self.history = history.clone();
                self.committed = history.end().lsn;
                self.pending = None;
            }
        }
        self.number += 1;
        Ok(())
    }
}
