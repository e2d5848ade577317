use std::sync::Arc;
use std::time::Duration;

use zepto_common::ids::{Epoch, PartitionId, PlacementVersion, SchemaVersion};
use zepto_common::service::WriteReceipt;
use zepto_common::{Error, ErrorCode};

use super::fake::{Act, Books, Edge, Node, PARTITIONS, Wire, edge_identity, eventually, placement, request};
use super::fake::{CLUSTER, SECRET};
use crate::write::Verdict;
use crate::write::pool::PoolLimits;
use crate::write::sink::SinkTimes;

const ROWS: u32 = 200;

fn all() -> Vec<u32> {
    (0..ROWS).collect()
}

fn stored(rows: u64) -> WriteReceipt {
    WriteReceipt { rows, duplicate_rows: 0 }
}

fn owns_all(epoch: u64) -> Option<std::collections::BTreeMap<PartitionId, Epoch>> {
    Some((0..PARTITIONS).map(|p| (PartitionId(p), Epoch(epoch))).collect())
}

async fn two() -> (Node, Node, Edge) {
    let (one, two) = (Node::start(1).await, Node::start(2).await);
    let edge = Edge::new(&[(1, one.address), (2, two.address)], placement(1, 1, &[1, 2]));
    (one, two, edge)
}

fn both(one: &Node, two: &Node) -> Vec<u32> {
    let mut rows = one.books.stored();
    rows.extend(two.books.stored());
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn each_row_reaches_the_owner_of_its_partition_once_and_a_repeat_is_recognised() {
    let (one, two, edge) = two().await;
    assert_eq!(edge.write(request(ROWS, Some("a"))).await.unwrap(), stored(200));
    assert_eq!(both(&one, &two), all());
    let owned_here = |node: &Node, rest| node.books.rows.lock().keys().all(|key| key.0.0 % 2 == rest);
    assert!(owned_here(&one, 0) && owned_here(&two, 1));
    let again = edge.write(request(ROWS, Some("a"))).await.unwrap();
    assert_eq!(again, WriteReceipt { rows: 0, duplicate_rows: 200 });
    assert_eq!(both(&one, &two), all());
    assert_eq!(edge.write(request(ROWS, None)).await.unwrap(), stored(200));
    assert_eq!(edge.write(request(ROWS, None)).await.unwrap(), stored(200));
    assert_eq!(both(&one, &two).len(), 600, "without a token each write is one of its own");
    assert_eq!(edge.pool.bytes_in_flight(), 0);
}

#[tokio::test]
async fn rows_of_an_edges_own_partitions_need_no_socket_and_are_recognised_too() {
    let books = Arc::new(Books::default());
    let edge = Edge::of_owner(books.clone());
    books.plan([Act::Say(Verdict::UnknownSchema(SchemaVersion(2)))]);
    assert_eq!(edge.write(request(ROWS, Some("a"))).await.unwrap(), stored(200));
    let again = edge.write(request(ROWS, Some("a"))).await.unwrap();
    assert_eq!(again, WriteReceipt { rows: 0, duplicate_rows: 200 });
    assert_eq!((books.stored(), edge.pool.bytes_in_flight()), (all(), 0));
}

#[tokio::test]
async fn rows_sent_to_a_former_owner_follow_the_partition_once_the_move_is_known() {
    let (one, two, edge) = two().await;
    *one.books.owns.lock() = Some(Default::default());
    *one.books.knows.lock() = Epoch(5);
    *two.books.owns.lock() = owns_all(5);
    let (sink, write) = (edge.sink.clone(), request(ROWS, None));
    let writing = tokio::spawn(async move {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        zepto_common::service::RowSink::write(sink.as_ref(), write, deadline).await
    });
    eventually("the former owner was asked", || !one.books.seen.lock().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!writing.is_finished(), "nobody may call the rows stored that the former owner refused");
    assert_eq!(one.books.seen.lock().len(), 1, "nothing is sent before a newer placement is known");
    edge.placement.send_replace(placement(2, 5, &[2]).into());
    assert_eq!(writing.await.unwrap().unwrap(), stored(200));
    assert_eq!((one.books.stored(), two.books.stored()), (vec![], all()));
    let seen = two.books.seen.lock();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].2.iter().all(|it| !seen[1].2.contains(it)), "what is stored is not sent again");
    assert_eq!(seen[0].0, seen[1].0, "every try has the same batch id");
    assert_eq!(seen[0].0, one.books.seen.lock()[0].0);
}

#[tokio::test]
async fn an_owner_that_was_relieved_and_is_silent_is_not_waited_for() {
    let (one, two, edge) = two().await;
    one.books.plan([Act::Hang]);
    let (sink, write) = (edge.sink.clone(), request(ROWS, None));
    let writing = tokio::spawn(async move {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        zepto_common::service::RowSink::write(sink.as_ref(), write, deadline).await
    });
    eventually("it was asked", || !one.books.seen.lock().is_empty()).await;
    let begun = std::time::Instant::now();
    edge.placement.send_replace(placement(2, 5, &[2]).into());
    assert_eq!(writing.await.unwrap().unwrap(), stored(200));
    assert_eq!((one.books.stored(), two.books.stored()), (vec![], all()));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}: it was waited for until its stream was given up");
    assert!(edge.pool.bytes_in_flight() > 0, "its bytes count until it answers or its stream ends");
}

