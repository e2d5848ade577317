//! Between the copies' messages and those of the replicate service. What comes from outside is checked here, once.

use std::collections::BTreeSet;
use std::sync::Arc;

use zepto_cluster::replicate::{FORM_PART, Said};
use zepto_common::ids::{Boot, Epoch, Lsn, PartitionId, SchemaVersion, SetVersion, TableId, Token};
use zepto_common::placement::{Grant, InSyncSet, Replica};
use zepto_engine::copies::{Form, Payload, PeerMessage, Piece, TableSum, Whole};
use zepto_proto::convert::{bad_message, batch_of, partition_of, replica_of, replicas_of};
use zepto_proto::refusal::Refused;
use zepto_proto::replicate as wire;
use zepto_proto::replicate::copy_message::Says;
use zepto_proto::replicate::fetch_reply;
use zepto_replication::{Entry, Head, History, Key, Message, Position};

mod blocks;

use blocks::Blocks;
pub(crate) use blocks::HeardBlocks;

/// A message as it travels.
pub(crate) fn message_of(partition: PartitionId, message: PeerMessage) -> Said {
    let mut blocks = Blocks::default();
    let says = match message {
        Message::Replicate { head, previous, entries, committed } => Says::Append(wire::Append {
            head: Some(head_message(&head)),
            previous: Some(position_message(previous)),
            entries: entries.into_iter().map(|entry| entry_message(entry, &mut blocks)).collect(),
            committed: committed.0,
        }),
        Message::Confirm { head } => Says::Confirm(head_message(&head)),
        Message::Fetch { head, after } => {
            let (head, after) = (Some(head_message(&head)), Some(position_message(after)));
            Says::Fetch(wire::Fetch { head, after })
        }
        Message::Release { head } => Says::Release(head_message(&head)),
        Message::Install { head, history, state } => {
            // Only offers travel: a state that was fetched is installed where it is.
            let first = match state {
                Whole::Offered { first } => first.0,
                Whole::Fetched(_) => 0,
            };
            let (head, history) = (Some(head_message(&head)), Some(history_message(&history)));
            Says::Offer(wire::Offer { head, history, first })
        }
        Message::Synced { token, sequence, matched } => {
            Says::Synced(wire::Synced { answered: answered(token, sequence), matched: matched.0 })
        }
        Message::Mismatch { token, sequence, history } => Says::Mismatch(log(token, sequence, &history)),
        Message::Confirmed { token, sequence, history } => Says::Confirmed(log(token, sequence, &history)),
        Message::Tail { token, sequence, previous, entries } => Says::Tail(wire::Tail {
            answered: answered(token, sequence),
            previous: Some(position_message(previous)),
            entries: entries.into_iter().map(|entry| entry_message(entry, &mut blocks)).collect(),
        }),
        Message::Waiting { token, sequence } => {
            Says::Waiting(wire::Answered { token: Some(token_message(token)), sequence })
        }
        Message::Fenced { seen } => Says::Fenced(token_message(seen)),
    };
    let message = wire::CopyMessage { partition: partition.0.into(), says: Some(says) };
    Said { message, blocks: blocks.into_messages() }
}

/// A message as the copies take it. `heard`: the blocks that came with it and others.
///
/// # Errors
/// `BadMessage` for one that no copy says.
pub(crate) fn peer_message_of(
    message: wire::CopyMessage,
    heard: &mut HeardBlocks,
) -> Result<(PartitionId, PeerMessage), Refused> {
    let partition = partition_of(message.partition)?;
    let head = |head: Option<wire::Head>| head_of(partition, head.as_ref());
    let says = message.says.ok_or_else(|| missing("a word"))?;
    let message = match says {
        Says::Append(it) => Message::Replicate {
            head: head(it.head)?,
            previous: position_of(it.previous.as_ref())?,
            entries: entries_of(it.entries, heard)?,
            committed: Lsn(it.committed),
        },
        Says::Confirm(it) => Message::Confirm { head: head(Some(it))? },
        Says::Fetch(it) => Message::Fetch { head: head(it.head)?, after: position_of(it.after.as_ref())? },
        Says::Release(it) => Message::Release { head: head(Some(it))? },
        Says::Synced(it) => {
            let (token, sequence) = answered_of(it.answered.as_ref())?;
            Message::Synced { token, sequence, matched: Lsn(it.matched) }
        }
        Says::Mismatch(it) => {
            let (token, sequence) = answered_of(it.answered.as_ref())?;
            Message::Mismatch { token, sequence, history: history_of(it.history.as_ref())? }
        }
        Says::Confirmed(it) => {
            let (token, sequence) = answered_of(it.answered.as_ref())?;
            Message::Confirmed { token, sequence, history: history_of(it.history.as_ref())? }
        }
        Says::Tail(it) => {
            let (token, sequence) = answered_of(it.answered.as_ref())?;
            let previous = position_of(it.previous.as_ref())?;
            Message::Tail { token, sequence, previous, entries: entries_of(it.entries, heard)? }
        }
        Says::Waiting(it) => {
            let (token, sequence) = answered_of(Some(&it))?;
            Message::Waiting { token, sequence }
        }
        Says::Fenced(it) => Message::Fenced { seen: token_of(Some(&it))? },
        Says::Offer(it) => Message::Install {
            head: head(it.head)?,
            history: history_of(it.history.as_ref())?,
            state: Whole::Offered { first: Lsn(it.first) },
        },
    };
    Ok((partition, message))
}

