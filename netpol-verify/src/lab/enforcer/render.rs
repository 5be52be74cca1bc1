//! The rules of a node as text for `nft -f -`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::IpAddr,
};

use super::{
    render_engine::{after_gates, before_gates, between_gates, known_flows, other_hooks},
    rules::{Destination, Gate, Refusal, Scope, Table},
};
use crate::{
    cluster::Action,
    lab::literal::{Origin, Peers, PortRange, Ports, Ruling, Way},
    net::{Family, Protocol},
};

/// The table that the enforcer owns; it touches no other.
pub(super) const TABLE: &str = "inet npv_policy";

pub(super) const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// Text that removes a table, whether or not it is there.
pub(in crate::lab) fn removal(table: &str) -> String {
    format!("table {table} {{ }}\ndelete table {table}\n")
}

/// Text that makes a table empty and leaves its hooks in place.
pub(super) fn emptied(table: &str) -> String {
    format!("table {table} {{ }}\nflush table {table}\n")
}

/// Text that replaces all rules of the table, in one transaction that is one for packets too. To nftables' user it always is; to
/// a packet under way it is so only in these bounds (measured on Linux 6.18, `net/netfilter/nf_tables_api.c`):
///
/// - The hooks stay. A table that is deleted and made anew has two hooks for a moment: a packet that goes through the new one
///   before the change, where it is empty, and through the old one behind it, is asked by neither.
/// - No maps. Their elements go one by one with the rule that names them (`nft_map_deactivate`), so that a packet in the old rules
///   does not find its gate, and passes.
/// - No sets of ranges or networks. Such a set is searched only some microseconds after its rules are in force
///   (`nft_set_commit_update`), and until then it holds nothing.
///
/// ```text
///  forward: neighbour discovery, then known flows -> accept
///           source is an isolated pod here         -> its egress chain:  accepted? back : drop
///           destination is an isolated pod here    -> its ingress chain: accepted? back : drop
///           the rest                               -> accept
///  local:   what a pod sends to its own node, of the administrators' tiers alone
/// ```
///
/// An accepted egress goes *back*, so that ingress is still asked when both pods share the node.
/// The node itself sends by the output hook and is thereby exempt (R21).
pub(super) fn render(table: &Table, bridged: bool) -> String {
    let mut text = emptied(TABLE);
    let mut chains = Chains::default();
    let mut maps: BTreeMap<(Hook, Family), BTreeMap<IpAddr, String>> = BTreeMap::new();
    for gate in &table.gates {
        let forwarded = chains.of_gate(gate);
        let hook = Hook::Forwarded(gate.way);
        let places = std::iter::once((hook, forwarded));
        for (hook, chain) in places.chain(chains.towards_own_node(gate).map(|chain| (Hook::Local, chain))) {
            for address in &gate.addresses {
                maps.entry((hook, Family::of(*address)))
                    .or_default()
                    .insert(*address, chain.clone());
            }
        }
    }

    let mut forgotten = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(text, "table {TABLE} {{");
    if table
        .gates
        .iter()
        .any(|gate| gate.refusal == Refusal::DropFirstSyn)
    {
        for (name, kind) in [("seen4", "ipv4_addr"), ("seen6", "ipv6_addr")] {
            // What it knows from before goes with the rules.
            let _ = writeln!(forgotten, "flush set {TABLE} {name}");
            let _ = writeln!(
                text,
                "\tset {name} {{ type {kind} . inet_service . {kind} . inet_service; size 65535; flags dynamic,timeout; timeout 1m; }}"
            );
        }
        let _ = write!(text, "\tchain {FIRST_SYN} {{\n{}\t}}\n", first_syn());
    }
    for (name, body) in chains.named() {
        let _ = write!(text, "\tchain {name} {{\n{body}\t}}\n");
    }
    text.push_str("\tchain forwarded {\n\t\ttype filter hook forward priority filter; policy accept;\n");
    // Seen here when a bridge carries it (br_netfilter); without it no packet of either kind would follow.
    text.push_str(
        "\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept\n",
    );
    text.push_str(&each_family(&table.without_entries, |ip, set| {
        format!("ct state established ct direction reply {ip} daddr {set} drop")
    }));
    text.push_str(&before_gates(table));
    for way in [Way::Egress, Way::Ingress] {
        if table.engine.asks_gates {
            let own = if way == Way::Egress { "saddr" } else { "daddr" };
            text.push_str(&dispatch(&maps, Hook::Forwarded(way), own));
        }
        if way == Way::Egress {
            text.push_str(&between_gates(table));
        }
    }
    text.push_str(&after_gates(table));
    text.push_str("\t}\n");
    let local = dispatch(&maps, Hook::Local, "saddr");
    if !local.is_empty() && table.engine.asks_gates {
        text.push_str("\tchain local {\n\t\ttype filter hook input priority filter; policy accept;\n");
        text.push_str("\t\tct state related accept\n");
        text.push_str(&known_flows());
        text.push_str(&local);
        text.push_str("\t}\n");
    }
    text.push_str(&other_hooks(table, bridged));
    text.push_str("}\n");
    text + &forgotten
}

