//! Between messages of the query service and the SQL side's types. What comes from outside is checked here, once.

use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use std::sync::Arc;
use zepto_common::ids::{Boot, Epoch, NodeId, PlacementVersion, SchemaVersion, TableId};
use zepto_common::limits::QUERY_MESSAGE_BYTES_MAX;
use zepto_common::service::RunningQuery;
use zepto_common::{Error, ErrorCode, Result};
use zepto_proto::convert::{bad_message, partition_of};
use zepto_proto::coordinate::Envelope;
use zepto_proto::query as wire;
use zepto_proto::query::reply::Part as ReplyPart;
use zepto_proto::query::run_request::Part as RequestPart;
use zepto_proto::query::{FaultKind, Want as WireWant};
use zepto_proto::refusal::Refused;
use zepto_query::cluster::{
    Fault, Fragment, PLANS_VERSION, Part, Pin, QueryId, Reply, Request, STATES_VERSION, Scan, Totals, Want,
};

/// Bytes of rows that one message is meant to have.
const MESSAGE_BYTES: usize = 2 << 20;
/// Longest time that a peer may ask for.
const LEFT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Bytes of an envelope and what else surrounds rows.
const AROUND_ROWS: usize = 64 << 10;

pub(super) fn query_message(query: QueryId) -> wire::QueryId {
    wire::QueryId { node_id: query.node.0, boot: query.boot.0, number: query.number }
}

pub(super) fn query_of(query: &wire::QueryId) -> QueryId {
    QueryId { node: NodeId(query.node_id), boot: Boot(query.boot), number: query.number }
}

/// A running statement as it travels.
pub(super) fn statement_message(query: RunningQuery) -> wire::Statement {
    wire::Statement {
        query_id: query.query_id,
        user: query.user,
        text: query.query,
        elapsed_seconds: query.elapsed,
        read_rows: query.read_rows,
        memory_bytes: query.memory_usage,
    }
}

/// A request as it travels.
pub(super) fn request_message(
    envelope: Envelope,
    to: NodeId,
    request: &Request,
) -> Result<wire::RunRequest, Fault> {
    let pin = |pin: &Pin| wire::Pin { partition: pin.partition.0.into(), epoch: pin.epoch.0 };
    let left = request.deadline.saturating_duration_since(Instant::now());
    let part = match &request.part {
        Part::Fragment(fragment) => RequestPart::Fragment(fragment_message(fragment)),
        Part::Scan(scan) => RequestPart::Scan(scan_message(scan)?),
    };
    Ok(wire::RunRequest {
        envelope: Some(envelope),
        to_node_id: to.0,
        query: Some(query_message(request.query)),
        client_query_id: request.client_query_id.clone(),
        user: request.user.clone(),
        left_micros: u64::try_from(left.as_micros()).unwrap_or(u64::MAX),
        memory: request.memory,
        pins: request.pins.iter().map(pin).collect(),
        part: Some(part),
    })
}

fn fragment_message(fragment: &Fragment) -> wire::Fragment {
    let want = match fragment.want {
        Want::Rows => WireWant::Rows,
        Want::States => WireWant::States,
    };
    wire::Fragment {
        text: fragment.text.clone(),
        database: fragment.database.clone(),
        settings: fragment.settings.clone().into_iter().collect(),
        now_nanos: fragment.now,
        number: fragment.number,
        print: fragment.print,
        want: want.into(),
        plans: PLANS_VERSION,
        states: STATES_VERSION,
    }
}

fn scan_message(scan: &Scan) -> Result<wire::Scan> {
    let keys = |keys: &ArrayRef| -> Result<Vec<u8>> {
        let schema = Arc::new(Schema::new(vec![Field::new("key", keys.data_type().clone(), true)]));
        encoded(&RecordBatch::try_new(schema, vec![keys.clone()])?)
    };
    Ok(wire::Scan {
        table_id: scan.table.0,
        schema_version: scan.version.0,
        columns: scan.columns.iter().map(|&column| column as u32).collect(),
        keys: scan.keys.as_ref().map(keys).transpose()?,
        from: scan.time.map(|(from, _)| from),
        to: scan.time.map(|(_, to)| to),
        limit: scan.limit.map(|limit| limit as u64),
    })
}

