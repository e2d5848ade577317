use super::*;
use futures::FutureExt;
use zepto_common::limits::EXPRESSION_STACK_BYTES;

const ENDLESS: &str = "SELECT max(number) FROM system.numbers";

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_stops_the_work() {
    let bench = Bench::new();
    let started = Instant::now();
    let sql = format!("{ENDLESS} SETTINGS max_execution_time = 0.3");
    assert_eq!(bench.code(&sql).await, ErrorCode::TimeoutExceeded);
    while !bench.service.running().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(100), "the work goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A nested loop compares each batch with everything: it must give way in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_stops_a_join_of_everything_with_everything() {
    let bench = Bench::new();
    let sql = "SELECT count() FROM numbers(100000) a, numbers(1000000) b WHERE a.number * b.number % 7 = 8 \
               SETTINGS max_execution_time = 0.3";
    assert_eq!(bench.code(sql).await, ErrorCode::TimeoutExceeded);
    while !bench.service.running().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // No thread is held by what is left of it.
    assert_eq!(bench.rows("SELECT sum(number) FROM numbers(1000000)").await, ["499999500000"]);
}

/// A join by a key with few values gives rows without end to an aggregate: it must give way in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_stops_a_join_that_multiplies_rows() {
    let bench = Bench::new();
    let sql = "SELECT count() FROM numbers(2000000) a JOIN numbers(2000000) b ON a.number % 2 = b.number % 2 \
               SETTINGS max_execution_time = 0.5";
    for _ in 0..6 {
        assert_eq!(bench.code(sql).await, ErrorCode::TimeoutExceeded);
    }
    let free = || bench.service.core.sessions.memory_reserved() == 0;
    let started = Instant::now();
    while !free() || !bench.service.running().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(30), "the work goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // No thread is held by what is left of it.
    assert_eq!(bench.rows("SELECT sum(number) FROM numbers(1000000)").await, ["499999500000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_stops_the_work() {
    let bench = Arc::new(Bench::new());
    let mut mine = context();
    mine.query_id = "victim".to_owned();
    let other = bench.clone();
    let victim = tokio::spawn(async move { other.run_as(ENDLESS, mine).await.map(|_| ()) });
    while bench.service.running().iter().all(|query| query.read_rows == 0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut same = context();
    same.query_id = "victim".to_owned();
    let error = bench.run_as("SELECT 1", same).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::QueryWithSameIdIsAlreadyRunning);
    assert_eq!(bench.rows("KILL QUERY WHERE query_id = 'nobody'").await.len(), 0);
    let listed = bench.rows("KILL QUERY WHERE query_id = 'victim' TEST").await;
    assert!(listed.len() == 1 && listed[0].starts_with("waiting victim"), "{listed:?}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!victim.is_finished(), "TEST stops nothing");
    assert_eq!(bench.rows("KILL QUERY WHERE query_id = 'victim'").await.len(), 1);
    assert_eq!(victim.await.unwrap().unwrap_err().code, ErrorCode::QueryWasCancelled);
    while !bench.service.running().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_the_work() {
    let bench = Bench::new();
    let answer = bench.service.run("SELECT number FROM system.numbers", context()).await.unwrap();
    assert_eq!(bench.service.running().len(), 1);
    drop(answer);
    while !bench.service.running().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // So does one that leaves while the statement is planned.
    drop(bench.service.run(ENDLESS, context()).now_or_never());
    while !bench.service.running().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_most_of_everything() {
    let bench = Bench::with(|options| {
        options.queries = 1;
        options.result_rows = 1_000;
    });
    assert_eq!(bench.code("SELECT number FROM numbers(1001)").await, ErrorCode::TooManyRowsOrBytes);
    assert_eq!(bench.rows("SELECT number FROM numbers(1000)").await.len(), 1_000);
    let cut = "SELECT number FROM numbers(100) SETTINGS max_result_rows = 7, result_overflow_mode = 'break'";
    assert_eq!(bench.rows(cut).await.len(), 7);
    let first =
        bench.service.run("SELECT number FROM system.numbers WHERE number < 0", context()).await.unwrap();
    assert_eq!(bench.code("SELECT 1").await, ErrorCode::TooManySimultaneousQueries);
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_and_sorting_spills() {
    let bench = Bench::with(|options| options.memory_limit = 24 << 20);
    let hungry =
        "SELECT count(*) FROM (SELECT number % 300000 AS k, count(*) AS c FROM numbers(300000) GROUP BY k)";
    let strict = format!("{hungry} SETTINGS max_memory_usage = 100000");
    assert_eq!(bench.code(&strict).await, ErrorCode::MemoryLimitExceeded);
    let sorted = "SELECT number FROM (SELECT number, number % 7 AS m FROM numbers(4000000) ORDER BY m, number DESC) \
                  LIMIT 1 OFFSET 3999999";
    assert_eq!(bench.rows(sorted).await.len(), 1);
    // What is held back for merging runs is a part of what there is, and the threads that sort have equal shares of it.
    let little = format!("{sorted} SETTINGS max_memory_usage = 16000000");
    assert_eq!(bench.rows(&little).await, ["6"]);
    let few = "SELECT number FROM numbers(1000) ORDER BY number DESC LIMIT 1 OFFSET 10 SETTINGS max_memory_usage = 2000000";
    assert_eq!(bench.rows(few).await, ["989"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_requests_do_not_write() {
    let bench = Bench::new();
    let mut get = context();
    get.read_only = true;
    let error = bench.run_as("CREATE TABLE t (a Int8)", get.clone()).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::InsertIntoReadonly);
    bench.run_as("SELECT 1", get).await.unwrap();
    let mut reader = context();
    reader.role = Role::Reader;
    let error = bench.run_as("CREATE TABLE t (a Int8)", reader).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::AccessDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_statement_reads_and_gives_is_bounded_by_its_settings() {
    let bench = Bench::new();
    bench.rows("CREATE TABLE t (k LowCardinality(String), ts DateTime64(9), v Int64) ORDER BY (k, ts)").await;
    bench.rows("INSERT INTO t SELECT toString(number % 10), number, number FROM numbers(200000)").await;
    for from in ["numbers(200000)", "t"] {
        let column = if from == "t" { "v" } else { "number" };
        let sum = |settings: &str| format!("SELECT sum({column} + 1) FROM {from} SETTINGS {settings}");
        assert_eq!(bench.code(&sum("max_rows_to_read = 10")).await, ErrorCode::TooManyRows);
        assert_eq!(bench.code(&sum("max_bytes_to_read = 10")).await, ErrorCode::TooManyBytes);
        assert_eq!(bench.rows(&sum("max_rows_to_read = 1000000")).await, ["20000100000"]);
        let part = bench.rows(&sum("max_rows_to_read = 10, read_overflow_mode = 'break'")).await;
        let part: u64 = part[0].parse().unwrap();
        assert!(part > 0 && part < 20_000_100_000, "{part} is the sum of a part");
        let all = |settings: &str| format!("SELECT {column} FROM {from} SETTINGS {settings}");
        assert_eq!(bench.code(&all("max_result_rows = 10")).await, ErrorCode::TooManyRowsOrBytes);
        assert_eq!(bench.code(&all("max_result_bytes = 10")).await, ErrorCode::TooManyRowsOrBytes);
        let some = bench.rows(&all("max_result_bytes = 10, result_overflow_mode = 'break'")).await.len();
        assert!(some > 0 && some < 200_000, "{some} rows");
    }
}

/// Each different call is one more subquery: as many as a statement can hold would not fit a stack.
#[test]
fn calls_of_array_join_are_bounded() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(EXPRESSION_STACK_BYTES)
        .enable_all()
        .build()
        .unwrap();
    let calls = |count: usize, between: &str| {
        let calls: Vec<String> = (0..count).map(|at| format!("arrayJoin([{at}])")).collect();
        format!("SELECT {}", calls.join(between))
    };
    let asked = runtime.spawn(async move {
        let bench = Bench::new();
        assert_eq!(bench.rows(&calls(32, " + ")).await, ["496"]);
        for (count, between) in [(33, " + "), (5_000, ", ")] {
            assert_eq!(bench.code(&calls(count, between)).await, ErrorCode::NotImplemented, "{count} calls");
        }
    });
    runtime.block_on(asked).unwrap();
}
