//! The ends of a path between two pods: a pair in each address family that both have.

use std::net::IpAddr;

use super::decision::End;
use crate::{cluster::Pod, net::Family};

/// The pairs of ends. A pod without an address stands at none: then there is one pair, whatever the other one has.
#[must_use]
pub fn between(from: &Pod, to: &Pod) -> Vec<(End, End)> {
    if from.ips.is_empty() || to.ips.is_empty() {
        return vec![(at(from, first(from)), at(to, first(to)))];
    }
    [Family::Ipv4, Family::Ipv6]
        .into_iter()
        .filter_map(|family| Some((from.address(family)?, to.address(family)?)))
        .map(|(source, target)| (at(from, Some(source)), at(to, Some(target))))
        .collect()
}

/// A pod as the other end of an address, if it has one of that family or none at all.
#[must_use]
pub fn facing(pod: &Pod, address: IpAddr) -> Option<End> {
    if pod.ips.is_empty() {
        return Some(at(pod, None));
    }
    pod.address(Family::of(address.to_canonical()))
        .map(|own| at(pod, Some(own)))
}

fn first(pod: &Pod) -> Option<IpAddr> {
    pod.ips.first().map(IpAddr::to_canonical)
}

fn at(pod: &Pod, address: Option<IpAddr>) -> End {
    End::Pod {
        name: pod.name.clone(),
        address,
    }
}