#[tokio::test]
async fn a_connection_cut_between_storing_and_answering_stores_the_rows_once() {
    let owner = Node::start(1).await;
    let wire = Wire::to(owner.address).await;
    let edge = Edge::new(&[(1, wire.address)], placement(1, 1, &[1]));
    owner.books.plan([Act::StoreAndHang]);
    let (sink, write) = (edge.sink.clone(), request(ROWS, None));
    let writing = tokio::spawn(async move {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        zepto_common::service::RowSink::write(sink.as_ref(), write, deadline).await
    });
    eventually("the owner has stored", || owner.books.stored().len() == 200).await;
    wire.cut();
    assert_eq!(writing.await.unwrap().unwrap(), stored(200));
    assert_eq!(owner.books.stored(), all(), "each row is there once");
    assert_eq!(owner.books.seen.lock().len(), 2);
    assert_eq!(edge.pool.bytes_in_flight(), 0);
}

#[tokio::test]
async fn an_owner_that_does_not_know_the_outcome_is_asked_again() {
    let owner = Node::start(1).await;
    let edge = Edge::new(&[(1, owner.address)], placement(1, 1, &[1]));
    owner.books.plan([Act::StoreAndForget]);
    assert_eq!(edge.write(request(ROWS, None)).await.unwrap(), stored(200));
    assert_eq!(owner.books.stored(), all());
}

fn hasty(addresses: &[(u32, std::net::SocketAddr)], owners: &[u32]) -> Edge {
    let limits = PoolLimits {
        bytes_in_flight: 64 << 10,
        answer_time: Duration::from_millis(700),
        ..PoolLimits::default()
    };
    let times = SinkTimes { room: Duration::from_millis(100), whole: Duration::from_millis(1_500) };
    Edge::with(addresses, placement(1, 1, owners), limits, times, edge_identity(CLUSTER, SECRET))
}

#[tokio::test]
async fn a_lost_answer_is_an_unknown_outcome_and_never_a_refusal() {
    let owner = Node::start(1).await;
    let edge = hasty(&[(1, owner.address)], &[1]);
    owner.books.plan(vec![Act::StoreAndHang; 50]);
    let error = edge.write(request(ROWS, Some("t"))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UnknownStatusOfInsert, "{error}");
    assert_eq!(owner.books.stored(), all());
    let asked = owner.books.seen.lock().len();
    assert!(asked >= 2, "it was asked again after the answer time: {asked}");
    owner.books.acts.lock().clear();
    let again = edge.write(request(ROWS, Some("t"))).await.unwrap();
    assert_eq!(again.rows + again.duplicate_rows, 200);
    assert_eq!(owner.books.stored(), all());
}

#[tokio::test]
async fn a_slow_owner_gives_429_and_bounded_bytes() {
    let owner = Node::start(1).await;
    let limits = PoolLimits {
        bytes_in_flight: 64 << 10,
        answer_time: Duration::from_secs(60),
        ..PoolLimits::default()
    };
    let times = SinkTimes { room: Duration::from_millis(100), whole: Duration::from_secs(5) };
    let identity = edge_identity(CLUSTER, SECRET);
    let edge = Edge::with(&[(1, owner.address)], placement(1, 1, &[1]), limits, times, identity);
    owner.books.plan(vec![Act::Hang; 500]);
    let writes: Vec<_> = (0..40)
        .map(|_| {
            let (sink, write) = (edge.sink.clone(), request(400, None));
            tokio::spawn(async move {
                let deadline = std::time::Instant::now() + Duration::from_secs(20);
                zepto_common::service::RowSink::write(sink.as_ref(), write, deadline).await
            })
        })
        .collect();
    let (mut overloaded, mut unknown) = (0, 0);
    for write in writes {
        match write.await.unwrap().unwrap_err().code {
            ErrorCode::Overloaded => overloaded += 1,
            ErrorCode::UnknownStatusOfInsert => unknown += 1,
            other => panic!("{other}"),
        }
        assert!(edge.pool.bytes_in_flight() <= 64 << 10);
    }
    let sent = owner.books.bytes.load(std::sync::atomic::Ordering::Relaxed);
    assert!(sent <= 64 << 10, "{sent} bytes were on their way to an owner that takes 65,536");
    assert!(unknown > 0 && overloaded >= 20, "{unknown} were sent, {overloaded} told to come later");
    assert_eq!(edge.sink.counters().dropped.load(std::sync::atomic::Ordering::Relaxed), overloaded * 400);
}

