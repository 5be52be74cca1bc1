//! The rules of a node as text for `ipset restore` and `iptables-legacy-restore`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
};

use ipnet::IpNet;

use super::{
    render::{FAMILIES, label, merged},
    rules::{Gate, Scope, Table},
};
use crate::{
    cluster::Action,
    lab::literal::{Block, Origin, Peers, PortRange, Ports, Ruling, Way},
    net::{Family, Protocol},
};

/// How the names of the enforcer's sets begin; it touches no others.
pub(super) const SET_PREFIX: &str = "npv-";
/// `multiport` takes so many ports; a range counts as two.
const MULTIPORT: usize = 15;

/// Connections that were let through stay, as R27 leaves it to the implementation, and so do ICMP errors about them. A SYN opens
/// one anew, whatever is known of its addresses and ports.
const KNOWN_FLOWS: [&str; 3] = [
    "-m conntrack --ctstate RELATED -j ACCEPT",
    "-p tcp ! --syn -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    "! -p tcp -m conntrack --ctstate ESTABLISHED -j ACCEPT",
];

/// What is to be loaded.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// What makes each set, by name.
    pub(super) sets: BTreeMap<String, String>,
    v4: String,
    v6: String,
}

impl Texts {
    /// The filter table of a family, whole.
    pub(super) fn table(&self, family: Family) -> &str {
        match family {
            Family::Ipv4 => &self.v4,
            Family::Ipv6 => &self.v6,
        }
    }
}

/// The same rules as nftables gets: known flows pass, egress is asked and then ingress, the node itself is exempt (R21), and
/// of what a pod sends to its own node only the administrators' tiers are asked (R22).
pub(super) fn render(table: &Table) -> Texts {
    let mut texts = Texts::default();
    for family in FAMILIES {
        let mut chains = Chains {
            family,
            names: BTreeMap::new(),
            sets: &mut texts.sets,
        };
        let text = chains.table(table);
        match family {
            Family::Ipv4 => texts.v4 = text,
            Family::Ipv6 => texts.v6 = text,
        }
    }
    texts
}

/// The chains of one family. Gates with equal rules share them.
struct Chains<'a> {
    family: Family,
    /// The names, by what is in them: the parts of rules behind `-A NAME`.
    names: BTreeMap<Vec<String>, String>,
    sets: &'a mut BTreeMap<String, String>,
}

