//! Changes of rows in the world: asked of each partition's owner until they are committed there, and what the judge
//! concludes of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::Int64Type;
use tokio::task::JoinHandle;
use zepto_common::schema::TableSchema;
use zepto_common::{Error, Lsn, PartitionId, Result};
use zepto_engine::copies::RowChange;
use zepto_engine::store::{Condition, Conditions};

use super::{PARTITIONS, World};

/// Understands one condition: the id is even, or "even, and fail at 6" for one that says nothing of every seventh row.
#[derive(Debug, Default)]
pub(crate) struct Even {
    /// While it is shut, nobody gets on with a change.
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Even {
    pub(super) fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

impl Conditions for Even {
    fn condition(&self, schema: &Arc<TableSchema>, bytes: &[u8]) -> Result<Condition> {
        let _open = self.opened.wait_while(self.shut.lock().unwrap(), |shut| *shut).unwrap();
        let id = schema.index_of("id").expect("the table has ids");
        let fails = bytes == b"even, and fail at 6";
        assert!(fails || bytes == b"even");
        let judge = move |rows: &RecordBatch| -> Result<BooleanArray> {
            let ids = rows.column(id).as_primitive::<Int64Type>();
            if fails && ids.values().iter().any(|id| id % 7 == 6) {
                return Err(Error::internal("this row cannot be judged"));
            }
            Ok(ids.iter().map(|id| id.map(|id| id % 2 == 0)).collect())
        };
        Ok(Condition { reads: vec![schema.columns[id].id], judge: Arc::new(judge), update: None })
    }
}

type Answers = Result<Vec<(PartitionId, Result<()>)>>;

/// A change that one partition has not committed yet, as far as is known.
#[derive(Debug)]
struct Open {
    change: RowChange,
    call: Option<(usize, JoinHandle<Answers>)>,
    /// Rows that were acknowledged when it began.
    before: BTreeSet<i64>,
    /// It is committed already.
    repeats: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) conditions: Arc<Even>,
    /// Faults begin changes too.
    pub(crate) wanted: bool,
    pub(crate) committed: usize,
    mutations: u64,
    open: Vec<Option<Open>>,
}

fn removes(change: &RowChange, id: i64) -> bool {
    match change {
        RowChange::Truncate { .. } => true,
        RowChange::Expire { cutoff } => id < *cutoff,
        RowChange::Delete { condition, .. } => id % 2 == 0 && (condition.as_ref() == b"even" || id % 7 != 6),
    }
}

impl World {
    /// Begins a TRUNCATE or a DELETE in every partition, if no other is under way.
    pub(crate) fn begin_change(&mut self) {
        let mutation = self.changes.mutations + 1;
        let conditions: [&[u8]; 2] = [b"even", b"even, and fail at 6"];
        let change = match self.random.below(3) {
            0 => RowChange::Truncate { mutation },
            n => RowChange::Delete { mutation, condition: conditions[n - 1].into() },
        };
        self.begin(&change);
    }

    pub(crate) fn begin(&mut self, change: &RowChange) {
        if self.changes.open.iter().any(Option::is_some) {
            return;
        }
        self.changes.mutations = change.mutation().unwrap_or(self.changes.mutations);
        let open = |partition| {
            let (change, before) = (change.clone(), self.acknowledged_of(partition));
            Some(Open { change, call: None, before, repeats: false })
        };
        self.changes.open = (0..PARTITIONS).map(open).collect();
    }

    /// A change in every partition, until it is committed everywhere.
    pub(crate) fn change(&mut self, change: &RowChange) {
        self.begin(change);
        self.until("the change is committed", Self::changes_committed);
    }

    pub(crate) fn next_mutation(&self) -> u64 {
        self.changes.mutations + 1
    }

    pub(crate) fn changes_committed(&mut self) -> bool {
        self.changes.open.iter().all(Option::is_none)
    }

    pub(super) fn gone_from(&self, partition: u16) -> BTreeSet<i64> {
        let gone = self.writers.iter().flat_map(|writer| writer.gone.iter().copied());
        gone.filter(|id| self.partition_of(*id) == partition).collect()
    }

    pub(super) fn may_be_removed(&self, partition: u16, id: i64) -> bool {
        let open = self.changes.open.get(usize::from(partition)).and_then(Option::as_ref);
        open.is_some_and(|open| !open.repeats && removes(&open.change, id))
    }

    /// Has a DELETE committed that no node can carry out until `then` has run.
    pub(crate) fn delete_behind_a_gate(&mut self, then: impl FnOnce(&mut Self)) {
        self.changes.conditions.set(true);
        let change = RowChange::Delete { mutation: self.next_mutation(), condition: b"even"[..].into() };
        self.change(&change);
        then(self);
        self.changes.conditions.set(false);
    }

