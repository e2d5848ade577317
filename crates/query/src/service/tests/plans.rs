//! Optimized plans are equal wherever they are made: what a distributed query needs to speak of a subtree by number.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use sqllogictest::{DefaultColumnType, Record};
use zepto_common::error::Error;
use zepto_common::schema::TableName;
use zepto_common::service::{RowSink, WriteRequest};
use zepto_formats::insert::InsertHead;
use zepto_formats::{Format, FormatSettings};

use super::*;
use crate::statement::{self, Statement};

/// What `now()` is in all plans: 2024-06-01 00:00:00.
const NOW_SECONDS: i64 = 1_717_200_000;

/// The optimized plan of a query as text with the types of its columns, its nodes numbered by their lines; None for
/// a statement that is not a query.
async fn plan_of(bench: &Bench, sql: &str) -> Option<Result<String>> {
    let context = context();
    let parsed = match statement::parse(sql, &context.params) {
        Ok(parsed) => parsed,
        Err(error) => return Some(Err(error)),
    };
    let Statement::Query(tokens) = parsed.statement else { return None };
    let core = &bench.service.core;
    let settings = parsed.clauses.settings;
    let guard = core.running.start(sql, &context, context.deadline).unwrap();
    let mut state = core.sessions.query_state(core, &context.database, &guard.handle, &settings);
    state.config_mut().set_extension(Arc::new(super::super::Settings(settings)));
    let now = chrono::DateTime::from_timestamp(NOW_SECONDS, 0);
    state.execution_props_mut().query_execution_start_time = now;
    let plan = core.optimized(&state, tokens).await;
    Some(plan.map(|plan| plan.display_indent_schema().to_string()))
}

/// Writes the rows of an INSERT with data, as the HTTP door does.
async fn insert(bench: &Bench, sql: &str, head: InsertHead) {
    let (database, table) = head.table.clone();
    let name = TableName::new(database.unwrap_or_else(|| "default".to_owned()), table);
    let schema = bench.store.table(&name).await.unwrap();
    let evaluator = bench.service.evaluator(&context());
    let format = Format::parse(head.format.as_deref().unwrap_or("Values")).unwrap();
    let settings = FormatSettings::default();
    let columns = head.columns_of(&schema).unwrap();
    let columns = columns.as_deref();
    let mut decoder = zepto_formats::decoder(format, &schema, columns, &settings, Some(evaluator)).unwrap();
    let mut blocks = Vec::new();
    decoder.push(&sql.as_bytes()[head.data_offset..], &mut blocks).unwrap();
    decoder.finish(&mut blocks).unwrap();
    for (block, rows) in blocks.into_iter().enumerate() {
        let table = schema.clone();
        let request = WriteRequest { table, batch: None, block: block as u32, repeatable: true, rows };
        bench.store.write(request, Instant::now() + Duration::from_secs(60)).await.unwrap();
    }
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/slt");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    files
}

/// What was compared in a file.
#[derive(Default)]
struct Compared {
    plans: usize,
    refused: usize,
    different: Vec<String>,
    prints: DefaultHasher,
}

impl Compared {
    fn take(&mut self, sql: &str, one: Result<String>, other: Result<String>) {
        let told = |error: &Error| format!("{} {error}", error.code);
        match (&one, &other) {
            (Ok(one), Ok(other)) => {
                self.plans += 1;
                one.hash(&mut self.prints);
                if one != other {
                    self.different.push(format!("{sql}\n{one}\n--- and elsewhere\n{other}"));
                }
            }
            (Err(one), Err(other)) if told(one) == told(other) => self.refused += 1,
            _ => self.different.push(format!("{sql}\n{one:?}\n--- and elsewhere\n{other:?}")),
        }
    }

    /// Every query of a file planned in two services, of which only one has the rows and the other more threads.
    async fn read(&mut self, path: &Path) {
        let full = Bench::with(|options| options.plans = 0);
        let empty = Bench::with(|options| {
            options.plans = 0;
            options.threads = 7;
        });
        for record in sqllogictest::parse_file::<DefaultColumnType>(path).unwrap() {
            let (Record::Query { sql, .. } | Record::Statement { sql, .. }) = record else { continue };
            if let Ok(Some(head)) = InsertHead::parse(sql.as_bytes()) {
                insert(&full, &sql, head).await;
                continue;
            }
            if let (Some(one), Some(other)) = (plan_of(&full, &sql).await, plan_of(&empty, &sql).await) {
                self.take(&sql, one, other);
                continue;
            }
            // What a statement does to the catalog has to be done in both; whether it may fail, the .slt test says.
            let one = full.try_rows(&sql).await.map(|_| ());
            let rows_only = matches!(
                statement::parse(&sql, &BTreeMap::new()).map(|parsed| parsed.statement),
                Ok(Statement::Insert { .. })
            );
            // How many rows a subquery of a mutation has, the rows say.
            let by_rows =
                matches!(&one, Err(error) if error.code == ErrorCode::IncorrectResultOfScalarSubquery);
            if !rows_only && !by_rows {
                let other = empty.try_rows(&sql).await.map(|_| ());
                assert_eq!(one.is_ok(), other.is_ok(), "{sql}: {one:?}, elsewhere {other:?}");
            }
        }
    }
}

