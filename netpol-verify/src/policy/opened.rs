//! What a change of policies opens and closes beside what it was made for.

use std::net::IpAddr;

use crate::{
    cluster::{Pod, Snapshot},
    net::Family,
};

use super::{
    PolicySet,
    decision::{Direction, End, Expectation, Traffic},
};

/// The side effects of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Ordered pairs of pods, other than the attempt's own, that were denied and are allowed, on its port.
    pub(crate) pairs: usize,
    /// Pods that nothing isolated in a direction and that something isolates now.
    pub(crate) isolated: usize,
}

/// Compares two compilations of the same pods on one protocol and port.
pub(crate) fn opened(snapshot: &Snapshot, before: &PolicySet, after: &PolicySet, like: &Traffic) -> Opened {
    let live: Vec<&Pod> = snapshot
        .pods
        .iter()
        .filter(|pod| !pod.phase.is_terminal() && !pod.host_network)
        .collect();
    let newly = |pod: &&&Pod| {
        [Direction::Ingress, Direction::Egress]
            .into_iter()
            .any(|direction| {
                after.is_isolated(&pod.name, direction) && !before.is_isolated(&pod.name, direction)
            })
    };
    // A pair can open only where an added policy selects one of its ends: all others answer as before.
    let touched: Vec<bool> = live
        .iter()
        .map(|pod| before.policies_on(&pod.name) != after.policies_on(&pod.name))
        .collect();
    let mut pairs = 0;
    for (from, from_touched) in live.iter().zip(&touched) {
        for (to, to_touched) in live.iter().zip(&touched) {
            if !from_touched && !to_touched {
                continue;
            }
            let own = |end: &End, pod: &Pod| matches!(end, End::Pod { name, .. } if *name == pod.name);
            if own(&like.from, from) && own(&like.to, to) {
                continue;
            }
            let changed = common_addresses(from, to).any(|(source, destination)| {
                let traffic = Traffic {
                    from: End::Pod {
                        name: from.name.clone(),
                        address: source,
                    },
                    to: End::Pod {
                        name: to.name.clone(),
                        address: destination,
                    },
                    protocol: like.protocol,
                    port: like.port,
                };
                before.expect(&traffic) == Expectation::Deny && after.expect(&traffic) == Expectation::Allow
            });
            pairs += usize::from(changed);
        }
    }
    Opened {
        pairs,
        isolated: live.iter().filter(newly).count(),
    }
}

/// The first address of either pod in each family both have.
pub(crate) fn common_addresses(from: &Pod, to: &Pod) -> impl Iterator<Item = (IpAddr, IpAddr)> {
    let first = |pod: &Pod, family| {
        pod.ips
            .iter()
            .copied()
            .find(|ip| Family::of(ip.to_canonical()) == family)
    };
    [Family::Ipv4, Family::Ipv6]
        .map(|family| first(from, family).zip(first(to, family)))
        .into_iter()
        .flatten()
}