    /// Begins to ask a partition's owner whether it may be read.
    pub(crate) fn begin_read(&self, partition: u16) -> JoinHandle<Result<Lsn>> {
        let store = self.nodes[self.owner_of(partition)].store.clone().expect("it runs");
        self.runtime.spawn(async move { store.confirm_read(PartitionId(partition)).await })
    }

    /// Waits for its answer, and checks what is read then.
    pub(crate) fn end_read(&mut self, partition: u16, read: JoinHandle<Result<Lsn>>) {
        self.runtime.block_on(read).unwrap().expect("the owner may be read");
        let view = self.view(self.owner_of(partition), partition);
        let back: Vec<_> = self.gone_from(partition).intersection(&view).copied().collect();
        assert!(back.is_empty(), "rows {back:?} are read that were removed");
    }

    pub(super) fn poll_changes(&mut self) {
        for index in 0..self.changes.open.len() {
            let Some(mut open) = self.changes.open[index].take() else { continue };
            match open.call.take() {
                Some((_, call)) if call.is_finished() => {
                    let answer = self.runtime.block_on(call).unwrap();
                    if answer.is_ok_and(|parts| parts.iter().all(|(_, part)| part.is_ok())) {
                        self.committed(index as u16, &open);
                        continue;
                    }
                }
                Some((since, call)) if self.steps - since <= 60 => open.call = Some((since, call)),
                // Whoever asks gives up on this owner; what was asked for may still be committed.
                Some((_, call)) => call.abort(),
                None => self.ask(index as u16, &mut open),
            }
            self.changes.open[index] = Some(open);
        }
    }

    fn ask(&mut self, partition: u16, open: &mut Open) {
        let wrong = self.random.chance(10);
        let node = if wrong { self.random.below(super::NODES) } else { self.owner_of(partition) };
        let Some(store) = self.nodes[node].store.clone() else { return };
        let (change, table) = (open.change.clone(), self.schema.as_ref().unwrap().id);
        let call = self.runtime.spawn(async move {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
            store.change_rows(table, None, change, &[PartitionId(partition)], deadline).await
        });
        open.call = Some((self.steps, call));
    }

    /// Rows from before are gone; of those that came meanwhile it is not known.
    fn committed(&mut self, partition: u16, open: &Open) {
        if open.repeats {
            return;
        }
        self.changes.committed += 1;
        for index in 0..self.writers.len() {
            let hits = |id: &i64| self.partition_of(*id) == partition && removes(&open.change, *id);
            let under_way =
                self.writers[index].batch.into_iter().flat_map(|batch| super::ids_of(index, batch));
            let doubtful: Vec<i64> = under_way.filter(hits).collect();
            let hit: Vec<i64> = self.writers[index].stored.iter().copied().filter(hits).collect();
            let writer = &mut self.writers[index];
            writer.doubtful.extend(doubtful);
            for id in hit {
                writer.stored.remove(&id);
                if open.before.contains(&id) {
                    writer.gone.insert(id);
                }
            }
        }
    }

    /// What the background threads do beside the steps is waited for often enough that a change is carried out in a
    /// bounded number of them.
    pub(super) fn let_changes_be_carried_out(&mut self) {
        let shut = *self.changes.conditions.shut.lock().unwrap();
        if shut || (self.changes.mutations == 0 && self.changes.open.is_empty()) {
            return;
        }
        for index in 0..self.nodes.len() {
            let Some(store) = self.nodes[index].store.clone() else { continue };
            if self.random.chance(30) {
                let _a_frozen_disk_fails = self.runtime.block_on(store.look_now());
            }
        }
    }

    /// Asks for a change that is committed once more, everywhere: it must be known.
    pub(crate) fn repeat_change(&mut self, change: &RowChange) {
        let mutations = self.changes.mutations;
        self.begin(change);
        for partition in 0..PARTITIONS {
            // The judge takes it for one that never came.
            if let Some(open) = &mut self.changes.open[usize::from(partition)] {
                open.repeats = true;
            }
        }
        self.until("the repeated change is answered", Self::changes_committed);
        self.changes.mutations = mutations;
    }

    /// Writes every batch of a client again whose rows were removed: each must be stored. A feed reads on, not again.
    pub(crate) fn reload_all(&mut self) {
        for index in (0..self.writers.len()).filter(|index| !super::is_feed(*index)) {
            let writer = &mut self.writers[index];
            writer.gone.clear();
            for batch in 0..writer.next {
                self.writers[index].batch = Some(batch);
                self.until("a batch is answered", |world| world.writers[index].batch.is_none());
            }
        }
    }

    pub(crate) fn with_changes(&mut self) {
        self.changes.wanted = true;
    }

    pub(crate) fn changes_done(&self) -> usize {
        self.changes.committed
    }

    pub(crate) fn removed(&self) -> usize {
        self.writers.iter().map(|writer| writer.gone.len()).sum()
    }
}
