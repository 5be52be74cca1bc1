//! Packets with more headers than usual.

use std::net::SocketAddr;

use anyhow::Result;
use netpol_verify::{
    net::AttemptKey,
    observe::{AnswerKind, Packet, Where},
    sensor::{Mode, NetnsPath, Options, ProbeSocket},
};
use netpol_verify_ebpf::settings::counter;
use netpol_verify_tests::{Ear, Pair, as_root, cookie, probe};

const ONLY_PODS: Options = Options {
    ring_bytes: None,
    attachment: None,
    without_drops: true,
};

fn is_first(packet: &Packet, wanted: AttemptKey) -> bool {
    matches!(packet, Packet::First { key, .. } if *key == wanted)
}

#[tokio::test]
async fn one_and_two_vlan_tags_are_seen_through() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    for (below, id) in [("eth0", 5), ("eth0.5", 6)] {
        pair.inside(
            "a",
            &format!("ip link add link {below} name {below}.{id} type vlan id {id}"),
        )?;
        pair.inside("a", &format!("ip link set {below}.{id} up"))?;
    }
    for (device, net) in [("eth0.5", 88), ("eth0.5.6", 89)] {
        pair.inside("a", &format!("ip addr add 10.{net}.0.2/24 dev {device}"))?;
        // Nobody needs to be there: what counts is what leaves.
        pair.inside(
            "a",
            &format!("ip neigh replace 10.{net}.0.1 lladdr 02:00:00:00:00:99 dev {device} nud permanent"),
        )?;
    }
    let mut ear = Ear::start(&pair, Mode::Active, ONLY_PODS).await?;
    let a = cookie(&pair, "a")?;
    let names = ear.interfaces(a);
    let socket = ProbeSocket::open(&NetnsPath::from(pair.path("a")))?;
    let paths: [(u8, u32, &[&str]); 2] = [
        (88, 1, &["eth0.5", "eth0"]),
        (89, 2, &["eth0.5.6", "eth0.5", "eth0"]),
    ];
    for (net, number, path) in paths {
        let mut tagged = probe(&pair, "a", false, number)?;
        tagged.source.set_ip([10, net, 0, 2].into());
        tagged.destination = SocketAddr::from(([10, net, 0, 1], 80));
        socket.send(&tagged)?;
        ear.listen().await?;
        let seen: Vec<&str> = ear
            .sent(a)
            .filter(|sighting| is_first(&sighting.packet, tagged.key()))
            .filter_map(|sighting| names.get(&sighting.ifindex).map(String::as_str))
            .collect();
        assert_eq!(seen, path, "once on each device");
    }
    assert_eq!(ear.counter(counter::UNPARSED), 0);
    Ok(())
}

#[tokio::test]
async fn a_chain_of_ipv6_extension_headers_is_followed_to_the_syn() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut ear = Ear::start(&pair, Mode::Active, ONLY_PODS).await?;
    let (a, b) = (cookie(&pair, "a")?, cookie(&pair, "b")?);
    let socket = ProbeSocket::open(&NetnsPath::from(pair.path("a")))?;
    // Destination options with six bytes of padding (RFC 8200, 4.6); a fragment header of a whole packet (RFC 6946).
    let options = |next: u8| vec![next, 0, 1, 4, 0, 0, 0, 0];
    let fragment = |next: u8| vec![next, 0, 0, 0, 0, 0, 0, 7];
    let chains: [(u8, Vec<Vec<u8>>); 3] = [
        (60, vec![options(6)]),
        (44, vec![fragment(6)]),
        (60, vec![options(44), fragment(60), options(6)]),
    ];
    for (number, (first, chain)) in (1..).zip(chains) {
        let syn = probe(&pair, "a", true, number)?;
        let mut packet = syn.packet()?;
        let extensions = chain.concat();
        let payload = u16::try_from(packet.len() - 40 + extensions.len())?;
        packet[4..6].copy_from_slice(&payload.to_be_bytes());
        packet[6] = first;
        packet.splice(40..40, extensions);
        socket.send_packet(&syn, &packet)?;
        ear.listen().await?;
        let at = |netns, place: &Where| {
            ear.sightings.iter().any(|sighting| {
                sighting.netns == netns && sighting.at == *place && is_first(&sighting.packet, syn.key())
            })
        };
        assert!(at(a, &Where::Sent), "chain {number} left");
        assert!(at(b, &Where::Delivered), "chain {number} arrived");
        let refused = ear.sightings.iter().any(|sighting| {
            matches!(sighting.packet, Packet::Answer { kind: AnswerKind::Refuse, to, .. } if to == syn.key())
        });
        assert!(refused, "chain {number} was read by the pod's kernel as well");
    }
    Ok(())
}

#[tokio::test]
async fn a_chain_too_deep_to_follow_is_counted() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    let mut ear = Ear::start(&pair, Mode::Active, ONLY_PODS).await?;
    let socket = ProbeSocket::open(&NetnsPath::from(pair.path("a")))?;
    let syn = probe(&pair, "a", true, 1)?;
    let mut packet = syn.packet()?;
    let mut extensions = [60, 0, 1, 4, 0, 0, 0, 0].repeat(5);
    extensions[32] = 6;
    let payload = u16::try_from(packet.len() - 40 + extensions.len())?;
    packet[4..6].copy_from_slice(&payload.to_be_bytes());
    packet[6] = 60;
    packet.splice(40..40, extensions);
    socket.send_packet(&syn, &packet)?;
    ear.listen().await?;
    assert!(
        !ear.sightings
            .iter()
            .any(|sighting| is_first(&sighting.packet, syn.key()))
    );
    assert_eq!(ear.counter(counter::UNPARSED), 2, "once at each pod");
    Ok(())
}