/// From where gates are asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hook {
    /// What the node forwards.
    Forwarded(Way),
    /// What pods send to the node itself.
    Local,
}

/// The jumps from a hook to the gates before the addresses in that field.
fn dispatch(maps: &BTreeMap<(Hook, Family), BTreeMap<IpAddr, String>>, hook: Hook, field: &str) -> String {
    let mut text = String::new();
    for family in FAMILIES {
        let mut behind: BTreeMap<&str, Vec<IpAddr>> = BTreeMap::new();
        for (address, chain) in maps.get(&(hook, family)).into_iter().flatten() {
            behind.entry(chain).or_default().push(*address);
        }
        for (chain, addresses) in behind {
            let _ = writeln!(
                text,
                "\t\t{} {field} {} jump {chain}",
                keyword(family),
                set(&addresses)
            );
        }
    }
    text
}

/// The chains that gates consist of. Gates with equal rules share them.
#[derive(Default)]
struct Chains {
    /// The names, by what is in them.
    names: BTreeMap<String, String>,
}

impl Chains {
    fn named(&self) -> Vec<(&str, &str)> {
        let mut named: Vec<(&str, &str)> = self.names.iter().map(|(body, name)| (&**name, &**body)).collect();
        named.sort_by_key(|(name, _)| (name.len(), *name));
        named
    }

    fn of(&mut self, body: String) -> String {
        let next = format!("gate{}", self.names.len());
        self.names.entry(body).or_insert(next).clone()
    }

    /// The whole gate.
    fn of_gate(&mut self, gate: &Gate) -> String {
        let rest = if gate.isolates {
            accepts(gate)
        } else {
            rulings(gate, &gate.baseline, "return")
        };
        self.behind_admin(gate, rest)
    }

    /// The gate before the pod's own node. Whether NetworkPolicies hold there the specification leaves open (R22), and here they
    /// do not; the administrators' tiers do.
    fn towards_own_node(&mut self, gate: &Gate) -> Option<String> {
        let has_tiers = !gate.admin.is_empty() || !gate.isolates && !gate.baseline.is_empty();
        (gate.way == Way::Egress && has_tiers).then(|| {
            let rest = if gate.isolates {
                String::new()
            } else {
                rulings(gate, &gate.baseline, "return")
            };
            self.behind_admin(gate, rest)
        })
    }

    /// A chain of the administrators' first word and of what follows it.
    fn behind_admin(&mut self, gate: &Gate, rest: String) -> String {
        let scope = scope(gate);
        if gate.admin.is_empty() {
            return self.of(scope + &rest);
        }
        let rest = self.of(rest);
        // By goto, so that a return in there goes back to the hook.
        let pass = format!("goto {rest}");
        self.of(format!(
            "{scope}{}\t\t{pass}\n",
            rulings(gate, &gate.admin, &pass)
        ))
    }
}

