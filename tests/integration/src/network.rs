//! A network between the processes of a cluster whose ways can be cut: each direction, TCP and datagrams by themselves. On
//! every way from one process to another stands a relay with a loopback address of its own, by which the one knows the
//! other; so it needs no privileges.
//!
//! Promises: on a way that is cut not one byte arrives. Bytes of TCP wait and arrive when the way is whole again, as those
//! do that a real network loses and that are sent again; so an old word can come late. A connection that is opened
//! meanwhile looks open and says nothing. Datagrams are lost. What was held back and lost is counted, so that a test can
//! show that its cut has cut.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rand::RngExt;

/// How often addresses are chosen until all of them are free.
const TRIES_MAX: usize = 20;
/// RPC is heard beside HTTP, as the programs do by themselves.
const RPC_OFFSET: u16 = 100;
/// Heartbeats are heard there, beside HTTP.
const BEAT_OFFSET: u16 = 200;
/// How soon a relay that is idle notices that the network is gone.
const IDLE: Duration = Duration::from_secs(1);
/// Bytes that a relay takes at once.
const PIECE: usize = 64 << 10;

/// A process of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// The coordinator.
    Coordinator,
    /// The ingest node.
    Ingest,
    /// A storage node, by its id.
    Storage(u8),
}

impl Peer {
    fn number(self) -> u8 {
        match self {
            Self::Coordinator => 1,
            Self::Ingest => 2,
            Self::Storage(node) => 3 + node,
        }
    }
}

/// What is cut of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Connections.
    Tcp,
    /// Heartbeats.
    Udp,
    /// Both.
    All,
}

/// What a way has carried and kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pieces of connections that had to wait, and connections that could not be opened.
    pub held: u64,
    /// Datagrams that were lost.
    pub lost: u64,
    /// Datagrams that arrived.
    pub datagrams: u64,
}

/// All ways of a cluster; what stands on them ends when it is dropped.
#[derive(Debug)]
pub struct Network {
    plan: Plan,
    ways: BTreeMap<(Peer, Peer), Arc<Way>>,
    /// Where relays wait for connections.
    listening: Vec<SocketAddr>,
}

/// Who has which address.
#[derive(Debug, Clone, Copy)]
struct Plan {
    storage: u8,
    /// The second byte of all addresses.
    net: u8,
    /// HTTP of all processes.
    port: u16,
}

/// One direction between two processes.
#[derive(Debug, Default)]
struct Way {
    gate: Mutex<Gate>,
    changed: Condvar,
    held: AtomicU64,
    lost: AtomicU64,
    datagrams: AtomicU64,
}

#[derive(Debug, Default)]
struct Gate {
    tcp_cut: bool,
    udp_cut: bool,
    /// The network is gone.
    over: bool,
}

impl Network {
    /// Relays for a cluster of a coordinator, an ingest node and so many storage nodes.
    ///
    /// # Errors
    /// No free addresses were found.
    pub fn new(storage: usize) -> Result<Self> {
        let storage = u8::try_from(storage).context("few storage nodes")?;
        let mut last = None;
        for _ in 0..TRIES_MAX {
            // Below the ports that the system gives away by itself.
            let (net, port) = (rand::rng().random_range(1..=254), rand::rng().random_range(12_000..32_000));
            match Self::over(Plan { storage, net, port }) {
                Ok(network) => return Ok(network),
                Err(error) => last = Some(error),
            }
        }
        bail!("no free addresses for {storage} nodes on loopback: {last:?}")
    }

