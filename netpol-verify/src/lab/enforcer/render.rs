//! The rules of a node as text for `nft -f -`.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr};

use ipnet::IpNet;

use super::rules::{Gate, Refusal, Scope, Table};
use crate::{
    lab::literal::{Accept, Origin, Peers, PortRange, Ports, Way},
    net::{Family, Protocol},
};

/// The table that the enforcer owns; it touches no other.
pub(super) const TABLE: &str = "inet npv_policy";

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// Text that removes the table, whether or not it is there.
pub(super) fn removal() -> String {
    format!("table {TABLE} {{ }}\ndelete table {TABLE}\n")
}

/// Text that replaces the table as a whole, in one transaction.
///
/// ```text
///  forward: neighbour discovery, then known flows -> accept
///           source is an isolated pod here         -> its egress chain:  accepted? back : drop
///           destination is an isolated pod here    -> its ingress chain: accepted? back : drop
///           the rest                               -> accept
/// ```
///
/// An accepted egress goes *back*, so that ingress is still asked when both pods share the node.
/// The node itself sends by the output hook and is thereby exempt (R21).
pub(super) fn render(table: &Table) -> String {
    let mut text = removal();
    let mut chains: BTreeMap<String, String> = BTreeMap::new();
    let mut maps: BTreeMap<(Way, Family), BTreeMap<IpAddr, String>> = BTreeMap::new();
    for gate in &table.gates {
        let next = format!("gate{}", chains.len());
        let chain = chains.entry(body(gate)).or_insert(next).clone();
        for address in &gate.addresses {
            maps.entry((gate.way, Family::of(*address)))
                .or_default()
                .insert(*address, chain.clone());
        }
    }

    // Writing to a String cannot fail, here and below.
    let _ = writeln!(text, "table {TABLE} {{");
    if table
        .gates
        .iter()
        .any(|gate| gate.refusal == Refusal::DropFirstSyn)
    {
        for (name, kind) in [("seen4", "ipv4_addr"), ("seen6", "ipv6_addr")] {
            let _ = writeln!(
                text,
                "\tset {name} {{ type {kind} . inet_service . {kind} . inet_service; size 65535; flags dynamic,timeout; timeout 1m; }}"
            );
        }
    }
    let mut named: Vec<(&String, &String)> = chains.iter().map(|(body, name)| (name, body)).collect();
    named.sort_by_key(|(name, _)| (name.len(), name.as_str()));
    for (name, body) in named {
        let _ = write!(text, "\tchain {name} {{\n{body}\t}}\n");
    }
    text.push_str("\tchain forwarded {\n\t\ttype filter hook forward priority filter; policy accept;\n");
    // Seen here when a bridge carries it (br_netfilter); without it no packet of either kind would follow.
    text.push_str(
        "\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept\n",
    );
    for (family, nets) in by_family(&table.without_entries) {
        let _ = writeln!(
            text,
            "\t\tct state established ct direction reply {} daddr {} drop",
            keyword(family),
            set(&nets)
        );
    }
    // Connections that were let through stay, as R27 leaves it to the implementation; so do ICMP errors about them.
    text.push_str("\t\tct state established,related accept\n");
    for way in [Way::Egress, Way::Ingress] {
        for family in FAMILIES {
            if let Some(map) = maps.get(&(way, family)) {
                let own = if way == Way::Egress { "saddr" } else { "daddr" };
                let elements: Vec<String> = map
                    .iter()
                    .map(|(address, chain)| format!("{address} : jump {chain}"))
                    .collect();
                let _ = writeln!(
                    text,
                    "\t\t{} {own} vmap {{ {} }}",
                    keyword(family),
                    elements.join(", ")
                );
            }
        }
    }
    text.push_str("\t}\n}\n");
    text
}

