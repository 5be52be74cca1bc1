//! A policy of the cluster's administrators compiled.

use crate::cluster::{
    Action, AdminPeer, AdminPods, AdminPolicy, AdminPort, AdminRule as Written, cidr::parse_cidr,
    path::FieldPath,
};

use super::{
    blocks::Block,
    compile::Report,
    compile_selector::selector,
    decision::AdminRef,
    port::{PortMatch, Ports},
    rule::{AdminRule, PeerList, Peers, Rule, Scope, Term},
    set::{CompiledAdmin, Vocabulary},
};

/// Compiles one policy.
pub(crate) fn policy(policy: &AdminPolicy, words: &mut Vocabulary, report: &mut Report<'_>) -> CompiledAdmin {
    let top = FieldPath::of("spec");
    let subject = term(
        &policy.subject,
        &top.key("subject"),
        "the policy speaks about no pod",
        words,
        report,
    );
    let mut rules = |key: &str, rules: &[Written]| {
        let path = top.key(key);
        (0..)
            .zip(rules)
            .map(|(index, written)| rule(written, &path.index(index), words, report))
            .collect()
    };
    CompiledAdmin {
        name: AdminRef {
            kind: policy.kind,
            name: policy.name.clone(),
        },
        tier: policy.tier,
        priority: policy.priority,
        subject,
        ingress: rules("ingress", &policy.ingress),
        egress: rules("egress", &policy.egress),
    }
}

fn term(
    pods: &AdminPods,
    path: &FieldPath,
    then: &str,
    words: &mut Vocabulary,
    report: &mut Report<'_>,
) -> Option<u32> {
    let namespaces = selector(Some(&pods.namespaces), &path.key("namespaces"), then, report)?;
    let pods = selector(Some(&pods.pods), &path.key("pods"), then, report)?;
    let term = Term {
        scope: Scope::Labels(words.namespace_labels.intern(&namespaces)),
        pods: words.pod_labels.intern(&pods),
    };
    Some(words.terms.intern(term))
}

/// A rule with a part that cannot be read fails closed: an Accept matches nothing, a Deny or Pass denies all.
fn rule(written: &Written, path: &FieldPath, words: &mut Vocabulary, report: &mut Report<'_>) -> AdminRule {
    match readable(written, path, words, report) {
        Some(rule) => AdminRule {
            action: written.action,
            rule,
        },
        None => match written.action {
            Action::Accept => AdminRule {
                action: Action::Accept,
                rule: Rule::nothing(),
            },
            Action::Deny | Action::Pass => AdminRule {
                action: Action::Deny,
                rule: Rule::everything(),
            },
        },
    }
}

fn readable(
    written: &Written,
    path: &FieldPath,
    words: &mut Vocabulary,
    report: &mut Report<'_>,
) -> Option<Rule> {
    let mut list = PeerList::default();
    for (index, peer) in written.peers.iter().enumerate() {
        let path = path.key("peers").index(index);
        match peer {
            AdminPeer::Pods(pods) => {
                list.terms
                    .push(term(pods, &path, "the rule is read as closed", words, report)?);
            }
            AdminPeer::Nodes(nodes) => {
                let nodes = selector(
                    Some(nodes),
                    &path.key("nodes"),
                    "the rule is read as closed",
                    report,
                )?;
                list.nodes.push(words.node_labels.intern(&nodes));
            }
            AdminPeer::Networks(networks) => {
                for network in networks {
                    let net = parse_cidr(network).ok()?;
                    list.blocks.push(words.blocks.intern(Block {
                        net,
                        except: Vec::new(),
                    }));
                }
            }
            AdminPeer::DomainNames(_) => list.domains = true,
            AdminPeer::Unknown => return None,
        }
    }
    let ports = written.ports.iter().map(|port| match port {
        AdminPort::All(protocol) => Some(PortMatch::All(*protocol)),
        AdminPort::Range(protocol, first, last) => Some(PortMatch::Range(*protocol, *first, *last)),
        AdminPort::Named(name) => Some(PortMatch::NamedAny(words.names.intern(name))),
        AdminPort::Unknown => None,
    });
    let ports: Vec<PortMatch> = ports.collect::<Option<_>>()?;
    Some(Rule {
        peers: Peers::Listed(list),
        ports: if ports.is_empty() {
            Ports::Any
        } else {
            Ports::Listed(ports)
        },
    })
}
