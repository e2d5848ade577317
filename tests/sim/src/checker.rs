//! What must hold in every history, checked while it runs.

use std::collections::{BTreeMap, BTreeSet};

use zepto_replication::Key;

use crate::disk::{Payload, Row};

/// A name of one write: all rows of a source have the same key.
fn name_of(key: Key, content: u64) -> Key {
    if key.is_source() { Key { block: content as u32, ..key } } else { key }
}

/// What is known of one partition.
#[derive(Debug, Default, Clone)]
struct Known {
    /// Frame by position, as first committed anywhere.
    committed: BTreeMap<u64, Row>,
    /// Position by key.
    keys: BTreeMap<Key, u64>,
    /// Acknowledged keys in the order of their acknowledgement.
    acknowledged: Vec<Key>,
    seen: BTreeSet<Key>,
    /// Position by what was written: a writer writes nothing twice.
    written: BTreeMap<Payload, u64>,
}

/// The judge of one history.
#[derive(Debug, Default)]
pub struct Checker {
    partitions: Vec<Known>,
    /// The first thing that did not hold.
    pub fault: Option<String>,
}

impl Checker {
    /// For so many partitions.
    #[must_use]
    pub fn new(partitions: usize) -> Self {
        Self { partitions: vec![Known::default(); partitions], fault: None }
    }

    /// Notes that something does not hold.
    pub fn fail(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    /// A node applied a frame.
    pub fn applied(&mut self, node: u32, partition: usize, row: &Row) {
        let known = &mut self.partitions[partition];
        if let Some(before) = known.committed.get(&row.lsn.0) {
            if before != row {
                let what = format!(
                    "partition {partition}: node {node} applied {row:?}, but {before:?} is committed there"
                );
                self.fail(what);
            }
            return;
        }
        let named = row.written.map(|(key, content, _)| name_of(key, content));
        if let Some(key) = named
            && let Some(before) = known.keys.insert(key, row.lsn.0)
        {
            let what = format!("partition {partition}: {key:?} is committed at {before} and at {}", row.lsn);
            self.fail(what);
            return;
        }
        if let Some((_, _, payload)) = row.written
            && let Some(before) = known.written.insert(payload, row.lsn.0)
        {
            let what =
                format!("partition {partition}: {payload:?} is stored twice, at {before} and at {}", row.lsn);
            self.fail(what);
            return;
        }
        known.committed.insert(row.lsn.0, row.clone());
    }

    /// A writer was told that its rows are stored.
    pub fn acknowledged(&mut self, partition: usize, key: Key, content: u64) {
        let key = name_of(key, content);
        let known = &mut self.partitions[partition];
        if !known.keys.contains_key(&key) {
            let what = format!("partition {partition}: {key:?} was acknowledged and is committed nowhere");
            self.fail(what);
        } else if known.seen.insert(key) {
            known.acknowledged.push(key);
        }
    }

    /// How many writes of a partition are acknowledged by now.
    #[must_use]
    pub fn mark(&self, partition: usize) -> usize {
        self.partitions[partition].acknowledged.len()
    }

    /// A reader that began at `mark` saw this state.
    pub fn read(&mut self, node: u32, partition: usize, mark: usize, state: &[Row]) {
        let known = &self.partitions[partition];
        let seen: BTreeSet<Key> =
            state.iter().filter_map(|row| row.written.map(|it| name_of(it.0, it.1))).collect();
        let missing = known.acknowledged[..mark].iter().find(|key| !seen.contains(key));
        let dirty = state.iter().find(|row| known.committed.get(&row.lsn.0) != Some(row));
        let what = match (missing, dirty) {
            (Some(key), _) => {
                format!("partition {partition}: a read from node {node} misses acknowledged {key:?}")
            }
            (None, Some(row)) => {
                format!("partition {partition}: a read from node {node} saw {row:?}, which is not committed")
            }
            (None, None) => return,
        };
        self.fail(what);
    }

    /// Committed frames and acknowledged writes of all partitions.
    #[must_use]
    pub fn totals(&self) -> (usize, usize) {
        let sum = |f: fn(&Known) -> usize| self.partitions.iter().map(f).sum();
        (sum(|it| it.committed.len()), sum(|it| it.acknowledged.len()))
    }
}