fn missing(what: &str) -> Refused {
    bad_message(format!("{what} of a copy's message is missing"))
}

pub(crate) fn token_message(token: Token) -> wire::Token {
    wire::Token { epoch: token.epoch.0, boot: token.boot.0 }
}

pub(crate) fn token_of(token: Option<&wire::Token>) -> Result<Token, Refused> {
    let token = token.ok_or_else(|| missing("the token"))?;
    Ok(Token { epoch: Epoch(token.epoch), boot: Boot(token.boot) })
}

fn position_message(position: Position) -> wire::Position {
    wire::Position { lsn: position.lsn.0, token: Some(token_message(position.token)) }
}

fn position_of(position: Option<&wire::Position>) -> Result<Position, Refused> {
    let position = position.ok_or_else(|| missing("a position"))?;
    Ok(Position { token: token_of(position.token.as_ref())?, lsn: Lsn(position.lsn) })
}

fn answered(token: Token, sequence: u64) -> Option<wire::Answered> {
    Some(wire::Answered { token: Some(token_message(token)), sequence })
}

fn answered_of(answered: Option<&wire::Answered>) -> Result<(Token, u64), Refused> {
    let answered = answered.ok_or_else(|| missing("what is answered"))?;
    Ok((token_of(answered.token.as_ref())?, answered.sequence))
}

fn log(token: Token, sequence: u64, history: &History) -> wire::Log {
    wire::Log { answered: answered(token, sequence), history: Some(history_message(history)) }
}

fn history_message(history: &History) -> wire::History {
    let stretch = |&(token, lsn): &(Token, Lsn)| position_message(Position { token, lsn });
    let stretches = history.stretches().iter().map(stretch).collect();
    wire::History { stretches, end: history.end().lsn.0 }
}

/// A piece of a state as it travels.
pub(crate) fn piece_message(piece: Piece) -> fetch_reply::Piece {
    match piece {
        Piece::Begin(history) => fetch_reply::Piece::Begin(history_message(&history)),
        Piece::Rows { table, schema, rows, ipc } => fetch_reply::Piece::Rows(wire::Rows {
            table_id: table.0,
            schema_version: schema.0,
            rows,
            ipc,
            form: 0,
            ..wire::Rows::default()
        }),
        Piece::Window { table, bytes } => {
            fetch_reply::Piece::Window(wire::Window { table_id: table.0, bytes })
        }
        Piece::End(sums) => {
            let sum = |it: &TableSum| wire::TableSum { table_id: it.table.0, rows: it.rows, sum: it.sum };
            fetch_reply::Piece::End(wire::Sums { tables: sums.iter().map(sum).collect() })
        }
    }
}

/// A piece of a state as the store takes it.
///
/// # Errors
/// `BadMessage` for one that no owner says.
pub(crate) fn piece_of(piece: Option<fetch_reply::Piece>) -> Result<Piece, Refused> {
    Ok(match piece.ok_or_else(|| missing("a piece"))? {
        fetch_reply::Piece::Begin(history) => Piece::Begin(history_of(Some(&history))?),
        fetch_reply::Piece::Rows(it) => {
            let (table, schema) = (TableId(it.table_id), SchemaVersion(it.schema_version));
            Piece::Rows { table, schema, rows: it.rows, ipc: it.ipc }
        }
        fetch_reply::Piece::Window(it) => Piece::Window { table: TableId(it.table_id), bytes: it.bytes },
        fetch_reply::Piece::End(it) => {
            let sum =
                |it: &wire::TableSum| TableSum { table: TableId(it.table_id), rows: it.rows, sum: it.sum };
            Piece::End(it.tables.iter().map(sum).collect())
        }
    })
}

