//! The task that sends and hears heartbeats: one UDP socket, one loop. It re-resolves the names of the others for ever,
//! because pods come, go and change their addresses behind one name.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use zepto_common::ids::NodeId;
use zepto_common::{Error, ErrorCode, Result};

use crate::heartbeat::{Dropped, Heartbeat, MAX_DATAGRAM, Role, Secret};
use crate::members::{Changed, Members, Timing};

/// Changes that wait for their reader; beyond it the oldest news is found by asking [`Pulse::members`].
const CHANGES_MAX: usize = 1024;
/// Coordinators that are remembered; a group has five at most.
const COORDINATORS_MAX: usize = 8;
/// Stands for nobody among the nodes: coordinators are numbered by themselves.
const NO_NODE: NodeId = NodeId(u32::MAX);
/// Longest wait for the resolver.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the pulse needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to hear.
    pub bind: SocketAddr,
    /// The cluster's name.
    pub cluster: String,
    /// Its secret.
    pub secret: Secret,
    /// The times.
    pub timing: Timing,
    /// `host:port` of the others: a name that resolves to many addresses (a headless service), or single nodes. More
    /// can be told later.
    pub peers: Vec<String>,
    /// How often the names are resolved again.
    pub resolve_every: Duration,
}

/// Datagrams that were dropped, by reason.
#[derive(Debug, Default)]
pub struct DroppedCounts {
    not_ours: AtomicU64,
    malformed: AtomicU64,
    wrong_secret: AtomicU64,
    other_cluster: AtomicU64,
}

impl DroppedCounts {
    fn of(&self, reason: Dropped) -> &AtomicU64 {
        match reason {
            Dropped::NotOurs => &self.not_ours,
            Dropped::Malformed => &self.malformed,
            Dropped::WrongSecret => &self.wrong_secret,
            Dropped::OtherCluster => &self.other_cluster,
        }
    }

    /// How many were dropped for this reason.
    #[must_use]
    pub fn count(&self, reason: Dropped) -> u64 {
        self.of(reason).load(Ordering::Relaxed)
    }
}

/// A running pulse.
#[derive(Debug)]
pub struct Pulse {
    members: Arc<Mutex<Members>>,
    dropped: Arc<DroppedCounts>,
    address: SocketAddr,
    told: watch::Sender<BTreeSet<String>>,
    stop: CancellationToken,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// What the loop owns.
struct Loop<F> {
    socket: UdpSocket,
    options: Options,
    say: F,
    counter: u64,
    targets: BTreeSet<SocketAddr>,
    /// Peers that were told after the start.
    told: watch::Receiver<BTreeSet<String>>,
    members: Arc<Mutex<Members>>,
    /// Coordinators that were heard, by their own numbers: the newest datagram of each, and where it came from. They
    /// are answered there, because nobody names their ports.
    coordinators: BTreeMap<NodeId, ((u64, u64), SocketAddr)>,
    dropped: Arc<DroppedCounts>,
    changes: mpsc::Sender<Changed>,
    begun: Instant,
}

impl Pulse {
    /// Binds and begins. `say` gives this node's heartbeat of the moment; its counter and cluster are filled in here.
    ///
    /// # Errors
    /// `InvalidConfigParameter` when the address cannot be bound.
    pub async fn start<F>(options: Options, say: F) -> Result<(Self, mpsc::Receiver<Changed>)>
    where
        F: Fn() -> Heartbeat + Send + 'static,
    {
        let bound = UdpSocket::bind(options.bind).await;
        let refuse = |error| {
            let message = format!("heartbeats cannot be heard on {}: {error}", options.bind);
            Error::new(ErrorCode::InvalidConfigParameter, message)
        };
        let socket = bound.map_err(refuse)?;
        let address = socket.local_addr().map_err(refuse)?;
        let said = say();
        let me = if said.role == Role::Coordinator { NO_NODE } else { said.node };
        let members = Arc::new(Mutex::new(Members::new(me, options.timing, Duration::ZERO)));
        let dropped = Arc::new(DroppedCounts::default());
        let stop = CancellationToken::new();
        let (changes, receiver) = mpsc::channel(CHANGES_MAX);
        let told = watch::Sender::default();
        let pulse = Loop {
            socket,
            options,
            say,
            counter: 0,
            targets: BTreeSet::new(),
            told: told.subscribe(),
            members: Arc::clone(&members),
            coordinators: BTreeMap::new(),
            dropped: Arc::clone(&dropped),
            changes,
            begun: Instant::now(),
        };
        let task = Mutex::new(Some(tokio::spawn(pulse.run(stop.clone()))));
        Ok((Self { members, dropped, address, told, stop, task }, receiver))
    }

