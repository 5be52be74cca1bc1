//! From a gate to the list of rules that the programs walk: conditions become jumps, always forwards.

use std::net::IpAddr;

use ipnet::IpNet;
use netpol_verify_ebpf::gate::{ACCEPT, DROP, End, Rule, transport};

use crate::{
    cluster::Action,
    lab::{
        enforcer::rules::{Gate, Scope},
        literal::{Peers, PortRange, Ports, Ruling, Way},
    },
    net::Protocol,
};

/// Stands for the place behind the rules that are being written, until that is known.
const BEHIND: u32 = DROP - 1;
/// Stands for the place behind the administrators' first word.
const NEXT_TIER: u32 = DROP - 2;

/// The rules of a gate. `own_node` are the addresses of the pod's node: of what goes there only the administrators' tiers are
/// asked (R22), as in the other enforcers.
pub(super) fn compile(gate: &Gate, own_node: &[IpAddr]) -> Vec<Rule> {
    let mut list = List::default();
    // What the interface carries for nobody the gate stands before passes: floods of a bridge, addresses not told yet.
    list.only(End::Own, &gate.addresses);
    if let Scope::Only(addresses) = &gate.scope {
        list.only(End::Other, addresses);
    }
    let start = list.here();
    list.rulings(&gate.admin, NEXT_TIER);
    list.settle(start, NEXT_TIER);
    if gate.isolates {
        if gate.way == Way::Egress {
            for address in own_node {
                list.network(End::Other, IpNet::from(*address), ACCEPT);
            }
        }
        for accept in &gate.accepts {
            list.statement(&accept.peers, &accept.ports, ACCEPT);
        }
        list.everything(DROP);
    } else {
        list.rulings(&gate.baseline, ACCEPT);
        list.everything(ACCEPT);
    }
    list.rules
}

#[derive(Default)]
struct List {
    rules: Vec<Rule>,
}

impl List {
    fn here(&self) -> usize {
        self.rules.len()
    }

    fn everything(&mut self, next: u32) {
        self.rules.push(Rule::everything(next));
    }

    fn network(&mut self, end: End, net: IpNet, next: u32) {
        let (family, network, mask) = match net {
            IpNet::V4(net) => (
                4,
                [u64::from(net.network().to_bits()) << 32, 0],
                [u64::from(net.netmask().to_bits()) << 32, 0],
            ),
            IpNet::V6(net) => (6, words(net.network().to_bits()), words(net.netmask().to_bits())),
        };
        self.rules.push(Rule {
            network,
            mask,
            family,
            end: end as u8,
            ..Rule::everything(next)
        });
    }

    /// Puts the place that has been reached where a name stands for it.
    fn settle(&mut self, start: usize, name: u32) {
        let here = u32::try_from(self.here()).unwrap_or(DROP);
        for rule in self.rules.iter_mut().skip(start).filter(|rule| rule.next == name) {
            rule.next = here;
        }
    }

    /// Lets pass what has none of the addresses at that end.
    fn only(&mut self, end: End, addresses: &[IpAddr]) {
        let start = self.here();
        for address in addresses {
            self.network(end, IpNet::from(*address), BEHIND);
        }
        self.everything(ACCEPT);
        self.settle(start, BEHIND);
    }

    fn rulings(&mut self, rulings: &[Ruling], pass: u32) {
        for ruling in rulings {
            let next = match ruling.action {
                Action::Accept => ACCEPT,
                Action::Deny => DROP,
                Action::Pass => pass,
            };
            self.statement(&ruling.peers, &ruling.ports, next);
        }
    }

    /// What follows where both the other end and the port match.
    fn statement(&mut self, peers: &Peers, ports: &Ports, next: u32) {
        let start = self.here();
        if let Ports::Listed(ranges) = ports {
            // Onwards with one of the ports, out with every other.
            let first = u32::try_from(start + ranges.len() + 1).unwrap_or(DROP);
            self.rules
                .extend(ranges.iter().map(|range| ports_rule(*range, first)));
            self.everything(BEHIND);
        }
        match peers {
            Peers::Any => self.everything(next),
            Peers::Listed { blocks, addresses } => {
                for block in blocks {
                    let start_of_block = self.here();
                    for except in &block.except {
                        self.network(End::Other, *except, NEXT_BLOCK);
                    }
                    self.network(End::Other, block.cidr, next);
                    self.settle(start_of_block, NEXT_BLOCK);
                }
                let nets: Vec<IpNet> = addresses.iter().copied().map(IpNet::from).collect();
                for net in IpNet::aggregate(&nets) {
                    self.network(End::Other, net, next);
                }
            }
        }
        self.settle(start, BEHIND);
    }
}

/// Stands for the place behind a block: an exception of it says nothing of the next one.
const NEXT_BLOCK: u32 = DROP - 3;

fn ports_rule(range: PortRange, next: u32) -> Rule {
    Rule {
        transport: match range.protocol {
            Protocol::Tcp => transport::TCP,
            Protocol::Udp => transport::UDP,
            Protocol::Sctp => transport::SCTP,
        },
        first: range.first,
        last: range.last,
        ..Rule::everything(next)
    }
}

/// The two halves of an address.
fn words(bits: u128) -> [u64; 2] {
    let bytes = bits.to_be_bytes();
    let (first, second) = bytes.split_at(8);
    [first, second].map(|half| half.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
}
