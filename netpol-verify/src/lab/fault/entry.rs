//! A fault: its id, its class, its harm and one line.

use std::{fmt, str::FromStr};

use super::{
    accepts::AcceptFault,
    catalogue,
    engine::EngineFault,
    gates::GateFault,
    memory::MemoryFault,
    misread::{PeerMisreading, PodMisreading, PolicyMisreading, PortMisreading, SelectorMisreading},
    services::ServiceFault,
};
use crate::cluster::Snapshot;

/// A way in which the lab's enforcer can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fault {
    class: FaultClass,
    /// Its place among those of its class; only [`Fault::of_class`] makes one.
    place: u8,
}

/// A line of the catalogue.
pub(super) struct Entry {
    /// The name on the command line.
    pub(super) id: &'static str,
    pub(super) harm: Harm,
    pub(super) how: How,
    /// What it is, in one line.
    pub(super) line: &'static str,
    /// Who had it; empty where it is a neighbour of one that somebody had.
    pub(super) source: &'static str,
}

/// By which mechanism the enforcer is made wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// Gates are missing, or stand before others than they should.
    Gates(GateFault),
    /// Gates let others through than they should.
    Accepts(AcceptFault),
    /// Packets are treated otherwise beside the gates.
    Engine(EngineFault),
    /// What stands between a client and a pod, and who is outside, is taken for something else.
    Services(ServiceFault),
    /// `ports` are misread.
    Ports(PortMisreading),
    /// `from` and `to` are misread.
    Peers(PeerMisreading),
    /// Selectors are misread.
    Selectors(SelectorMisreading),
    /// Whole policies are misread.
    Policies(PolicyMisreading),
    /// Pods are misread.
    Pods(PodMisreading),
    /// What was told is forgotten, kept too long, or done late.
    Memory(MemoryFault),
}

/// The classes, by what goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultClass {
    /// Nothing, or the wrong thing, is programmed.
    A,
    /// Direction, and the logic of chains.
    B,
    /// Services, NAT, nodes.
    C,
    /// What the policy means.
    D,
    /// Families, protocols, packets.
    E,
    /// Time and state.
    F,
}

/// What kind of harm a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Harm {
    /// Denied traffic is delivered.
    Leak,
    /// Allowed traffic is lost.
    Overblock,
    /// Right in the end, and wrong for a while.
    Timing,
    /// Right for some pods, nodes or families and wrong for others.
    Partial,
}

/// Which attempts show a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shown {
    /// Those of a matrix.
    ByPairs,
    /// Those of a matrix before, at and after such a change of the cluster, and when the enforcer starts anew.
    ByChange(Change),
    /// An attempt from the other side, by the same addresses and ports, after one that was refused.
    ByAnswering,
    /// An attempt wrapped in VXLAN, sent to a node.
    ByTunnel,
    /// An attempt from an address that is another pod's.
    ByForeignAddress,
}

/// What an enforcer may miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A pod gets other labels.
    PodLabels,
    /// A namespace gets other labels.
    NamespaceLabels,
    /// A policy gets other rules.
    Policy,
    /// There is a policy more.
    NewPolicy,
    /// A policy is gone.
    PolicyGone,
    /// There are pods more.
    NewPods,
    /// A pod is over, and another gets its address.
    PodOver,
    /// The enforcer starts.
    Start,
}

/// There is no such fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fault; expected one of {known}", known = known())]
pub struct ParseFaultError(pub String);

impl FaultClass {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F];

    /// What it is about.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::A => "nothing, or the wrong thing, is programmed",
            Self::B => "direction and the logic of chains",
            Self::C => "services, NAT, nodes",
            Self::D => "what the policy means",
            Self::E => "families, protocols, packets",
            Self::F => "time and state",
        }
    }

    fn entries(self) -> &'static [Entry] {
        match self {
            Self::A => catalogue::PROGRAMMING,
            Self::B => catalogue::DIRECTION,
            Self::C => catalogue::NODES,
            Self::D => catalogue::MEANING,
            Self::E => catalogue::PACKETS,
            Self::F => catalogue::TIME,
        }
    }
}

