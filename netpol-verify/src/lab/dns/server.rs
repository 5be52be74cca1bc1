//! The sockets: made inside the pod's namespace, served by tasks of the process that made them.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};

use super::Zone;
use crate::{
    cluster::ObjectName,
    lab::{
        Netns, NetnsError,
        topology::{BuiltPod, VirtualCluster},
    },
};

/// The port of DNS.
pub const DNS_PORT: u16 = 53;
/// The pod that serves names when the cluster has it, as in every Kubernetes cluster.
pub const DNS_POD: (&str, &str) = ("kube-system", "kube-dns");

/// Open TCP connections at one time; more wait in the kernel.
const MAX_CONNECTIONS: usize = 64;
/// A silent TCP connection is closed.
const IDLE: Duration = Duration::from_secs(10);
/// After an error that may last.
const PAUSE: Duration = Duration::from_millis(10);

/// The name server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The pod's namespace.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The address is taken or gone.
    #[error(
        "the name server of pod {pod} cannot listen on {address}: {source}; does another server run in the lab? Run `netpol-verify lab --clean`"
    )]
    Listen {
        /// The pod.
        pod: ObjectName,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A running name server; it stops when this is dropped.
#[derive(Debug)]
pub struct DnsServer {
    zone: Arc<RwLock<Zone>>,
    _tasks: JoinSet<()>,
}

impl DnsServer {
    /// Starts the server of the cluster's kube-dns pod with the names of all its pods; none when there is no such pod.
    ///
    /// # Errors
    /// When the pod's port 53 cannot be had.
    pub async fn for_cluster(cluster: &VirtualCluster) -> Result<Option<Self>, DnsError> {
        match cluster.pod(&ObjectName::new(DNS_POD.0, DNS_POD.1)) {
            Some(pod) => Self::start(pod, Zone::of(&cluster.pods)).await.map(Some),
            None => Ok(None),
        }
    }

    /// Starts a server on every address of `pod`, UDP and TCP port 53. It listens when this returns.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(pod: &BuiltPod, zone: Zone) -> Result<Self, DnsError> {
        let zone = Arc::new(RwLock::new(zone));
        let mut tasks = JoinSet::new();
        for address in &pod.addresses {
            let address = SocketAddr::new(*address, DNS_PORT);
            let listen = |source| DnsError::Listen {
                pod: pod.name.clone(),
                address,
                source,
            };
            let (udp, tcp) = bind(&pod.netns, address)?.map_err(listen)?;
            let udp = UdpSocket::from_std(udp).map_err(listen)?;
            let tcp = TcpListener::from_std(tcp).map_err(listen)?;
            tasks.spawn(serve_udp(udp, Arc::clone(&zone)));
            tasks.spawn(serve_tcp(tcp, Arc::clone(&zone)));
        }
        Ok(Self { zone, _tasks: tasks })
    }

    /// Changes the names, as pods come and go.
    pub fn set_zone(&self, zone: Zone) {
        *self.zone.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }
}

type Sockets = (std::net::UdpSocket, std::net::TcpListener);

/// Both sockets, made inside the namespace; they stay in it wherever they are used.
fn bind(netns: &Netns, address: SocketAddr) -> Result<io::Result<Sockets>, NetnsError> {
    netns.run(|| {
        let udp = std::net::UdpSocket::bind(address)?;
        udp.set_nonblocking(true)?;
        let tcp = std::net::TcpListener::bind(address)?;
        tcp.set_nonblocking(true)?;
        Ok((udp, tcp))
    })
}

fn answer(zone: &RwLock<Zone>, message: &[u8]) -> Option<Vec<u8>> {
    zone.read()
        .unwrap_or_else(PoisonError::into_inner)
        .answer(message)
}

async fn serve_udp(socket: UdpSocket, zone: Arc<RwLock<Zone>>) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            // An ICMP answer to an earlier reply of ours, most likely; the socket lives on. The pause is for any lasting error.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if let Some(reply) = buffer.get(..length).and_then(|message| answer(&zone, message)) {
            let _ = socket.send_to(&reply, peer).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<RwLock<Zone>>) {
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Connections end with the server.
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let zone = Arc::clone(&zone);
                connections.spawn(async move {
                    let _permit = permit;
                    let _ = serve_connection(stream, &zone).await;
                });
            }
            // Out of file descriptors, most likely: give others time to end.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Answers one connection's messages until it ends, errs or falls silent. Each has its length before it (RFC 1035, 4.2.2).
async fn serve_connection(mut stream: TcpStream, zone: &RwLock<Zone>) -> io::Result<()> {
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??;
        let mut message = vec![0; usize::from(length)];
        timeout(IDLE, stream.read_exact(&mut message)).await??;
        let Some(reply) = answer(zone, &message) else {
            return Ok(());
        };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes(), reply.as_slice()].concat();
        timeout(IDLE, stream.write_all(&framed)).await??;
    }
}
