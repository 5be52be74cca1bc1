//! From the system call that sends a probe to the moment its outcome is known.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, ensure};
use netpol_verify::{
    flow::Outcome,
    net::Protocol,
    sensor::{Mode, Options, Probe},
    suite::{Planned, Prober},
};
use netpol_verify_tests::{Pair, netns, prober};

use crate::spread::Spread;

/// Probes of each kind.
const PROBES: u32 = 3_000;
/// Neighbours, routes and caches are warm after these.
const WARM_UP: u32 = 200;

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<()> {
    let pair = Pair::new()?;
    pair.forward("inet", "", "tcp dport 81 drop")?;
    let mut prober = prober(&pair, &["a"], Mode::Active, Options::default()).await?;
    println!("\nprobes: µs from send to outcome, {PROBES} of each, one at a time");
    println!(
        "  {:<24} {:>8} {:>8} {:>8} {:>8}",
        "", "median", "p90", "p99", "max"
    );
    let mut nonce = 0;
    for v6 in [false, true] {
        for (what, port) in [("allowed", 80), ("denied", 81)] {
            probes(&mut prober, &pair, v6, port, &mut nonce, WARM_UP).await?;
            let spread = probes(&mut prober, &pair, v6, port, &mut nonce, PROBES).await?;
            let family = if v6 { "IPv6" } else { "IPv4" };
            println!(
                "  {:<24} {:>8.1} {:>8.1} {:>8.1} {:>8.1}",
                format!("{what}, {family} ({})", spread.len()),
                spread.median(),
                spread.quantile(900),
                spread.quantile(990),
                spread.quantile(1000)
            );
        }
    }
    Ok(())
}

async fn probes(
    prober: &mut Prober,
    pair: &Pair,
    v6: bool,
    port: u16,
    nonce: &mut u32,
    count: u32,
) -> Result<Spread> {
    let (source, destination) = (netns(pair, "a")?, netns(pair, "b")?);
    let mut planned = Vec::new();
    for _ in 0..count {
        *nonce += 1;
        planned.push(Planned {
            source,
            destination: Some(destination),
            probe: Probe {
                protocol: Protocol::Tcp,
                source: SocketAddr::new(pair.address("a", v6), 10_000 + u16::try_from(*nonce % 50_000)?),
                destination: SocketAddr::new(pair.address("b", v6), port),
                nonce: *nonce,
            },
        });
    }
    let mut micros = Vec::new();
    for decided in prober.run(&planned).await? {
        let expected = match &decided.outcome {
            Outcome::Delivered { .. } => port == 80,
            Outcome::Dropped { .. } => port == 81,
            Outcome::Rejected { .. } | Outcome::Unanswered | Outcome::Unknown { .. } => false,
        };
        ensure!(expected, "port {port}: {:?}", decided.outcome);
        micros.push(decided.latency.unwrap_or(Duration::MAX).as_secs_f64() * 1e6);
    }
    Ok(Spread::of(micros))
}