impl Fault {
    /// Every fault, class by class.
    pub fn all() -> impl Iterator<Item = Self> {
        FaultClass::ALL.into_iter().flat_map(Self::of_class)
    }

    /// The faults of a class.
    pub fn of_class(class: FaultClass) -> impl Iterator<Item = Self> {
        (0..)
            .take(class.entries().len())
            .map(move |place| Self { class, place })
    }

    /// The name on the command line.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.entry().id
    }

    fn entry(self) -> &'static Entry {
        let all = self.class.entries();
        all.get(usize::from(self.place))
            .unwrap_or(&catalogue::PROGRAMMING[0])
    }

    /// Its class.
    #[must_use]
    pub const fn class(self) -> FaultClass {
        self.class
    }

    /// What kind of harm it does.
    #[must_use]
    pub fn harm(self) -> Harm {
        self.entry().harm
    }

    /// What it is, in one line, and who had it.
    #[must_use]
    pub fn describe(self) -> String {
        let entry = self.entry();
        match entry.source {
            "" => entry.line.to_owned(),
            source => format!("{} ({source})", entry.line),
        }
    }

    /// Whether it lies in what the enforcer takes the cluster to be, and not in its rules: then every enforcer of the lab's can
    /// have it.
    #[must_use]
    pub fn is_misreading(self) -> bool {
        match self.entry().how {
            How::Ports(_)
            | How::Peers(_)
            | How::Selectors(_)
            | How::Policies(_)
            | How::Pods(_)
            | How::Memory(_) => true,
            How::Gates(_) | How::Accepts(_) | How::Engine(_) | How::Services(_) => false,
        }
    }

    /// Which attempts show it.
    #[must_use]
    pub fn shown(self) -> Shown {
        match self.entry().how {
            How::Engine(fault) => fault.shown(),
            How::Memory(fault) => Shown::ByChange(fault.shown()),
            How::Gates(_)
            | How::Accepts(_)
            | How::Services(_)
            | How::Ports(_)
            | How::Peers(_)
            | How::Selectors(_)
            | How::Policies(_)
            | How::Pods(_) => Shown::ByPairs,
        }
    }

    pub(super) fn how(self) -> How {
        self.entry().how
    }
}

impl How {
    /// The cluster as it is misread; nothing where it is read as it is.
    pub(super) fn misread(self, snapshot: &Snapshot) -> Option<Snapshot> {
        match self {
            Self::Ports(misreading) => Some(misreading.reread(snapshot)),
            Self::Peers(misreading) => Some(misreading.reread(snapshot)),
            Self::Selectors(misreading) => Some(misreading.reread(snapshot)),
            Self::Policies(misreading) => Some(misreading.reread(snapshot)),
            Self::Pods(misreading) => Some(misreading.reread(snapshot)),
            Self::Gates(_) | Self::Accepts(_) | Self::Engine(_) | Self::Services(_) | Self::Memory(_) => None,
        }
    }
}

fn known() -> String {
    Fault::all().map(Fault::id).collect::<Vec<_>>().join(", ")
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Leak => "leak",
            Self::Overblock => "overblock",
            Self::Timing => "timing",
            Self::Partial => "partial",
        })
    }
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all()
            .find(|fault| fault.id() == text)
            .ok_or_else(|| ParseFaultError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_id_is_read_back_and_an_unknown_one_lists_them_all() {
        for fault in Fault::all() {
            assert_eq!(fault.id().parse(), Ok(fault));
        }
        let message = "nonsense".parse::<Fault>().unwrap_err().to_string();
        assert!(
            Fault::all().all(|fault| message.contains(fault.id())),
            "{message}"
        );
    }

    #[test]
    fn no_id_comes_twice_and_no_class_is_empty() {
        let ids: BTreeSet<&str> = Fault::all().map(Fault::id).collect();
        assert_eq!(ids.len(), Fault::all().count());
        for class in FaultClass::ALL {
            let faults: Vec<Fault> = Fault::of_class(class).collect();
            assert!(!faults.is_empty(), "{class:?}");
            assert!(faults.iter().all(|fault| fault.class() == class));
        }
    }
}
