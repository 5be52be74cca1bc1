//! Which attempts a fault flips, by the literal reading; knows nothing of rules and their text.

use std::sync::Arc;

use super::Fault;
use crate::{
    cluster::{ObjectName, Snapshot},
    lab::{
        LabPod, World,
        literal::{Party, Reading, Way, isolating, permits, without_rules},
    },
    net::{Family, Protocol},
};

/// What a fault makes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It is denied and delivered.
    Leak,
    /// It is denied; its first packets are dropped and one of its retransmissions is delivered.
    LeakOnRetransmission {
        /// Which one, from 1. It is 2 when two nodes deny it, since each drops the first that it sees.
        nth: u8,
    },
    /// It is allowed and dropped.
    Overblock,
    /// It is allowed and delivered, and the answer is lost.
    ReplyLost,
}

/// What the fault makes of an attempt between two pods by their first addresses of the family; nothing when it
/// does not touch it, or when the specification leaves the attempt open.
///
/// - `startup-reply-lost` touches what an egress-isolated pod is allowed to open: its egress side makes the flow's
///   entry, and the request left before that side was there. Where nobody answers (UDP and SCTP without a server),
///   there is no answer to lose, and the attempt stays as it is.
/// - `retransmitted-syn-accepted` touches TCP only.
#[must_use]
pub fn touched(
    fault: Fault,
    world: &World,
    from: &ObjectName,
    to: &ObjectName,
    family: Family,
    protocol: Protocol,
    port: u16,
) -> Option<Effect> {
    let attempt = Attempt {
        world,
        from: world.pod(from)?,
        to: world.pod(to)?,
        family,
        protocol,
        port,
    };
    let required = attempt.sides(&world.snapshot)?;
    let denied = required != OPEN;
    let same_node = attempt.from.node == attempt.to.node;
    let made = match fault {
        Fault::NoEngine => OPEN,
        Fault::EgressUnsupported => Sides {
            egress: true,
            ..required
        },
        Fault::SameNodeOnly => required.unless(!same_node),
        Fault::OneNodeEngineDead => {
            let dead = world.nodes.last().map(|node| node.name.as_str());
            Sides {
                egress: required.egress || dead == Some(attempt.from.node.as_str()),
                ingress: required.ingress || dead == Some(attempt.to.node.as_str()),
            }
        }
        Fault::RetransmittedSynAccepted => {
            let both_nodes = !same_node && !required.egress && !required.ingress;
            return (denied && protocol == Protocol::Tcp).then_some(Effect::LeakOnRetransmission {
                nth: if both_nodes { 2 } else { 1 },
            });
        }
        Fault::ExceptIgnored => attempt.sides(&without_exceptions(&world.snapshot))?,
        Fault::OtherFamilyOpen => required.unless(family == Family::Ipv6),
        Fault::DenyBeatsAllow => Sides {
            egress: required.egress && !attempt.bare_denial(Way::Egress),
            ingress: required.ingress && !attempt.bare_denial(Way::Ingress),
        },
        Fault::BridgeNfOff => {
            let bridged = world
                .node(&attempt.from.node)
                .is_some_and(|node| node.bridge.is_some());
            required.unless(same_node && bridged)
        }
        Fault::StartupReplyLost => {
            let isolated = !isolating(&world.snapshot, &attempt.from.pod, Way::Egress).is_empty();
            return (!denied && isolated).then_some(Effect::ReplyLost);
        }
    };
    match (denied, made == OPEN) {
        (true, true) => Some(Effect::Leak),
        (false, false) => Some(Effect::Overblock),
        (true, false) | (false, true) => None,
    }
}

/// Whether each side lets an attempt through.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sides {
    egress: bool,
    ingress: bool,
}

const OPEN: Sides = Sides {
    egress: true,
    ingress: true,
};

impl Sides {
    const fn unless(self, open: bool) -> Self {
        if open { OPEN } else { self }
    }
}

struct Attempt<'a> {
    world: &'a World,
    from: &'a LabPod,
    to: &'a LabPod,
    family: Family,
    protocol: Protocol,
    port: u16,
}

impl<'a> Attempt<'a> {
    fn party(&self, lab: &'a LabPod) -> Option<Party<'a>> {
        let address = lab
            .pod
            .ips
            .iter()
            .copied()
            .find(|address| Family::of(*address) == self.family)?;
        Some(Party::Pod {
            pod: &lab.pod,
            address: Some(address),
        })
    }

    /// What the policies of that snapshot require.
    fn sides(&self, snapshot: &Snapshot) -> Option<Sides> {
        let (from, to) = (self.party(self.from)?, self.party(self.to)?);
        match permits(snapshot, from, to, self.protocol, self.port) {
            Reading::Permitted => Some(OPEN),
            Reading::Refused { egress, ingress } => Some(Sides {
                egress: !egress,
                ingress: !ingress,
            }),
            Reading::Undefined(_) => None,
        }
    }

    /// Whether a policy without rules isolates the pod of that side.
    fn bare_denial(&self, way: Way) -> bool {
        let lab = if way == Way::Egress { self.from } else { self.to };
        isolating(&self.world.snapshot, &lab.pod, way)
            .into_iter()
            .any(|policy| without_rules(policy, way))
    }
}

/// The same cluster, with every `except` struck out.
fn without_exceptions(snapshot: &Snapshot) -> Snapshot {
    let mut snapshot = snapshot.clone();
    for policy in &mut snapshot.policies {
        let object = Arc::make_mut(&mut policy.object);
        let Some(spec) = &mut object.spec else { continue };
        let from = spec
            .ingress
            .iter_mut()
            .flatten()
            .flat_map(|rule| rule.from.iter_mut().flatten());
        let to = spec
            .egress
            .iter_mut()
            .flatten()
            .flat_map(|rule| rule.to.iter_mut().flatten());
        for block in from.chain(to).filter_map(|peer| peer.ip_block.as_mut()) {
            block.except = None;
        }
    }
    snapshot
}
