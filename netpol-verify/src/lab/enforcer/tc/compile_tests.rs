//! The lists of rules against the literal reading, walked as the programs walk them.

use std::net::IpAddr;

use netpol_verify_ebpf::gate::{DROP, Packet, Rule, Way as Direction};
use proptest::prelude::*;

use super::compile::{accepts, compile, words};
use crate::{
    cluster::ObjectName,
    lab::{
        LabNode, LabPod, World,
        enforcer::rules,
        literal::{Party, Reading, Way, generate, permits},
    },
    net::Protocol,
};

fn packet(from: IpAddr, to: IpAddr, protocol: Protocol, port: u16) -> Packet {
    Packet {
        source: words(from),
        destination: words(to),
        source_port: 40_000,
        destination_port: port,
        transport: protocol.number(),
        family: if from.is_ipv4() { 4 } else { 6 },
        ..Packet::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_lists_are_the_reading(snapshot in generate::snapshots(), questions in generate::questions()) {
        let world = World {
            nodes: snapshot.nodes.iter().map(|node| LabNode {
                name: node.name.clone(),
                netns: "/run/netns/none".into(),
                addresses: node.addresses.clone(),
                bridge: None,
            }).collect(),
            pods: snapshot.pods.iter().filter_map(|pod| Some(LabPod {
                pod: pod.clone(),
                node: pod.node.clone()?,
                netns: "/run/netns/none".into(),
                host_interface: "none".to_owned(),
            })).collect(),
            snapshot: snapshot.clone(),
        };
        let gates: Vec<_> = rules::plan(&world)
            .into_iter()
            .flat_map(|plan| {
                let own = world.node(&plan.node).unwrap().addresses.clone();
                let gates = plan.table.unwrap_or_default().gates.into_iter();
                gates.map(move |gate| (gate.pod.clone(), gate.way, compile(&gate, &own)))
            })
            .collect();
        for (pod, way, list) in &gates {
            // Backwards there would be no end to a walk.
            let is_forwards = |(at, rule): (usize, &Rule)| rule.next >= DROP || usize::try_from(rule.next).unwrap() > at;
            prop_assert!(list.iter().enumerate().all(is_forwards), "{pod} {way:?}");
        }
        for question in questions {
            let (from, to) = question.parties(&snapshot);
            let Some((source, target)) = from.address().zip(to.address()) else { continue };
            if [from, to].iter().any(|party| party.pod().is_some_and(|pod| pod.node.is_none())) {
                continue;
            }
            let packet = packet(source, target, question.protocol, question.port);
            let passes = |party: Party<'_>, way, direction| {
                let of_party = |pod: &ObjectName| party.pod().is_some_and(|one| one.name == *pod);
                gates
                    .iter()
                    .filter(|(pod, of, _)| *of == way && of_party(pod))
                    .all(|(_, _, list)| accepts(list, &packet, direction))
            };
            // What the node itself sends to its pods is exempt before any list.
            let host = |party: Party<'_>| match party {
                Party::Node { name, .. } => Some(name.to_owned()),
                Party::Pod { pod, .. } if pod.host_network => pod.node.clone(),
                Party::Pod { .. } | Party::Outside(_) => None,
            };
            let by_own_node = host(from).is_some() && host(from) == to.pod().and_then(|pod| pod.node.clone());
            let passes = passes(from, Way::Egress, Direction::Egress)
                && (by_own_node || passes(to, Way::Ingress, Direction::Ingress));
            match permits(&snapshot, from, to, question.protocol, question.port) {
                Reading::Permitted => prop_assert!(passes, "{from:?} {to:?} {question:?}"),
                Reading::Refused { .. } => prop_assert!(!passes, "{from:?} {to:?} {question:?}"),
                Reading::Undefined(_) => {}
            }
        }
    }
}
