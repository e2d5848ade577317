use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use zepto_common::ids::{DiskId, NodeId, PlacementVersion};

use super::{Options, Pulse};
use crate::heartbeat::{Dropped, Heartbeat, Role, Secret};
use crate::members::{Changed, State, Timing};

fn options(bind: &str, secret: &str, peers: Vec<String>) -> Options {
    Options {
        bind: bind.parse().unwrap(),
        cluster: "test".to_owned(),
        secret: Secret::new(secret),
        timing: Timing { interval: Duration::from_millis(20), suspect: Duration::from_millis(60) },
        peers,
        resolve_every: Duration::from_millis(50),
    }
}

fn says(node: u32) -> impl Fn() -> Heartbeat + Send + 'static {
    move || Heartbeat {
        cluster: String::new(),
        node: NodeId(node),
        role: Role::Storage,
        disk: DiskId(u128::from(node)),
        incarnation: 1,
        counter: 0,
        leaving: false,
        disk_stuck: false,
        host: "localhost".to_owned(),
        http_port: 1,
        rpc_port: 2,
        placement: PlacementVersion(0),
        catalog: 0,
        rows_per_second: 0,
        queue_permille: 0,
        sync_age_ms: 0,
        wall_ms: 0,
    }
}

/// A free port of this address, which nobody listens on yet.
fn free(host: &str) -> SocketAddr {
    std::net::UdpSocket::bind((host, 0)).unwrap().local_addr().unwrap()
}

async fn until(changes: &mut Receiver<Changed>, node: u32, to: State) {
    let wait = async {
        while let Some(changed) = changes.recv().await {
            if changed.node == NodeId(node) && changed.to == to {
                return;
            }
        }
        panic!("the pulse ended");
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the change is heard in time");
}

#[tokio::test]
async fn nodes_find_each_other_and_hear_who_goes_and_who_is_silent() {
    let (one, two) = (free("127.0.0.1"), free("127.0.0.1"));
    let (first, mut heard) =
        Pulse::start(options(&one.to_string(), "s", vec![two.to_string()]), says(1)).await.unwrap();
    let (second, mut heard_too) =
        Pulse::start(options(&two.to_string(), "s", vec![one.to_string()]), says(2)).await.unwrap();
    until(&mut heard, 2, State::Joining).await;
    until(&mut heard_too, 1, State::Joining).await;
    first.members(|members| members.decided(NodeId(2), 1, false));
    assert_eq!(first.members(|it| it.get(NodeId(2)).unwrap().state), State::Active);
    second.stop().await;
    until(&mut heard, 2, State::Leaving).await;
    first.stop().await;
}

#[tokio::test]
async fn who_falls_silent_is_suspected() {
    let (one, two) = (free("127.0.0.1"), free("127.0.0.1"));
    let (first, mut heard) = Pulse::start(options(&one.to_string(), "s", vec![]), says(1)).await.unwrap();
    let (second, _changes) =
        Pulse::start(options(&two.to_string(), "s", vec![one.to_string()]), says(2)).await.unwrap();
    until(&mut heard, 2, State::Joining).await;
    second.task.lock().take().unwrap().abort();
    until(&mut heard, 2, State::Suspect).await;
    assert!(first.members(|members| members.cut_off()));
    first.stop().await;
}

#[tokio::test]
async fn a_wrong_secret_is_counted_and_not_heard() {
    let (one, two) = (free("127.0.0.1"), free("127.0.0.1"));
    let (first, mut heard) = Pulse::start(options(&one.to_string(), "right", vec![]), says(1)).await.unwrap();
    let (wrong, _changes) =
        Pulse::start(options(&two.to_string(), "wrong", vec![one.to_string()]), says(2)).await.unwrap();
    let (right, _changes) =
        Pulse::start(options("127.0.0.1:0", "right", vec![one.to_string()]), says(3)).await.unwrap();
    until(&mut heard, 3, State::Joining).await;
    let counted = async {
        while first.dropped().count(Dropped::WrongSecret) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted).await.unwrap();
    assert!(first.members(|members| members.get(NodeId(2)).is_none()));
    for pulse in [first, wrong, right] {
        pulse.stop().await;
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_that_names_it() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = Pulse::start(options(&address, "s", vec![]), says(1)).await.unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}

/// Nobody names a coordinator's heartbeat port, and its number may be a storage node's.
#[tokio::test]
async fn a_coordinator_is_answered_where_it_speaks_from_and_is_no_node() {
    let node = free("127.0.0.1");
    let (storage, _changes) = Pulse::start(options(&node.to_string(), "s", vec![]), says(1)).await.unwrap();
    let of_coordinator = || Heartbeat { role: Role::Coordinator, ..says(1)() };
    let to_node = options("127.0.0.1:0", "s", vec![node.to_string()]);
    let (coordinator, mut heard) = Pulse::start(to_node, of_coordinator).await.unwrap();
    until(&mut heard, 1, State::Joining).await;
    assert!(storage.members(|members| members.all().next().is_none()));
    for pulse in [storage, coordinator] {
        pulse.stop().await;
    }
}