/// The rules of one gate. Pods with equal rules share a chain.
fn body(gate: &Gate) -> String {
    let other = if gate.way == Way::Egress { "daddr" } else { "saddr" };
    let mut text = String::new();
    if let Scope::Only(addresses) = &gate.scope {
        let known = by_family(addresses);
        for family in FAMILIES {
            let _ = match known.get(&family) {
                Some(nets) => writeln!(text, "\t\t{} {other} != {} return", keyword(family), set(nets)),
                None => writeln!(text, "\t\tmeta nfproto {} return", protocol_family(family)),
            };
        }
    }
    for accept in &gate.accepts {
        for from in origins(&accept.peers, other) {
            for to in destinations(&accept.ports) {
                let _ = writeln!(text, "\t\t{from}{to}return{}", comment(accept));
            }
        }
    }
    if gate.refusal == Refusal::DropFirstSyn {
        for (family, name) in [(Family::Ipv4, "seen4"), (Family::Ipv6, "seen6")] {
            let ip = keyword(family);
            let syn = "tcp flags & (fin | syn | rst | ack) == syn";
            let tuple = format!("{ip} saddr . tcp sport . {ip} daddr . tcp dport");
            let _ = writeln!(text, "\t\t{syn} {tuple} @{name} return");
            let _ = writeln!(text, "\t\t{syn} add @{name} {{ {tuple} }} drop");
        }
    }
    text.push_str("\t\tdrop\n");
    text
}

/// Matches on the other end's address: one for each rule that is needed; an empty one matches everything.
fn origins(peers: &Peers, field: &str) -> Vec<String> {
    let Peers::Listed { blocks, addresses } = peers else {
        return vec![String::new()];
    };
    let mut plain = by_family(addresses);
    let mut found = Vec::new();
    for block in blocks {
        let family = Family::of(block.cidr.addr());
        if block.except.is_empty() {
            plain.entry(family).or_default().push(block.cidr);
        } else {
            let ip = keyword(family);
            found.push(format!(
                "{ip} {field} {} {ip} {field} != {} ",
                block.cidr,
                set(&block.except)
            ));
        }
    }
    found.extend(
        plain
            .iter()
            .map(|(family, nets)| format!("{} {field} {} ", keyword(*family), set(nets))),
    );
    found
}

/// Matches on the destination port: one for each rule that is needed.
fn destinations(ports: &Ports) -> Vec<String> {
    let Ports::Listed(ranges) = ports else {
        return vec![String::new()];
    };
    Protocol::ALL
        .into_iter()
        .filter_map(|protocol| {
            let mut ranges: Vec<PortRange> = ranges
                .iter()
                .filter(|range| range.protocol == protocol)
                .copied()
                .collect();
            ranges.sort_unstable();
            let merged = merge(&ranges);
            let name = protocol.as_str().to_ascii_lowercase();
            if merged.is_empty() {
                None
            } else if merged.contains(&PortRange::all(protocol)) {
                Some(format!("meta l4proto {name} "))
            } else {
                let elements: Vec<String> = merged
                    .iter()
                    .map(|range| {
                        if range.first == range.last {
                            range.first.to_string()
                        } else {
                            format!("{}-{}", range.first, range.last)
                        }
                    })
                    .collect();
                Some(format!("{name} dport {{ {} }} ", elements.join(", ")))
            }
        })
        .collect()
}

/// Joins sorted ranges that overlap: nft refuses them in one set.
fn merge(sorted: &[PortRange]) -> Vec<PortRange> {
    let mut merged: Vec<PortRange> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.first <= last.last => last.last = last.last.max(range.last),
            _ => merged.push(*range),
        }
    }
    merged
}

fn by_family(addresses: &[IpAddr]) -> BTreeMap<Family, Vec<IpNet>> {
    let mut found: BTreeMap<Family, Vec<IpNet>> = BTreeMap::new();
    for address in addresses {
        found
            .entry(Family::of(*address))
            .or_default()
            .push(IpNet::from(*address));
    }
    found
}

