//! What became of each partition's part of one block over all tries, and what to do next. Pure.
//!
//! Promises: a part that is stored is never sent again; a part that may be stored is not called refused before an owner
//! has said that it has it; the end is a 429 or 503 only if nothing of the block is or may be stored.

use std::collections::BTreeMap;
use std::time::Duration;

use zepto_common::ids::{Epoch, PartitionId, PlacementVersion, SchemaVersion};
use zepto_common::service::WriteReceipt;
use zepto_common::{Error, ErrorCode, Result};

use super::Verdict;

/// One partition's part.
#[derive(Debug, Clone)]
struct Part {
    rows: u64,
    /// None = not stored.
    stored: Option<Stored>,
    /// A try was sent whose outcome nobody knows.
    maybe: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Now,
    Before,
}

/// What a placement must have before another try makes sense.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// At least this version.
    pub version: PlacementVersion,
    /// At least these epochs.
    pub epochs: BTreeMap<PartitionId, Epoch>,
    /// No sooner than this.
    pub pause: Duration,
}

/// What to do after a try.
#[derive(Debug, Clone)]
pub enum Step {
    /// Everything is stored.
    Done,
    /// Send what is open once more, when this is so.
    Again(Wanted),
    /// Asking again does not help.
    Fail,
}

/// The parts of one block.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// By partition, in their order.
    parts: Vec<(PartitionId, Part)>,
    /// The batch id is this edge's own: a duplicate is a row of this very write.
    own_batch: bool,
    schema: SchemaVersion,
    /// Why the newest part that is not stored is not.
    fault: Option<Error>,
    /// A fault that no try will heal.
    hopeless: bool,
    wanted: Wanted,
    busy: bool,
}

impl Ledger {
    /// Nothing was sent yet.
    #[must_use]
    pub fn new(partition_of_row: &[u16], own_batch: bool, schema: SchemaVersion) -> Self {
        let mut rows_of = vec![0; partition_of_row.iter().max().map_or(0, |&it| usize::from(it) + 1)];
        for &partition in partition_of_row {
            if let Some(rows) = rows_of.get_mut(usize::from(partition)) {
                *rows += 1;
            }
        }
        let parts = (0..=u16::MAX).map(PartitionId).zip(rows_of).filter(|(_, rows)| *rows > 0);
        let parts =
            parts.map(|(partition, rows)| (partition, Part { rows, stored: None, maybe: false })).collect();
        Self {
            parts,
            own_batch,
            schema,
            fault: None,
            hopeless: false,
            wanted: Wanted::default(),
            busy: false,
        }
    }

    /// Whether every part is still to be stored.
    #[must_use]
    pub fn is_all_open(&self) -> bool {
        self.parts.iter().all(|(_, part)| part.stored.is_none())
    }

    /// Whether this partition's part is still to be stored.
    #[must_use]
    pub fn is_open(&self, partition: PartitionId) -> bool {
        let at = self.parts.binary_search_by_key(&partition, |(it, _)| *it);
        at.ok().and_then(|at| self.parts.get(at)).is_some_and(|(_, part)| part.stored.is_none())
    }

    /// Whether any part is stored, or may be.
    #[must_use]
    pub fn has_stored(&self) -> bool {
        self.parts.iter().any(|(_, part)| part.stored.is_some() || part.maybe)
    }