#[tokio::test]
async fn busy_is_429_while_nothing_is_stored_and_waits_once_something_is() {
    let (one, two, edge) = two().await;
    let busy = || Act::Say(Verdict::Busy(Duration::from_millis(20)));
    one.books.plan([busy()]);
    two.books.plan([busy()]);
    let error = edge.write(request(ROWS, None)).await.unwrap_err();
    assert_eq!((error.code, both(&one, &two)), (ErrorCode::Overloaded, vec![]));
    two.books.plan([busy(), busy()]);
    assert_eq!(edge.write(request(ROWS, None)).await.unwrap(), stored(200));
    assert_eq!(both(&one, &two), all());
}

#[tokio::test]
async fn an_owner_that_refuses_for_good_is_heard_though_the_other_has_stored() {
    let (one, two, edge) = two().await;
    let refusal = Error::new(ErrorCode::IncorrectData, "the same key with other content");
    two.books.plan([Act::Say(Verdict::Refused(refusal))]);
    let error = edge.write(request(ROWS, Some("a"))).await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (ErrorCode::IncorrectData, "the same key with other content")
    );
    assert_eq!(two.books.seen.lock().len(), 1, "it is not asked again");
    assert!(!one.books.stored().is_empty() && two.books.stored().is_empty());
    // 503 promises that nothing was stored, so it may not be said now.
    let refusal = Error::new(ErrorCode::NotEnoughSpace, "the disk is full");
    two.books.plan([Act::Say(Verdict::Refused(refusal.clone()))]);
    let error = edge.write(request(ROWS, Some("b"))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UnknownStatusOfInsert, "{error}");
    assert!(error.message.contains("the disk is full"), "{error}");
    one.books.plan([Act::Say(Verdict::Refused(refusal.clone()))]);
    two.books.plan([Act::Say(Verdict::Refused(refusal))]);
    let error = edge.write(request(ROWS, Some("c"))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotEnoughSpace, "nothing of it was stored");
}

#[tokio::test]
async fn only_the_parts_that_are_not_stored_are_sent_again() {
    let owner = Node::start(1).await;
    let edge = Edge::new(&[(1, owner.address)], placement(1, 1, &[1]));
    owner.books.plan([Act::StoreFirst(Verdict::NotOwner(Epoch(1)))]);
    assert_eq!(edge.write(request(ROWS, None)).await.unwrap(), stored(200));
    let seen = owner.books.seen.lock();
    assert_eq!(seen[1].2, seen[0].2[1..], "all but the first");
    assert_eq!(owner.books.stored(), all());
}

#[tokio::test]
async fn an_owner_on_a_newer_placement_is_asked_again_when_that_is_known_here() {
    let owner = Node::start(1).await;
    let edge = Edge::new(&[(1, owner.address)], placement(1, 1, &[1]));
    owner.books.plan([Act::Say(Verdict::StalePlacement(PlacementVersion(4)))]);
    let (sink, write) = (edge.sink.clone(), request(ROWS, None));
    let writing = tokio::spawn(async move {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        zepto_common::service::RowSink::write(sink.as_ref(), write, deadline).await
    });
    eventually("it was asked", || !owner.books.seen.lock().is_empty()).await;
    edge.placement.send_replace(placement(3, 1, &[1]).into());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(owner.books.seen.lock().len(), 1, "version 3 is not the one");
    edge.placement.send_replace(placement(4, 1, &[1]).into());
    assert_eq!(writing.await.unwrap().unwrap(), stored(200));
    // An owner that lags behind this node catches up by itself.
    owner.books.plan([Act::Say(Verdict::StalePlacement(PlacementVersion(2)))]);
    assert_eq!(edge.write(request(ROWS, None)).await.unwrap(), stored(200));
}

#[tokio::test]
async fn a_schema_that_the_owner_will_hear_of_is_waited_for_and_one_that_is_gone_is_an_error() {
    let owner = Node::start(1).await;
    let edge = Edge::new(&[(1, owner.address)], placement(1, 1, &[1]));
    owner.books.plan([Act::Say(Verdict::UnknownSchema(SchemaVersion(2)))]);
    assert_eq!(edge.write(request(ROWS, None)).await.unwrap(), stored(200));
    owner.books.plan([Act::Say(Verdict::UnknownSchema(SchemaVersion(9)))]);
    let error = edge.write(request(ROWS, None)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UnknownTable, "{error}");
}

#[tokio::test]
async fn an_owner_that_is_away_is_503_within_the_time_and_nothing_is_stored() {
    let gone = Node::start(1).await.address;
    let edge = hasty(&[(1, gone)], &[1]);
    let error = edge.write(request(ROWS, None)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotReady, "{error}");
    let unknown_address = hasty(&[], &[1]);
    assert_eq!(unknown_address.write(request(ROWS, None)).await.unwrap_err().code, ErrorCode::NotReady);
    let other = Node::start(2).await;
    let edge = Edge::new(&[(1, gone), (2, other.address)], placement(1, 1, &[1]));
    let begun = std::time::Instant::now();
    let moved = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        edge.placement.send_replace(placement(2, 2, &[2]).into());
    };
    let (written, ()) = tokio::join!(edge.write(request(ROWS, None)), moved);
    assert_eq!(written.unwrap(), stored(200));
    assert!(begun.elapsed() < Duration::from_secs(5));
}
