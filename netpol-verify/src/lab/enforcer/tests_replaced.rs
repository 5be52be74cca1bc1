//! Packets under way while rules are replaced by the same rules: what is allowed arrives, what is denied does not.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    Enforcer as _, EnforcerSpec, External, command,
    tests::{bed, world},
};
use crate::{cluster::ObjectName, lab::World};

const PORT: u16 = 9000;
/// So many packets are under way at a time: no queue of the kernel's holds fewer.
const WINDOW: u64 = 32;
/// After that, what has not arrived does not, however busy the machine is.
const LATE: Duration = Duration::from_secs(5);
/// What is denied gives way after each window: what waits for a processor's turn is dropped beyond 1,000 packets, whoever sent it
/// (`netdev_max_backlog`).
const BREATH: Duration = Duration::from_micros(100);
/// A replacement that is none for packets loses one or two allowed ones each time, and lets a denied one through in 200.
const REPLACEMENTS: usize = 60;

/// What came of the packets.
#[derive(Default)]
struct Seen {
    sent: AtomicBool,
    heard: AtomicBool,
    allowed: AtomicU64,
    denied: AtomicU64,
    lost: AtomicU64,
}

fn addresses(world: &World, pod: &str) -> Vec<IpAddr> {
    world.pod(&ObjectName::new("demo", pod)).unwrap().pod.ips.clone()
}

async fn socket(world: &World, pod: &str) -> UdpSocket {
    let netns = &world.pod(&ObjectName::new("demo", pod)).unwrap().netns;
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
    let bound = command::within(netns, move || UdpSocket::bind(any))
        .await
        .unwrap();
    bound.unwrap()
}

/// An address as a socket of both families has it.
fn mapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(_) => address,
    }
}

/// Counts what arrives, by whether its sender is one of those that may.
fn listen(ear: &UdpSocket, may: &[IpAddr], seen: &Seen) {
    ear.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut buffer = [0; 16];
    while !seen.heard.load(SeqCst) {
        match ear.recv_from(&mut buffer) {
            Ok((_, from)) if may.contains(&from.ip()) => seen.allowed.fetch_add(1, SeqCst),
            Ok(_) => seen.denied.fetch_add(1, SeqCst),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => panic!("{error}"),
        };
    }
}

/// Sends to both families, a window of packets after the other.
fn send_allowed(mouth: &UdpSocket, to: &[IpAddr], seen: &Seen) {
    let mut due = seen.allowed.load(SeqCst);
    while !seen.sent.load(SeqCst) {
        for (_, address) in (0..WINDOW).zip(to.iter().cycle()) {
            mouth.send_to(b"allowed", (*address, PORT)).unwrap();
        }
        due += WINDOW;
        let sent = Instant::now();
        while seen.allowed.load(SeqCst) < due && sent.elapsed() < LATE {
            thread::yield_now();
        }
        let lost = due.saturating_sub(seen.allowed.load(SeqCst));
        seen.lost.fetch_add(lost, SeqCst);
        due -= lost;
    }
}

/// Sends to both families, as much as the kernel takes.
fn send_denied(mouth: &UdpSocket, to: &[IpAddr], seen: &Seen) {
    while !seen.sent.load(SeqCst) {
        for (_, address) in (0..WINDOW).zip(to.iter().cycle()) {
            mouth.send_to(b"denied", (*address, PORT)).unwrap();
        }
        thread::sleep(BREATH);
    }
}

/// job may send to db. web may not, by its own egress; api may, and db takes nothing of it.
async fn replace_under_way(tag: &str, bridged: bool, spec: EnforcerSpec) {
    let Some(mut bed) = bed(tag) else { return };
    let world = world(&mut bed, bridged);
    let mut enforcer = spec.build(None, External::LIMIT).unwrap();
    enforcer.apply(&world).await.unwrap();
    let seen = Arc::new(Seen::default());
    let to: Vec<IpAddr> = addresses(&world, "db").into_iter().map(mapped).collect();
    let may: Vec<IpAddr> = addresses(&world, "job").into_iter().map(mapped).collect();

    let ear = socket(&world, "db").await;
    let [web, api, job] = [
        socket(&world, "web").await,
        socket(&world, "api").await,
        socket(&world, "job").await,
    ];
    let start = |work: Box<dyn FnOnce(&Seen) + Send>| {
        let seen = Arc::clone(&seen);
        thread::spawn(move || work(&seen))
    };
    let listening = start(Box::new(move |seen| listen(&ear, &may, seen)));
    let mut sending = Vec::new();
    for denied in [web, api] {
        let to = to.clone();
        sending.push(start(Box::new(move |seen| send_denied(&denied, &to, seen))));
    }
    sending.push(start(Box::new(move |seen| send_allowed(&job, &to, seen))));

    for _ in 0..REPLACEMENTS {
        enforcer.apply(&world).await.unwrap();
    }
    seen.sent.store(true, SeqCst);
    for thread in sending {
        thread.join().unwrap();
    }
    seen.heard.store(true, SeqCst);
    listening.join().unwrap();
    enforcer.stop().await.unwrap();
    let [allowed, lost, denied] = [&seen.allowed, &seen.lost, &seen.denied].map(|count| count.load(SeqCst));
    assert!(allowed > 10 * WINDOW, "{spec}: only {allowed} packets arrived");
    assert_eq!(
        (lost, denied),
        (0, 0),
        "{spec}: lost, and let through, beside {allowed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nftables_replaces_its_rules_under_no_packet() {
    replace_under_way("wn", true, EnforcerSpec::Nftables).await;
    replace_under_way("wm", false, EnforcerSpec::Nftables).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipset_replaces_its_rules_under_no_packet() {
    replace_under_way("wi", true, EnforcerSpec::Ipset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tc_replaces_its_rules_under_no_packet() {
    replace_under_way("wt", true, EnforcerSpec::Tc).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_program_replaces_its_rules_under_no_packet() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/enforcer.py");
    replace_under_way("we", true, EnforcerSpec::Exec(path)).await;
}
