//! Packets with more headers than usual.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use aya::programs::{TestRun as _, TestRunOptions};
use netpol_verify::{
    kernel::KernelFacts,
    net::{AttemptKey, Protocol, netns_cookie_here},
    observe::{AnswerKind, Decoder, Packet, Where},
    sensor::{EMBEDDED, Mode, NetnsPath, Object, Probe, ProbeSocket},
};
use netpol_verify_ebpf::settings::{counter, name};
use netpol_verify_tests::{Ear, ONLY_PODS, Pair, as_root, cookie, probe};

fn is_first(packet: &Packet, wanted: AttemptKey) -> bool {
    matches!(packet, Packet::First { key, .. } if *key == wanted)
}

/// A packet in an Ethernet frame with so many VLAN tags.
fn tagged(tags: usize, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    for tag in 0..tags {
        // The outer tag of two is a service tag (IEEE 802.1ad).
        frame.extend(if tag + 1 < tags {
            [0x88, 0xa8]
        } else {
            [0x81, 0x00]
        });
        frame.extend([0, 5]);
    }
    frame.extend([0x08, 0x00]);
    frame.extend(packet);
    frame
}

/// By `BPF_PROG_TEST_RUN`, since a kernel may lack VLAN devices; the packet's device is this namespace's loopback.
#[test]
fn one_and_two_vlan_tags_are_seen_through_and_a_third_is_not_guessed_at() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let facts = KernelFacts::of_kernel();
    let mut object = Object::load_with(EMBEDDED, &facts, ONLY_PODS)?;
    let (mut ring, _) = object.take_maps_for_test_run()?;
    let mut decoder = Decoder::new(facts.drop_reasons);
    let syn = Probe {
        protocol: Protocol::Tcp,
        source: SocketAddr::from(([10, 0, 0, 1], 2000)),
        destination: SocketAddr::from(([10, 0, 0, 2], 80)),
        nonce: 9,
    };
    let here = netns_cookie_here()?;
    for (program, place) in [
        (name::POD_EGRESS, Where::Sent),
        (name::POD_INGRESS, Where::Delivered),
    ] {
        for tags in 0..4 {
            let frame = tagged(tags, &syn.packet()?);
            let options = TestRunOptions {
                data_in: Some(&frame),
                ..TestRunOptions::default()
            };
            let result = object.classifier_for_test_run(program)?.test_run(options)?;
            assert_eq!(result.return_value.cast_signed(), -1, "TCX_NEXT, whatever it is");
            let Some(record) = ring.next().map(|record| record.to_vec()) else {
                assert_eq!(tags, 3, "{program}");
                continue;
            };
            assert!(tags < 3 && ring.next().is_none(), "{program}, {tags} tags");
            let sighting = decoder.batch(&record.into()).next().context("a record")??;
            assert_eq!((&sighting.at, sighting.netns), (&place, here), "{tags} tags");
            assert!(is_first(&sighting.packet, syn.key()), "{tags} tags");
        }
    }
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
