//! Changes of the catalog: proposed to the coordinators, in force here before they are answered.
//!
//! Promises: a change that is answered is in force on the coordinators and on this node; TRUNCATE, DELETE and DROP have been
//! carried out in every partition. While no coordinator answers, nothing is changed and the answer is 503.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use zepto_common::catalog::Ddl;
use zepto_common::service::CatalogChanges;
use zepto_common::{Error, ErrorCode, Result};
use zepto_proto::coordinate as wire;

use super::agreed::Agreed;
use super::copies;

/// How long a statement waits until every partition has carried it out.
const SWEEP_WAIT: Duration = Duration::from_secs(20);

/// How long a statement about something that is not known here waits for a coordinator's word.
const CATCH_UP_WAIT: Duration = Duration::from_secs(2);

/// Has changes agreed on.
pub(crate) struct Proposer {
    agreed: Arc<Agreed>,
}

impl Proposer {
    pub(crate) fn new(agreed: Arc<Agreed>) -> Self {
        Self { agreed }
    }

    /// Waits until this node has a catalog of at least this version.
    async fn in_force(&self, version: u64) -> Result<()> {
        // The watch is about to bring it, too; to ask needs no clock.
        if self.agreed.store.catalog().version() < version {
            self.agreed.catch_up().await?;
        }
        if self.agreed.store.catalog().version() < version {
            let message =
                format!("the change is agreed on as version {version} of the catalog, which is not here yet");
            return Err(Error::new(ErrorCode::TimeoutExceeded, message));
        }
        Ok(())
    }

    /// Waits until no partition is left to be swept.
    async fn swept(&self, version: u64) -> Result<()> {
        let mut told = self.agreed.told();
        let done = told.wait_for(|told| {
            told.catalog >= version && !told.sweeps.iter().any(|sweep| sweep.version == version)
        });
        if tokio::time::timeout(SWEEP_WAIT, done).await.is_ok() {
            return Ok(());
        }
        let message = "the statement is in force and not yet carried out in every partition: a node is away, and will \
                       do it when it is back";
        Err(Error::new(ErrorCode::TimeoutExceeded, message))
    }
}

#[async_trait]
impl CatalogChanges for Proposer {
    async fn change(&self, change: Ddl) -> Result<()> {
        copies::refuse_change(&self.agreed.store, &change)?;
        let statement = serde_json::to_vec(&change).map_err(|error| Error::internal(error.to_string()))?;
        let request_id = rand::random::<[u8; 16]>().to_vec();
        let request = wire::DdlRequest { envelope: None, request_id, statement };
        let away = |what: &dyn std::fmt::Display| {
            Error::new(ErrorCode::NotReady, format!("no coordinator can agree on the statement now: {what}"))
        };
        let reply = self.agreed.client.ddl(request).await.map_err(|error| away(&error))?;
        match (reply.error_code, reply.refusal) {
            (0, None) => {}
            (0, Some(refusal)) => return Err(away(&refusal.message)),
            (number, refusal) => {
                let code = ErrorCode::of_number(number).unwrap_or(ErrorCode::LogicalError);
                return Err(Error::new(code, refusal.map(|it| it.message).unwrap_or_default()));
            }
        }
        self.in_force(reply.catalog_version).await?;
        if reply.sweeps { self.swept(reply.catalog_version).await } else { Ok(()) }
    }

    async fn catch_up(&self, known: u64) -> bool {
        match tokio::time::timeout(CATCH_UP_WAIT, self.agreed.catch_up()).await {
            Ok(Ok(())) => {}
            // What is known here has to do.
            Ok(Err(error)) => tracing::debug!(%error, "the coordinators' catalog was not read"),
            Err(_) => tracing::debug!("no coordinator has told its catalog in time"),
        }
        self.agreed.store.catalog().version() > known
    }
}
