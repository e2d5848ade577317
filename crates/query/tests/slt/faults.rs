//! What goes wrong between nodes: the same answer or one typed error, never fewer rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use zepto_common::error::{Error, ErrorCode};
use zepto_common::ids::NodeId;
use zepto_common::service::QueryService;
use zepto_query::cluster::{Fault, Replies, Reply, Request};

use super::cluster::{Cluster, PARTITIONS};
use super::database::Database;

/// Rows of the table.
const ROWS: u64 = 300_000;

/// Three nodes with a table whose rows each have two copies.
async fn filled() -> (Arc<Cluster>, Database) {
    let cluster = Arc::new(Cluster::new(3, 2).expect("three nodes"));
    let database = Database::over(cluster.clone());
    for sql in [
        "CREATE TABLE t (k Int64, x Int64) ENGINE = MergeTree ORDER BY k",
        &format!(
            "INSERT INTO t SELECT CAST(number AS Int64) % 1000, CAST(number AS Int64) FROM numbers({ROWS})"
        ),
    ] {
        database.query(sql).await.expect("the table is made");
    }
    (cluster, database)
}

/// Its rows travel: what is left to chance is not asked of owners.
const COUNT_HERE: &str = "SELECT count(), sum(x), uniqExact(k) FROM t WHERE rand() >= 0";
/// States travel.
const COUNT: &str = "SELECT count(), sum(x), uniqExact(k) FROM t WHERE x >= 0";

fn whole() -> String {
    format!("{ROWS}\t{}\t1000\n", ROWS * (ROWS - 1) / 2)
}

/// From now on, answers between nodes pass through this.
fn tamper(cluster: &Cluster, with: impl Fn(NodeId, &Request, Replies) -> Replies + Send + Sync + 'static) {
    *cluster.world.tamper.lock() = Some(Box::new(with));
}

async fn count(database: &Database) -> Result<String, Error> {
    asked(database, COUNT).await
}

async fn asked(database: &Database, sql: &str) -> Result<String, Error> {
    Ok(database.query(sql).await?.unwrap_or_default())
}

/// Waits until no node has a pin of any statement.
async fn all_released(cluster: &Cluster) {
    let begun = Instant::now();
    while cluster.world.pinned() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} statements have pins", cluster.world.pinned());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn without_end(replies: Replies) -> Replies {
    replies.take_while(|reply| std::future::ready(!matches!(reply, Ok(Reply::Done(_))))).boxed()
}

#[test]
fn an_answer_without_its_closing_message_is_asked_for_again() {
    super::on_runtime(async {
        let (cluster, database) = filled().await;
        let cut = Arc::new(AtomicUsize::new(0));
        let counted = cut.clone();
        tamper(&cluster, move |_, _, replies| match counted.fetch_add(1, Ordering::Relaxed) {
            0 => without_end(replies),
            // Nothing at all came: that is no end either.
            1 => stream::empty().boxed(),
            _ => replies,
        });
        assert_eq!(count(&database).await.expect("an answer"), whole());
        assert!(cut.load(Ordering::Relaxed) > 2, "the statement was tried again");
        all_released(&cluster).await;
    });
}