    fn over(plan: Plan) -> Result<Self> {
        let mut network = Self { plan, ways: BTreeMap::new(), listening: Vec::new() };
        let peers = plan.peers();
        let pairs = || peers.iter().flat_map(|from| peers.iter().map(move |to| (*from, *to)));
        network.ways = pairs().map(|pair| (pair, Arc::default())).collect();
        for peer in &peers {
            plan.is_free(*peer)?;
        }
        for (from, to) in pairs().filter(|(from, to)| from != to) {
            let there = network.way(from, to)?.clone();
            let back = network.way(to, from)?.clone();
            let (entry, home) = (plan.entry(from, to), plan.home(to));
            for offset in [0, RPC_OFFSET] {
                let listener = TcpListener::bind((entry, plan.port + offset))?;
                network.listening.push(listener.local_addr()?);
                let (to, there, back) = ((home, plan.port + offset).into(), there.clone(), back.clone());
                thread::spawn(move || accept(&listener, to, &there, &back));
            }
            relay_datagrams(entry, home, plan.port + BEAT_OFFSET, &there, &back)?;
        }
        Ok(network)
    }

    /// The port of everybody's HTTP door.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.plan.port
    }

    /// The flags by which a process listens at home and knows the others by the ways to them.
    #[must_use]
    pub fn flags(&self, me: Peer) -> Vec<String> {
        let plan = &self.plan;
        let mut flags = vec![
            ("--bind", plan.home(me).to_string()),
            ("--rpc-port", (plan.port + RPC_OFFSET).to_string()),
            ("--heartbeat-port", (plan.port + BEAT_OFFSET).to_string()),
            // The coordinator tells it to everybody; nodes that are named by hand are reached as that says.
            ("--advertise-host", plan.entry(Peer::Coordinator, me).to_string()),
        ];
        if me != Peer::Coordinator {
            let coordinator = plan.entry(me, Peer::Coordinator);
            flags.push(("--coordinator", format!("{coordinator}:{}", plan.port + RPC_OFFSET)));
            for node in (0..plan.storage).filter(|node| Peer::Storage(*node) != me) {
                let entry = plan.entry(me, Peer::Storage(node));
                flags.push(("--add-node", format!("{node}:{entry}:{}", plan.port)));
            }
        }
        flags.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    /// Cuts what goes from one to the other; what comes back is another way.
    ///
    /// # Errors
    /// There is no such process.
    pub fn cut(&self, from: Peer, to: Peer, traffic: Traffic) -> Result<()> {
        self.way(from, to)?.change(|gate| {
            gate.tcp_cut |= traffic != Traffic::Udp;
            gate.udp_cut |= traffic != Traffic::Tcp;
        });
        Ok(())
    }

    /// Cuts both directions between two.
    ///
    /// # Errors
    /// As [`Self::cut`].
    pub fn cut_between(&self, one: Peer, other: Peer, traffic: Traffic) -> Result<()> {
        self.cut(one, other, traffic)?;
        self.cut(other, one, traffic)
    }

    /// Makes every way whole.
    pub fn heal(&self) {
        for way in self.ways.values() {
            way.change(|gate| (gate.tcp_cut, gate.udp_cut) = (false, false));
        }
    }

    /// What a way has carried and kept since the start.
    ///
    /// # Errors
    /// There is no such process.
    pub fn counts(&self, from: Peer, to: Peer) -> Result<Counts> {
        let way = self.way(from, to)?;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Ok(Counts { held: of(&way.held), lost: of(&way.lost), datagrams: of(&way.datagrams) })
    }

    /// All processes.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.plan.peers()
    }

    fn way(&self, from: Peer, to: Peer) -> Result<&Arc<Way>> {
        self.ways.get(&(from, to)).with_context(|| format!("there is a way from {from:?} to {to:?}"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for way in self.ways.values() {
            way.change(|gate| gate.over = true);
        }
        for address in &self.listening {
            // Whoever waits for a connection sees one, and that it was the last.
            let _nobody_waits = TcpStream::connect(address);
        }
    }
}

impl Plan {
    fn peers(&self) -> Vec<Peer> {
        [Peer::Coordinator, Peer::Ingest].into_iter().chain((0..self.storage).map(Peer::Storage)).collect()
    }

    /// Where a process listens.
    fn home(&self, of: Peer) -> IpAddr {
        Ipv4Addr::new(127, self.net, 0, of.number()).into()
    }

    /// Where one finds the other.
    fn entry(&self, from: Peer, to: Peer) -> IpAddr {
        Ipv4Addr::new(127, self.net, from.number(), to.number()).into()
    }

    /// Whether a process could listen at home.
    fn is_free(&self, peer: Peer) -> Result<()> {
        let home = self.home(peer);
        for offset in [0, RPC_OFFSET] {
            TcpListener::bind((home, self.port + offset))?;
        }
        UdpSocket::bind((home, self.port + BEAT_OFFSET))?;
        Ok(())
    }
}

impl Way {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Gate)) {
        change(&mut self.gate());
        self.changed.notify_all();
    }

    fn is_over(&self) -> bool {
        self.gate().over
    }

    /// Waits until what comes by TCP may go on; false if the network is gone.
    fn wait_open(&self) -> bool {
        let gate = self.gate();
        if gate.tcp_cut {
            self.held.fetch_add(1, Ordering::Relaxed);
        }
        let gate = self.changed.wait_while(gate, |gate| gate.tcp_cut && !gate.over);
        !gate.unwrap_or_else(PoisonError::into_inner).over
    }

    /// Whether a datagram arrives.
    fn carries_datagram(&self) -> bool {
        let cut = self.gate().udp_cut;
        let count = if cut { &self.lost } else { &self.datagrams };
        count.fetch_add(1, Ordering::Relaxed);
        !cut
    }
}

