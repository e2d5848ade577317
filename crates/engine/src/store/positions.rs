//! The positions from which feeds go on, as a store keeps them.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::oneshot;
use zepto_common::limits::{FEED_SOURCES_MAX, FEED_STREAM_BYTES_MAX};
use zepto_common::source::home_of_stream;
use zepto_common::{Error, ErrorCode, Result, TableId};

use super::Store;
use super::shared::closing;
use crate::shard::Command;
use crate::shard::copies::CopyCommand;
use crate::shard::positions::Raise;

/// The next offset of one partition of a feed's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPosition {
    /// Where its rows go.
    pub table: TableId,
    /// Name of the feed and of what it follows.
    pub stream: String,
    /// The source's partition.
    pub source: u32,
    /// The next offset to read.
    pub offset: u64,
}

impl Store {
    /// Raises positions of a stream and gives all of them; without any to raise it only tells them.
    ///
    /// # Errors
    /// `UnknownTable`; the disk's; `NotReady` when another node owns the home partition; `UnknownStatusOfInsert` when the
    /// time is over.
    pub async fn raise_positions(
        &self,
        table: TableId,
        stream: &str,
        raise: &BTreeMap<u32, u64>,
        deadline: Instant,
    ) -> Result<BTreeMap<u32, u64>> {
        let shared = &self.shared;
        if shared.is_closed() {
            return Err(closing());
        }
        let data = shared.data(table)?;
        if stream.is_empty() || stream.len() > FEED_STREAM_BYTES_MAX {
            let message = format!("a stream's name of {} bytes", stream.len());
            return Err(Error::new(ErrorCode::BadArguments, message));
        }
        if raise.len() > FEED_SOURCES_MAX {
            let message =
                format!("positions of {} sources in one stream; at most {FEED_SOURCES_MAX}", raise.len());
            return Err(Error::new(ErrorCode::BadArguments, message));
        }
        let copies = shared.options.copies.is_some();
        if raise.is_empty() && !copies {
            let shown = shared.positions.lock();
            return Ok(shown.get(&table).and_then(|of| of.get(stream)).cloned().unwrap_or_default());
        }
        let home = home_of_stream(table, stream, shared.partitions);
        let (done, answer) = oneshot::channel();
        let command = Raise { table: data, stream: stream.to_owned(), home, positions: raise.clone(), done };
        let command = match copies {
            true => Command::Copies(CopyCommand::Positions(command)),
            false => Command::Positions(command),
        };
        shared.drains[shared.shard_of(home)].command(command)?;
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(raised)) => raised,
            _ => {
                let message = "the positions of a feed may be stored or not: no answer in time";
                Err(Error::new(ErrorCode::UnknownStatusOfInsert, message))
            }
        }
    }

    /// All positions of all feeds, by table and stream.
    #[must_use]
    pub fn feed_positions(&self) -> Vec<FeedPosition> {
        let shown = self.shared.positions.lock();
        let live = self.shared.tables.load();
        let mut all = Vec::new();
        for (&table, streams) in shown.iter().filter(|(table, _)| live.contains_key(table)) {
            for (stream, resume) in streams {
                let of = |(&source, &offset): (&u32, &u64)| FeedPosition {
                    table,
                    stream: stream.clone(),
                    source,
                    offset,
                };
                all.extend(resume.iter().map(of));
            }
        }
        all.sort_by(|a, b| (a.table, &a.stream, a.source).cmp(&(b.table, &b.stream, b.source)));
        all
    }
}
