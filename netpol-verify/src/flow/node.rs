//! What is known of each node's sensor: whom it watches, what it lost, how far it has proven, and how its clock runs.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{clock::NodeClock, losses::LossLog, watch::Watch};
use crate::{
    bus::{Batch, NodeName, Origin},
    net::{KernelTime, Netns, NetnsCookie, NodeId},
};

/// Losses and interfaces older than this are let go: no window reaches back so far.
const KEPT: u64 = 600 * 1_000_000_000;

/// No window begins later.
const NEVER: KernelTime = KernelTime(u64::MAX);

/// One node's sensor. All times inside are the node's own.
#[derive(Debug, Default)]
pub struct Node {
    session: Option<u64>,
    sequence: Option<u64>,
    /// Batches that are missing and records that are damaged since the last heartbeat. Whatever they held was seen after
    /// it, up to nobody knows when: the next heartbeat ends the span.
    missing: u64,
    /// Up to when every record has been read.
    proven: KernelTime,
    /// From when on its batches are heard; before, some may never have come to us.
    heard_from: KernelTime,
    /// When its last heartbeat came, on the verifier's clock.
    heard_at: Option<KernelTime>,
    pub(super) host: Option<NetnsCookie>,
    pub(super) clock: NodeClock,
    pub(super) watch: Watch,
    pub(super) losses: LossLog,
}

impl Node {
    /// A message of a session: the first of a new one ends what was known of the one before.
    pub(super) fn session(&mut self, origin: &Origin, clock: NodeClock) {
        if self.session == Some(origin.session) {
            return;
        }
        if self.session.is_some() {
            self.watch.end(self.proven);
            self.losses.restart();
            // The node may have booted anew: then its clock did too, and what it proved is no later than that.
            self.proven = KernelTime(0);
        }
        self.session = Some(origin.session);
        self.sequence = None;
        self.missing = 0;
        self.heard_at = None;
        self.clock = clock;
    }

    /// What a batch says besides its records.
    pub(super) fn batch(&mut self, batch: &Batch, arrived: KernelTime) {
        match self.sequence {
            Some(last) => {
                let next = last.saturating_add(1);
                self.missing = self.missing.saturating_add(batch.sequence.saturating_sub(next));
            }
            // From its beginning, or we came later: then the next heartbeat is the first moment we know all of.
            None if batch.sequence <= 1 => self.heard_from = KernelTime(0),
            None => self.heard_from = NEVER,
        }
        self.sequence = Some(
            self.sequence
                .map_or(batch.sequence, |last| last.max(batch.sequence)),
        );
        if !batch.is_empty() {
            return;
        }
        let said_at = batch.drained_at.max(batch.losses.read_at);
        if self.heard_from == NEVER {
            self.heard_from = batch.drained_at;
        }
        if self.missing > 0 {
            self.losses.gap(said_at, std::mem::take(&mut self.missing));
        }
        self.losses.heartbeat(&batch.losses, batch.drained_at);
        self.proven = self.proven.max(batch.drained_at);
        self.heard_at = Some(arrived);
        self.clock.arrived(said_at, arrived);
        let old = KernelTime(self.proven.0.saturating_sub(KEPT));
        self.losses.forget_before(old);
        self.watch.forget_before(old);
    }

    /// Records that came and could not be read: each may have been the sighting that decides.
    pub(super) const fn damage(&mut self, records: u64) {
        self.missing = self.missing.saturating_add(records);
    }

    /// Up to when every record has been read, on the node's clock.
    #[must_use]
    pub const fn proven(&self) -> KernelTime {
        self.proven
    }

    /// When its last heartbeat came, on the verifier's clock; `None` before the first of its session.
    #[must_use]
    pub const fn heard_at(&self) -> Option<KernelTime> {
        self.heard_at
    }

    /// Its clock.
    #[must_use]
    pub const fn clock(&self) -> &NodeClock {
        &self.clock
    }

