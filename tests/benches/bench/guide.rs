//! The guide's matrix by packets, against the same matrix by connects that wait a second: the field's way.

use std::{
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use netpol_verify::{
    cluster::ClusterState,
    lab::{
        RuntimeDir,
        enforcer::{EnforcerSpec, External},
        topology::{Plan, VirtualCluster},
    },
    net::Protocol,
    sensor::{NetnsPath, inside},
    suite::{Attempt, Cni, Scenario, Stand, attempts, load},
};

use crate::spread::Spread;

/// How many connects wait at once (Cyclonus' default of parallel jobs).
const PARALLEL: usize = 15;
/// How long each waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the fast side is repeated.
const ROUNDS: usize = 20;

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let scenario = Scenario::load("guide")?;
        let mut state = ClusterState::default();
        state.apply(load(&scenario.pods).objects);
        let plan = Plan::new(Cni::Enforcing.wiring(), state.snapshot().pods);
        let cluster = VirtualCluster::build(&plan, &RuntimeDir::standard()).await?;
        let enforcer = EnforcerSpec::Nftables.build(None, External::LIMIT)?;
        let mut stand = Stand::new(cluster, state, enforcer).await?;
        println!("guide: the whole matrix of a stage, by packets and by {PARALLEL} parallel connects of {PATIENCE:?}");
        let (mut packets, mut connects) = (Duration::ZERO, Duration::ZERO);
        for stage in &scenario.stages {
            stand.apply(load(&stage.apply).objects).await?;
            // Neighbours are resolved once; both sides find them warm.
            stand.probe("warm", &scenario.probes).await?;
            let mut spans = Vec::new();
            let mut disagreements = 0;
            let asked = attempts(&stand.state().snapshot(), &scenario.probes);
            let mut judged = Vec::new();
            for _ in 0..ROUNDS {
                let started = Instant::now();
                judged = stand.probe(&stage.name, &scenario.probes).await?.attempts;
                spans.push(started.elapsed().as_secs_f64());
            }
            let spans = Spread::of(spans);
            let (fast, tail) = (Duration::from_secs_f64(spans.median()), Duration::from_secs_f64(spans.quantile(990)));
            let (slow, open) = by_connects(&stand, &asked).await?;
            for (attempt, open) in judged.iter().zip(open) {
                let arrived = matches!(attempt.verdict, netpol_verify::judge::Verdict::Permitted | netpol_verify::judge::Verdict::Leak);
                disagreements += usize::from(arrived != open);
            }
            packets += fast;
            connects += slow;
            println!(
                "  {:<16}{:>3} paths   packets {:>9.3?} (p99 {:.3?})   connects {:>9.3?}   ratio {:>7.0}   disagreements {disagreements}",
                stage.name,
                asked.len(),
                fast,
                tail,
                slow,
                slow.as_secs_f64() / fast.as_secs_f64(),
            );
        }
        println!(
            "  all stages                  packets {packets:>9.3?}                connects {connects:>9.3?}   ratio {:>7.0}",
            connects.as_secs_f64() / packets.as_secs_f64()
        );
        stand.down().await?;
        Ok(())
    })
}

/// The same paths by sockets in the pods' namespaces, as a connect tester does; the time, and which were open.
pub(crate) async fn by_connects(stand: &Stand, asked: &[Attempt]) -> Result<(Duration, Vec<bool>)> {
    let clients: Vec<(NetnsPath, Attempt)> = asked
        .iter()
        .filter_map(|attempt| {
            Some((
                stand.cluster().pod(&attempt.from)?.netns.path().into(),
                attempt.clone(),
            ))
        })
        .collect();
    // Beside the runtime, whose thread answers DNS.
    Ok(tokio::task::spawn_blocking(move || in_parallel(&clients)).await?)
}

fn in_parallel(clients: &[(NetnsPath, Attempt)]) -> (Duration, Vec<bool>) {
    let next = AtomicUsize::new(0);
    let open = Mutex::new(vec![false; clients.len()]);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while let Some((index, (netns, attempt))) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, clients.get(i)?)))
                {
                    if inside(netns, || connects(attempt)).unwrap_or(false)
                        && let Ok(mut open) = open.lock()
                        && let Some(slot) = open.get_mut(index)
                    {
                        *slot = true;
                    }
                }
            });
        }
    });
    (started.elapsed(), open.into_inner().unwrap_or_default())
}

/// Whether a client gets through: connected, or refused by the pod, or answered.
fn connects(attempt: &Attempt) -> bool {
    let to = SocketAddr::new(attempt.to_address, attempt.port);
    match attempt.protocol {
        Protocol::Tcp => match TcpStream::connect_timeout(&to, PATIENCE) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        },
        Protocol::Udp | Protocol::Sctp => ask(attempt, to).unwrap_or(false),
    }
}

fn ask(attempt: &Attempt, to: SocketAddr) -> std::io::Result<bool> {
    let socket = UdpSocket::bind(SocketAddr::new(attempt.from_address, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // A question for the root's name servers: seventeen bytes that every server answers somehow.
    socket.send_to(&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1], to)?;
    Ok(socket.recv_from(&mut [0; 512]).is_ok())
}
