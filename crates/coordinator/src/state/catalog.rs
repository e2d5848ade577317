//! DDL: each statement once, in one order, with the answer remembered for whoever asks again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use zepto_common::TableId;
use zepto_common::catalog::{Catalog, Ddl};
use zepto_common::ids::PartitionId;
use zepto_common::limits::DELETES_MAX;

use super::State;
use super::command::{Outcome, Reason, Refusal};
use super::limits::{REQUESTS_REMEMBERED, SWEEPS_MAX};
use super::record::{Sweep, SweepKind};

/// The answer to a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecentRequest {
    request: u128,
    outcome: Outcome,
}

impl State {
    pub(super) fn ddl(&mut self, request: u128, statement: &Ddl, changed: &mut bool) -> Outcome {
        if let Some(known) = self.catalog.recent.iter().rev().find(|it| it.request == request) {
            return known.outcome.clone();
        }
        let outcome = match self.founded().map(|it| it.partitions) {
            Err(refusal) => return Outcome::Refused(refusal),
            Ok(_) if self.catalog.sweeps.len() >= SWEEPS_MAX => {
                let message = format!("{SWEEPS_MAX} TRUNCATE and DROP wait for their partitions");
                return Outcome::Refused(Refusal::new(Reason::LimitReached, message));
            }
            Ok(_) if self.is_held_up(statement) => {
                let message =
                    "a DELETE waits for partitions of nodes that are away: repeat the statement later";
                return Outcome::Refused(Refusal::new(Reason::LimitReached, message.to_owned()));
            }
            Ok(partitions) => self.change_catalog(statement, partitions),
        };
        self.catalog.recent.push_back(RecentRequest { request, outcome: outcome.clone() });
        if self.catalog.recent.len() > REQUESTS_REMEMBERED {
            self.catalog.recent.pop_front();
        }
        *changed = true;
        outcome
    }

    /// Whether DELETEs stand in a statement's way: too many of them, or one that reads columns which it changes.
    fn is_held_up(&self, statement: &Ddl) -> bool {
        let deletes =
            || self.catalog.sweeps.values().filter(|it| matches!(it.kind, SweepKind::Delete { .. }));
        match statement {
            Ddl::DeleteRows { .. } => deletes().count() >= DELETES_MAX,
            Ddl::AlterTable { name, .. } => {
                let table = self.catalog.catalog.table(name).map(|table| table.id);
                table.is_some_and(|table| deletes().any(|it| it.tables.contains(&table)))
            }
            _ => false,
        }
    }

    fn change_catalog(&mut self, statement: &Ddl, partitions: u16) -> Outcome {
        let before = &self.catalog.catalog;
        let next = match statement.apply(before) {
            Ok(Some(next)) => next,
            Ok(None) => return Outcome::Ddl { catalog_version: before.version(), sweeps: false },
            Err(error) => {
                return Outcome::DdlRefused { code: error.code.number(), message: error.message };
            }
        };
        let sweep = sweep_of(statement, before, &next, partitions);
        let catalog_version = next.version();
        // Before the first placement there is nothing to sweep and nobody to do it.
        let sweeps = sweep.is_some() && !self.placement.partitions.is_empty();
        if let Some(sweep) = sweep.filter(|_| sweeps) {
            self.catalog.sweeps.insert(sweep.version, sweep);
        }
        self.catalog.catalog = next;
        Outcome::Ddl { catalog_version, sweeps }
    }

    pub(super) fn finish_sweep(&mut self, version: u64, partitions: &[PartitionId]) -> Result<bool, Refusal> {
        // A sweep that is not there is finished: the report is a repeat.
        let Some(sweep) = self.catalog.sweeps.get_mut(&version) else { return Ok(false) };
        let before = sweep.remaining.len();
        sweep.remaining.retain(|partition| !partitions.contains(partition));
        let did = sweep.remaining.len() != before;
        if sweep.remaining.is_empty() {
            self.catalog.sweeps.remove(&version);
        }
        Ok(did)
    }
}

fn sweep_of(statement: &Ddl, before: &Catalog, next: &Catalog, partitions: u16) -> Option<Sweep> {
    let (kind, tables): (_, BTreeSet<TableId>) = match statement {
        Ddl::TruncateTable { name, .. } => {
            (SweepKind::Truncate, before.table(name).map(|table| table.id).into_iter().collect())
        }
        Ddl::DeleteRows { table, schema, condition, .. } => {
            let kind = SweepKind::Delete { schema: *schema, condition: condition.clone() };
            (kind, std::iter::once(*table).collect())
        }
        _ => {
            let gone = before.tables().map(|table| table.id).filter(|id| next.table_by_id(*id).is_none());
            let gone_views = before.views().filter_map(|view| view.target);
            let gone_views = gone_views.filter(|id| next.view_by_id(*id).is_none());
            (SweepKind::Drop, gone.chain(gone_views).collect())
        }
    };
    let remaining = (0..partitions).map(PartitionId).collect();
    (!tables.is_empty()).then(|| Sweep { version: next.version(), tables, kind, remaining })
}
