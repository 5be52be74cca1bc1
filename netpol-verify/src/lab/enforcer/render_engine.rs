//! What the engine does besides asking the gates, as text: what comes before them, after them and in other hooks.

use std::{fmt::Write as _, net::IpAddr};

use super::{
    engine::{Accepted, KnownSyns, Unasked, Ungated, VXLAN_PORT},
    render::{by_family, each_family, emptied, keyword, set},
    rules::Table,
};
use crate::{lab::literal::Way, net::Family};

/// The table of the same name for frames that enter a bridge, where an `inet` hook does not know by which port.
pub(super) const BRIDGE_TABLE: &str = "bridge npv_policy";
/// A SYN and nothing else: it opens a connection.
const SYN: &str = "tcp flags & (fin | syn | rst | ack) == syn";

/// In the forward hook, before the gates.
pub(super) fn before_gates(table: &Table) -> String {
    let engine = &table.engine;
    let mut text = String::new();
    // Writing to a String cannot fail, here and below.
    if !engine.unpacks_for_pods {
        text.push_str(&no_tunnel(table));
    }
    if !engine.untracked.is_empty() {
        text.push_str("\t\tct state untracked drop\n");
    }
    for net in &engine.foreign_accepts {
        let _ = writeln!(text, "\t\t{} saddr {net} accept", keyword(Family::of(net.addr())));
    }
    text.push_str(&each_family(&engine.accepts_towards, |ip, set| {
        format!("{ip} daddr {set} accept")
    }));
    text.push_str(&unasked(&engine.unasked));
    text.push_str("\t\tct state related accept\n");
    if engine.remembers_flows {
        text.push_str(&known_flows());
        if engine.known_syns == KnownSyns::AgainstTheFlow {
            text.push_str("\t\tct state established ct direction reply accept\n");
        }
    }
    if engine.ungated == Ungated::Dropped {
        text.push_str("\t\tdrop\n");
    }
    text
}

/// Connections that were let through stay, as R27 leaves it to the implementation. A SYN opens one anew: were it let pass because
/// its addresses and ports are known, a refused attempt would open the way for one from the other side.
pub(super) fn known_flows() -> String {
    let not_opening = SYN.replace("==", "!=");
    format!(
        "\t\tct state established {not_opening} accept\n\t\tct state established meta l4proto != tcp accept\n"
    )
}

/// What passes because this node translated it.
fn unasked(unasked: &Unasked) -> String {
    match unasked {
        Unasked::Nothing => String::new(),
        Unasked::Translated => "\t\tct status dnat accept\n".to_owned(),
        Unasked::SentTo(addresses) => each_family(addresses, |ip, set| {
            format!("ct status dnat ct original {ip} daddr {set} accept")
        }),
    }
}

/// In the forward hook, between the gates of the source and those of the destination.
pub(super) fn between_gates(table: &Table) -> String {
    match table.engine.accepted {
        Accepted::Passes => gated(table, Way::Egress, "accept"),
        Accepted::NextGate | Accepted::FallsToDrop => String::new(),
    }
}

/// In the forward hook, after the gates.
pub(super) fn after_gates(table: &Table) -> String {
    match table.engine.accepted {
        Accepted::FallsToDrop => gated(table, Way::Egress, "drop") + &gated(table, Way::Ingress, "drop"),
        Accepted::NextGate | Accepted::Passes => String::new(),
    }
}

/// The verdict on what has come through a gate of that direction.
fn gated(table: &Table, way: Way, verdict: &str) -> String {
    let gates = table.gates.iter().filter(|gate| gate.way == way && gate.isolates);
    let addresses: Vec<IpAddr> = gates.flat_map(|gate| gate.addresses.clone()).collect();
    let field = if way == Way::Egress { "saddr" } else { "daddr" };
    each_family(&addresses, |ip, set| format!("{ip} {field} {set} {verdict}"))
}

/// The chains of other hooks.
pub(super) fn other_hooks(table: &Table, bridged: bool) -> String {
    let engine = &table.engine;
    let mut text = String::new();
    let mut chain = |name: &str, hook: &str, rules: &str| {
        if !rules.is_empty() {
            let _ = write!(
                text,
                "\tchain {name} {{\n\t\ttype {hook}; policy accept;\n{rules}\t}}\n"
            );
        }
    };
    if !engine.unpacks_for_pods {
        chain("tunnels", "filter hook input priority filter", &no_tunnel(table));
    }
    if !engine.takes_any_source && !bridged {
        chain(
            "sources",
            "filter hook prerouting priority -350",
            &own_sources(table),
        );
    }
    let not_opening = SYN.replace("==", "!=");
    let untracked = each_family(&engine.untracked, |ip, set| {
        format!("{ip} saddr {set} {not_opening} notrack")
    });
    chain("answers", "filter hook prerouting priority raw", &untracked);
    let own = by_family(&linked(table));
    let rewritten = |which: &str, to: &[IpAddr]| -> String {
        to.iter()
            .filter_map(|address| {
                let family = Family::of(*address);
                let (ip, own) = (keyword(family), set(own.get(&family)?));
                Some(format!(
                    "\t\t{which}{ip} saddr {own} {ip} daddr != {own} snat {ip} to {address}\n"
                ))
            })
            .collect()
    };
    let rewritten = rewritten("", &engine.rewrites_sources_to)
        + &rewritten("ct status dnat ", &engine.rewrites_clients_to);
    chain("leaving", "nat hook postrouting priority srcnat", &rewritten);
    text
}

/// The table beside, on a node with a bridge.
pub(super) fn beside(table: &Table) -> String {
    let mut text = emptied(BRIDGE_TABLE);
    let rules = own_sources(table);
    if !table.engine.takes_any_source && !rules.is_empty() {
        let _ = write!(
            text,
            "table {BRIDGE_TABLE} {{\n\tchain sources {{\n\t\ttype filter hook prerouting priority -350; policy accept;\n{rules}\t}}\n}}\n"
        );
    }
    text
}

/// Nothing that a pod has wrapped in VXLAN reaches the end of a tunnel.
fn no_tunnel(table: &Table) -> String {
    each_family(&linked(table), |ip, set| {
        format!("{ip} saddr {set} udp dport {VXLAN_PORT} drop")
    })
}

/// The addresses of the pods on the node.
fn linked(table: &Table) -> Vec<IpAddr> {
    let links = table.links.iter();
    links.flat_map(|link| link.addresses.clone()).collect()
}

/// From each pod's link only the pod's own addresses, and what IPv6 needs to find its neighbours.
fn own_sources(table: &Table) -> String {
    let mut text = String::new();
    for link in &table.links {
        for (family, addresses) in by_family(&link.addresses) {
            let ip = keyword(family);
            let neighbours = match family {
                Family::Ipv4 => String::new(),
                Family::Ipv6 => "ip6 saddr != fe80::/10 ip6 saddr != :: ".to_owned(),
            };
            let _ = writeln!(
                text,
                "\t\tiifname \"{}\" {neighbours}{ip} saddr != {} drop",
                link.interface,
                set(&addresses)
            );
        }
    }
    text
}
