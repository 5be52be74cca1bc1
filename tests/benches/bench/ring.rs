//! Events per second from the kernel to decoded sightings, before the first loss and beyond it.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use netpol_verify::{
    bus::{Inbox as _, LocalBus, LossTotals, Message},
    kernel::KernelFacts,
    net::{Protocol, netns_cookie_here},
    observe::{Decoder, Where},
    sensor::{Mode, NetnsPath, Options, Pods, Probe, ProbeSocket, Sensor, inside},
};
use netpol_verify_ebpf::settings::counter;
use netpol_verify_tests::Pair;

/// SYNs a second that are tried, one rung a second; the last is as many as the sender can.
const RATES: [u32; 7] = [10_000, 25_000, 50_000, 100_000, 200_000, 400_000, u32::MAX];
/// How long a rung lasts.
const SPAN: Duration = Duration::from_secs(1);

/// What the other end of the bus saw.
#[derive(Default)]
struct Heard {
    sent: u64,
    other: u64,
    damaged: u64,
    losses: LossTotals,
}

pub(crate) fn run() -> Result<()> {
    println!(
        "\nring: SYNs of one pod, each also dropped on the node (two records a SYN), decoded in this process"
    );
    println!(
        "  {:>10} {:>10} {:>12} {:>10} {:>10}  exact",
        "asked/s", "SYN/s", "records/s", "lost", "lost of a"
    );
    let pair = Pair::new()?;
    pair.forward("inet", "", "drop")?;
    for rate in RATES {
        rung(&pair, rate)?;
    }
    Ok(())
}

fn rung(pair: &Pair, rate: u32) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let facts = KernelFacts::of_kernel();
    let (bus, mut inbox) = LocalBus::new(1 << 16);
    let name = pair.name("a");
    let pods = Pods::Named(Arc::new(move |other: &str| other == name));
    let sensor = runtime.block_on(Sensor::start_with(
        &facts,
        Mode::Active,
        "node".into(),
        Arc::new(bus),
        pods,
        Options::default(),
    ))?;
    let mut decoder = Decoder::new(facts.drop_reasons);
    let source = inside(&NetnsPath::from(pair.path("a")), netns_cookie_here)??;
    let heard = runtime.spawn(async move {
        let mut heard = Heard::default();
        while let Some(message) = inbox.receive().await {
            let Message::Batch(batch) = message else { continue };
            for sighting in decoder.batch(&batch.records) {
                match sighting {
                    Ok(sighting) if sighting.netns == source && sighting.at == Where::Sent => heard.sent += 1,
                    Ok(_) => heard.other += 1,
                    Err(_) => heard.damaged += 1,
                }
            }
            heard.losses = (*batch.losses).clone();
        }
        heard
    });
    let socket = ProbeSocket::open(&NetnsPath::from(pair.path("a")))?;
    let mut packets = Vec::new();
    for port in 10_000..11_000 {
        let probe = Probe {
            protocol: Protocol::Tcp,
            source: SocketAddr::new(pair.address("a", false), port),
            destination: SocketAddr::new(pair.address("b", false), 80),
            nonce: u32::from(port),
        };
        let packet = probe.packet()?;
        packets.push((probe, packet));
    }
    let start = Instant::now();
    let mut sent = 0_u64;
    'flood: loop {
        for (probe, packet) in &packets {
            let due = start + Duration::from_secs_f64(sent as f64 / f64::from(rate));
            while Instant::now() < due {
                std::thread::sleep(Duration::from_micros(50));
            }
            if start.elapsed() >= SPAN {
                break 'flood;
            }
            socket.send_packet(probe, packet)?;
            sent += 1;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    runtime.block_on(sensor.sync()).context("the drain ended")?;
    drop(sensor);
    let heard = runtime.block_on(heard)?;
    ensure!(heard.damaged == 0, "{} damaged records", heard.damaged);
    let lost_of_a = heard.losses.by_netns.get(&source).copied().unwrap_or(0);
    let count = |index: u32| heard.losses.counters.get(index as usize).copied().unwrap_or(0);
    let lost = count(counter::RING_FULL) + count(counter::THROTTLED) + heard.losses.not_published;
    // A batch that the bus did not take cannot be told apart by namespace.
    let exact = heard.losses.not_published == 0 && heard.sent + lost_of_a == sent;
    println!(
        "  {:>10} {:>10.0} {:>12.0} {:>10} {:>10}  {}",
        if rate == u32::MAX {
            "all".to_owned()
        } else {
            rate.to_string()
        },
        sent as f64 / seconds,
        (heard.sent + heard.other) as f64 / seconds,
        lost,
        lost_of_a,
        if exact { "yes" } else { "no" }
    );
    Ok(())
}
