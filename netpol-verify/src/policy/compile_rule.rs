//! A NetworkPolicy compiled: its subject, its directions, and its rules.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
};

use crate::cluster::{
    SourcedPolicy,
    cidr::{is_strict_subset, parse_cidr},
    path::FieldPath,
};

use super::{
    blocks::Block,
    compile::Report,
    compile_selector::selector,
    decision::PolicyRef,
    port::Ports,
    rule::{PeerList, Peers, Rule, Scope, Term},
    set::{Compiled, Vocabulary},
};

/// Compiles one policy of the namespace of that number.
pub(crate) fn policy(
    sourced: &SourcedPolicy,
    namespace: u32,
    words: &mut Vocabulary,
    report: &mut Report<'_>,
) -> Compiled {
    let top = FieldPath::of("spec");
    let (isolates_ingress, isolates_egress) = directions(&sourced.object, report);
    let spec = sourced.object.spec.as_ref();
    let chosen = selector(
        spec.and_then(|spec| spec.pod_selector.as_ref()),
        &top.key("podSelector"),
        "the policy selects no pod",
        report,
    );
    let subject = chosen.map(|chosen| {
        let pods = words.pod_labels.intern(&chosen);
        words.terms.intern(Term {
            scope: Scope::Namespace(namespace),
            pods,
        })
    });
    // Rules of a direction that is not listed are compiled too, for their problems; nothing asks them.
    let written = spec.and_then(|spec| spec.ingress.as_deref()).unwrap_or_default();
    let ingress = rules(written, &top.key("ingress"), namespace, words, report);
    let written = spec.and_then(|spec| spec.egress.as_deref()).unwrap_or_default();
    let egress = rules(written, &top.key("egress"), namespace, words, report);
    Compiled {
        name: PolicyRef(sourced.name()),
        subject,
        isolates_ingress,
        isolates_egress,
        ingress,
        egress,
    }
}

fn rules<R: WrittenRule>(
    written: &[R],
    path: &FieldPath,
    home: u32,
    words: &mut Vocabulary,
    report: &mut Report<'_>,
) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(written.len());
    for (index, rule) in written.iter().enumerate() {
        let path = path.index(index);
        let ports = match rule.ports() {
            [] => Ports::Any,
            entries => {
                let path = path.key("ports");
                let entry = |(at, entry)| words.names.port(entry, &path.index(at), report);
                Ports::Listed(entries.iter().enumerate().filter_map(entry).collect())
            }
        };
        rules.push(Rule {
            peers: peers(rule.peers(), &path.key(R::PEERS), home, words, report),
            ports,
        });
    }
    rules
}

fn peers(
    written: &[NetworkPolicyPeer],
    path: &FieldPath,
    home: u32,
    words: &mut Vocabulary,
    report: &mut Report<'_>,
) -> Peers {
    if written.is_empty() {
        return Peers::Any;
    }
    let mut list = PeerList::default();
    for (index, peer) in written.iter().enumerate() {
        let path = path.index(index);
        let by_labels = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
        match &peer.ip_block {
            Some(_) if by_labels => {
                report.problem(&path, "ipBlock excludes podSelector and namespaceSelector; the peer matches nothing: make it two entries".to_owned());
            }
            Some(written) => {
                let except = written.except.as_deref().unwrap_or_default();
                let block = block(&written.cidr, except, &path.key("ipBlock"), report);
                list.blocks.extend(block.map(|block| words.blocks.intern(block)));
            }
            None if by_labels => list.terms.extend(term(peer, &path, home, words, report)),
            None => {
                report.problem(&path, "says nothing; expected podSelector, namespaceSelector or ipBlock; the peer matches nothing".to_owned());
            }
        }
    }
    Peers::Listed(list)
}

/// Both selectors of one entry must match (R7); without namespaceSelector it is the policy's own namespace.
fn term(
    peer: &NetworkPolicyPeer,
    path: &FieldPath,
    home: u32,
    words: &mut Vocabulary,
    report: &mut Report<'_>,
) -> Option<u32> {
    const NOTHING: &str = "the peer matches nothing";
    let pods = selector(
        peer.pod_selector.as_ref(),
        &path.key("podSelector"),
        NOTHING,
        report,
    );
    let namespaces = selector(
        peer.namespace_selector.as_ref(),
        &path.key("namespaceSelector"),
        NOTHING,
        report,
    );
    let (pods, namespaces) = (pods?, namespaces?);
    let scope = if peer.namespace_selector.is_some() {
        Scope::Labels(words.namespace_labels.intern(&namespaces))
    } else {
        Scope::Namespace(home)
    };
    let pods = words.pod_labels.intern(&pods);
    Some(words.terms.intern(Term { scope, pods }))
}