/// The field of the other end's address.
fn other_end(gate: &Gate, family: Family) -> String {
    let ip = keyword(family);
    match (gate.way, gate.destination) {
        (Way::Egress, Destination::Dialled) => format!("ct original {ip} daddr"),
        (Way::Egress, Destination::Behind | Destination::DialledPort) => format!("{ip} daddr"),
        (Way::Ingress, _) => format!("{ip} saddr"),
    }
}

/// The field of the destination's port.
fn port_field(gate: &Gate, protocol: &str) -> String {
    match gate.destination {
        Destination::Behind => format!("{protocol} dport"),
        Destination::Dialled | Destination::DialledPort => {
            format!("meta l4proto {protocol} ct original proto-dst")
        }
    }
}

/// Lets pass whom the gate does not look at.
fn scope(gate: &Gate) -> String {
    let mut text = String::new();
    if let Scope::Only(addresses) = &gate.scope {
        let known = by_family(addresses);
        for family in FAMILIES {
            let _ = match known.get(&family) {
                Some(known) => writeln!(text, "\t\t{} != {} return", other_end(gate, family), set(known)),
                None => writeln!(text, "\t\tmeta nfproto {} return", protocol_family(family)),
            };
        }
    }
    text
}

/// What NetworkPolicies let through; the rest is refused.
fn accepts(gate: &Gate) -> String {
    let mut text: String = gate
        .accepts
        .iter()
        .map(|accept| lines(gate, &accept.peers, &accept.ports, "return", &accept.origin))
        .collect();
    let _ = writeln!(text, "\t\t{}", refusal(gate.refusal));
    text
}

/// What the rulings of a tier do, in their order.
fn rulings(gate: &Gate, rulings: &[Ruling], pass: &str) -> String {
    rulings
        .iter()
        .map(|ruling| {
            let verdict = match ruling.action {
                Action::Accept => "return",
                Action::Deny => refusal(gate.refusal),
                Action::Pass => pass,
            };
            lines(gate, &ruling.peers, &ruling.ports, verdict, &ruling.origin)
        })
        .collect()
}

/// The verdict on some of the traffic: one line for each rule that is needed.
fn lines(gate: &Gate, peers: &Peers, ports: &Ports, verdict: &str, origin: &Origin) -> String {
    let mut text = String::new();
    for from in origins(gate, peers) {
        for to in destinations(gate, ports) {
            let _ = writeln!(text, "\t\t{from}{to}{verdict}{}", comment(origin));
        }
    }
    text
}

/// The chain that lets the retransmission of a SYN pass.
const FIRST_SYN: &str = "first_syn";

const fn refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Drop => "drop",
        Refusal::DropFirstSyn => "goto first_syn",
    }
}

fn first_syn() -> String {
    let mut text = String::new();
    for (family, name) in [(Family::Ipv4, "seen4"), (Family::Ipv6, "seen6")] {
        let ip = keyword(family);
        let syn = "tcp flags & (fin | syn | rst | ack) == syn";
        let tuple = format!("{ip} saddr . tcp sport . {ip} daddr . tcp dport");
        let _ = writeln!(text, "\t\t{syn} {tuple} @{name} return");
        let _ = writeln!(text, "\t\t{syn} add @{name} {{ {tuple} }} drop");
    }
    text.push_str("\t\tdrop\n");
    text
}

/// Matches on the other end's address: one for each rule that is needed; an empty one matches everything.
fn origins(gate: &Gate, peers: &Peers) -> Vec<String> {
    let Peers::Listed { blocks, addresses } = peers else {
        return vec![String::new()];
    };
    let blocks = blocks.iter().map(|block| {
        let field = other_end(gate, Family::of(block.cidr.addr()));
        let except = block.except.iter().map(|net| format!("{field} != {net} "));
        format!("{field} {} ", block.cidr) + &except.collect::<String>()
    });
    let addresses = by_family(addresses).into_iter();
    let addresses =
        addresses.map(|(family, addresses)| format!("{} {} ", other_end(gate, family), set(&addresses)));
    blocks.chain(addresses).collect()
}