/// A set of networks of one family, without overlaps: nft refuses them in an anonymous set.
fn set(nets: &[IpNet]) -> String {
    let nets: Vec<String> = IpNet::aggregate(&nets.to_vec())
        .iter()
        .map(|net| {
            if net.prefix_len() == net.max_prefix_len() {
                net.addr().to_string()
            } else {
                net.to_string()
            }
        })
        .collect();
    format!("{{ {} }}", nets.join(", "))
}

const fn keyword(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    }
}

const fn protocol_family(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

/// The rule's name beside it, for who reads `nft list ruleset`; left out when it is no plain Kubernetes name,
/// since a quote in it would end the text, and nft takes at most 128 bytes.
fn comment(accept: &Accept) -> String {
    let Origin { policy, index } = &accept.origin;
    let text = format!("{policy}[{index}]");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-./[]".contains(&byte);
    if text.len() < 128 && text.bytes().all(plain) {
        format!(" comment \"{text}\"")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cluster::ObjectName, lab::literal::Block};

    fn gate(way: Way, accepts: Vec<Accept>, refusal: Refusal) -> Gate {
        Gate {
            pod: ObjectName::new("demo", "web"),
            way,
            addresses: vec!["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
            scope: Scope::Everybody,
            accepts,
            by_bare_denial: false,
            refusal,
        }
    }

    fn accept(policy: &str) -> Accept {
        let range = |first, last| PortRange {
            protocol: Protocol::Tcp,
            first,
            last,
        };
        Accept {
            peers: Peers::Listed {
                blocks: vec![
                    Block {
                        cidr: "10.0.0.0/8".parse().unwrap(),
                        except: vec!["10.1.0.0/16".parse().unwrap(), "10.1.2.0/24".parse().unwrap()],
                    },
                    Block {
                        cidr: "192.0.2.0/24".parse().unwrap(),
                        except: Vec::new(),
                    },
                ],
                addresses: vec!["192.0.2.7".parse().unwrap(), "fd00::7".parse().unwrap()],
            },
            ports: Ports::Listed(vec![range(80, 90), range(85, 95), range(443, 443)]),
            origin: Origin {
                policy: ObjectName::new("demo", policy),
                index: 1,
            },
        }
    }

    fn rendered(gates: Vec<Gate>) -> String {
        render(&Table {
            gates,
            without_entries: Vec::new(),
        })
    }

    #[test]
    fn overlaps_are_joined_and_exceptions_stay_with_their_block() {
        let text = rendered(vec![gate(Way::Ingress, vec![accept("web")], Refusal::Drop)]);
        let chain = text
            .split_once("chain gate0 {\n")
            .unwrap()
            .1
            .split_once("\t}")
            .unwrap()
            .0;
        let ports = "tcp dport { 80-95, 443 } return comment \"demo/web[1]\"";
        assert_eq!(
            chain,
            format!(
                "\t\tip saddr 10.0.0.0/8 ip saddr != {{ 10.1.0.0/16 }} {ports}\n\
                 \t\tip saddr {{ 192.0.2.0/24 }} {ports}\n\
                 \t\tip6 saddr {{ fd00::7 }} {ports}\n\
                 \t\tdrop\n"
            )
        );
    }

    #[test]
    fn egress_is_asked_before_ingress_and_equal_gates_share_a_chain() {
        let text = rendered(vec![
            gate(Way::Ingress, Vec::new(), Refusal::Drop),
            gate(Way::Egress, Vec::new(), Refusal::Drop),
        ]);
        assert_eq!(text.matches("chain gate").count(), 1);
        assert!(
            text.find("ip saddr vmap").unwrap() < text.find("ip daddr vmap").unwrap(),
            "{text}"
        );
    }

    #[test]
    fn a_hostile_name_does_not_reach_the_rules() {
        for name in ["x\" accept; #", "x\ny", &"x".repeat(300)] {
            let text = rendered(vec![gate(Way::Egress, vec![accept(name)], Refusal::Drop)]);
            assert!(!text.contains(name) && !text.contains("comment"), "{text}");
        }
    }
}