impl Chains<'_> {
    fn table(&mut self, table: &Table) -> String {
        let (mut forwarded, mut local) = (self.known(table), Vec::new());
        for way in [Way::Egress, Way::Ingress] {
            for gate in table.gates.iter().filter(|gate| gate.way == way) {
                let chain = self.of_gate(gate);
                let own = if way == Way::Egress { "-s" } else { "-d" };
                forwarded.extend(self.jumps(gate, own, &chain));
                if let Some(chain) = self.towards_own_node(gate) {
                    local.extend(self.jumps(gate, own, &chain));
                }
            }
        }
        if !local.is_empty() {
            local.splice(0..0, KNOWN_FLOWS.map(str::to_owned));
        }
        let hooks = [
            ("FORWARD", "NPV-FORWARD", forwarded),
            ("INPUT", "NPV-LOCAL", local),
        ];
        let mut text =
            "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n".to_owned();
        // Without gates nothing of ours stays.
        if !table.gates.is_empty() {
            let hooks = hooks.iter().filter(|(_, _, rules)| !rules.is_empty());
            let own = hooks.clone().map(|(_, name, rules)| (*name, rules));
            let chains = own.chain(self.names.iter().map(|(rules, name)| (&**name, rules)));
            // All chains before the first rule that jumps to one. Writing to a String cannot fail, here and below.
            for (name, _) in chains.clone() {
                let _ = writeln!(text, ":{name} - [0:0]");
            }
            for (hook, name, _) in hooks {
                let _ = writeln!(text, "-A {hook} -j {name}");
            }
            for (name, rules) in chains {
                for rule in rules {
                    let _ = writeln!(text, "-A {name} {rule}");
                }
            }
        }
        text.push_str("COMMIT\n");
        text
    }

    /// What passes, or does not, whatever the gates say.
    fn known(&self, table: &Table) -> Vec<String> {
        let mut rules = Vec::new();
        if self.family == Family::Ipv6 {
            // Neighbour discovery, seen here when a bridge carries it.
            rules.extend(
                (133..=136).map(|kind| format!("-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j ACCEPT")),
            );
        }
        for address in self.own(&table.without_entries) {
            rules.push(format!(
                "-d {address} -m conntrack --ctstate ESTABLISHED --ctdir REPLY -j DROP"
            ));
        }
        rules.extend(KNOWN_FLOWS.map(str::to_owned));
        rules
    }

    fn own<'t>(&self, addresses: &'t [IpAddr]) -> impl Iterator<Item = &'t IpAddr> + use<'t> {
        let family = self.family;
        addresses
            .iter()
            .filter(move |address| Family::of(**address) == family)
    }

    fn nets(&self, addresses: &[IpAddr]) -> Vec<IpNet> {
        self.own(addresses).copied().map(IpNet::from).collect()
    }

    fn jumps(&self, gate: &Gate, own: &str, chain: &str) -> Vec<String> {
        self.own(&gate.addresses)
            .map(|address| format!("{own} {address} -j {chain}"))
            .collect()
    }

    fn chain(&mut self, rules: Vec<String>) -> String {
        let next = format!("NPV-GATE{}", self.names.len());
        self.names.entry(rules).or_insert(next).clone()
    }

    fn of_gate(&mut self, gate: &Gate) -> String {
        let rest = if gate.isolates {
            let mut rules = Vec::new();
            for accept in &gate.accepts {
                rules.extend(self.lines(
                    gate.way,
                    &accept.peers,
                    &accept.ports,
                    "-j RETURN",
                    &accept.origin,
                ));
            }
            rules.push("-j DROP".to_owned());
            rules
        } else {
            self.rulings(gate.way, &gate.baseline, "-j RETURN")
        };
        self.behind_admin(gate, rest)
    }

    fn towards_own_node(&mut self, gate: &Gate) -> Option<String> {
        let has_tiers = !gate.admin.is_empty() || !gate.isolates && !gate.baseline.is_empty();
        (gate.way == Way::Egress && has_tiers).then(|| {
            let rest = if gate.isolates {
                Vec::new()
            } else {
                self.rulings(gate.way, &gate.baseline, "-j RETURN")
            };
            self.behind_admin(gate, rest)
        })
    }

    fn behind_admin(&mut self, gate: &Gate, rest: Vec<String>) -> String {
        let mut rules = self.scope(gate);
        if gate.admin.is_empty() {
            rules.extend(rest);
            return self.chain(rules);
        }
        // By goto, so that a RETURN in there goes back to the hook.
        let pass = format!("-g {}", self.chain(rest));
        rules.extend(self.rulings(gate.way, &gate.admin, &pass));
        rules.push(pass);
        self.chain(rules)
    }

    /// Lets pass whom the gate does not look at.
    fn scope(&mut self, gate: &Gate) -> Vec<String> {
        let Scope::Only(addresses) = &gate.scope else {
            return Vec::new();
        };
        let nets = self.nets(addresses);
        if nets.is_empty() {
            return vec!["-j RETURN".to_owned()];
        }
        let set = self.set(&nets, &[]);
        vec![format!(
            "-m set ! --match-set {set} {} -j RETURN",
            other_end(gate.way)
        )]
    }

    fn rulings(&mut self, way: Way, rulings: &[Ruling], pass: &str) -> Vec<String> {
        let mut rules = Vec::new();
        for ruling in rulings {
            let verdict = match ruling.action {
                Action::Accept => "-j RETURN",
                Action::Deny => "-j DROP",
                Action::Pass => pass,
            };
            rules.extend(self.lines(way, &ruling.peers, &ruling.ports, verdict, &ruling.origin));
        }
        rules
    }

    /// The verdict on some of the traffic: one line for each rule that is needed.
    fn lines(
        &mut self,
        way: Way,
        peers: &Peers,
        ports: &Ports,
        verdict: &str,
        origin: &Origin,
    ) -> Vec<String> {
        let comment =
            label(origin).map_or_else(String::new, |label| format!("-m comment --comment \"{label}\" "));
        let mut rules = Vec::new();
        for peer in self.matches(way, peers) {
            for port in destinations(ports) {
                rules.push(format!("{peer}{port}{comment}{verdict}"));
            }
        }
        rules
    }

    /// Matches on the other end's address: one for each rule that is needed; an empty one matches everything.
    fn matches(&mut self, way: Way, peers: &Peers) -> Vec<String> {
        let Peers::Listed { blocks, addresses } = peers else {
            return vec![String::new()];
        };
        let mut plain = self.nets(addresses);
        let mut sets = Vec::new();
        let family = self.family;
        for Block { cidr, except } in blocks
            .iter()
            .filter(|block| Family::of(block.cidr.addr()) == family)
        {
            if except.is_empty() {
                plain.push(*cidr);
            } else {
                // A set of its own: an exception must not reach another block.
                sets.push(self.set(&[*cidr], except));
            }
        }
        if !plain.is_empty() {
            sets.push(self.set(&plain, &[]));
        }
        sets.into_iter()
            .map(|set| format!("-m set --match-set {set} {} ", other_end(way)))
            .collect()
    }

    /// The set of these networks without those; its name.
    fn set(&mut self, nets: &[IpNet], except: &[IpNet]) -> String {
        let mut elements = String::new();
        for (nets, suffix) in [(nets, ""), (except, " nomatch")] {
            for net in IpNet::aggregate(&nets.to_vec()).into_iter().flat_map(halves) {
                let _ = writeln!(elements, "{net}{suffix}");
            }
        }
        let mut hasher = DefaultHasher::new();
        elements.hash(&mut hasher);
        let (digit, family) = match self.family {
            Family::Ipv4 => (4, "inet"),
            Family::Ipv6 => (6, "inet6"),
        };
        let name = format!("{SET_PREFIX}{digit}-{:016x}", hasher.finish());
        let mut text = format!("create {name} hash:net family {family} maxelem 1048576\n");
        for element in elements.lines() {
            let _ = writeln!(text, "add {name} {element}");
        }
        self.sets.insert(name.clone(), text);
        name
    }
}

