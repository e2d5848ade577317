//! What is told of statements that are stopped, of databases that are gone, and of the settings.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_is_killed_says_what_stays() {
    let bench = Arc::new(Bench::new());
    bench.rows("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").await;
    let mut mine = context();
    mine.query_id = "victim".to_owned();
    let other = bench.clone();
    let insert = "INSERT INTO t SELECT number FROM numbers(100000000000)";
    let victim = tokio::spawn(async move { other.run_as(insert, mine).await.map(|_| ()) });
    while bench.rows("SELECT count() FROM t").await == ["0"] {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.rows("KILL QUERY WHERE query_id = 'victim'").await.len(), 1);
    let error = victim.await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::QueryWasCancelled);
    let stored = bench.rows("SELECT count() FROM t").await;
    assert!(error.message.contains(&format!("stored {} rows", stored[0])), "{error}");
    assert!(error.message.contains("stores those rows twice"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_database_is_gone_can_make_it_again() {
    let bench = Bench::new();
    bench.rows("DROP DATABASE default").await;
    assert_eq!(bench.rows("SELECT 1").await, ["1"]);
    assert_eq!(bench.code("SELECT * FROM t").await, ErrorCode::UnknownDatabase);
    assert_eq!(bench.code("SHOW TABLES").await, ErrorCode::UnknownDatabase);
    let create = "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n";
    assert_eq!(bench.code(create).await, ErrorCode::UnknownDatabase);
    bench.rows("CREATE DATABASE default").await;
    bench.rows(create).await;
    // The same in a database of another name, for what makes or chooses one.
    let gone = || RequestContext { database: "gone".to_owned(), ..context() };
    for sql in ["SHOW DATABASES", "USE default", "CREATE DATABASE gone", "SELECT 1"] {
        assert!(bench.run_as(sql, gone()).await.is_ok(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_show_the_nodes_configuration_beside_those_of_statements() {
    let key = ("pipeline.drainThreads".to_owned(), "3".to_owned());
    let bench = Bench::with(|options| options.configuration = vec![key]);
    let of = |name: &str| format!("SELECT value, readonly FROM system.settings WHERE name = '{name}'");
    assert_eq!(bench.rows(&of("pipeline.drainThreads")).await, ["3 1"]);
    assert_eq!(bench.rows(&of("join_use_nulls")).await, ["0 0"]);
}
