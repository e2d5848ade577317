use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::StreamWriter;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use zepto_common::limits::BLOCK_ROWS;
use zepto_common::{Error, ErrorCode};

use super::client::{escape, post, send};
use super::doubles::{Running, Wish, start};

/// `n` rows of TabSeparated, the values counting from 0.
fn tsv(n: usize) -> Vec<u8> {
    (0..n).flat_map(|i| format!("key{}\t{i}\n", i % 10).into_bytes()).collect()
}

async fn insert(door: &Running, body: impl AsRef<[u8]>) -> super::client::Reply {
    let target = format!("/?query={}", escape("INSERT INTO t FORMAT TabSeparated"));
    post(door.address, &target, body).await
}

#[tokio::test]
async fn rows_come_in_the_body_behind_the_statement_or_behind_the_url() {
    let door = start(Wish::default()).await;
    let url = |sql: &str| format!("/?query={}", escape(sql));
    for (target, body) in [
        (url("INSERT INTO t FORMAT TabSeparated"), "a\t1\n"),
        (url("INSERT INTO t VALUES"), "('a', 1)"),
        (url("INSERT INTO t (v, k) VALUES (1, 'a')"), ""),
        (url("INSERT INTO default.t"), "VALUES ('a', 1)"),
        ("/".to_owned(), "INSERT INTO t FORMAT JSONEachRow\n{\"k\": \"a\", \"v\": 1}\n"),
        ("/".to_owned(), "insert into `t` values ('a', 1);"),
        ("/?database=default".to_owned(), "-- c\nINSERT INTO TABLE t (k, v) FORMAT CSV\n\"a\",1\n"),
        ("/".to_owned(), "INSERT INTO t (k, v) SETTINGS async_insert=1 VALUES ('a', 1 + 1)"),
        (
            "/?param_t=t&param_d=default".to_owned(),
            "INSERT INTO {d:Identifier}.{ t : Identifier } VALUES ('a', 1)",
        ),
        ("/".to_owned(), "INSERT INTO t (* EXCEPT(k)) VALUES (1)"),
        ("/".to_owned(), "INSERT INTO t (* EXCEPT v) FORMAT TSV\na\n"),
    ] {
        let reply = post(door.address, &target, body).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, ""), "{target} {body}");
        assert_eq!(reply.summary("written_rows"), "1", "{target} {body}");
    }
    assert_eq!(door.sink.values(), [1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 0]);
    assert!(door.queries.contexts.lock().is_empty(), "rows never pass the query service");
}

#[tokio::test]
async fn a_table_or_column_that_is_not_there_is_told_by_its_code() {
    let door = start(Wish::default()).await;
    for (sql, code) in [
        ("INSERT INTO {t:Identifier} VALUES ('a', 1)", "456"),
        ("INSERT INTO {t:String} VALUES ('a', 1)", "62"),
        ("INSERT INTO t (* EXCEPT(zz)) VALUES (1)", "16"),
        ("INSERT INTO t (* EXCEPT) VALUES (1)", "62"),
    ] {
        let reply = post(door.address, "/", sql).await;
        assert_eq!(reply.header("x-clickhouse-exception-code"), Some(code), "{sql} {}", reply.text());
    }
    assert_eq!(door.sink.rows(), 0);
}

#[tokio::test]
async fn an_insert_from_a_query_is_the_query_services() {
    let door = start(Wish::default()).await;
    let reply = post(door.address, "/", "INSERT INTO t SELECT k, v FROM u").await;
    assert_eq!(reply.status, 200);
    assert_eq!(door.queries.last().0, "INSERT INTO t SELECT k, v FROM u");
    assert!(!door.queries.last().1.read_only);
}

#[tokio::test]
async fn blocks_are_cut_by_row_number_and_share_the_batch_id() {
    let door = start(Wish::default()).await;
    let rows = 3 * BLOCK_ROWS + 5;
    let target = format!("/?insert_deduplication_token=tok&query={}", escape("INSERT INTO t FORMAT TSV"));
    let reply = post(door.address, &target, tsv(rows)).await;
    assert_eq!((reply.status, reply.summary("written_rows")), (200, rows.to_string()));
    assert!(door.sink.values().into_iter().eq(0..rows as i64));
    let writes = door.sink.writes.lock().clone();
    let id = zepto_common::BatchId::from_token("tok");
    assert!(writes.iter().all(|(batch, ..)| *batch == Some(id)));
    let mut blocks: Vec<_> = writes.iter().map(|(_, block, rows)| (*block, rows.num_rows())).collect();
    blocks.sort_unstable();
    assert_eq!(blocks, [(0, BLOCK_ROWS), (1, BLOCK_ROWS), (2, BLOCK_ROWS), (3, 5)]);
    let again = post(door.address, &target, tsv(rows)).await;
    assert_eq!(
        (again.summary("written_rows"), again.summary("duplicate_rows")),
        ("0".into(), rows.to_string())
    );
    assert_eq!(door.sink.rows(), rows);
}