    /// Where it hears.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends to these too from now on, instead of those that were told before.
    pub fn tell_peers(&self, peers: BTreeSet<String>) {
        self.told.send_if_modified(|told| {
            let differs = *told != peers;
            *told = peers;
            differs
        });
    }

    /// Asks or tells what is known of the others.
    pub fn members<T>(&self, f: impl FnOnce(&mut Members) -> T) -> T {
        f(&mut self.members.lock())
    }

    /// Datagrams that were not believed.
    #[must_use]
    pub fn dropped(&self) -> &DroppedCounts {
        &self.dropped
    }

    /// Says goodbye and ends.
    pub async fn stop(self) {
        self.end().await;
    }

    /// As [`Self::stop`], for a pulse that is shared; a second call does nothing.
    pub async fn end(&self) {
        self.stop.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the heartbeat task ended badly");
        }
    }
}

impl<F: Fn() -> Heartbeat> Loop<F> {
    async fn run(mut self, stop: CancellationToken) {
        self.resolve().await;
        let mut beat = tokio::time::interval(self.options.timing.interval);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut resolve = tokio::time::interval(self.options.resolve_every);
        resolve.set_missed_tick_behavior(MissedTickBehavior::Delay);
        resolve.reset();
        let mut buffer = vec![0; MAX_DATAGRAM + 1];
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = beat.tick() => {
                    self.send(false).await;
                    let now = self.begun.elapsed();
                    let changed = self.members.lock().tick(now);
                    changed.into_iter().for_each(|it| self.tell(it));
                }
                _ = resolve.tick() => self.resolve().await,
                Ok(()) = self.told.changed() => self.resolve().await,
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => self.hear(&buffer[..length], from),
                    // On some systems an unreachable target shows here; the next datagram is as good as before.
                    Err(error) => tracing::debug!(%error, "hearing heartbeats"),
                },
            }
        }
        self.send(true).await;
    }

    async fn send(&mut self, leaving: bool) {
        self.counter += 1;
        let mut heartbeat = (self.say)();
        heartbeat.counter = self.counter;
        heartbeat.leaving |= leaving;
        heartbeat.cluster.clone_from(&self.options.cluster);
        let datagram = heartbeat.encode(&self.options.secret);
        let coordinators = self.coordinators.values().map(|(_, from)| *from);
        let targets: BTreeSet<SocketAddr> = self.targets.iter().copied().chain(coordinators).collect();
        for target in &targets {
            if let Err(error) = self.socket.send_to(&datagram, target).await {
                tracing::debug!(%error, %target, "sending a heartbeat");
            }
        }
    }

    fn hear(&mut self, datagram: &[u8], from: SocketAddr) {
        match Heartbeat::decode(datagram, &self.options.cluster, &self.options.secret) {
            Ok(heartbeat) if heartbeat.role == Role::Coordinator => self.hear_coordinator(&heartbeat, from),
            Ok(heartbeat) => {
                let changed = self.members.lock().heard(self.begun.elapsed(), heartbeat);
                changed.into_iter().for_each(|it| self.tell(it));
            }
            Err(reason) => {
                // Anybody can send datagrams: what is wrong is counted, and logged the first time only.
                if self.dropped.of(reason).fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(?reason, "a heartbeat was dropped; further ones are counted");
                }
            }
        }
    }

    /// A recorded datagram played back from elsewhere moves nothing: only a newer one does.
    fn hear_coordinator(&mut self, said: &Heartbeat, from: SocketAddr) {
        let at = (said.incarnation, said.counter);
        let known = self.coordinators.get(&said.node);
        if known.is_some_and(|(seen, _)| at <= *seen) {
            return;
        }
        if known.is_some() || self.coordinators.len() < COORDINATORS_MAX {
            self.coordinators.insert(said.node, (at, from));
        }
    }

    fn tell(&self, changed: Changed) {
        tracing::info!(node = %changed.node, from = ?changed.from, to = ?changed.to, "member");
        if self.changes.try_send(changed).is_err() {
            tracing::debug!("nobody reads the changes of members");
        }
    }

    /// Asks for the addresses again. A name that does not resolve keeps the addresses that it had.
    async fn resolve(&mut self) {
        let mut targets = BTreeSet::new();
        let mut all = true;
        let told = self.told.borrow_and_update().clone();
        for peer in self.options.peers.iter().chain(&told) {
            match tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host(peer)).await {
                Ok(Ok(addresses)) => targets.extend(addresses),
                Ok(Err(error)) => {
                    all = false;
                    tracing::warn!(%error, %peer, "a peer's name does not resolve; its last addresses are kept");
                }
                Err(_) => {
                    all = false;
                    tracing::warn!(%peer, "the resolver does not answer; the last addresses are kept");
                }
            }
        }
        if all {
            self.targets = targets;
        } else {
            self.targets.extend(targets);
        }
    }
}