/// A request as the owner takes it; the inner fault is an answer.
///
/// # Errors
/// A message that contradicts itself.
pub(super) fn request_of(message: wire::RunRequest) -> Result<Result<Request, Fault>, Refused> {
    let query = message.query.as_ref().ok_or_else(|| bad_message("a read without the statement's id"))?;
    let mut pins: Vec<Pin> = Vec::with_capacity(message.pins.len());
    for pin in &message.pins {
        let partition = partition_of(pin.partition)?;
        if pins.last().is_some_and(|before| before.partition >= partition) {
            return Err(bad_message(format!("pin of partition {partition} is out of order")));
        }
        pins.push(Pin { partition, epoch: Epoch(pin.epoch) });
    }
    if pins.is_empty() {
        return Err(bad_message("a read of no partition"));
    }
    let part = match message.part {
        Some(RequestPart::Fragment(fragment)) => match fragment_of(fragment)? {
            Ok(fragment) => Part::Fragment(fragment),
            Err(fault) => return Ok(Err(fault)),
        },
        Some(RequestPart::Scan(scan)) => Part::Scan(scan_of(scan)?),
        None => return Err(bad_message("a read of nothing")),
    };
    let left = Duration::from_micros(message.left_micros).min(LEFT_MAX);
    let placement = message.envelope.map_or(0, |envelope| envelope.placement_version);
    Ok(Ok(Request {
        query: query_of(query),
        client_query_id: message.client_query_id,
        user: message.user,
        deadline: Instant::now() + left,
        memory: message.memory,
        placement: PlacementVersion(placement),
        pins,
        part,
    }))
}

fn fragment_of(fragment: wire::Fragment) -> Result<Result<Fragment, Fault>, Refused> {
    let want = match fragment.want() {
        WireWant::Rows => Want::Rows,
        WireWant::States => Want::States,
        WireWant::Unspecified => return Err(bad_message("a subtree of which nothing is wanted")),
    };
    let ours = match want {
        Want::Rows => fragment.plans == PLANS_VERSION,
        Want::States => (fragment.plans, fragment.states) == (PLANS_VERSION, STATES_VERSION),
    };
    if !ours {
        let message = format!("plans {} and states {}", fragment.plans, fragment.states);
        return Ok(Err(Fault::PlansDiffer(message)));
    }
    Ok(Ok(Fragment {
        text: fragment.text,
        database: fragment.database,
        settings: fragment.settings.into_iter().collect(),
        now: fragment.now_nanos,
        number: fragment.number,
        print: fragment.print,
        want,
    }))
}

fn scan_of(scan: wire::Scan) -> Result<Scan, Refused> {
    let keys = match scan.keys {
        Some(bytes) => {
            let rows = decoded(Buffer::from(bytes)).map_err(bad_message)?;
            if rows.num_columns() != 1 {
                return Err(bad_message("keys of more than one column"));
            }
            Some(rows.column(0).clone())
        }
        None => None,
    };
    Ok(Scan {
        table: TableId(scan.table_id),
        version: SchemaVersion(scan.schema_version),
        columns: scan.columns.iter().map(|&column| column as usize).collect(),
        keys,
        time: scan.from.zip(scan.to),
        limit: scan.limit.and_then(|limit| usize::try_from(limit).ok()),
    })
}

/// An owner's reply as it travels: a large batch in several messages.
pub(super) fn reply_parts(reply: Result<Reply, Fault>) -> Vec<ReplyPart> {
    let rows = match reply {
        Ok(Reply::Batch(rows)) => rows,
        Ok(Reply::Done(Totals { read_rows, read_bytes })) => {
            return vec![ReplyPart::Done(wire::Done { read_rows, read_bytes })];
        }
        Err(fault) => return vec![ReplyPart::Fault(fault_message(fault))],
    };
    let encoded: Result<Vec<ReplyPart>> = slices(&rows)
        .iter()
        .map(|slice| {
            let ipc = encoded(slice)?;
            if ipc.len() + AROUND_ROWS > QUERY_MESSAGE_BYTES_MAX {
                let message = format!("a row of {} bytes cannot be sent between nodes", ipc.len());
                return Err(Error::new(ErrorCode::TooManyRowsOrBytes, message));
            }
            Ok(ReplyPart::Rows(wire::Rows { ipc: ipc.into() }))
        })
        .collect();
    encoded.unwrap_or_else(|error| vec![ReplyPart::Fault(fault_message(error.into()))])
}