/// Matches on the destination port: one for each rule that is needed.
fn destinations(gate: &Gate, ports: &Ports) -> Vec<String> {
    let Ports::Listed(ranges) = ports else {
        return vec![String::new()];
    };
    let mut found = Vec::new();
    for protocol in Protocol::ALL {
        let name = protocol.as_str().to_ascii_lowercase();
        let merged = merged(ranges, protocol);
        if merged.contains(&PortRange::all(protocol)) {
            found.push(format!("meta l4proto {name} "));
            continue;
        }
        let field = port_field(gate, &name);
        let (single, wide): (Vec<_>, Vec<_>) = merged.iter().partition(|range| range.first == range.last);
        found.extend(
            wide.iter()
                .map(|range: &PortRange| format!("{field} {}-{} ", range.first, range.last)),
        );
        if !single.is_empty() {
            let single: Vec<String> = single.iter().map(|range| range.first.to_string()).collect();
            found.push(format!("{field} {{ {} }} ", single.join(", ")));
        }
    }
    found
}

/// The ranges of one protocol, with those joined that overlap: nft refuses them in one set.
pub(super) fn merged(ranges: &[PortRange], protocol: Protocol) -> Vec<PortRange> {
    let mut sorted: Vec<PortRange> = ranges
        .iter()
        .filter(|range| range.protocol == protocol)
        .copied()
        .collect();
    sorted.sort_unstable();
    let mut merged: Vec<PortRange> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.first <= last.last => last.last = last.last.max(range.last),
            _ => merged.push(range),
        }
    }
    merged
}

pub(super) fn by_family(addresses: &[IpAddr]) -> BTreeMap<Family, Vec<IpAddr>> {
    let mut found: BTreeMap<Family, Vec<IpAddr>> = BTreeMap::new();
    for address in addresses {
        found.entry(Family::of(*address)).or_default().push(*address);
    }
    found
}

/// A rule for the addresses of each family that has some, by the family's keyword and their set.
pub(super) fn each_family(addresses: &[IpAddr], rule: impl Fn(&str, &str) -> String) -> String {
    by_family(addresses)
        .iter()
        .map(|(family, addresses)| format!("\t\t{}\n", rule(keyword(*family), &set(addresses))))
        .collect()
}

/// A set of addresses of one family.
pub(super) fn set(addresses: &[IpAddr]) -> String {
    let addresses: BTreeSet<IpAddr> = addresses.iter().copied().collect();
    let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    format!("{{ {} }}", addresses.join(", "))
}

pub(in crate::lab) const fn keyword(family: Family) -> &'static str {
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

/// The rule's name beside it, for who reads `nft list ruleset`.
fn comment(origin: &Origin) -> String {
    label(origin).map_or_else(String::new, |label| format!(" comment \"{label}\""))
}

/// The rule's name; nothing when it is no plain Kubernetes name.
pub(super) fn label(origin: &Origin) -> Option<String> {
    let Origin { policy, index } = origin;
    plain(format!("{policy}[{index}]"))
}

