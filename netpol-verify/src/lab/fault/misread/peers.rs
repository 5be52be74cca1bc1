//! `from` and `to`, misread.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use k8s_openapi::{
    api::networking::v1::{IPBlock, NetworkPolicyPeer},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use crate::{
    cluster::Snapshot,
    lab::{
        fault::policies::{each_rule, each_spec, every_peer, name_types},
        literal::selects,
    },
};

/// How `from` and `to` are misread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum PeerMisreading {
    /// An entry with both selectors means the pods of either.
    OrInsteadOfAnd,
    /// An entry with both selectors is read as its namespaceSelector.
    PodSelectorLost,
    /// A podSelector alone selects in every namespace.
    NamespaceIgnored,
    /// An empty namespaceSelector selects nothing.
    EmptyNamespaceSelectorIsNone,
    /// An empty namespaceSelector selects every address.
    EmptyNamespaceSelectorIsWorld,
    /// `NotIn` in a namespaceSelector also selects every address that is no pod's.
    NotInAddsWorld,
    /// A block holds only the pods in it.
    BlocksHoldOnlyPods,
    /// A rule whose entries select nobody lets everybody through.
    NobodyIsEverybody,
    /// Without entries, a rule lets nobody through.
    MissingMeansNobody,
    /// A rule of blocks also lets the policy's own namespace through.
    BlockAddsNamespace,
    /// Rules with one block share its exceptions.
    ExceptLeaks,
    /// Only the first entry counts.
    OnlyFirstEntry,
    /// Only the first rule of a direction counts.
    OnlyFirstRule,
}

impl PeerMisreading {
    /// The cluster as it is misread.
    pub(in super::super) fn reread(self, snapshot: &Snapshot) -> Snapshot {
        match self {
            Self::ExceptLeaks => shared_exceptions(snapshot),
            Self::OnlyFirstRule => each_spec(snapshot, |_, spec| {
                name_types(spec);
                spec.ingress.iter_mut().for_each(|rules| rules.truncate(1));
                spec.egress.iter_mut().for_each(|rules| rules.truncate(1));
            }),
            _ => self.each(snapshot),
        }
    }

    fn each(self, snapshot: &Snapshot) -> Snapshot {
        let everywhere = Some(LabelSelector::default());
        each_rule(snapshot, |mut rule| match self {
            Self::OrInsteadOfAnd => rule.each_peer(|peer| {
                if peer.pod_selector.is_none() || peer.namespace_selector.is_none() {
                    return vec![peer];
                }
                let pods = NetworkPolicyPeer {
                    namespace_selector: None,
                    ..peer.clone()
                };
                let namespaces = NetworkPolicyPeer {
                    pod_selector: None,
                    ..peer
                };
                vec![pods, namespaces]
            }),
            Self::PodSelectorLost => rule.each_peer(|peer| {
                let pod_selector = peer.pod_selector.filter(|_| peer.namespace_selector.is_none());
                vec![NetworkPolicyPeer { pod_selector, ..peer }]
            }),
            Self::NamespaceIgnored => rule.each_peer(|peer| {
                let namespace_selector = match (&peer.pod_selector, peer.namespace_selector) {
                    (Some(_), None) => everywhere.clone(),
                    (_, selector) => selector,
                };
                vec![NetworkPolicyPeer {
                    namespace_selector,
                    ..peer
                }]
            }),
            Self::EmptyNamespaceSelectorIsNone => rule.each_peer(|peer| {
                if peer.namespace_selector == everywhere {
                    Vec::new()
                } else {
                    vec![peer]
                }
            }),
            Self::EmptyNamespaceSelectorIsWorld => rule.each_peer(|peer| {
                let is_such = peer.namespace_selector == everywhere && peer.pod_selector.is_none();
                let world = if is_such { beside(Vec::new()) } else { Vec::new() };
                std::iter::once(peer).chain(world).collect()
            }),
            Self::NotInAddsWorld => rule.each_peer(|peer| {
                let is_such = peer.pod_selector.is_none() && excludes(peer.namespace_selector.as_ref());
                let world = if is_such {
                    beside(pods_of(snapshot).collect())
                } else {
                    Vec::new()
                };
                std::iter::once(peer).chain(world).collect()
            }),
            Self::BlocksHoldOnlyPods => rule.each_peer(|peer| match &peer.ip_block {
                Some(block) => pods_of(snapshot)
                    .filter(|address| holds(block, *address))
                    .map(|address| of_block(IpNet::from(address), &[]))
                    .collect(),
                None => vec![peer],
            }),
            Self::NobodyIsEverybody => {
                let nobody = rule.peers.iter().flatten().all(|peer| {
                    let is_selector = peer.ip_block.is_none();
                    is_selector
                        && !snapshot
                            .pods
                            .iter()
                            .any(|pod| selects(snapshot, rule.namespace, peer, pod))
                });
                if nobody {
                    *rule.peers = None;
                }
                true
            }
            Self::MissingMeansNobody => rule.peers.as_ref().is_some_and(|peers| !peers.is_empty()),
            Self::BlockAddsNamespace => {
                if let Some(peers) = rule.peers
                    && !peers.is_empty()
                    && peers.iter().all(|peer| peer.ip_block.is_some())
                {
                    peers.push(NetworkPolicyPeer {
                        pod_selector: everywhere.clone(),
                        ..NetworkPolicyPeer::default()
                    });
                }
                true
            }
            Self::OnlyFirstEntry => {
                rule.peers.iter_mut().for_each(|peers| peers.truncate(1));
                true
            }
            Self::ExceptLeaks | Self::OnlyFirstRule => true,
        })
    }
}

fn pods_of(snapshot: &Snapshot) -> impl Iterator<Item = IpAddr> {
    snapshot.pods.iter().flat_map(|pod| pod.ips.iter().copied())
}

/// Every address but these.
fn beside(pods: Vec<IpAddr>) -> Vec<NetworkPolicyPeer> {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = pods.into_iter().partition(IpAddr::is_ipv4);
    let v4 = of_block(IpNet::V4(Ipv4Net::default()), &v4);
    vec![v4, of_block(IpNet::V6(Ipv6Net::default()), &v6)]
}

fn of_block(net: IpNet, except: &[IpAddr]) -> NetworkPolicyPeer {
    let except: Vec<String> = except
        .iter()
        .map(|address| IpNet::from(*address).to_string())
        .collect();
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: net.to_string(),
            except: (!except.is_empty()).then_some(except),
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn excludes(selector: Option<&LabelSelector>) -> bool {
    let expressions = selector.and_then(|selector| selector.match_expressions.as_ref());
    let mut all = expressions.into_iter().flatten();
    all.any(|requirement| requirement.operator == "NotIn")
}

fn holds(block: &IPBlock, address: IpAddr) -> bool {
    let is_in = |text: &String| text.parse::<IpNet>().is_ok_and(|net| net.contains(&address));
    is_in(&block.cidr) && !block.except.iter().flatten().any(is_in)
}

/// Blocks of one policy are merged by their CIDR, and each has the exceptions of all.
fn shared_exceptions(snapshot: &Snapshot) -> Snapshot {
    each_spec(snapshot, |_, spec| {
        let mut blocks: Vec<_> = every_peer(spec)
            .filter_map(|peer| peer.ip_block.as_mut())
            .collect();
        let mut merged: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for block in &blocks {
            let all = merged.entry(block.cidr.clone()).or_default();
            all.extend(block.except.iter().flatten().cloned());
        }
        for block in &mut blocks {
            block.except = merged.get(&block.cidr).filter(|all| !all.is_empty()).cloned();
        }
    })
}