/// `hash:net` cannot hold the network of all addresses; its halves it can.
fn halves(net: IpNet) -> Vec<IpNet> {
    if net.prefix_len() > 0 {
        return vec![net];
    }
    net.subnets(1).map_or_else(|_| vec![net], Iterator::collect)
}

/// Which address of a packet a set is asked for.
const fn other_end(way: Way) -> &'static str {
    match way {
        Way::Egress => "dst",
        Way::Ingress => "src",
    }
}

/// Matches on the destination port: one for each rule that is needed.
fn destinations(ports: &Ports) -> Vec<String> {
    let Ports::Listed(ranges) = ports else {
        return vec![String::new()];
    };
    Protocol::ALL
        .into_iter()
        .flat_map(|protocol| {
            let merged = merged(ranges, protocol);
            let name = protocol.as_str().to_ascii_lowercase();
            if merged.contains(&PortRange::all(protocol)) {
                return vec![format!("-p {name} ")];
            }
            // Each may be a range.
            merged
                .chunks(MULTIPORT / 2)
                .map(|some| {
                    let ports: Vec<String> = some.iter().map(written).collect();
                    format!("-p {name} -m multiport --dports {} ", ports.join(","))
                })
                .collect()
        })
        .collect()
}

fn written(range: &PortRange) -> String {
    if range.first == range.last {
        range.first.to_string()
    } else {
        format!("{}:{}", range.first, range.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::ObjectName,
        lab::enforcer::rules::{Destination, Refusal},
    };

    fn ruling(action: Action, cidr: &str, except: &[&str], ports: Ports) -> Ruling {
        Ruling {
            action,
            peers: Peers::Listed {
                blocks: vec![Block {
                    cidr: cidr.parse().unwrap(),
                    except: except.iter().map(|net| net.parse().unwrap()).collect(),
                }],
                addresses: Vec::new(),
            },
            ports,
            origin: Origin {
                policy: ObjectName::new("demo", "web"),
                index: 1,
            },
        }
    }

    fn gate(admin: Vec<Ruling>) -> Table {
        Table {
            gates: vec![Gate {
                pod: ObjectName::new("demo", "web"),
                way: Way::Egress,
                addresses: vec!["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
                scope: Scope::Everybody,
                admin,
                isolates: true,
                accepts: Vec::new(),
                by_bare_denial: false,
                baseline: Vec::new(),
                refusal: Refusal::Drop,
                destination: Destination::Behind,
            }],
            ..Table::default()
        }
    }

    fn ports(numbers: std::ops::Range<u16>) -> Ports {
        // Even ones, so that none touch.
        let each = numbers.map(|number| PortRange {
            protocol: Protocol::Sctp,
            first: number * 2,
            last: number * 2,
        });
        Ports::Listed(each.collect())
    }

    #[test]
    fn all_addresses_are_two_halves_and_an_exception_wins_over_its_half() {
        let texts = render(&gate(vec![ruling(
            Action::Deny,
            "0.0.0.0/0",
            &["128.0.0.0/1"],
            Ports::Any,
        )]));
        let set = texts.sets.values().next().unwrap();
        let elements: Vec<&str> = set
            .lines()
            .skip(1)
            .filter_map(|line| line.split(' ').nth(2))
            .collect();
        assert_eq!(elements, ["0.0.0.0/1", "128.0.0.0/1", "128.0.0.0/1"]);
        assert!(set.ends_with("128.0.0.0/1 nomatch\n"), "{set}");
    }

    #[test]
    fn a_rule_has_no_more_ports_than_multiport_takes() {
        let texts = render(&gate(vec![ruling(
            Action::Accept,
            "10.0.0.0/8",
            &[],
            ports(1..40),
        )]));
        let rules: Vec<&str> = texts
            .v4
            .lines()
            .filter(|line| line.contains("multiport"))
            .collect();
        // Towards other pods, and towards the own node.
        assert_eq!(rules.len(), 2 * 39_usize.div_ceil(7), "{rules:?}");
        assert!(rules.iter().all(|rule| rule.matches(',').count() < MULTIPORT / 2));
        assert!(!texts.v6.contains("multiport"), "{}", texts.v6);
    }

    #[test]
    fn without_gates_nothing_is_left() {
        let texts = render(&Table::default());
        assert!(texts.sets.is_empty());
        for family in FAMILIES {
            assert!(!texts.table(family).contains("NPV") && texts.table(family).ends_with("COMMIT\n"));
        }
    }
}
