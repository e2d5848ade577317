//! Sessions that go from statement to statement: what a copy costs is the registries of functions, which no statement changes.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use datafusion::catalog::CatalogProviderList;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::prelude::SessionConfig;

/// Sessions kept for the next statements.
const KEPT_MAX: usize = 16;

/// The sessions that nobody has at the moment.
#[derive(Debug)]
pub(super) struct Idle {
    states: ArrayQueue<SessionState>,
    /// What a session has before a statement changes it.
    config: SessionConfig,
    catalogs: Arc<dyn CatalogProviderList>,
}

impl Idle {
    pub(super) fn new(template: &SessionState) -> Arc<Self> {
        let (config, catalogs) = (template.config().clone(), template.catalog_list().clone());
        Arc::new(Self { states: ArrayQueue::new(KEPT_MAX), config, catalogs })
    }

    /// A session as the template is.
    pub(super) fn lend(self: &Arc<Self>, template: &SessionState) -> Lent {
        let state = self.states.pop().unwrap_or_else(|| template.clone());
        Lent { state: Some(state), home: self.clone() }
    }

    /// Takes from a session what a statement gave it, and keeps it if there is room.
    fn take_back(&self, mut state: SessionState) {
        *state.config_mut() = self.config.clone();
        state.register_catalog_list(self.catalogs.clone());
        *state.execution_props_mut() = ExecutionProps::new();
        state.mark_start_execution();
        let _full = self.states.push(state);
    }
}

/// A session for one statement.
#[derive(Debug)]
pub(crate) struct Lent {
    /// None while it goes back.
    state: Option<SessionState>,
    home: Arc<Idle>,
}

impl Deref for Lent {
    type Target = SessionState;

    #[expect(clippy::expect_used, reason = "it is there until it is dropped")]
    fn deref(&self) -> &SessionState {
        self.state.as_ref().expect("a session until the end")
    }
}

impl DerefMut for Lent {
    #[expect(clippy::expect_used, reason = "it is there until it is dropped")]
    fn deref_mut(&mut self) -> &mut SessionState {
        self.state.as_mut().expect("a session until the end")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            self.home.take_back(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::session_state::SessionStateBuilder;

    use super::*;

    #[test]
    fn a_session_that_was_lent_before_is_as_a_new_one() {
        let template = SessionStateBuilder::new_with_default_features().build();
        let idle = Idle::new(&template);
        let threads = template.config_options().execution.target_partitions;
        let mut lent = idle.lend(&template);
        lent.config_mut().options_mut().execution.target_partitions = threads + 1;
        lent.config_mut().options_mut().catalog.default_schema = "other".to_owned();
        lent.config_mut().set_extension(Arc::new("a statement's".to_owned()));
        let kept = Arc::new(());
        lent.config_mut().set_extension(kept.clone());
        lent.register_catalog_list(Arc::new(datafusion::catalog::MemoryCatalogProviderList::new()));
        drop(lent);
        assert_eq!(Arc::strong_count(&kept), 1, "what a statement gave is gone with it");
        let again = idle.lend(&template);
        assert_eq!(again.config_options().execution.target_partitions, threads);
        assert_eq!(
            again.config_options().catalog.default_schema,
            template.config_options().catalog.default_schema
        );
        assert!(again.config().get_extension::<String>().is_none());
        assert!(Arc::ptr_eq(again.catalog_list(), template.catalog_list()));
        assert_eq!(again.scalar_functions().len(), template.scalar_functions().len());
        assert!(idle.states.is_empty(), "it was the one that came back");
    }
}