/// A text that may stand in quotes in rules; nothing where it may not, since a quote in it would end them, and nft takes at most
/// 128 bytes.
pub(in crate::lab) fn plain(text: String) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-./[]".contains(&byte);
    (text.len() < 128 && text.bytes().all(is_plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::ObjectName,
        lab::literal::{Accept, Block},
    };

    fn gate(way: Way, accepts: Vec<Accept>, refusal: Refusal) -> Gate {
        Gate {
            pod: ObjectName::new("demo", "web"),
            way,
            addresses: vec!["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
            scope: Scope::Everybody,
            admin: Vec::new(),
            isolates: true,
            accepts,
            by_bare_denial: false,
            baseline: Vec::new(),
            refusal,
            destination: Destination::Behind,
        }
    }

    fn ruling(action: Action, origin: &str) -> Ruling {
        Ruling {
            action,
            peers: Peers::Listed {
                blocks: Vec::new(),
                addresses: vec!["192.0.2.7".parse().unwrap()],
            },
            ports: Ports::Any,
            origin: accept(origin).origin,
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
        let table = Table {
            gates,
            ..Table::default()
        };
        render(&table, false)
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
        let of = |peer: &str| {
            let ports = ["tcp dport 80-95", "tcp dport { 443 }"];
            ports
                .map(|port| format!("\t\t{peer} {port} return comment \"demo/web[1]\"\n"))
                .concat()
        };
        let peers = [
            "ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16 ip saddr != 10.1.2.0/24",
            "ip saddr 192.0.2.0/24",
            "ip saddr { 192.0.2.7 }",
            "ip6 saddr { fd00::7 }",
        ];
        assert_eq!(chain, peers.map(of).concat() + "\t\tdrop\n");
    }

    #[test]
    fn egress_is_asked_before_ingress_and_equal_gates_share_a_chain() {
        let text = rendered(vec![
            gate(Way::Ingress, Vec::new(), Refusal::Drop),
            gate(Way::Egress, Vec::new(), Refusal::Drop),
        ]);
        assert_eq!(text.matches("chain gate").count(), 1);
        assert!(
            text.find("ip saddr { 10.0.0.2 } jump").unwrap()
                < text.find("ip daddr { 10.0.0.2 } jump").unwrap(),
            "{text}"
        );
        // What a packet under way would see half of: the bounds of `render`.
        assert!(!text.contains("delete") && !text.contains("vmap"), "{text}");
    }

    #[test]
    fn the_first_word_is_before_the_policies_and_the_last_only_without_them() {
        let mut tiers = gate(Way::Egress, Vec::new(), Refusal::Drop);
        tiers.admin = [Action::Pass, Action::Accept, Action::Deny]
            .map(|action| ruling(action, "first"))
            .into();
        tiers.baseline = vec![ruling(Action::Deny, "last")];
        let match_ = "\t\tip daddr { 192.0.2.7 }";
        let first = |rest: &str| {
            format!(
                "{{\n{match_} goto {rest} comment \"demo/first[1]\"\n{match_} return comment \"demo/first[1]\"\n\
                 {match_} drop comment \"demo/first[1]\"\n\t\tgoto {rest}\n\t}}"
            )
        };
        let text = rendered(vec![tiers.clone()]);
        assert!(text.contains("chain gate0 {\n\t\tdrop\n\t}"), "{text}");
        assert!(
            text.contains(&format!("chain gate1 {}", first("gate0"))),
            "{text}"
        );
        // Before the own node only the tiers are asked.
        assert!(text.contains("chain gate2 {\n\t}"), "{text}");
        assert!(
            text.contains(&format!("chain gate3 {}", first("gate2"))),
            "{text}"
        );
        assert!(!text.contains("last"), "{text}");
        tiers.isolates = false;
        let text = rendered(vec![tiers]);
        assert!(
            text.contains(&format!(
                "chain gate0 {{\n{match_} drop comment \"demo/last[1]\"\n\t}}"
            )),
            "{text}"
        );
        assert_eq!(text.matches("chain gate").count(), 2, "{text}");
    }

    #[test]
    fn a_hostile_name_does_not_reach_the_rules() {
        for name in ["x\" accept; #", "x\ny", &"x".repeat(300)] {
            let text = rendered(vec![gate(Way::Egress, vec![accept(name)], Refusal::Drop)]);
            assert!(!text.contains(name) && !text.contains("comment"), "{text}");
        }
    }
}
