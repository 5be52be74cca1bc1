//! Packets of known number.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use netpol_verify::{
    net::Protocol,
    sensor::{NetnsPath, Probe, ProbeSocket},
    suite::{Decided, Planned, Prober},
};

use crate::{Pair, netns};

/// A probe between the two pods; its source port and number follow from `number`.
///
/// # Errors
/// `number` is beyond 40,000.
pub fn probe(pair: &Pair, from: &str, v6: bool, number: u32) -> Result<Probe> {
    let to = if from == "a" { "b" } else { "a" };
    Ok(Probe {
        protocol: Protocol::Tcp,
        source: SocketAddr::new(pair.address(from, v6), 20_000 + u16::try_from(number)?),
        destination: SocketAddr::new(pair.address(to, v6), 80),
        nonce: number,
    })
}

/// Sends so many SYNs from one pod to the other, each with a source port of its own, without giving way to the runtime.
///
/// # Errors
/// One does not leave.
pub fn flood(pair: &Pair, from: &str, count: u32) -> Result<()> {
    let socket = ProbeSocket::open(&NetnsPath::from(pair.path(from)))?;
    for number in 0..count {
        socket.send(&probe(pair, from, false, number)?)?;
    }
    Ok(())
}

/// Sends one probe from a to b and waits until it is decided.
///
/// # Errors
/// It cannot be built.
pub async fn ask(pair: &Pair, prober: &mut Prober, number: u32) -> Result<Decided> {
    let planned = Planned {
        source: netns(pair, "a")?,
        destination: Some(netns(pair, "b")?),
        probe: probe(pair, "a", false, number)?,
    };
    ask_planned(prober, planned).await
}

/// As [`ask`], for any plan.
///
/// # Errors
/// As [`ask`].
pub async fn ask_planned(prober: &mut Prober, planned: Planned) -> Result<Decided> {
    prober
        .run(&[planned])
        .await?
        .into_iter()
        .next()
        .context("one probe, one outcome")
}