#[tokio::test]
async fn a_body_of_one_block_with_a_fault_at_its_end_stores_nothing() {
    let door = start(Wish::default()).await;
    for rows in [1, 1_000, BLOCK_ROWS - 1, BLOCK_ROWS] {
        let body = [tsv(rows), b"cut\tnonsense\n".to_vec()].concat();
        let reply = insert(&door, body).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert_eq!(door.sink.rows(), 0, "after {rows} good rows");
    }
}

#[tokio::test]
async fn a_fault_after_stored_blocks_says_what_is_stored() {
    let door = start(Wish::default()).await;
    let body = [tsv(3 * BLOCK_ROWS), b"cut\tnonsense\n".to_vec()].concat();
    let reply = insert(&door, body).await;
    assert_eq!(reply.status, 400);
    let stored = door.sink.rows();
    assert!(stored > 0 && stored.is_multiple_of(BLOCK_ROWS));
    assert!(
        reply.text().contains(&format!("stored in part: stored {stored} rows (blocks 0")),
        "{}",
        reply.text()
    );
    assert_eq!(reply.summary("written_rows"), stored.to_string());
}

#[tokio::test]
async fn overload_is_429_when_nothing_was_stored_and_319_when_something_was() {
    let door = start(Wish::default()).await;
    door.sink.faults.lock().insert(0, Error::new(ErrorCode::Overloaded, "queue full"));
    let reply = insert(&door, tsv(10)).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")));
    assert_eq!(reply.header("x-clickhouse-exception-code"), Some("745"));
    door.sink.faults.lock().clear();
    door.sink.faults.lock().insert(2, Error::new(ErrorCode::Overloaded, "queue full"));
    let reply = insert(&door, tsv(3 * BLOCK_ROWS)).await;
    assert_eq!((reply.status, reply.header("retry-after")), (500, None));
    assert_eq!(reply.header("x-clickhouse-exception-code"), Some("319"));
    let text = reply.text();
    assert!(
        text.contains("queue full. The INSERT was stored in part: stored 131072 rows (blocks 0-1), refused"),
        "{text}"
    );
}

#[tokio::test]
async fn a_write_in_doubt_is_319_with_its_rows() {
    let door = start(Wish::default()).await;
    door.sink.faults.lock().insert(0, Error::new(ErrorCode::UnknownStatusOfInsert, "the log was lost"));
    let reply = insert(&door, tsv(10)).await;
    assert_eq!(reply.header("x-clickhouse-exception-code"), Some("319"));
    assert!(reply.text().contains("perhaps stored 10 rows (blocks 0)"), "{}", reply.text());
}

#[tokio::test]
async fn a_full_budget_refuses_with_429_and_takes_rows_again_later() {
    let mut wish = Wish::default();
    wish.limits.insert_bytes = 64 << 10;
    let door = start(wish).await;
    let gate = Arc::new(Semaphore::new(0));
    *door.sink.gate.lock() = Some(gate.clone());
    let address = door.address;
    let target = format!("/?query={}", escape("INSERT INTO t FORMAT TSV"));
    let first = tokio::spawn({
        let target = target.clone();
        async move { post(address, &target, tsv(4_000)).await }
    });
    while door.sink.waiting.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let second = post(address, &target, tsv(4_000)).await;
    assert_eq!((second.status, second.header("retry-after")), (429, Some("1")));
    gate.add_permits(10);
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(post(address, &target, tsv(4_000)).await.status, 200);
    assert_eq!(door.sink.rows(), 8_000);
}

#[tokio::test]
async fn an_insert_that_is_larger_than_the_whole_budget_is_stored() {
    let mut wish = Wish::default();
    wish.limits.insert_bytes = 512 << 10;
    let door = start(wish).await;
    let target = format!("/?query={}", escape("INSERT INTO t FORMAT TSV"));
    // One block whose body is many steps, then blocks that each are more than the budget.
    for (rows, before) in [(BLOCK_ROWS - 1, 0), (3 * BLOCK_ROWS, BLOCK_ROWS - 1)] {
        let body = tsv(rows);
        assert!(body.len() > 512 << 10, "{} bytes are in the budget", body.len());
        let answer = post(door.address, &target, body).await;
        assert_eq!((answer.status, door.sink.rows()), (200, before + rows), "{}", answer.text());
    }
    // All of it is given back.
    assert_eq!(post(door.address, &target, tsv(10)).await.status, 200);
}

