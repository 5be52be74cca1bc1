//! An attempt, as a prediction asks the literal reading about it.

use std::net::IpAddr;

use crate::{
    cluster::{ObjectName, Pod, Snapshot},
    lab::{
        LabPod, World,
        literal::{Party, Reading, Way, isolating, permits},
    },
    net::{Family, Protocol},
};

/// An attempt between two pods by their first addresses of a family.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// From which pod.
    pub from: &'a ObjectName,
    /// To which pod.
    pub to: &'a ObjectName,
    /// By which family.
    pub family: Family,
    /// The protocol.
    pub protocol: Protocol,
    /// The port at the destination.
    pub port: u16,
}

/// Whether each side lets an attempt through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) egress: bool,
    pub(super) ingress: bool,
}

pub(super) const OPEN: Sides = Sides {
    egress: true,
    ingress: true,
};

impl Sides {
    pub(super) const fn unless(self, open: bool) -> Self {
        if open { OPEN } else { self }
    }

    /// Neither side asks where it is said to be open.
    pub(super) const fn opened(self, egress: bool, ingress: bool) -> Self {
        Self {
            egress: self.egress || egress,
            ingress: self.ingress || ingress,
        }
    }
}

/// A question whose pods are there.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) world: &'a World,
    pub(super) told: &'a [Snapshot],
    /// The cluster as the fault has it.
    pub(super) reread: &'a Snapshot,
    pub(super) from: &'a LabPod,
    pub(super) to: &'a LabPod,
    pub(super) from_address: IpAddr,
    pub(super) to_address: IpAddr,
    pub(super) family: Family,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
}

impl<'a> Attempt<'a> {
    pub(super) fn of(
        world: &'a World,
        told: &'a [Snapshot],
        reread: &'a Snapshot,
        question: &Question<'_>,
    ) -> Option<Self> {
        let (from, to) = (world.pod(question.from)?, world.pod(question.to)?);
        let address = |lab: &LabPod| {
            let mut ips = lab.pod.ips.iter().copied();
            ips.find(|address| Family::of(*address) == question.family)
        };
        Some(Self {
            world,
            told,
            reread,
            from,
            to,
            from_address: address(from)?,
            to_address: address(to)?,
            family: question.family,
            protocol: question.protocol,
            port: question.port,
        })
    }

    pub(super) fn same_node(&self) -> bool {
        self.from.node == self.to.node
    }

    /// The pod of a side, and the other end.
    pub(super) const fn ends(&self, way: Way) -> (&'a LabPod, &'a LabPod) {
        match way {
            Way::Egress => (self.from, self.to),
            Way::Ingress => (self.to, self.from),
        }
    }

    /// Whether a policy isolates the pod of that side.
    pub(super) fn isolated(&self, way: Way) -> bool {
        !isolating(&self.world.snapshot, &self.ends(way).0.pod, way).is_empty()
    }

    /// What the policies require.
    pub(super) fn required(&self) -> Option<Sides> {
        self.between(&self.world.snapshot, Some(&self.from.pod), Some(&self.to.pod))
    }

    /// What the policies require of the pods as the fault has them; a pod that is not there is an address.
    pub(super) fn required_as_reread(&self) -> Option<Sides> {
        self.required_in(self.reread)
    }

    /// The same, of another snapshot.
    pub(super) fn required_in(&self, snapshot: &Snapshot) -> Option<Sides> {
        let (from, to) = (&self.from.pod.name, &self.to.pod.name);
        self.between(snapshot, snapshot.pod(from), snapshot.pod(to))
    }

    /// What the policies require where each side takes the other end for an address that is nobody's.
    pub(super) fn required_of_strangers(&self) -> Option<Sides> {
        let snapshot = &self.world.snapshot;
        let egress = self.between(snapshot, Some(&self.from.pod), None)?;
        let ingress = self.between(snapshot, None, Some(&self.to.pod))?;
        Some(Sides {
            egress: egress.egress,
            ingress: ingress.ingress,
        })
    }

    /// What the policies of a snapshot require between these pods, at this attempt's addresses.
    pub(super) fn between(&self, snapshot: &Snapshot, from: Option<&Pod>, to: Option<&Pod>) -> Option<Sides> {
        let party = |pod, address| match pod {
            Some(pod) => Party::Pod {
                pod,
                address: Some(address),
            },
            None => Party::Outside(address),
        };
        self.parties(
            snapshot,
            party(from, self.from_address),
            party(to, self.to_address),
            self.port,
        )
    }

    pub(super) fn parties(
        &self,
        snapshot: &Snapshot,
        from: Party<'_>,
        to: Party<'_>,
        port: u16,
    ) -> Option<Sides> {
        match permits(snapshot, from, to, self.protocol, port) {
            Reading::Permitted => Some(OPEN),
            Reading::Refused { egress, ingress } => Some(Sides {
                egress: !egress,
                ingress: !ingress,
            }),
            Reading::Undefined(_) => None,
        }
    }
}