/// As [`isolates`], with what the API would refuse said.
fn directions(policy: &NetworkPolicy, report: &mut Report<'_>) -> (bool, bool) {
    let spec = policy.spec.as_ref();
    let types = spec
        .and_then(|spec| spec.policy_types.as_deref())
        .unwrap_or_default();
    let path = FieldPath::of("spec.policyTypes");
    if types.len() > 2 {
        report.problem(
            &path,
            format!(
                "has {} entries; the API takes two at most; all are read",
                types.len()
            ),
        );
    }
    for (index, unknown) in types
        .iter()
        .enumerate()
        .filter(|(_, it)| !matches!(it.as_str(), "Ingress" | "Egress"))
    {
        report.problem(
            &path.index(index),
            format!("{unknown:?} is no policy type; expected Ingress or Egress; the entry is ignored"),
        );
    }
    isolates(policy)
}

/// Whether a policy isolates for ingress and for egress. R3: what is listed; when nothing is, ingress always and egress where
/// the section has rules.
pub(crate) fn isolates(policy: &NetworkPolicy) -> (bool, bool) {
    let spec = policy.spec.as_ref();
    let types = spec
        .and_then(|spec| spec.policy_types.as_deref())
        .unwrap_or_default();
    let listed = |name: &str| types.iter().any(|it| it == name);
    if listed("Ingress") || listed("Egress") {
        return (listed("Ingress"), listed("Egress"));
    }
    let has_egress = spec
        .and_then(|spec| spec.egress.as_ref())
        .is_some_and(|rules| !rules.is_empty());
    (true, has_egress)
}

/// An `ipBlock`; `None` when the API would refuse it, so that it lets nothing through.
pub(crate) fn block(
    cidr: &str,
    except: &[String],
    path: &FieldPath,
    report: &mut Report<'_>,
) -> Option<Block> {
    let net = match parse_cidr(cidr) {
        Ok(net) => net,
        Err(error) => {
            report.problem(&path.key("cidr"), format!("{error}; the peer matches nothing"));
            return None;
        }
    };
    let mut excepted = Vec::with_capacity(except.len());
    for (index, text) in except.iter().enumerate() {
        let path = path.key("except").index(index);
        match parse_cidr(text) {
            // As the API server does, the lengths as they are written: it does not translate IPv4-mapped blocks.
            Ok(inner) if is_strict_subset(&inner, &net) && written_length(text) > written_length(cidr) => {
                excepted.push(inner);
            }
            Ok(inner) => {
                report.problem(
                    &path,
                    format!("{inner} is no strict subset of {net}; the peer matches nothing"),
                );
                return None;
            }
            Err(error) => {
                report.problem(&path, format!("{error}; the peer matches nothing"));
                return None;
            }
        }
    }
    Some(Block {
        net,
        except: excepted,
    })
}

fn written_length(cidr: &str) -> Option<u8> {
    cidr.rsplit_once('/').and_then(|(_, length)| length.parse().ok())
}

/// What ingress and egress rules have in common.
pub(crate) trait WrittenRule {
    /// The key of the peers.
    const PEERS: &'static str;
    /// Its peers; none means any.
    fn peers(&self) -> &[NetworkPolicyPeer];
    /// Its ports; none means any.
    fn ports(&self) -> &[NetworkPolicyPort];
}

impl WrittenRule for NetworkPolicyIngressRule {
    const PEERS: &'static str = "from";

    fn peers(&self) -> &[NetworkPolicyPeer] {
        self.from.as_deref().unwrap_or_default()
    }

    fn ports(&self) -> &[NetworkPolicyPort] {
        self.ports.as_deref().unwrap_or_default()
    }
}

impl WrittenRule for NetworkPolicyEgressRule {
    const PEERS: &'static str = "to";

    fn peers(&self) -> &[NetworkPolicyPeer] {
        self.to.as_deref().unwrap_or_default()
    }

    fn ports(&self) -> &[NetworkPolicyPort] {
        self.ports.as_deref().unwrap_or_default()
    }
}
