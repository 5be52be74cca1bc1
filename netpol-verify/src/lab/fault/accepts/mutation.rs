//! What each fault does to what gates let through.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{AcceptFault, fell_out};
use crate::{
    lab::{
        World,
        enforcer::rules::{Gate, NodePlan, tables},
        literal::{Accept, Block, Origin, Peers, PortRange, Ports, Way},
    },
    net::Protocol,
};

impl AcceptFault {
    /// Makes the correct plans wrong in this way.
    pub(in super::super) fn mutate(self, world: &World, plans: &mut [NodePlan]) {
        let mut apart = Vec::new();
        for table in tables(plans) {
            for mut gate in std::mem::take(&mut table.gates) {
                match self {
                    Self::EntriesMissing => {
                        // Which entries fell out differs from address to address.
                        for address in std::mem::take(&mut gate.addresses) {
                            let mut own = gate.clone();
                            own.addresses = vec![address];
                            own.keep_addresses(|other| !fell_out(address, other));
                            apart.push(own);
                        }
                        continue;
                    }
                    Self::NamedPortFromSource if gate.way == Way::Ingress => {
                        gate.accepts = gate
                            .accepts
                            .drain(..)
                            .flat_map(|accept| by_source(world, accept))
                            .collect();
                    }
                    _ => self.change(&mut gate, world),
                }
                apart.push(gate);
            }
            table.gates.append(&mut apart);
        }
    }

    fn change(self, gate: &mut Gate, world: &World) {
        let spread = |range: PortRange| range.first < range.last && range != PortRange::all(range.protocol);
        match self {
            Self::ExceptIgnored => blocks(gate, |block| {
                block.except.clear();
                true
            }),
            Self::BlocksMissPods => blocks(gate, |_| false),
            Self::PrefixRounded => blocks(gate, |block| {
                block.cidr = shortened(block.cidr, block.cidr.prefix_len() / 8 * 8);
                true
            }),
            Self::Ipv6PrefixHalf => blocks(gate, |block| {
                if block.cidr.addr().is_ipv6() {
                    block.cidr = shortened(block.cidr, block.cidr.prefix_len().min(64));
                }
                true
            }),
            Self::SecondAddressMissing => {
                let seconds: Vec<IpAddr> = world
                    .pods
                    .iter()
                    .flat_map(|lab| lab.pod.ips.iter().skip(1))
                    .copied()
                    .collect();
                gate.keep_addresses(|address| !seconds.contains(&address));
            }
            Self::EndPortIgnored => ranges(gate, |range| {
                let last = if spread(range) { range.first } else { range.last };
                vec![PortRange { last, ..range }]
            }),
            Self::EndPortAsAll => ranges(gate, |range| {
                vec![if spread(range) {
                    PortRange::all(range.protocol)
                } else {
                    range
                }]
            }),
            Self::RangeEndLeftOut => ranges(gate, |range| {
                let last = if spread(range) { range.last - 1 } else { range.last };
                vec![PortRange { last, ..range }]
            }),
            Self::RangeMiddleLeftOut => ranges(gate, |range| {
                let single = |port| PortRange {
                    first: port,
                    last: port,
                    ..range
                };
                if spread(range) {
                    vec![single(range.first), single(range.last)]
                } else {
                    vec![range]
                }
            }),
            Self::UdpAsTcp => ranges(gate, |range| {
                let tcp = PortRange {
                    protocol: Protocol::Tcp,
                    ..range
                };
                let more = (range.protocol == Protocol::Udp).then_some(tcp);
                std::iter::once(range).chain(more).collect()
            }),
            Self::SctpDropped => ranges(gate, |range| {
                if range.protocol == Protocol::Sctp {
                    Vec::new()
                } else {
                    vec![range]
                }
            }),
            Self::OnlyTcpFiltered => open(gate, &[Protocol::Udp, Protocol::Sctp]),
            Self::SctpOpen => open(gate, &[Protocol::Sctp]),
            Self::SecondEgressRuleLost => {
                if gate.way == Way::Egress {
                    gate.accepts.retain(|accept| accept.origin.index == 0);
                }
            }
            Self::EntriesMissing | Self::NamedPortFromSource => {}
        }
    }
}