#[test]
fn a_partition_that_leaves_while_it_is_read_is_read_at_its_new_owner() {
    super::on_runtime(async {
        let (cluster, database) = filled().await;
        let (world, moved) = (cluster.world.clone(), Arc::new(AtomicUsize::new(0)));
        let seen = moved.clone();
        let once = AtomicUsize::new(0);
        tamper(&cluster, move |node, request, replies| {
            if once.fetch_add(1, Ordering::Relaxed) == 0 {
                // The owner has begun; now the other copy's node is granted what it reads.
                let (world, partition) = (world.clone(), request.pins[0].partition.0);
                let seen = seen.clone();
                let mut first = true;
                return replies
                    .inspect(move |reply| {
                        if std::mem::take(&mut first) {
                            world.grant(partition, (node.0 + 1) % 3);
                        }
                        if matches!(reply, Err(Fault::Moved(_))) {
                            seen.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                    .boxed();
            }
            replies
        });
        assert_eq!(asked(&database, COUNT_HERE).await.expect("an answer"), whole());
        assert_eq!(moved.load(Ordering::Relaxed), 1, "the old owner has said so after its last row");
        all_released(&cluster).await;
    });
}

#[test]
fn ownership_may_wander_while_statements_run() {
    super::on_runtime(async {
        let (cluster, database) = filled().await;
        let world = cluster.world.clone();
        let wandering = tokio::spawn(async move {
            let homes: Vec<u32> =
                world.placement().partitions.iter().map(|it| it.grant.owner.node.0).collect();
            for round in 0.. {
                let partition = round % PARTITIONS;
                let home = homes[usize::from(partition)];
                world.grant(partition, (home + u32::from(round / PARTITIONS) % 2) % 3);
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        });
        for _ in 0..40 {
            assert_eq!(count(&database).await.expect("an answer"), whole());
        }
        wandering.abort();
        all_released(&cluster).await;
    });
}

#[test]
fn a_node_that_stays_away_is_an_error_and_never_fewer_rows() {
    super::on_runtime(async {
        let (cluster, database) = filled().await;
        let lost = || stream::iter([Err(Fault::Lost("no route".to_owned()))]).boxed();
        tamper(&cluster, move |_, _, _| lost());
        let sql = format!("{COUNT} SETTINGS max_execution_time = 0.5");
        let error = database.query(&sql).await.expect_err("rows are missing");
        assert!(matches!(error.code, ErrorCode::NotReady | ErrorCode::TimeoutExceeded), "{error}");
        // One whose rows are all here needs nobody.
        *cluster.world.tamper.lock() = None;
        all_released(&cluster).await;
        assert_eq!(count(&database).await.expect("an answer"), whole());
    });
}

/// When rows have left for the client it is too late to begin again.
#[test]
fn an_answer_that_breaks_off_after_its_first_rows_is_an_error() {
    super::on_runtime(async {
        let (cluster, database) = filled().await;
        tamper(&cluster, |_, _, replies| {
            replies
                .enumerate()
                .then(|(at, reply)| async move {
                    tokio::time::sleep(Duration::from_millis(if at > 1 { 200 } else { 0 })).await;
                    (at, reply)
                })
                .map(|(at, reply)| if at > 1 { Err(Fault::Lost("cut".to_owned())) } else { reply })
                .boxed()
        });
        for sql in ["SELECT k, x FROM t", "SELECT x FROM t WHERE x > 5"] {
            let error = database.query(sql).await.expect_err("rows are missing");
            assert_eq!(error.code, ErrorCode::NotReady, "{error}");
        }
        all_released(&cluster).await;
    });
}

#[test]
fn a_kill_reaches_the_owners() {
    super::on_runtime(async {
        let (cluster, database) = filled().await;
        // Owners that never come to an end.
        tamper(&cluster, |_, _, replies| without_end(replies).chain(stream::pending()).boxed());
        let database = Arc::new(database);
        let asked = database.clone();
        let victim = tokio::spawn(async move { count(&asked).await });
        let services = || cluster.nodes.iter().map(|node| &node.service);
        let killed = loop {
            let running: Vec<String> =
                services().flat_map(|service| service.running()).map(|query| query.query_id).collect();
            if let (Some(id), true) = (running.first(), cluster.world.pinned() == 3) {
                break services().any(|service| service.kill(id));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert!(killed);
        let error = victim.await.expect("it ends").expect_err("it was killed");
        assert_eq!(error.code, ErrorCode::QueryWasCancelled, "{error}");
        all_released(&cluster).await;
    });
}

#[test]
fn a_deadline_ends_what_waits_for_an_owner() {
    super::on_runtime(async {
        let (cluster, database) = filled().await;
        tamper(&cluster, |_, _, _| stream::pending().boxed());
        let begun = Instant::now();
        let sql = format!("{COUNT} SETTINGS max_execution_time = 0.3");
        let error = database.query(&sql).await.expect_err("nobody answers");
        assert_eq!(error.code, ErrorCode::TimeoutExceeded, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        all_released(&cluster).await;
    });
}

#[test]
fn the_bound_on_memory_holds_for_rows_of_other_nodes() {
    super::on_runtime(async {
        let (_cluster, database) = filled().await;
        let sql = "SELECT x, count() FROM t GROUP BY x ORDER BY x LIMIT 1 SETTINGS max_memory_usage = 100000";
        let error = database.query(sql).await.expect_err("it does not fit");
        assert_eq!(error.code, ErrorCode::MemoryLimitExceeded, "{error}");
    });
}

/// Two scans of one statement see the same rows, whatever is written between them.
#[test]
fn a_statement_sees_each_node_at_one_moment() {
    super::on_runtime(async {
        let (cluster, database) = filled().await;
        let writer = Database::over(cluster.clone());
        let writing = tokio::spawn(async move {
            for number in 0.. {
                let sql = format!("INSERT INTO t VALUES ({number}, {number}), ({}, 1)", number + 7);
                writer.query(&sql).await.expect("rows are taken");
            }
        });
        // The second scan begins when the first is over: it waits for its other side.
        let sql = "SELECT a.c, b.c FROM (SELECT count() AS c FROM t WHERE x >= 0) a, \
                   (SELECT count() AS c FROM t WHERE k >= 0) b";
        let mut last = 0;
        for _ in 0..20 {
            let answer = database.query(sql).await.expect("an answer").unwrap_or_default();
            let counts: Vec<u64> =
                answer.split_whitespace().map(|count| count.parse().expect("a count")).collect();
            assert_eq!(counts[0], counts[1], "two scans, two moments");
            assert!(counts[0] >= last, "a later statement sees no less");
            last = counts[0];
        }
        assert!(last > ROWS, "rows were written meanwhile");
        writing.abort();
        let _aborted = writing.await;
        all_released(&cluster).await;
    });
}

/// Only the owner of a key is asked for it.
#[test]
fn a_key_is_read_at_its_owner_alone() {
    super::on_runtime(async {
        let (cluster, database) = filled().await;
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        tamper(&cluster, move |_, request, replies| {
            assert_eq!(request.pins.len(), 1, "one partition has the key");
            counted.fetch_add(1, Ordering::Relaxed);
            replies
        });
        for key in 0..12 {
            let sql = format!("SELECT count() FROM t WHERE k = {key}");
            let rows = database.query(&sql).await.expect("an answer");
            assert_eq!(rows.as_deref(), Some("300\n"));
        }
        let asked = asked.load(Ordering::Relaxed);
        assert!((4..12).contains(&asked), "{asked} of 12 keys were asked for elsewhere");
        let shipped = cluster.world.shipped.load(Ordering::Relaxed);
        assert!(shipped < asked * 10, "{shipped} states of {asked} owners");
    });
}

/// What one node has answered another may be asked about before it has been told.
#[test]
fn a_node_asks_before_it_says_that_something_is_not_there() {
    super::on_runtime(async {
        let cluster = Arc::new(Cluster::new(3, 1).expect("three nodes"));
        let database = Database::over(cluster.clone());
        cluster.world.late.store(true, Ordering::Relaxed);
        for (change, question, answer) in [
            ("CREATE TABLE late (k Int64) ENGINE = MergeTree ORDER BY k", "EXISTS TABLE late", "1\n"),
            ("CREATE DATABASE elsewhere", "EXISTS DATABASE elsewhere", "1\n"),
            ("CREATE TABLE later (k Int64) ENGINE = MergeTree ORDER BY k", "SHOW TABLES LIKE 'nothing'", ""),
            (
                "ALTER TABLE later ADD COLUMN w Int32",
                "DESCRIBE (SELECT w FROM later)",
                "w\tInt32\t\t\t\t\t\n",
            ),
        ] {
            database.query(change).await.expect(change);
            // One of the three has made the change.
            for _ in 0..3 {
                assert_eq!(asked(&database, question).await.expect(question), answer, "{question}");
            }
        }
        for _ in 0..3 {
            assert_eq!(asked(&database, "EXISTS TABLE nothing").await.expect("an answer"), "0\n");
            let unknown = database.query("SELECT * FROM nothing").await.expect_err("there is none");
            assert_eq!(unknown.code, ErrorCode::UnknownTable);
        }
    });
}
