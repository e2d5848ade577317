//! Speakers and listeners on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use zepto_common::ids::{DiskId, NodeId};
use zepto_proto::refusal::RefusedReason;
use zepto_proto::replicate as wire;

use super::links::PeerLinks;
use super::server::copy_server;
use super::*;
use crate::write::server::tuned;

/// Longest wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

fn replica(node: u32) -> Replica {
    Replica { node: NodeId(node), disk: DiskId(u128::from(node) + 100) }
}

fn identity(node: u32) -> CopyIdentity {
    let secret = Secret::new("known to all");
    CopyIdentity { cluster_id: "lab".to_owned(), me: replica(node), incarnation: 1, secret }
}

/// A message that only its number tells from others.
fn word(number: u64) -> CopyMessage {
    let answered = wire::Answered { token: Some(wire::Token { epoch: 1, boot: 1 }), sequence: number };
    CopyMessage { partition: 3, says: Some(Says::Waiting(answered)) }
}

fn number_of(message: &CopyMessage) -> u64 {
    match &message.says {
        Some(Says::Waiting(it)) => it.sequence,
        _ => u64::MAX,
    }
}

/// A message with so many bytes of rows.
fn heavy(bytes: usize) -> CopyMessage {
    let rows = wire::Rows { rows: 1, ipc: Bytes::from(vec![7; bytes]), ..Default::default() };
    let entry = wire::Entry { rows: Some(rows), ..Default::default() };
    let append = wire::Append { entries: vec![entry], ..Default::default() };
    CopyMessage { partition: 3, says: Some(Says::Append(append)) }
}

/// Tells what it hears; refuses what has the number that it was told to refuse.
struct Ear {
    heard: mpsc::UnboundedSender<(Replica, CopyMessage)>,
    refuses: Option<u64>,
    deaf: Arc<AtomicBool>,
}

impl CopyListener for Ear {
    fn hear(&self, from: Replica, messages: Vec<CopyMessage>, _blocks: Vec<Block>) -> Result<u64, Refused> {
        let mut unheard = 0;
        for message in messages {
            if self.refuses == Some(number_of(&message)) {
                return Err(zepto_proto::convert::bad_message("it is not liked"));
            }
            if self.deaf.load(Ordering::Relaxed) {
                unheard += 1;
                continue;
            }
            // The test may be over.
            let _listened = self.heard.send((from, message));
        }
        Ok(unheard)
    }

    fn pin(&self, ask: CopyAsk) -> BoxFuture<'static, Result<StatePieces, Refused>> {
        Box::pin(async move {
            if ask.token.epoch.0 != 9 {
                return Err(Refused::new(RefusedReason::NotOwner, "it is owned under epoch 9"));
            }
            let rows = |number: u32| Piece::Rows(wire::Rows { rows: number, ..Default::default() });
            let begin = std::iter::once(Piece::Begin(wire::History::default()));
            let pieces = begin.chain((1..u32::MAX).map(rows)).map(Ok);
            Ok(Box::new(pieces) as StatePieces)
        })
    }

    fn does_without(&self, ask: CopyAsk) -> BoxFuture<'static, Result<bool, Refused>> {
        Box::pin(async move { Ok(ask.token.epoch.0 == 9) })
    }

    fn versions(&self) -> (PlacementVersion, u64) {
        (PlacementVersion(4), 5)
    }
}

/// A listener in service.
struct Listener {
    address: SocketAddr,
    heard: Mutex<mpsc::UnboundedReceiver<(Replica, CopyMessage)>>,
    deaf: Arc<AtomicBool>,
    /// Its connections live there: they end with it.
    runtime: Option<Runtime>,
}