#[tokio::test]
async fn a_slow_sink_slows_the_client_instead_of_filling_memory() {
    let door = start(Wish::default()).await;
    let gate = Arc::new(Semaphore::new(0));
    *door.sink.gate.lock() = Some(gate.clone());
    let address = door.address;
    let target = format!("/?query={}", escape("INSERT INTO t FORMAT TSV"));
    let rows = 12 * BLOCK_ROWS;
    let sent = tokio::spawn(async move { post(address, &target, tsv(rows)).await });
    let full = zepto_common::limits::INSERT_BLOCKS_IN_FLIGHT;
    while door.sink.waiting.load(Ordering::SeqCst) < full {
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_millis(200)).await;
    assert_eq!(door.sink.waiting.load(Ordering::SeqCst), full, "no more than that are in flight");
    gate.add_permits(100);
    assert_eq!(sent.await.unwrap().summary("written_rows"), rows.to_string());
}

#[tokio::test]
async fn compressed_bodies_are_decoded_with_the_statement_inside_or_outside() {
    let door = start(Wish::default()).await;
    let gzip = |data: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let zlib = |data: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |data: &[u8]| zstd::encode_all(data, 1).unwrap();
    let whole = [b"INSERT INTO t FORMAT TSV\n".to_vec(), tsv(100_000)].concat();
    let outside = format!("/?query={}", escape("INSERT INTO t FORMAT TSV"));
    for (encoding, inside, data) in [
        ("gzip", gzip(&whole), gzip(&tsv(100_000))),
        ("deflate", zlib(&whole), zlib(&tsv(100_000))),
        ("zstd", zstd(&whole), zstd(&tsv(100_000))),
    ] {
        for (target, body) in [("/", &inside), (outside.as_str(), &data)] {
            let reply = send(door.address, "POST", target, &[("Content-Encoding", encoding)], body).await;
            assert_eq!((reply.status, reply.text().as_str()), (200, ""), "{encoding}");
            assert_eq!(reply.summary("written_rows"), "100000", "{encoding}");
        }
        let cut = &data[..data.len() - 3];
        let reply = send(door.address, "POST", &outside, &[("Content-Encoding", encoding)], cut).await;
        assert!(reply.status == 400, "{encoding} cut: {}", reply.text());
    }
}

#[tokio::test]
async fn a_compression_bomb_is_refused_with_little_stored_in_silence() {
    let door = start(Wish::default()).await;
    let bomb = zstd::encode_all(&vec![b'0'; 300 << 20][..], 3).unwrap();
    assert!(bomb.len() < 64 << 10);
    let target = format!("/?query={}", escape("INSERT INTO t FORMAT TSV"));
    let reply = send(door.address, "POST", &target, &[("Content-Encoding", "zstd")], &bomb).await;
    assert!((400..500).contains(&reply.status), "{}", reply.text());
    assert_eq!(door.sink.rows(), 0);
    let reply = send(door.address, "POST", "/", &[("Content-Encoding", "zstd")], &bomb).await;
    assert_eq!(reply.status, 413, "a statement of that size: {}", reply.text());
}

#[tokio::test]
async fn arrow_streams_are_matched_by_column_name() {
    let door = start(Wish::default()).await;
    let values: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let batch = RecordBatch::try_from_iter([("v", values), ("k", keys)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    let body = writer.into_inner().unwrap();
    let reply = post(door.address, "/insert/arrow?table=t", &body).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    assert_eq!(door.sink.values(), [7, 8]);
    assert_eq!(post(door.address, "/insert/arrow?table=default.t", &body).await.status, 200);
    assert_eq!(post(door.address, "/insert/arrow?table=x", &body).await.status, 404);
    assert_eq!(post(door.address, "/insert/arrow", &body).await.status, 400);
    assert_eq!(post(door.address, "/insert/arrow?table=a.b.c", &body).await.status, 400);
    assert!(post(door.address, "/insert/arrow?table=t", b"no arrow").await.status >= 400);
    assert_eq!(send(door.address, "GET", "/insert/arrow?table=t", &[], b"").await.status, 405);
}

#[tokio::test]
async fn faults_of_the_head_are_told_before_any_row() {
    let door = start(Wish::default()).await;
    for (sql, code) in [
        ("INSERT INTO nowhere VALUES (1)", "60"),
        ("INSERT INTO t (x) VALUES (1)", "16"),
        ("INSERT INTO t (k, k) VALUES (1, 2)", "15"),
        ("INSERT INTO t FORMAT Nonsense\n1", "73"),
        ("INSERT INTO t FORMAT Pretty\n1", "85"),
        ("INSERT INTO t (k, VALUES (1)", "62"),
        ("INSERT INTO t SETTINGS nonsense = 1 VALUES ('a', 1)", "115"),
        ("INSERT INTO t SETTINGS user = 'x' VALUES ('a', 1)", "115"),
    ] {
        let reply = post(door.address, "/", sql).await;
        assert_eq!(reply.header("x-clickhouse-exception-code"), Some(code), "{sql}: {}", reply.text());
    }
    assert_eq!(door.sink.rows(), 0);
}

#[tokio::test]
async fn an_insert_of_no_rows_is_fine() {
    let door = start(Wish::default()).await;
    let reply = insert(&door, "").await;
    assert_eq!((reply.status, reply.summary("written_rows")), (200, "0".to_owned()));
}