/// Neither the rows of a node nor its threads nor the seeds of its hash maps show in a plan. The number told at the end
/// must be the same in every run: it is how two processes are compared.
#[test]
fn a_statement_planned_on_two_nodes_gives_one_plan() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().thread_stack_size(8 << 20).enable_all().build().unwrap();
    let task = runtime.spawn(async {
        let mut compared = Compared::default();
        for path in files() {
            compared.read(&path).await;
        }
        compared
    });
    let compared = runtime.block_on(task).unwrap();
    let Compared { plans, refused, different, prints } = compared;
    println!("{plans} plans, {refused} refused, {} differ, {:016x}", different.len(), prints.finish());
    assert!(plans > 900, "the queries of the .slt files are planned");
    assert!(different.is_empty(), "{} of {plans} differ:\n{}", different.len(), different.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn order_by_all_orders_by_every_column_of_the_result() {
    let bench = Bench::new();
    for (sql, wanted) in [
        ("SELECT -toInt8(number % 2) AS a, number + 1 FROM numbers(4) ORDER BY ALL", "-1 2,-1 4,0 1,0 3"),
        ("SELECT number % 2, number FROM numbers(4) ORDER BY ALL DESC", "1 3,1 1,0 2,0 0"),
        (
            "SELECT * FROM (SELECT number % 2 AS a, number AS b FROM numbers(4)) ORDER BY ALL",
            "0 0,0 2,1 1,1 3",
        ),
        ("SELECT count(), number % 3 AS k FROM numbers(7) GROUP BY k ORDER BY ALL LIMIT 2", "2 1,2 2"),
    ] {
        assert_eq!(bench.rows(sql).await.join(","), wanted, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_limit_and_offset_cut_the_result() {
    let bench = Bench::new();
    for (sql, wanted) in [
        ("SELECT number FROM numbers(5) SETTINGS limit = 2", "0,1"),
        ("SELECT number FROM numbers(5) SETTINGS offset = 3", "3,4"),
        (
            "SELECT number FROM numbers(100000) ORDER BY number DESC SETTINGS limit = 2, offset = 1",
            "99998,99997",
        ),
        ("SELECT number FROM numbers(10) LIMIT 4 SETTINGS limit = 3, offset = 2", "2,3"),
        ("SELECT number FROM numbers(3) SETTINGS limit = 0, offset = 0", "0,1,2"),
        ("SELECT toString(toDateTime('2024-06-01 12:00:00', 'UTC'), 'Europe/Berlin')", "2024-06-01 14:00:00"),
        (
            "SELECT toString(toDateTime64(1.5, 3, 'UTC'), 'Asia/Tokyo'), toString(1)",
            "1970-01-01 09:00:01.500 1",
        ),
    ] {
        assert_eq!(bench.rows(sql).await.join(","), wanted, "{sql}");
    }
    for sql in ["SELECT toString(5, 'UTC')", "SELECT toString(now(), 'Mars/Olympus')"] {
        assert!(
            [ErrorCode::IllegalTypeOfArgument, ErrorCode::BadArguments].contains(&bench.code(sql).await),
            "{sql}"
        );
    }
    assert_eq!(
        bench.code("SELECT 1 UNION SELECT 1 SETTINGS union_default_mode = 'ALL'").await,
        ErrorCode::NotImplemented
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn few_rows_are_read_on_one_thread_and_more_on_several() {
    // Rows of which `first` needs the order are spread by shard, however few they are.
    let sql = "EXPLAIN SELECT symbol, first(price, ts), first(size) FROM ticks GROUP BY symbol";
    for (bound, threads) in [(3_001, "partitions=1"), (3_000, "partitions=2")] {
        let bench = Bench::with(|options| options.parallel_rows = bound);
        bench.ticks().await;
        let plan = bench.rows(sql).await;
        assert!(plan.iter().any(|line| line.contains("rows=3000") && line.contains(threads)), "{plan:?}");
    }
}
