//! The one outside the cluster, as an end of attempts: a client that dials pods and nodes, a server that pods dial.

use std::net::IpAddr;

use super::{
    pairs::{Attempt, can_probe},
    scenario::ProbePattern,
};
use crate::{
    cluster::{ObjectName, Pod, Snapshot},
    lab::topology::OUTSIDE,
};

/// Its name where a pod's would stand. No pod has it: a namespace is never empty.
#[must_use]
pub(super) fn outside() -> ObjectName {
    ObjectName::new("", "Outside")
}

/// Whether a name is the outside's.
#[must_use]
pub(super) fn is_outside(name: &ObjectName) -> bool {
    name.namespace.is_empty()
}

/// Its addresses, of both families.
pub(super) const fn addresses() -> [IpAddr; 2] {
    let (v4, v6) = OUTSIDE;
    [IpAddr::V4(v4), IpAddr::V6(v6)]
}

impl Attempt {
    /// Whether one of its ends is outside.
    #[must_use]
    pub(super) fn meets_outside(&self) -> bool {
        is_outside(&self.from) || is_outside(&self.to)
    }
}

/// What patterns ask of the outside, and from there.
pub(super) fn attempts(
    snapshot: &Snapshot,
    patterns: &[ProbePattern],
    is_asked: impl Fn(&Pod) -> bool,
) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for pattern in patterns.iter().filter(|pattern| pattern.door.is_none()) {
        let (inwards, outwards) = (is_outside(&pattern.from), is_outside(&pattern.to));
        if inwards == outwards {
            continue;
        }
        let others = snapshot.pods.iter().filter(|pod| {
            let (end, may_be) = if inwards {
                (&pattern.to, is_asked(pod))
            } else {
                (&pattern.from, can_probe(pod))
            };
            may_be && ProbePattern::covers(end, &pod.name)
        });
        for pod in others {
            for address in addresses() {
                let same_family = pod.ips.iter().filter(|one| one.is_ipv4() == address.is_ipv4());
                attempts.extend(same_family.map(|own| {
                    let (from, from_address, to, to_address) = if inwards {
                        (outside(), address, pod.name.clone(), *own)
                    } else {
                        (pod.name.clone(), *own, outside(), address)
                    };
                    Attempt {
                        from,
                        from_address,
                        to,
                        to_address,
                        protocol: pattern.protocol,
                        port: pattern.port,
                        dialled: None,
                    }
                }));
            }
        }
    }
    attempts
}
