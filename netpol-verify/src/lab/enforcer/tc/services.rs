//! Services, as the programs see them: before the node translates a destination. As in AWS' policy agent, a Service's address is
//! open to a pod where the pods behind it are.

use netpol_verify_ebpf::gate::{ACCEPT, DROP, End, Packet, Rule, Way};

use super::compile::{accepts, network_rule, words};
use crate::lab::{enforcer::rules::Gate, literal, proxy::Door};

/// The rules of an egress gate with those for Services before them. Where the pods behind an address differ, nothing can be said
/// of it, and it stays an address like any other.
pub(super) fn with_services(gate: &Gate, rules: Vec<Rule>, doors: &[Door]) -> Vec<Rule> {
    if gate.way != literal::Way::Egress {
        return rules;
    }
    let mut list: Vec<Rule> = doors
        .iter()
        .filter_map(|door| of_door(gate, &rules, door))
        .collect();
    let before = u32::try_from(list.len()).unwrap_or(0);
    list.extend(rules.into_iter().map(|rule| Rule {
        next: if rule.next < DROP {
            rule.next + before
        } else {
            rule.next
        },
        ..rule
    }));
    list
}

fn of_door(gate: &Gate, rules: &[Rule], door: &Door) -> Option<Rule> {
    let mut own = gate.addresses.iter();
    let own = own.find(|own| own.is_ipv4() == door.address.is_ipv4())?;
    let mut open = door.behind.iter().map(|(address, port)| {
        let packet = Packet {
            source: words(*own),
            destination: words(*address),
            destination_port: *port,
            transport: door.protocol.number(),
            family: if own.is_ipv4() { 4 } else { 6 },
            ..Packet::default()
        };
        accepts(rules, &packet, Way::Egress)
    });
    let first = open.next()?;
    open.all(|other| other == first).then(|| Rule {
        transport: door.protocol.number(),
        first: door.port,
        last: door.port,
        ..network_rule(End::Other, door.address.into(), if first { ACCEPT } else { DROP })
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{
        cluster::ObjectName,
        lab::{
            enforcer::{
                rules::{Destination, Refusal, Scope},
                tc::compile::compile,
            },
            literal::{Accept, Origin, Peers, Ports},
            proxy::Side,
        },
        net::Protocol,
    };

    #[test]
    fn a_service_is_open_where_all_behind_it_are() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let gate = Gate {
            pod: ObjectName::new("x", "a"),
            way: literal::Way::Egress,
            addresses: vec![ip("10.0.0.1")],
            scope: Scope::Everybody,
            admin: Vec::new(),
            isolates: true,
            accepts: vec![Accept {
                peers: Peers::Listed {
                    blocks: Vec::new(),
                    addresses: vec![ip("10.0.0.2")],
                },
                ports: Ports::Any,
                origin: Origin {
                    policy: ObjectName::new("x", "p"),
                    index: 0,
                },
            }],
            by_bare_denial: false,
            baseline: Vec::new(),
            refusal: Refusal::Drop,
            destination: Destination::Behind,
        };
        let door = |last: u8, behind: &[&str]| Door {
            address: IpAddr::from([10, 96, 0, last]),
            protocol: Protocol::Tcp,
            port: 80,
            side: Side::Within,
            here: Vec::new(),
            service: "x/s".to_owned(),
            behind: behind.iter().map(|address| (ip(address), 8080)).collect(),
        };
        let doors = [
            door(1, &["10.0.0.2"]),
            door(2, &["10.0.0.3"]),
            door(3, &["10.0.0.2", "10.0.0.3"]),
            door(4, &[]),
        ];
        let list = with_services(&gate, compile(&gate, &[]), &doors);
        let open = |to: &str, port: u16| {
            let packet = Packet {
                source: words(ip("10.0.0.1")),
                destination: words(ip(to)),
                destination_port: port,
                transport: Protocol::Tcp.number(),
                family: 4,
                ..Packet::default()
            };
            accepts(&list, &packet, Way::Egress)
        };
        assert!(open("10.96.0.1", 80) && open("10.0.0.2", 1));
        for (to, port) in [
            ("10.96.0.1", 81),
            ("10.96.0.2", 80),
            ("10.96.0.3", 80),
            ("10.96.0.4", 80),
            ("10.0.0.3", 8080),
        ] {
            assert!(!open(to, port), "{to}:{port}");
        }
    }
}