fn history_of(history: Option<&wire::History>) -> Result<History, Refused> {
    let history = history.ok_or_else(|| missing("the history"))?;
    let stretch = |it: &wire::Position| position_of(Some(it)).map(|it| (it.token, it.lsn));
    let stretches: Vec<(Token, Lsn)> = history.stretches.iter().map(stretch).collect::<Result<_, _>>()?;
    History::from_stretches(stretches, Lsn(history.end))
        .ok_or_else(|| bad_message("a history that no log can have"))
}

fn head_message(head: &Head) -> wire::Head {
    let grant = &head.grant;
    let members = |set: &BTreeSet<Replica>| set.iter().map(|it| (*it).into()).collect();
    let grant = wire::Grant {
        epoch: grant.epoch.0,
        owner: Some(grant.owner.into()),
        set_version: grant.set.version.0,
        members: members(&grant.set.members),
    };
    wire::Head { token: Some(token_message(head.token)), sequence: head.sequence, grant: Some(grant) }
}

fn head_of(partition: PartitionId, head: Option<&wire::Head>) -> Result<Head, Refused> {
    let head = head.ok_or_else(|| missing("the head"))?;
    let grant = head.grant.as_ref().ok_or_else(|| missing("the grant"))?;
    let set = InSyncSet { version: SetVersion(grant.set_version), members: replicas_of(&grant.members)? };
    let owner = replica_of(grant.owner.as_ref())?;
    let grant = Arc::new(Grant { partition, epoch: Epoch(grant.epoch), owner, set });
    Ok(Head { token: token_of(head.token.as_ref())?, sequence: head.sequence, grant })
}

fn entry_message(entry: Entry<Payload>, blocks: &mut Blocks) -> wire::Entry {
    let key = entry.key.map(|key| wire::Key {
        table_id: key.table.0,
        batch: Some(key.batch.into()),
        block: key.block,
    });
    let rows = entry.payload.map(|rows| wire::Rows {
        table_id: rows.table.0,
        schema_version: rows.schema.0,
        rows: rows.rows,
        ipc: rows.ipc,
        form: match (&rows.part, rows.form) {
            (Some(_), _) => FORM_PART,
            // Rows are said as they were before there was anything else.
            (None, Form::Rows) => 0,
            (None, form) => form as u32,
        },
        block: rows.part.as_ref().map_or(0, |part| blocks.number(&part.block)),
        first_row: rows.part.as_ref().map_or(0, |part| part.first),
    });
    wire::Entry { position: Some(position_message(entry.position)), key, content: entry.content, rows }
}

fn entries_of(entries: Vec<wire::Entry>, heard: &mut HeardBlocks) -> Result<Vec<Entry<Payload>>, Refused> {
    entries.into_iter().map(|entry| entry_of(entry, heard)).collect()
}

fn entry_of(entry: wire::Entry, heard: &mut HeardBlocks) -> Result<Entry<Payload>, Refused> {
    let key = match entry.key {
        None => None,
        Some(key) => {
            let (table, block) = (TableId(key.table_id), key.block);
            Some(Key { table, batch: batch_of(key.batch)?, block })
        }
    };
    let position = position_of(entry.position.as_ref())?;
    let payload = entry.rows.map(|rows| payload_of(rows, heard)).transpose()?;
    Ok(Entry { position, key, content: entry.content, payload })
}

fn payload_of(it: wire::Rows, heard: &mut HeardBlocks) -> Result<Payload, Refused> {
    if it.form == FORM_PART {
        return heard.part(&it);
    }
    let form = Form::of_number(it.form.max(1));
    let form = form.ok_or_else(|| bad_message(format!("an entry of the unknown form {}", it.form)))?;
    let payload = Payload::new(TableId(it.table_id), SchemaVersion(it.schema_version), it.rows, it.ipc);
    Ok(payload.with_form(form))
}

#[cfg(test)]
mod tests;
