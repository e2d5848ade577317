//! The process's doors. `Coordinator::start` listens, opens the disk and begins; the group forms behind it.
//!
//! Promises: it listens before it waits for anybody, so that members can find each other; `stop` ends every task and
//! stream and leaves a disk that a start reads without loss; a fault that makes this member useless ends it with the
//! reason instead of leaving it half alive.

mod coordinate;
mod http;
mod rebalance;
#[cfg(test)]
mod scaling_tests;
mod status;
mod watch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use zepto_cluster::Pulse;
use zepto_common::auth::Authenticator;
use zepto_proto::client::MESSAGE_BYTES_MAX;
use zepto_proto::coordinate::coordinate_server::CoordinateServer;
use zepto_proto::coordinate::members_server::MembersServer;
use zepto_tls::Tls;

use crate::beat;
use crate::governor::Governor;
use crate::lookout::Observations;
use crate::member::service::MemberService;
use crate::member::{Member, MemberError};
use crate::options::Options;

/// Watch streams of one coordinator.
const WATCHES_MAX: usize = 4_096;

/// Why a coordinator did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The options contradict each other.
    #[error("{0}")]
    Options(String),
    /// This member of the group.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A door closed by itself.
    #[error("a door closed: {0}")]
    Door(String),
}

/// What all doors share.
pub(crate) struct Core {
    pub(crate) options: Options,
    pub(crate) member: Member,
    pub(crate) observations: Arc<Observations>,
    pub(crate) watches: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
    /// It will stop soon.
    pub(crate) leaving: AtomicBool,
    pub(crate) started: Instant,
    /// Heartbeats: what nodes say of themselves, for people.
    pub(crate) pulse: Arc<Pulse>,
    /// Keys of the key file, beside those that are agreed on.
    pub(crate) file_keys: Option<Authenticator>,
}

/// A running coordinator.
pub struct Coordinator {
    core: Arc<Core>,
    tasks: JoinSet<Result<(), StartError>>,
    http: SocketAddr,
    rpc: SocketAddr,
}

/// The sockets of a coordinator, bound before the start so that its address can be told to others.
#[derive(Debug)]
pub struct Listeners {
    /// For HTTP.
    pub http: TcpListener,
    /// For RPC.
    pub rpc: TcpListener,
}

impl Listeners {
    /// Binds both ports.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub async fn bind(options: &Options) -> Result<Self, StartError> {
        let bind = async |port| {
            let address = SocketAddr::new(options.bind, port);
            TcpListener::bind(address).await.map_err(|error| StartError::Listen { address, error })
        };
        Ok(Self { http: bind(options.http_port).await?, rpc: bind(options.rpc_port).await? })
    }
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|error| StartError::Options(format!("a socket without an address: {error}")))
}

impl Coordinator {
    /// Starts with these sockets.
    ///
    /// # Errors
    /// The disk's; options that contradict each other.
    pub async fn start(options: Options, listeners: Listeners) -> Result<Self, StartError> {
        let (http, rpc) = (local_address(&listeners.http)?, local_address(&listeners.rpc)?);
        let mut members: BTreeMap<u64, String> = options.members.iter().cloned().collect();
        if members.is_empty() {
            members.insert(options.member, rpc.to_string());
        }
        check(&options, &members)?;
        let file_keys = options.door.api_keys_file.as_deref().map(Authenticator::from_file);
        let file_keys = file_keys.transpose().map_err(|error| StartError::Options(error.to_string()))?;
        let tls = options.door.tls.files().map(Tls::load).transpose();
        let tls = tls.map_err(|error| StartError::Options(error.to_string()))?.map(Arc::new);
        let member = Member::open(&options, members).await?;
        let pulse = beat::start(&options, &member, (http, rpc)).await?;
        let core = Arc::new(Core {
            observations: Arc::new(Observations::new(&options)),
            watches: Arc::new(Semaphore::new(WATCHES_MAX)),
            stop: CancellationToken::new(),
            leaving: AtomicBool::new(false),
            started: Instant::now(),
            pulse: pulse.clone(),
            file_keys,
            member,
            options,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_rpc(core.clone(), listeners.rpc));
        tasks.spawn(http::serve(core.clone(), listeners.http, tls));
        tasks.spawn(govern(core.clone()));
        tasks.spawn(beat::follow(pulse, core.member.clone(), core.stop.clone()));
        Ok(Self { core, tasks, http, rpc })
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Where RPC is served.
    #[must_use]
    pub fn rpc_address(&self) -> SocketAddr {
        self.rpc
    }

    /// Where heartbeats are heard.
    #[must_use]
    pub fn heartbeat_address(&self) -> SocketAddr {
        self.core.pulse.address()
    }

    /// Says from now on that it is not ready, and goes on to serve.
    pub fn leave(&self) {
        self.core.leaving.store(true, Ordering::Relaxed);
    }

    /// This member of the group.
    #[must_use]
    pub fn member(&self) -> &Member {
        &self.core.member
    }

    /// Waits until something ends this coordinator by itself: the reason. Drop the future to stop waiting.
    pub async fn failed(&mut self) -> StartError {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Ok(Ok(()))) => StartError::Door("it ended without being told to".to_owned()),
            Some(Err(error)) => StartError::Door(error.to_string()),
            None => StartError::Door("nothing runs any more".to_owned()),
        }
    }

    /// Stops every task and the group's protocol.
    pub async fn stop(mut self) {
        self.core.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::warn!(%error, "while stopping");
            }
        }
        self.core.member.stop().await;
    }
}

fn check(options: &Options, members: &BTreeMap<u64, String>) -> Result<(), StartError> {
    let fault = |what: String| Err(StartError::Options(what));
    if !members.contains_key(&options.member) {
        return fault(format!("member {} is not among cluster.members", options.member));
    }
    if !options.members.is_empty() && members.len() != options.members.len() {
        return fault("cluster.members names an id twice".to_owned());
    }
    if members.len() > 5 || members.len().is_multiple_of(2) {
        return fault(format!("a group has 1, 3 or 5 members, not {}", members.len()));
    }
    if options.member > u64::from(u32::MAX) {
        return fault(format!("member {} is above {}", options.member, u32::MAX));
    }
    Ok(())
}

async fn serve_rpc(core: Arc<Core>, listener: TcpListener) -> Result<(), StartError> {
    let nodes = CoordinateServer::new(coordinate::NodeService::new(core.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let members = MembersServer::new(MemberService::new(core.member.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let incoming = core.options.secret.wire().incoming(listener);
    let stopped = core.stop.clone().cancelled_owned();
    let server = Server::builder().add_service(nodes).add_service(members);
    let served = tokio::select! {
        served = server.serve_with_incoming_shutdown(incoming, stopped) => served,
        // Peers keep their connections open: after a grace they are cut.
        () = after_grace(&core) => Ok(()),
    };
    served.map_err(|error| StartError::Door(error.to_string()))
}

async fn after_grace(core: &Core) {
    core.stop.cancelled().await;
    tokio::time::sleep(core.options.times.group_heartbeat).await;
}

async fn govern(core: Arc<Core>) -> Result<(), StartError> {
    let looked = core.member.look_around(core.options.bootstrap, core.options.times.call);
    tokio::select! {
        looked = looked => looked?,
        () = core.stop.cancelled() => return Ok(()),
    }
    let governor = Governor::new(core.options.clone(), core.member.clone(), core.observations.clone());
    Ok(governor.run(core.stop.clone()).await?)
}
