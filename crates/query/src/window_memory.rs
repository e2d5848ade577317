//! What windows hold: DataFusion's operator keeps all rows of its input beside a copy of them, and one array per row if
//! the function makes arrays, and counts none of it. Here a statement's memory is asked for each: at the way in, at the
//! way out, and where a function makes a row's answer. There is no spill: a window that does not fit is error 241.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ReplaceChildrenOptions};
use futures::{Stream, StreamExt};

use crate::error::external;
use crate::functions::copied_bytes;
use crate::running::QueryHandle;

/// How often the operator has a row of its input: as it came, and put together with the others.
const COPIES: usize = 2;
/// Bytes of a text that lie in its view.
const INLINE_BYTES: u32 = 12;

thread_local! {
    /// The window whose functions run on this thread now.
    static CURRENT: RefCell<Option<Arc<Held>>> = const { RefCell::new(None) };
}

/// What one run of a window holds.
#[derive(Debug)]
struct Held {
    memory: MemoryReservation,
    /// Rows that came and have not left.
    rows: AtomicUsize,
    /// Rows leave one after the other; else all of them at the end.
    flows: bool,
    query: Option<Arc<QueryHandle>>,
}

impl Held {
    fn came(&self, batch: &RecordBatch) -> Result<()> {
        let bytes: usize = batch.columns().iter().map(bytes_of).sum();
        self.memory.try_grow(bytes.saturating_mul(COPIES))?;
        self.rows.fetch_add(batch.num_rows(), Ordering::Relaxed);
        Ok(())
    }

    fn made(&self, bytes: usize) -> Result<()> {
        // The operator computes all rows in one go: nobody else would notice that the statement is to stop.
        match self.query.as_ref().and_then(|query| query.stopped()) {
            Some(error) => Err(external(error)),
            None if bytes == 0 => Ok(()),
            None => self.memory.try_grow(bytes),
        }
    }

    fn left(&self, batch: &RecordBatch) {
        if self.flows {
            let rows = self.rows.load(Ordering::Relaxed);
            let gone = batch.num_rows().min(rows);
            let share = self.memory.size() as u128 * gone as u128 / rows.max(1) as u128;
            self.memory.shrink(share as usize);
            self.rows.fetch_sub(gone, Ordering::Relaxed);
        }
    }
}

/// Counts the answer that an aggregate gives inside of a window; elsewhere it does nothing. `rows` = those that it took
/// in for it: a frame that is the whole partition is answered once, and written out for each row.
///
/// # Errors
/// No memory for it; the statement is to stop.
pub(crate) fn made(value: &ScalarValue, rows: usize) -> Result<()> {
    CURRENT.with_borrow(|held| match held {
        None => Ok(()),
        Some(held) => held.made(match value {
            ScalarValue::List(list) => copied_bytes(&(Arc::clone(list) as ArrayRef)) * rows.max(1),
            ScalarValue::Utf8View(Some(text)) => text.len(),
            _ => 0,
        }),
    })
}

/// Bytes of a column that belong to its rows.
fn bytes_of(column: &ArrayRef) -> usize {
    let long = |views: &[u128]| {
        let lengths = views.iter().map(|view| *view as u32).filter(|length| *length > INLINE_BYTES);
        lengths.map(|length| length as usize).sum::<usize>()
    };
    let texts = match column.data_type() {
        DataType::Utf8View => long(column.as_string_view().views()),
        DataType::BinaryView => long(column.as_binary_view().views()),
        _ => 0,
    };
    copied_bytes(column) + texts
}

/// Runs `work` as the inside of this window, or outside of any.
fn within<T>(held: Option<Arc<Held>>, work: impl FnOnce() -> T) -> T {
    struct Back(Option<Arc<Held>>);
    impl Drop for Back {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _back = Back(CURRENT.replace(held));
    work()
}

/// Puts both ends around each window.
#[derive(Debug)]
pub(crate) struct MeterWindows;

impl PhysicalOptimizerRule for MeterWindows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let metered = plan.transform_up(|node| {
            let flows = node.is::<BoundedWindowAggExec>();
            if !flows && !node.is::<WindowAggExec>() {
                return Ok(Transformed::no(node));
            }
            let way_in = |child: &Arc<dyn ExecutionPlan>| {
                Arc::new(WindowMemoryExec { input: Arc::clone(child), end: End::In })
                    as Arc<dyn ExecutionPlan>
            };
            let children = node.children().into_iter().map(way_in).collect();
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            let input = node.replace_children(children, options)?;
            Ok(Transformed::yes(Arc::new(WindowMemoryExec { input, end: End::Out { flows } })))
        })?;
        Ok(metered.data)
    }

    fn name(&self) -> &str {
        "meter_windows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[derive(Debug, Clone, Copy)]
enum End {
    In,
    Out { flows: bool },
}

/// One end of a window's way.
#[derive(Debug)]
struct WindowMemoryExec {
    input: Arc<dyn ExecutionPlan>,
    end: End,
}

impl DisplayAs for WindowMemoryExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WindowMemoryExec")
    }
}

impl ExecutionPlan for WindowMemoryExec {
    fn name(&self) -> &'static str {
        "WindowMemoryExec"
    }

    crate::plan_inputs::passes_rows_on!(|node, input| Self { input, end: node.end });

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let config = context.session_config();
        let (held, context) = match self.end {
            // The other end, just above the operator, has left it there.
            End::In => (config.get_extension::<Held>(), context),
            End::Out { flows } => {
                let memory = MemoryConsumer::new("window").register(context.memory_pool());
                let query = config.get_extension::<QueryHandle>();
                let held = Arc::new(Held { memory, rows: AtomicUsize::new(0), flows, query });
                let context = with_held(&context, &held);
                (Some(held), context)
            }
        };
        let input = self.input.execute(partition, context)?;
        Ok(match held {
            Some(held) => Box::pin(Metered { input, held, end: self.end }),
            None => input,
        })
    }
}

fn with_held(context: &TaskContext, held: &Arc<Held>) -> Arc<TaskContext> {
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        context.session_config().clone().with_extension(Arc::clone(held)),
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        context.runtime_env(),
    ))
}

struct Metered {
    input: SendableRecordBatchStream,
    held: Arc<Held>,
    end: End,
}

impl Stream for Metered {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let inside = matches!(self.end, End::Out { .. }).then(|| Arc::clone(&self.held));
        let polled = within(inside, || self.input.poll_next_unpin(cx));
        if let Poll::Ready(Some(Ok(batch))) = &polled {
            match self.end {
                End::In => {
                    if let Err(error) = self.held.came(batch) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                End::Out { .. } => self.held.left(batch),
            }
        }
        polled
    }
}

impl RecordBatchStream for Metered {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
