//! From a gate to the list of rules that the programs walk: conditions become jumps, always forwards.

use std::net::IpAddr;

use ipnet::IpNet;
use netpol_verify_ebpf::gate::{ACCEPT, DROP, End, Packet, Rule, Way as Direction};

use crate::{
    cluster::Action,
    lab::{
        enforcer::rules::{Gate, Scope},
        literal::{Peers, PortRange, Ports, Ruling, Way},
    },
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
        self.rules.push(network_rule(end, net, next));
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
        transport: range.protocol.number(),
        first: range.first,
        last: range.last,
        ..Rule::everything(next)
    }
}

/// The rule for a network at that end.
pub(super) fn network_rule(end: End, net: IpNet, next: u32) -> Rule {
    let (network, mask) = (words(net.network()), words(net.netmask()));
    Rule {
        network,
        mask,
        family: if net.addr().is_ipv4() { 4 } else { 6 },
        end: end as u8,
        ..Rule::everything(next)
    }
}

/// An address as packets have it in rules.
pub(super) fn words(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(address) => [u64::from(address.to_bits()) << 32, 0],
        IpAddr::V6(address) => {
            let bytes = address.octets();
            let (first, second) = bytes.split_at(8);
            [first, second].map(|half| half.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
        }
    }
}

/// What the programs make of a packet: jumps go forwards only, and a list that ends without a word refuses.
pub(super) fn accepts(rules: &[Rule], packet: &Packet, way: Direction) -> bool {
    let mut at = 0_u32;
    while at < DROP {
        let rule = usize::try_from(at).ok().and_then(|at| rules.get(at));
        at = match rule {
            Some(rule) if rule.matches(packet, way) => rule.next.max(at + 1),
            Some(_) => at + 1,
            None => DROP,
        };
    }
    at == ACCEPT
}