    /// Takes in what an owner said of a part that was sent under this epoch and placement.
    pub fn told(
        &mut self,
        partition: PartitionId,
        epoch: Epoch,
        version: PlacementVersion,
        verdict: Verdict,
    ) {
        let own_batch = self.own_batch;
        let at = self.parts.binary_search_by_key(&partition, |(it, _)| *it);
        let part = at.ok().and_then(|at| self.parts.get_mut(at)).map(|(_, part)| part);
        let Some(part) = part.filter(|part| part.stored.is_none()) else { return };
        match verdict {
            Verdict::Stored => part.stored = Some(Stored::Now),
            Verdict::Duplicate => {
                part.stored = Some(if own_batch { Stored::Now } else { Stored::Before });
            }
            Verdict::NotOwner(newer) => {
                if newer > epoch {
                    self.wanted.epochs.insert(partition, newer);
                }
                self.passing(format!("partition {partition} has moved to another owner"));
            }
            Verdict::StalePlacement(theirs) => {
                if theirs > version {
                    self.wanted.version = self.wanted.version.max(theirs);
                }
                self.passing(format!(
                    "the owner of partition {partition} acts on placement {theirs}, this node on {version}"
                ));
            }
            Verdict::UnknownSchema(newest) if newest > self.schema => {
                let message = "the table has changed meanwhile: repeat the INSERT";
                self.final_fault(Error::new(ErrorCode::UnknownTable, message));
            }
            // The owner has not heard of the newest catalog yet.
            Verdict::UnknownSchema(newest) => {
                self.passing(format!(
                    "the owner of partition {partition} knows the table in version {newest} only"
                ));
            }
            Verdict::Busy(after) => {
                self.busy = true;
                self.wanted.pause = self.wanted.pause.max(after);
                let message = "too many rows arrive (an owner has no room): repeat later, nothing was stored";
                self.note(Error::new(ErrorCode::Overloaded, message));
            }
            Verdict::Unknown(why) => {
                part.maybe = true;
                self.passing(why);
            }
            Verdict::Refused(error) => self.final_fault(error),
        }
    }

    /// Notes that a part was not sent, because its owner is away.
    pub fn not_sent(&mut self, why: &str) {
        self.passing(why.to_owned());
    }

    /// Notes that there is no room for what is open.
    pub fn no_room(&mut self) {
        let message = "too many rows are on their way to an owner: repeat later, nothing was stored";
        self.busy = true;
        self.note(Error::new(ErrorCode::Overloaded, message));
    }

    /// Notes a fault that no further try heals.
    pub fn final_fault(&mut self, error: Error) {
        self.hopeless = true;
        self.fault = Some(error);
    }

    fn passing(&mut self, why: String) {
        self.note(Error::new(ErrorCode::NotReady, why));
    }

    fn note(&mut self, error: Error) {
        if !self.hopeless {
            self.fault = Some(error);
        }
    }

    /// What to do now. Asked once after each try.
    pub fn step(&mut self) -> Step {
        let wanted = std::mem::take(&mut self.wanted);
        let busy = std::mem::take(&mut self.busy);
        if self.parts.iter().all(|(_, part)| part.stored.is_some()) {
            return Step::Done;
        }
        // The client is told 429 at once while that is true; later it is better to finish what was begun.
        if self.hopeless || (busy && !self.has_stored()) {
            return Step::Fail;
        }
        Step::Again(wanted)
    }

    /// The answer to the whole write.
    ///
    /// # Errors
    /// What stood in the way of a part; `UnknownStatusOfInsert` instead of a 429 or 503 if others are or may be stored.
    pub fn end(self) -> Result<WriteReceipt> {
        let mut receipt = WriteReceipt::default();
        let (mut open, mut maybe) = (0, 0);
        for (_, part) in &self.parts {
            match part.stored {
                Some(Stored::Now) => receipt.rows += part.rows,
                Some(Stored::Before) => receipt.duplicate_rows += part.rows,
                None if part.maybe => maybe += part.rows,
                None => open += part.rows,
            }
        }
        if open + maybe == 0 {
            return Ok(receipt);
        }
        let error = self.fault.unwrap_or_else(|| Error::new(ErrorCode::NotReady, "the time is over"));
        let stored = receipt.rows + receipt.duplicate_rows;
        let promises_nothing_stored = matches!(error.code.http_status(), 429 | 503);
        if maybe == 0 && (stored == 0 || !promises_nothing_stored) {
            return Err(error);
        }
        let message = format!(
            "{stored} rows of the block are stored, {open} are not, of {maybe} nobody knows ({}): repeat with the same \
             insert_deduplication_token to store each once",
            error.message
        );
        Err(Error::new(ErrorCode::UnknownStatusOfInsert, message))
    }
}