/// Takes the connections of one way.
fn accept(listener: &TcpListener, to: SocketAddr, there: &Arc<Way>, back: &Arc<Way>) {
    for stream in listener.incoming() {
        if there.is_over() {
            return;
        }
        let Ok(stream) = stream else { continue };
        let (there, back) = (there.clone(), back.clone());
        thread::spawn(move || carry(&stream, to, &there, &back));
    }
}

/// Carries one connection, both directions of it, until it ends.
fn carry(near: &TcpStream, to: SocketAddr, there: &Way, back: &Way) {
    if !there.wait_open() {
        return;
    }
    let Ok(far) = TcpStream::connect(to) else {
        // That nobody listens is an answer too.
        back.wait_open();
        return;
    };
    for stream in [near, &far] {
        let ready = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(IDLE)));
        if ready.is_err() {
            return;
        }
    }
    thread::scope(|scope| {
        scope.spawn(|| pump(&far, near, back));
        pump(near, &far, there);
    });
}

/// Carries one direction of a connection: its bytes, then its end.
fn pump(mut from: &TcpStream, mut to: &TcpStream, way: &Way) {
    let mut piece = vec![0; PIECE];
    loop {
        let length = match from.read(&mut piece) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if way.is_over() {
                    break;
                }
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        if !way.wait_open() || length == 0 || to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _already_gone = to.shutdown(Shutdown::Write);
}

/// Carries the datagrams that one sends to the other, and those that come back to where they came from.
fn relay_datagrams(entry: IpAddr, home: IpAddr, port: u16, there: &Arc<Way>, back: &Arc<Way>) -> Result<()> {
    let front = Arc::new(UdpSocket::bind((entry, port))?);
    let rear = Arc::new(UdpSocket::bind((entry, 0))?);
    let asked: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
    for socket in [&front, &rear] {
        socket.set_read_timeout(Some(IDLE))?;
    }
    let (ears, mouth, way, seen) = (front.clone(), rear.clone(), there.clone(), asked.clone());
    thread::spawn(move || {
        hear(&ears, &way, |datagram, from| {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
            let _nobody_hears = mouth.send_to(datagram, (home, port));
        });
    });
    let way = back.clone();
    thread::spawn(move || {
        hear(&rear, &way, |datagram, _| {
            let to = *asked.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(to) = to {
                let _nobody_hears = front.send_to(datagram, to);
            }
        });
    });
    Ok(())
}

/// Gives on what arrives on a way until the network is gone.
fn hear(socket: &UdpSocket, way: &Way, tell: impl Fn(&[u8], SocketAddr)) {
    let mut datagram = vec![0; PIECE];
    while !way.is_over() {
        let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
        if way.carries_datagram() {
            tell(&datagram[..length], from);
        }
    }
}