/// Changes blocks; those for which `change` says no are left out.
fn blocks(gate: &mut Gate, change: impl Fn(&mut Block) -> bool) {
    gate.accepts.retain_mut(|accept| match &mut accept.peers {
        Peers::Any => true,
        Peers::Listed { blocks, addresses } => {
            blocks.retain_mut(&change);
            !blocks.is_empty() || !addresses.is_empty()
        }
    });
}

fn ranges(gate: &mut Gate, change: impl Fn(PortRange) -> Vec<PortRange>) {
    gate.accepts.retain_mut(|accept| match &mut accept.ports {
        Ports::Any => true,
        Ports::Listed(ranges) => {
            *ranges = ranges.iter().copied().flat_map(&change).collect();
            !ranges.is_empty()
        }
    });
}

/// Lets whole protocols through.
fn open(gate: &mut Gate, protocols: &[Protocol]) {
    gate.accepts.push(Accept {
        peers: Peers::Any,
        ports: Ports::Listed(protocols.iter().copied().map(PortRange::all).collect()),
        origin: Origin {
            policy: gate.pod.clone(),
            index: 0,
        },
    });
}

fn shortened(net: IpNet, length: u8) -> IpNet {
    IpNet::new(net.addr(), length).map_or(net, |net| net.trunc())
}

/// The entry once for each source, with the numbers that the source gives to the names in the rule.
fn by_source(world: &World, accept: Accept) -> Vec<Accept> {
    let policy = world
        .snapshot
        .policies
        .iter()
        .find(|policy| policy.name() == accept.origin.policy);
    let spec = policy.and_then(|policy| policy.object.spec.as_ref());
    let rule = spec.and_then(|spec| spec.ingress.as_ref()?.get(accept.origin.index));
    let named: Vec<&str> = rule
        .into_iter()
        .flat_map(|rule| rule.ports.iter().flatten())
        .filter_map(|entry| match &entry.port {
            Some(IntOrString::String(name)) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let mut numbers: BTreeMap<Vec<PortRange>, Vec<IpAddr>> = BTreeMap::new();
    for lab in world.pods.iter().filter(|_| !named.is_empty()) {
        let ports = lab
            .pod
            .ports
            .iter()
            .filter(|port| port.name.as_deref().is_some_and(|name| named.contains(&name)));
        let ranges: Vec<PortRange> = ports
            .map(|port| PortRange {
                protocol: port.protocol,
                first: port.port,
                last: port.port,
            })
            .collect();
        let may = |address: &&IpAddr| holds(&accept.peers, **address);
        numbers
            .entry(ranges)
            .or_default()
            .extend(lab.pod.ips.iter().filter(may));
    }
    if named.is_empty() {
        return vec![accept];
    }
    // What the rule says in numbers stays; the target's own names are among the ranges and are taken out.
    let by_number =
        |range: &PortRange| {
            rule.into_iter().flat_map(|rule| rule.ports.iter().flatten()).any(|entry| {
            matches!(&entry.port, Some(IntOrString::Int(port)) if u16::try_from(*port) == Ok(range.first))
                && entry.protocol.as_deref().unwrap_or("TCP") == range.protocol.as_str()
        })
        };
    let mut found = Vec::new();
    let plain = match &accept.ports {
        Ports::Any => Vec::new(),
        Ports::Listed(ranges) => ranges.iter().copied().filter(by_number).collect(),
    };
    if !plain.is_empty() {
        found.push(Accept {
            ports: Ports::Listed(plain),
            ..accept.clone()
        });
    }
    let sources = numbers
        .into_iter()
        .filter(|(ranges, addresses)| !ranges.is_empty() && !addresses.is_empty());
    found.extend(sources.map(|(ranges, addresses)| Accept {
        peers: Peers::Listed {
            blocks: Vec::new(),
            addresses,
        },
        ports: Ports::Listed(ranges),
        origin: accept.origin.clone(),
    }));
    found
}

fn holds(peers: &Peers, address: IpAddr) -> bool {
    match peers {
        Peers::Any => true,
        Peers::Listed { blocks, addresses } => {
            addresses.contains(&address) || blocks.iter().any(|block| block.contains(address))
        }
    }
}
