//! Three coordinators on loopback with disks that outlive them, and clients of theirs.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpListener;
use zepto_coordinator::server::Listeners;
use zepto_coordinator::{Coordinator, Options, StartError, Times};
use zepto_proto::client::{Condition, CoordinatorClient, Deadlines, Identity};
use zepto_proto::coordinate as wire;
use zepto_proto::handshake::Secret;
use zepto_proto::view::View;

/// How long anything that must happen may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const SECRET: &str = "known to all";
pub(crate) const CLUSTER: &str = "lab";

/// A group whose members come and go.
pub(crate) struct Group {
    pub(crate) dirs: Vec<TempDir>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) members: Vec<Option<Coordinator>>,
}

pub(crate) fn times() -> Times {
    Times {
        interval: Duration::from_millis(300),
        suspect: Duration::from_millis(1_000),
        dead: Duration::from_millis(3_000),
        settle: Duration::from_millis(500),
        group_heartbeat: Duration::from_millis(200),
        election_min: Duration::from_millis(800),
        election_max: Duration::from_millis(1_600),
        watch_idle: Duration::from_millis(1_000),
        ..Times::default()
    }
}

async fn listen(address: SocketAddr) -> TcpListener {
    let begun = Instant::now();
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{address}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Group {
    /// Starts a group of this size and waits until it has founded its cluster.
    pub(crate) async fn start(size: usize) -> Self {
        let mut group = Self { dirs: Vec::new(), addresses: Vec::new(), members: Vec::new() };
        let mut listeners = Vec::new();
        for _ in 0..size {
            let rpc = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
            group.addresses.push(rpc.local_addr().expect("has an address"));
            group.dirs.push(tempfile::tempdir().expect("makes a directory"));
            group.members.push(None);
            listeners.push(rpc);
        }
        for (index, rpc) in listeners.into_iter().enumerate() {
            let member = group.begin(index, rpc, true).await.expect("starts");
            group.members[index] = Some(member);
        }
        group.founded().await;
        group
    }

    pub(crate) fn options(&self, index: usize, bootstrap: bool) -> Options {
        let members = (1..).zip(self.addresses.iter().map(ToString::to_string)).collect();
        Options {
            member: index as u64 + 1,
            members,
            bootstrap,
            cluster_id: CLUSTER.to_owned(),
            secret: Secret::new(SECRET),
            partitions: 16,
            times: times(),
            ..Options::alone(self.dirs[index].path().to_owned())
        }
    }

    async fn begin(
        &self,
        index: usize,
        rpc: TcpListener,
        bootstrap: bool,
    ) -> Result<Coordinator, StartError> {
        let http = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
        Coordinator::start(self.options(index, bootstrap), Listeners { http, rpc }).await
    }

    /// Starts a member again on its disk.
    pub(crate) async fn restart(&mut self, index: usize, bootstrap: bool) {
        let begun = Instant::now();
        loop {
            let rpc = listen(self.addresses[index]).await;
            match self.begin(index, rpc, bootstrap).await {
                Ok(member) => {
                    self.members[index] = Some(member);
                    return;
                }
                // The file is free a moment after the process of before has ended.
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn stop(&mut self, index: usize) {
        if let Some(member) = self.members[index].take() {
            member.stop().await;
        }
    }

    pub(crate) async fn stop_all(mut self) {
        for index in 0..self.members.len() {
            self.stop(index).await;
        }
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Coordinator> {
        self.members.iter().flatten()
    }

    /// Index of the member that leads.
    pub(crate) async fn leader(&self) -> usize {
        let leads = |it: &Option<Coordinator>| it.as_ref().is_some_and(|it| it.member().leads());
        eventually("somebody leads", async || self.members.iter().position(leads)).await
    }

    pub(crate) async fn founded(&self) {
        eventually("every member knows the cluster", async || {
            self.running().all(|it| it.member().state().cluster().is_some()).then_some(())
        })
        .await;
    }

    pub(crate) fn client(&self, node: u32, incarnation: u64) -> CoordinatorClient {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        client(&addresses, node, incarnation)
    }
}

pub(crate) fn identity(node_id: u32, incarnation: u64) -> Identity {
    Identity { cluster_id: CLUSTER.to_owned(), node_id, incarnation, secret: Secret::new(SECRET) }
}

pub(crate) fn client(addresses: &[String], node: u32, incarnation: u64) -> CoordinatorClient {
    let deadlines = Deadlines { call: PATIENCE, attempt: Duration::from_secs(5) };
    CoordinatorClient::new(addresses, identity(node, incarnation), deadlines).expect("addresses are good")
}

/// The first start of a storage node.
pub(crate) fn registration(node: u32) -> wire::RegisterRequest {
    wire::RegisterRequest {
        role: wire::Role::Storage.into(),
        disk_id: vec![node as u8 + 1; 16],
        addresses: Some(wire::Addresses { rpc: "127.0.0.1:1".to_owned(), ..Default::default() }),
        ..Default::default()
    }
}

/// A storage node that registered and says that it is there until it is dropped.
pub(crate) struct Node {
    pub(crate) client: CoordinatorClient,
    alive: tokio::task::JoinHandle<()>,
}

impl Node {
    pub(crate) async fn join(group: &Group, node: u32) -> Self {
        let client = group.client(node, 1);
        let reply = client.register(registration(node)).await.expect("registers");
        assert_eq!((reply.refusal, reply.incarnation, reply.partitions), (None, 1, 16));
        let speaker = client.clone();
        let alive = tokio::spawn(async move {
            loop {
                speaker.keep_alive(Condition { ready: true, ..Condition::default() }).await;
                tokio::time::sleep(times().interval).await;
            }
        });
        Self { client, alive }
    }

    /// Falls silent.
    pub(crate) fn die(&self) {
        self.alive.abort();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.die();
    }
}

/// Waits until something is there.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Watches until a view satisfies.
pub(crate) async fn watched(client: &CoordinatorClient, what: &str, is: impl Fn(&View) -> bool) -> View {
    let mut watcher = client.watch();
    let wait = async {
        while !is(watcher.view()) {
            watcher.next().await.expect("is believed");
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("it was never seen that {what}"));
    watcher.view().clone()
}