    /// Its losses.
    #[must_use]
    pub const fn losses(&self) -> &LossLog {
        &self.losses
    }

    /// Whether it has proven everything up to a moment of the verifier.
    fn proves(&self, moment: KernelTime) -> bool {
        self.clock
            .latest(moment)
            .is_some_and(|latest| latest <= self.proven)
    }

    /// A span of the verifier's time, on the node's clock and as wide as it may be there.
    fn span(&self, from: KernelTime, to: KernelTime) -> Option<(KernelTime, KernelTime)> {
        Some((self.clock.earliest(from)?, self.clock.latest(to)?))
    }
}

/// All nodes. What is asked is asked in the verifier's time.
#[derive(Debug, Default)]
pub struct Nodes {
    ids: HashMap<NodeName, NodeId>,
    nodes: Vec<Node>,
    /// What is said of a node nobody has heard of.
    nobody: Node,
    /// Whose drops count, beside every node's own; `None`: everybody's.
    scope: Option<HashSet<NetnsCookie>>,
}

impl Nodes {
    /// The node of that name, known from now on.
    pub fn id(&mut self, name: &NodeName) -> NodeId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node::default());
        self.ids.insert(name.clone(), id);
        id
    }

    /// The node of that name, where it has been heard of.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.ids.get(name).copied()
    }

    /// Every node that was heard of.
    pub fn all(&self) -> impl Iterator<Item = (&NodeName, NodeId, &Node)> {
        self.ids.iter().map(|(name, id)| (name, *id, self.get(*id)))
    }

    /// What is known of a node.
    #[must_use]
    pub fn get(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0 as usize).unwrap_or(&self.nobody)
    }

    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(id.0 as usize).unwrap_or(&mut self.nobody)
    }

    pub(super) fn only_drops_in(&mut self, scope: HashSet<NetnsCookie>) {
        self.scope = Some(scope);
    }

    /// Whether a drop that a node's sensor saw is of that node: the kernel tells the drops of the whole machine, and two
    /// nodes may be namespaces of one (kind, k3d, the lab).
    pub(super) fn is_own(&self, netns: Netns) -> bool {
        if netns.is_unknown() {
            return true;
        }
        let node = self.get(netns.node);
        match (&self.scope, node.host) {
            (Some(scope), _) => scope.contains(&netns.cookie),
            (None, Some(host)) => host == netns.cookie || node.watch.knows(netns.cookie),
            (None, None) => true,
        }
    }

    /// A moment of a node on the verifier's clock, as near as it is known; the beginning of time where it is not, which
    /// proves nothing.
    pub(super) fn when(&self, netns: Netns, moment: KernelTime) -> KernelTime {
        self.get(netns.node).clock.on_ours(moment).unwrap_or_default()
    }

    /// Whether a node's sensor has proven everything up to a moment.
    #[must_use]
    pub fn proves(&self, node: NodeId, moment: KernelTime) -> bool {
        self.get(node).proves(moment)
    }

    /// Whether a namespace was watched all the time between two moments, and heard of.
    #[must_use]
    pub fn covers(&self, netns: Netns, from: KernelTime, to: KernelTime) -> bool {
        let node = self.get(netns.node);
        node.span(from, to)
            .is_some_and(|(from, to)| from >= node.heard_from && node.watch.covers(netns.cookie, from, to))
    }

    /// How many records were lost in the namespaces, or nobody knows where on their nodes, between two moments.
    #[must_use]
    pub fn lost(&self, netns: &[Netns], from: KernelTime, to: KernelTime) -> u64 {
        let mut by_node = BTreeMap::<NodeId, Vec<NetnsCookie>>::new();
        for one in netns {
            by_node.entry(one.node).or_default().push(one.cookie);
        }
        let lost = by_node.into_iter().map(|(id, cookies)| {
            let node = self.get(id);
            node.span(from, to)
                .map_or(1, |(from, to)| node.losses.lost(&cookies, from, to))
        });
        lost.sum()
    }
}
