//! What the engine of a node does to packets besides asking the gates. The default is right; a fault changes one of it.

use std::net::IpAddr;

use ipnet::IpNet;

/// The port on which nodes take packets in VXLAN (Linux' own from before IANA's; Flannel and the lab keep it).
pub(crate) const VXLAN_PORT: u16 = 8472;

/// How the engine of one node treats packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Engine {
    /// Whether the forward hook sends anything to the gates.
    pub(crate) asks_gates: bool,
    /// What follows when a gate lets a packet through.
    pub(crate) accepted: Accepted,
    /// What a chain of somebody else accepts before the gates are asked, by source.
    pub(crate) foreign_accepts: Vec<IpNet>,
    /// What is accepted before the gates are asked, by destination.
    pub(crate) accepts_towards: Vec<IpAddr>,
    /// Of which translated packets the node that translates them asks no gate.
    pub(crate) unasked: Unasked,
    /// What it does to new flows that no gate is for.
    pub(crate) ungated: Ungated,
    /// Whether packets of known flows pass without being asked again.
    pub(crate) remembers_flows: bool,
    /// Which first packets pass because their flow is known: none in a right engine, for they open a connection anew.
    pub(crate) known_syns: KnownSyns,
    /// Pods whose TCP answers are kept from the memory of flows and dropped for it.
    pub(crate) untracked: Vec<IpAddr>,
    /// Under which of the node's addresses its pods' packets leave for elsewhere; none where they keep their own.
    pub(crate) rewrites_sources_to: Vec<IpAddr>,
    /// Under which of the node's addresses its pods' packets leave through Services; none where they keep their own.
    pub(crate) rewrites_clients_to: Vec<IpAddr>,
    /// Whether a pod may send with an address that is not its own.
    pub(crate) takes_any_source: bool,
    /// Whether the node unpacks what a pod has wrapped in VXLAN.
    pub(crate) unpacks_for_pods: bool,
}

/// What follows when a gate lets a packet through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// The next gate is asked, and after the last one it passes.
    NextGate,
    /// It passes at once.
    Passes,
    /// It goes on to chains of somebody else, which drop it.
    FallsToDrop,
}

/// Of which translated packets no gate is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// None.
    Nothing,
    /// All of them.
    Translated,
    /// Those that were sent to these addresses.
    SentTo(Vec<IpAddr>),
}

/// What becomes of a new flow that no gate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ungated {
    /// It passes.
    Passes,
    /// It is dropped, as is every new flow: the memory of flows is full, or the engine came up empty and closed.
    Dropped,
}

/// Which first packets of TCP pass because a flow of their addresses and ports is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownSyns {
    /// None.
    Asked,
    /// Those that run against the flow's direction, as if they answered it.
    AgainstTheFlow,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            asks_gates: true,
            accepted: Accepted::NextGate,
            foreign_accepts: Vec::new(),
            accepts_towards: Vec::new(),
            unasked: Unasked::Nothing,
            ungated: Ungated::Passes,
            remembers_flows: true,
            known_syns: KnownSyns::Asked,
            untracked: Vec::new(),
            rewrites_sources_to: Vec::new(),
            rewrites_clients_to: Vec::new(),
            takes_any_source: false,
            unpacks_for_pods: false,
        }
    }
}
