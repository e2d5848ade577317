//! A body in `multipart/form-data`: parameters, and tables that come with the statement.
//!
//! A part is a table if it is a file, or if the parameters say what columns a table of its name has; what they say
//! stands in the URL or in an earlier part. Every other part is a parameter. The form is read to its end before
//! the statement begins; what it may hold is bounded, and decoded rows count against the room of all INSERTs. A node
//! that passes statements on decodes no tables: it keeps the form as it came.

use arrow::array::RecordBatch;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use zepto_common::limits::{EXTERNAL_BYTES_MAX, EXTERNAL_TABLES_MAX, FORM_FIELD_BYTES_MAX, HTTP_CHUNK_BYTES};
use zepto_common::schema::TableSchema;
use zepto_common::service::ExternalTable;
use zepto_common::{Error, ErrorCode, Result};
use zepto_formats::Decoder;

use crate::body::RawBody;
use crate::door::{Service, units_of};
use crate::external;
use crate::inflate::Inflate;
use crate::multipart::{Event, Multipart, PartHead};
use crate::params::Parameters;

/// Bytes up to which a piece of a table is decoded at once instead of on a worker thread.
const TRIFLE_BYTES: usize = 32 << 10;

/// What a form held beside its parameters.
#[derive(Default)]
pub(super) struct Form {
    pub(super) tables: Vec<ExternalTable>,
    /// The form itself, inflated, where it is passed on.
    pub(super) whole: Vec<Bytes>,
    /// Keeps the room of the tables' rows, or of the form.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// The part that is being read.
enum Part {
    Field {
        name: String,
        value: Vec<u8>,
    },
    Table {
        table: std::sync::Arc<TableSchema>,
        decoder: Box<dyn Decoder>,
        batches: Vec<RecordBatch>,
    },
    /// A table that another node decodes.
    PassedOn,
}

struct Reader<'a> {
    service: &'a Service,
    parameters: &'a mut Parameters,
    passes_on: bool,
    multipart: Multipart,
    part: Option<Part>,
    field_bytes: usize,
    /// Bytes of the tables' rows, or of the form that is passed on.
    kept_bytes: usize,
    form: Form,
}

/// Reads a form to its end. Its fields become parameters, behind those of the URL.
///
/// # Errors
/// `BadArguments` for what is no form, `QueryIsTooLarge` beyond a bound, `Overloaded` without room; the body's and
/// the formats'.
pub(super) async fn read(
    service: &Service,
    raw: &mut RawBody,
    mut inflate: Inflate,
    content_type: &str,
    parameters: &mut Parameters,
) -> Result<Form> {
    let (multipart, passes_on) = (Multipart::of(content_type)?, service.door.node.forward().is_some());
    let (part, form) = (None, Form::default());
    let mut reader =
        Reader { service, parameters, passes_on, multipart, part, field_bytes: 0, kept_bytes: 0, form };
    loop {
        while let Some(plain) = inflate.pull(HTTP_CHUNK_BYTES)? {
            reader.multipart.push(&plain);
            if passes_on {
                reader.keep(plain.len()).await?;
                reader.form.whole.push(plain);
            }
            while let Some(event) = reader.multipart.event()? {
                reader.take(event).await?;
            }
        }
        match raw.chunk().await? {
            Some(bytes) => inflate.push(bytes),
            None => break,
        }
    }
    inflate.finish()?;
    reader.multipart.finish()?;
    Ok(reader.form)
}

impl Reader<'_> {
    async fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Part(head) => self.begin(head),
            Event::Data(data) => self.data(data).await,
            Event::End => self.end().await,
        }
    }

    fn begin(&mut self, head: PartHead) -> Result<()> {
        let is_table = head.filename.is_some() || external::is_table(&head.name, self.parameters);
        self.part = Some(if is_table && self.passes_on {
            Part::PassedOn
        } else if is_table {
            if self.form.tables.len() == EXTERNAL_TABLES_MAX {
                return Err(too_large(&format!("more than {EXTERNAL_TABLES_MAX} tables")));
            }
            if self.form.tables.iter().any(|known| known.table.name.table == head.name) {
                let text = format!("Temporary table {} already exists", head.name.escape_debug());
                return Err(Error::new(ErrorCode::TableAlreadyExists, text));
            }
            let (table, decoder) = external::open(&head.name, self.parameters)?;
            Part::Table { table, decoder, batches: Vec::new() }
        } else {
            Part::Field { name: head.name, value: Vec::new() }
        });
        Ok(())
    }

    async fn data(&mut self, data: Bytes) -> Result<()> {
        match self.part.take() {
            Some(Part::Field { name, mut value }) => {
                self.field_bytes += data.len();
                if self.field_bytes > FORM_FIELD_BYTES_MAX {
                    return Err(too_large(&format!("more than {FORM_FIELD_BYTES_MAX} bytes of fields")));
                }
                value.extend_from_slice(&data);
                self.part = Some(Part::Field { name, value });
            }
            Some(Part::Table { table, mut decoder, mut batches }) => {
                let trifle = data.len() <= TRIFLE_BYTES;
                let work = move || {
                    let mut blocks = Vec::new();
                    let pushed = decoder.push(&data, &mut blocks);
                    (decoder, blocks, pushed)
                };
                let (decoder, blocks, pushed) = self.service.work(trifle, work).await?;
                pushed?;
                self.keep_blocks(blocks, &mut batches).await?;
                self.part = Some(Part::Table { table, decoder, batches });
            }
            Some(Part::PassedOn) => self.part = Some(Part::PassedOn),
            None => return Err(Error::internal("a form's data without a part")),
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<()> {
        match self.part.take() {
            Some(Part::Field { name, value }) => {
                let value = String::from_utf8(value).map_err(|_| {
                    Error::new(
                        ErrorCode::BadArguments,
                        format!("the field {} is not UTF-8", name.escape_debug()),
                    )
                })?;
                self.parameters.push(name, value)
            }
            Some(Part::Table { table, decoder, mut batches }) => {
                let mut blocks = Vec::new();
                decoder.finish(&mut blocks)?;
                self.keep_blocks(blocks, &mut batches).await?;
                self.form.tables.push(ExternalTable { table, batches });
                Ok(())
            }
            Some(Part::PassedOn) => Ok(()),
            None => Err(Error::internal("a form's part ended twice")),
        }
    }

    async fn keep_blocks(&mut self, blocks: Vec<RecordBatch>, batches: &mut Vec<RecordBatch>) -> Result<()> {
        for block in blocks {
            self.keep(block.get_array_memory_size()).await?;
            batches.push(block);
        }
        Ok(())
    }

    /// Room for more bytes. All of a form is held at once: one for which others could never give back enough is refused.
    async fn keep(&mut self, bytes: usize) -> Result<()> {
        self.kept_bytes += bytes;
        let most = EXTERNAL_BYTES_MAX.min(self.service.door.limits.insert_bytes);
        if self.kept_bytes > most {
            return Err(too_large(&format!("more than {most} bytes of rows")));
        }
        let held = self.form.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = units_of(self.kept_bytes).saturating_sub(held) as u32;
        let more = self.service.room_for(missing, self.service.door.limits.insert_wait).await?;
        match &mut self.form.room {
            Some(room) => room.merge(more),
            None => self.form.room = Some(more),
        }
        Ok(())
    }
}

fn too_large(what: &str) -> Error {
    Error::new(ErrorCode::QueryIsTooLarge, format!("The form has {what}"))
}
