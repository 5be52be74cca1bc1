//! Whether one selector, peer or list of ports takes in all that another one does, whatever the cluster holds.

use crate::{
    net::Protocol,
    policy::{Requirement, Selector},
};

use super::written::{Peer, PeerKind, Port, PortKind, Rule};

/// Whether everything that `inner` selects is selected by `outer`.
pub(super) fn selector(outer: &Selector, inner: &Selector) -> bool {
    let wanted = outer.requirements().iter();
    wanted
        .into_iter()
        .all(|outer| inner.requirements().iter().any(|inner| implies(inner, outer)))
}

/// Whether an object that meets `one` meets `other`.
fn implies(one: &Requirement, other: &Requirement) -> bool {
    match (one, other) {
        (Requirement::In(a, few), Requirement::In(b, many)) => a == b && few.is_subset(many),
        (Requirement::NotIn(a, many), Requirement::NotIn(b, few)) => a == b && few.is_subset(many),
        (Requirement::In(a, some), Requirement::NotIn(b, others)) => a == b && some.is_disjoint(others),
        (Requirement::In(a, _) | Requirement::Exists(a), Requirement::Exists(b))
        | (Requirement::DoesNotExist(a), Requirement::DoesNotExist(b) | Requirement::NotIn(b, _)) => a == b,
        _ => false,
    }
}

/// The same of two rules of one namespace and direction. What the API would refuse covers nothing and is not covered.
pub(super) fn rule(outer: &Rule, inner: &Rule) -> bool {
    if outer.is_invalid() || inner.is_invalid() {
        return false;
    }
    let peers = outer.peers.is_empty()
        || !inner.peers.is_empty()
            && inner
                .peers
                .iter()
                .all(|one| outer.peers.iter().any(|other| peer(other, one)));
    let ports = outer.ports.is_empty()
        || !inner.ports.is_empty()
            && inner
                .ports
                .iter()
                .all(|one| outer.ports.iter().any(|other| port(other, one)));
    peers && ports
}

fn peer(outer: &Peer, inner: &Peer) -> bool {
    match (&outer.what, &inner.what) {
        (
            PeerKind::Pods {
                namespaces: outer_homes,
                pods: outer_pods,
                ..
            },
            PeerKind::Pods {
                namespaces: inner_homes,
                pods: inner_pods,
                ..
            },
        ) => {
            let homes = match (outer_homes, inner_homes) {
                (None, None) => true,
                (None, Some(_)) => false,
                // Namespaces by labels take in the policy's own for certain only where they take in all.
                (Some(outer), None) => super::spelled::is_everything(outer),
                (Some(outer), Some(inner)) => selector(outer, inner),
            };
            let everything = Selector::default();
            let (outer, inner) = (
                outer_pods.as_ref().unwrap_or(&everything),
                inner_pods.as_ref().unwrap_or(&everything),
            );
            homes && selector(outer, inner)
        }
        (
            PeerKind::Block {
                cidr: outer,
                except: outer_holes,
            },
            PeerKind::Block {
                cidr: inner,
                except: inner_holes,
            },
        ) => outer == inner && outer_holes.iter().all(|hole| inner_holes.contains(hole)),
        _ => false,
    }
}

fn port(outer: &Port, inner: &Port) -> bool {
    outer.protocol == inner.protocol
        && match (&outer.what, &inner.what) {
            (PortKind::Numbers(1, u16::MAX), PortKind::Name(_)) => true,
            (PortKind::Numbers(first, last), PortKind::Numbers(inner_first, inner_last)) => {
                first <= inner_first && inner_last <= last
            }
            (PortKind::Name(outer), PortKind::Name(inner)) => outer == inner,
            _ => false,
        }
}

/// Whether a range of ports of a protocol lies in another.
pub(super) fn range(outer: (Protocol, u16, u16), inner: (Protocol, u16, u16)) -> bool {
    outer.0 == inner.0 && outer.1 <= inner.1 && inner.2 <= outer.2
}