/// The batch in pieces of about [`MESSAGE_BYTES`].
fn slices(rows: &RecordBatch) -> Vec<RecordBatch> {
    let rows = compact(rows);
    let pieces = (rows.get_array_memory_size() / MESSAGE_BYTES + 1).min(rows.num_rows().max(1));
    let step = rows.num_rows().div_ceil(pieces).max(1);
    let starts = (0..rows.num_rows().max(1)).step_by(step);
    starts.map(|start| compact(&rows.slice(start, step.min(rows.num_rows() - start)))).collect()
}

/// Text that refers to much larger buffers than it needs, in buffers of its own: a message has them whole.
fn compact(rows: &RecordBatch) -> RecordBatch {
    let own = |column: &ArrayRef| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => {
                let text = column.as_string_view();
                let held: usize = text.data_buffers().iter().map(Buffer::len).sum();
                if held > text.total_buffer_bytes_used() { Arc::new(text.gc()) } else { column.clone() }
            }
            DataType::BinaryView => {
                let bytes = column.as_binary_view();
                let held: usize = bytes.data_buffers().iter().map(Buffer::len).sum();
                if held > bytes.total_buffer_bytes_used() { Arc::new(bytes.gc()) } else { column.clone() }
            }
            _ => column.clone(),
        }
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let columns = rows.columns().iter().map(own).collect();
    RecordBatch::try_new_with_options(rows.schema(), columns, &options).unwrap_or_else(|_| rows.clone())
}

fn encoded(rows: &RecordBatch) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = StreamWriter::try_new(&mut out, &rows.schema())?;
    writer.write(rows)?;
    writer.finish()?;
    drop(writer);
    Ok(out)
}

/// The one batch in a stream.
fn decoded(mut buffer: Buffer) -> Result<RecordBatch, String> {
    let fault = |what: &dyn std::fmt::Display| format!("rows that cannot be read: {what}");
    let mut decoder = StreamDecoder::new();
    let mut rows = None;
    while let Some(batch) = decoder.decode(&mut buffer).map_err(|error| fault(&error))? {
        if rows.replace(batch).is_some() {
            return Err(fault(&"more than one batch"));
        }
    }
    decoder.finish().map_err(|error| fault(&error))?;
    rows.ok_or_else(|| fault(&"no batch"))
}

fn fault_message(fault: Fault) -> wire::Fault {
    let mut message = wire::Fault::default();
    let (kind, text) = match fault {
        Fault::Statement(error) => {
            message.error_code = error.code.number();
            (FaultKind::Statement, error.message)
        }
        Fault::Moved(version) => {
            message.placement_version = version.0;
            (FaultKind::Moved, String::new())
        }
        Fault::Behind(why) => (FaultKind::Behind, why),
        Fault::PlansDiffer(why) => (FaultKind::PlansDiffer, why),
        Fault::Busy(why) => (FaultKind::Busy, why),
        Fault::Lost(why) => (FaultKind::Lost, why),
    };
    message.kind = kind.into();
    message.message = text;
    message
}

/// What a reply says.
///
/// # Errors
/// The owner's fault; `Lost` for a message that cannot be read.
pub(super) fn reply_of(message: wire::Reply) -> Result<Reply, Fault> {
    match message.part {
        Some(ReplyPart::Rows(rows)) => decoded(Buffer::from(rows.ipc)).map(Reply::Batch).map_err(Fault::Lost),
        Some(ReplyPart::Done(wire::Done { read_rows, read_bytes })) => {
            Ok(Reply::Done(Totals { read_rows, read_bytes }))
        }
        Some(ReplyPart::Fault(fault)) => Err(fault_of(fault)),
        None => Err(Fault::Lost("its message says nothing".to_owned())),
    }
}

fn fault_of(fault: wire::Fault) -> Fault {
    let (kind, text) = (fault.kind(), fault.message);
    match kind {
        FaultKind::Statement => {
            let code = ErrorCode::of_number(fault.error_code).unwrap_or(ErrorCode::LogicalError);
            Fault::Statement(Error::new(code, text))
        }
        FaultKind::Moved => Fault::Moved(PlacementVersion(fault.placement_version)),
        FaultKind::Behind => Fault::Behind(text),
        FaultKind::PlansDiffer => Fault::PlansDiffer(text),
        FaultKind::Busy => Fault::Busy(text),
        FaultKind::Lost | FaultKind::Unspecified => Fault::Lost(text),
    }
}