impl Listener {
    async fn start(identity: CopyIdentity, refuses: Option<u64>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), identity, refuses).await
    }

    async fn start_at(address: SocketAddr, identity: CopyIdentity, refuses: Option<u64>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let socket = runtime.spawn(async move { TcpListener::bind(address).await.unwrap() }).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (sender, heard) = mpsc::unbounded_channel();
        let deaf = Arc::<AtomicBool>::default();
        let service = copy_server(Ear { heard: sender, refuses, deaf: deaf.clone() }, identity);
        let server = tuned(Server::builder()).add_service(service);
        runtime.spawn(async move {
            server.serve_with_incoming(TcpIncoming::from(socket)).await.unwrap();
        });
        Self { address, heard: Mutex::new(heard), deaf, runtime: Some(runtime) }
    }

    fn next(&self) -> Option<(Replica, CopyMessage)> {
        self.heard.lock().try_recv().ok()
    }

    /// Says numbers from `from` on until one is heard; that number.
    async fn reached(&self, links: &PeerLinks, to: Replica, from: u64) -> u64 {
        let work = async {
            for number in from.. {
                links.send(to, word(number));
                tokio::time::sleep(Duration::from_millis(5)).await;
                if let Some((_, message)) = self.next() {
                    return number_of(&message);
                }
            }
            0
        };
        tokio::time::timeout(PATIENCE, work).await.expect("nothing was heard")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn links(me: u32, listeners: &[(u32, SocketAddr)]) -> PeerLinks {
    let links = PeerLinks::new(identity(me), Handle::current());
    let addresses = listeners.iter().map(|(node, at)| (NodeId(*node), at.to_string()));
    links.set_addresses(&addresses.collect::<BTreeMap<_, _>>());
    links
}

/// The numbers of the next messages, from whom they must come.
async fn numbers(listener: &Listener, from: Replica, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    let work = async {
        while numbers.len() < count {
            match listener.next() {
                Some((speaker, message)) => {
                    assert_eq!(speaker, from);
                    numbers.push(number_of(&message));
                }
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    let done = tokio::time::timeout(PATIENCE, work).await;
    assert!(done.is_ok(), "heard only {numbers:?}");
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_comes_in_its_order_and_under_the_speakers_name() {
    let listener = Listener::start(identity(2), None).await;
    let links = links(1, &[(2, listener.address)]);
    listener.reached(&links, replica(2), 0).await;
    while listener.next().is_some() {}
    for number in 10_000..12_000 {
        links.send(replica(2), word(number));
    }
    let heard = numbers(&listener, replica(1), 2_000).await;
    let heard: Vec<u64> = heard.into_iter().filter(|number| *number >= 10_000).collect();
    assert!(heard.len() > 1_990 && heard.is_sorted(), "{} in order: {}", heard.len(), heard.is_sorted());
    links.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_comes_back_is_spoken_to_again_and_old_words_are_not_kept_for_it() {
    let listener = Listener::start(identity(2), None).await;
    let address = listener.address;
    let links = links(1, &[(2, address)]);
    let last = listener.reached(&links, replica(2), 0).await;
    drop(listener);
    // The stream must be known to be broken before what is said is dropped.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for number in last + 1..last + 1_000 {
        links.send(replica(2), word(number));
    }
    let listener = Listener::start_at(address, identity(2), None).await;
    let first = listener.reached(&links, replica(2), last + 1_000).await;
    assert!(first >= last + 1_000, "{first} was said while nobody listened, up to {}", last + 999);
    links.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_not_listened_to_and_harm_nobody() {
    let listener = Listener::start(identity(2), None).await;
    let friend = links(1, &[(2, listener.address)]);
    let stranger = |change: &dyn Fn(&mut CopyIdentity)| {
        let mut who = identity(7);
        change(&mut who);
        let links = PeerLinks::new(who, Handle::current());
        links.set_addresses(&[(NodeId(2), listener.address.to_string())].into());
        links
    };
    let strangers = [
        (stranger(&|who| who.cluster_id = "other".to_owned()), replica(2)),
        (stranger(&|who| who.secret = Secret::new("guessed")), replica(2)),
        // Meant for the disk that the node had before.
        (stranger(&|_| ()), Replica { disk: DiskId(1), ..replica(2) }),
    ];
    let until = tokio::time::Instant::now() + Duration::from_millis(600);
    while tokio::time::Instant::now() < until {
        strangers.iter().for_each(|(links, to)| links.send(*to, word(u64::MAX - 1)));
        friend.send(replica(2), word(1));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    listener.reached(&friend, replica(2), 2).await;
    while let Some((from, message)) = listener.next() {
        assert!(from == replica(1) && number_of(&message) != u64::MAX - 1, "{from:?} was listened to");
    }
    for (links, _) in strangers {
        links.stop().await;
    }
    friend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_takes_nothing_neither_fills_memory_nor_delays_another() {
    // It accepts the connection and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = Listener::start(identity(2), None).await;
    let slow = Listener::start(identity(3), None).await;
    let addresses = [(2, listener.address), (3, slow.address), (4, mute.local_addr().unwrap())];
    let links = links(1, &addresses);
    slow.reached(&links, replica(3), 0).await;
    listener.reached(&links, replica(2), 0).await;
    slow.deaf.store(true, Ordering::Relaxed);
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        links.send(replica(3), heavy(1 << 20));
        links.send(replica(4), heavy(1 << 20));
    }
    assert!(links.waiting_bytes() <= 2 * (65 << 20), "{} bytes wait", links.waiting_bytes());
    assert!(begun.elapsed() < Duration::from_secs(5), "saying waited");
    while listener.next().is_some() {}
    links.send(replica(2), word(77_777));
    let heard = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            match listener.next() {
                Some((_, message)) if number_of(&message) == 77_777 => return,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    });
    heard.await.expect("another listener's silence delays this one");
    tokio::time::timeout(Duration::from_secs(5), links.stop()).await.expect("every task ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_word_ends_the_stream_and_the_next_stream_works() {
    let listener = Listener::start(identity(2), Some(666)).await;
    let links = links(1, &[(2, listener.address)]);
    listener.reached(&links, replica(2), 0).await;
    links.send(replica(2), word(666));
    let after = listener.reached(&links, replica(2), 1_000).await;
    assert!(after >= 1_000);
    // What there is no room for is lost, and nothing else.
    listener.deaf.store(true, Ordering::Relaxed);
    links.send(replica(2), word(5_000));
    tokio::time::sleep(Duration::from_millis(100)).await;
    listener.deaf.store(false, Ordering::Relaxed);
    let later = listener.reached(&links, replica(2), 6_000).await;
    assert!(later >= 1_000 && later != 5_000, "{later}");
    links.stop().await;
}

fn token(epoch: u64) -> zepto_common::Token {
    zepto_common::Token { epoch: zepto_common::Epoch(epoch), boot: zepto_common::Boot(1) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_comes_piece_by_piece_once_per_copy_and_from_its_owner_only() {
    let listener = Listener::start(identity(2), None).await;
    let links = links(1, &[(2, listener.address)]);
    let (to, partition) = (replica(2), PartitionId(3));
    let why = links.fetch(to, partition, token(8)).await.unwrap_err();
    assert!(why.contains("under epoch 9"), "{why}");
    let why = links.fetch(replica(4), partition, token(9)).await.unwrap_err();
    assert!(why.contains("address"), "{why}");
    let other_disk = Replica { disk: DiskId(7), ..to };
    assert!(links.fetch(other_disk, partition, token(9)).await.is_err(), "another disk's state");

    let mut stream = links.fetch(to, partition, token(9)).await.unwrap();
    assert!(matches!(stream.next().await, Ok(Some(Piece::Begin(_)))));
    for number in 1..100 {
        let piece = stream.next().await.unwrap();
        assert!(matches!(&piece, Some(Piece::Rows(rows)) if rows.rows == number), "{number}: {piece:?}");
    }
    let why = links.fetch(to, partition, token(9)).await.unwrap_err();
    assert!(why.contains("being sent"), "{why}");
    drop(stream);
    // Whoever sends finds out that nobody takes it.
    let again = async {
        while links.fetch(to, partition, token(9)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("the place is free again");
    assert!(links.leave(to, partition, token(9)).await.unwrap());
    assert!(!links.leave(to, partition, token(8)).await.unwrap());
}
