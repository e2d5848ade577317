//! Positions of a feed are asked of the owner of the stream's home partition alone, and its answers are passed on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zepto_common::Result;
use zepto_common::ids::Epoch;
use zepto_common::service::RowSink;
use zepto_common::source::{FeedStream, home_of_stream};

use super::fake::{Books, Edge, Node, PARTITIONS, placement, request};

fn stream() -> FeedStream {
    FeedStream { table: request(1, None).table, name: "f/topic".to_owned() }
}

async fn ask(edge: &Edge, raise: &[(u32, u64)]) -> Result<BTreeMap<u32, u64>> {
    let raise = raise.iter().copied().collect();
    edge.sink.feed_positions(&stream(), &raise, Instant::now() + Duration::from_secs(20)).await
}

#[tokio::test]
async fn the_positions_of_a_stream_are_kept_by_the_owner_of_its_home_alone() {
    let (one, two) = (Node::start(1).await, Node::start(2).await);
    let edge = Edge::new(&[(1, one.address), (2, two.address)], placement(1, 1, &[1, 2]));
    assert_eq!(ask(&edge, &[]).await.unwrap(), BTreeMap::new());
    assert_eq!(ask(&edge, &[(3, 30), (4, 40)]).await.unwrap(), BTreeMap::from([(3, 30), (4, 40)]));
    assert_eq!(ask(&edge, &[]).await.unwrap(), BTreeMap::from([(3, 30), (4, 40)]));
    let home = home_of_stream(stream().table.id, &stream().name, PARTITIONS);
    let (owner, other) = if home.0.is_multiple_of(2) { (&one, &two) } else { (&two, &one) };
    assert_eq!(owner.books.positions.lock().keys().map(|key| key.0).collect::<Vec<_>>(), [home]);
    assert!(other.books.positions.lock().is_empty());
}

#[tokio::test]
async fn an_owner_that_is_one_no_more_is_not_believed_and_the_next_one_is_asked() {
    let (one, two) = (Node::start(1).await, Node::start(2).await);
    let edge = Edge::new(&[(1, one.address), (2, two.address)], placement(1, 1, &[1]));
    *one.books.owns.lock() = Some(BTreeMap::new());
    *one.books.knows.lock() = Epoch(2);
    let newer = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        edge.placement.send_replace(Arc::new(placement(2, 2, &[2])));
    };
    let (told, ()) = tokio::join!(ask(&edge, &[(0, 5)]), newer);
    assert_eq!(told.unwrap(), BTreeMap::from([(0, 5)]));
    assert!(one.books.positions.lock().is_empty());
    assert_eq!(two.books.positions.lock().len(), 1);
}

#[tokio::test]
async fn an_owners_own_feeds_need_no_socket() {
    let books = Arc::new(Books::default());
    let edge = Edge::of_owner(books.clone());
    assert_eq!(ask(&edge, &[(1, 2)]).await.unwrap(), BTreeMap::from([(1, 2)]));
    assert_eq!(books.positions.lock().len(), 1);
}
