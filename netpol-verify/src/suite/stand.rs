//! A lab that stands: the virtual cluster, what it holds, who enforces, and the eyes on it.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
};

use super::{
    judged,
    outside::outside,
    pairs::{Attempt, attempts, can_probe, deciders},
    prober::{Decided, Planned, Prober},
    scenario::ProbePattern,
};
use crate::{
    bus::LocalBus,
    cluster::{ClusterState, Node, Object, ObjectKey, ObjectName, Pod, Problem},
    finding::{JudgedAttempt, Path},
    flow::{Patience, Tracker},
    judge::judge,
    kernel::KernelFacts,
    lab::{
        LabNode, LabPod, NetnsError, World,
        dns::{DnsError, DnsServer, Zone},
        enforcer::{AnyEnforcer, Enforcer as _, EnforcerError},
        proxy::{Proxy, ProxyError},
        topology::{Overlay, TopologyError, VirtualCluster, Wiring},
    },
    net::{Netns, NodeId},
    observe::Decoder,
    policy::{PolicySet, compile},
    sensor::{Mode, NetnsPath, Options, Pods, Probe, ProbeError, ProbeSocket, Sensor, SensorError, Tunnel},
};

/// The environment cannot run the lab: exit code 4, never a verdict.
#[derive(Debug, thiserror::Error)]
pub enum StandError {
    /// The virtual cluster.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A namespace.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The sensor.
    #[error(transparent)]
    Sensor(#[from] SensorError),
    /// The probes.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The enforcer.
    #[error(transparent)]
    Enforcer(#[from] EnforcerError),
    /// The name server.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The translation of Services.
    #[error(transparent)]
    Proxy(#[from] Box<ProxyError>),
}

/// Messages the in-process bus holds: a burst's batches and every pod's announcement.
const BUS: usize = 1 << 16;
/// Our source ports lie below the kernel's own (`ip_local_port_range`, 32768 and up).
const SOURCE_PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A lab that stands.
pub struct Stand {
    cluster: VirtualCluster,
    state: ClusterState,
    enforcer: AnyEnforcer,
    proxy: Proxy,
    prober: Prober,
    dns: Option<DnsServer>,
    cookies: HashMap<ObjectName, Netns>,
    next_port: u16,
    nonce: u32,
    facts: KernelFacts,
}

/// What one stage gave.
#[derive(Debug, Default)]
pub struct StageResult {
    /// Every attempt, judged.
    pub attempts: Vec<JudgedAttempt>,
    /// Policies that decided at least one of them.
    pub exercised: Vec<String>,
    /// What in the policies could not be taken.
    pub problems: Vec<Problem>,
}

/// The names of pods' namespaces.
fn pod_prefix(cluster: &VirtualCluster) -> String {
    format!("{}pod-", cluster.id().prefix())
}

impl Stand {
    /// Puts eyes on a built cluster. `state` must hold its pods; their addresses and nodes are filled in here.
    ///
    /// # Errors
    /// The sensor, a probe socket or the name server cannot start.
    pub async fn new(
        cluster: VirtualCluster,
        state: ClusterState,
        enforcer: AnyEnforcer,
    ) -> Result<Self, StandError> {
        Self::with(cluster, state, enforcer, Options::default()).await
    }

    /// As [`Self::new`], with choices for the sensor.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub async fn with(
        cluster: VirtualCluster,
        state: ClusterState,
        enforcer: AnyEnforcer,
        options: Options,
    ) -> Result<Self, StandError> {
        let facts = KernelFacts::of_kernel();
        let (bus, inbox) = LocalBus::new(BUS);
        let prefix = pod_prefix(&cluster);
        let pods = Pods::Named(Arc::new(move |name: &str| name.starts_with(&prefix)));
        let sensor =
            Sensor::start_with(&facts, Mode::Active, "lab".into(), Arc::new(bus), pods, options).await?;
        let decoder = Decoder::new(facts.drop_reasons.clone());
        let prober = Prober::new(sensor, inbox, decoder, Tracker::new(Patience::default()));
        let proxy = if cluster.is_reopened() {
            Proxy::of_standing()
        } else {
            Proxy::default()
        };
        // Random, so that no tuple of an earlier run is met in a connection tracking table.
        let seed = crate::random::random();
        let mut stand = Self {
            cluster,
            state,
            enforcer,
            proxy,
            prober,
            dns: None,
            cookies: HashMap::new(),
            next_port: SOURCE_PORTS.start + u16::try_from(seed % 10_000).unwrap_or(0),
            nonce: u32::try_from(seed >> 32).unwrap_or(1),
            facts,
        };
        stand.learn_pods().await?;
        Ok(stand)
    }

    /// The cluster.
    #[must_use]
    pub const fn cluster(&self) -> &VirtualCluster {
        &self.cluster
    }

    /// What it holds.
    #[must_use]
    pub const fn state(&self) -> &ClusterState {
        &self.state
    }

    /// The eyes.
    #[must_use]
    pub const fn prober(&self) -> &Prober {
        &self.prober
    }

    /// The kernel's facts.
    #[must_use]
    pub const fn facts(&self) -> &KernelFacts {
        &self.facts
    }

    /// Gives the objects of wired pods their addresses and nodes, and opens what probes and names need.
    async fn learn_pods(&mut self) -> Result<(), StandError> {
        let snapshot = self.state.snapshot();
        // What manifests say of a node is kept, but for its name and addresses.
        let nodes = self.cluster.nodes.iter().map(|node| {
            let known = snapshot.nodes.iter().find(|known| known.name == node.name);
            let mut labels = known.map(|known| known.labels.clone()).unwrap_or_default();
            labels.insert("kubernetes.io/hostname".to_owned(), node.name.clone());
            Object::Node(Node {
                name: node.name.clone(),
                addresses: node.addresses.clone(),
                labels,
            })
        });
        let pods = self.cluster.pods.iter().filter_map(|built| {
            let pod = snapshot.pod(&built.name)?;
            Some(Object::Pod(Pod {
                node: Some(built.node.clone()),
                ips: built.addresses.clone(),
                ..pod.clone()
            }))
        });
        let objects: Vec<Object> = nodes.chain(pods).collect();
        self.state.apply(objects);
        let snapshot = self.state.snapshot();
        self.cookies.clear();
        let mut scope = HashSet::from([self.cluster.fabric().cookie()?]);
        for node in &self.cluster.nodes {
            scope.insert(node.netns.cookie()?);
        }
        for built in &self.cluster.pods {
            let cookie = built.netns.cookie()?;
            scope.insert(cookie);
            // One sensor watches all: the lab is one node to it.
            let netns = Netns {
                node: NodeId(0),
                cookie,
            };
            self.cookies.insert(built.name.clone(), netns);
            if snapshot.pod(&built.name).is_some_and(can_probe) {
                self.prober
                    .add_socket(ProbeSocket::open(&NetnsPath::from(built.netns.path()))?);
            }
        }
        self.prober.only_drops_in(scope);
        match &self.dns {
            Some(server) => server.set_zone(Zone::of(&self.cluster.pods)),
            None => self.dns = DnsServer::for_cluster(&self.cluster).await?,
        }
        Ok(())
    }

    /// Applies objects: new pods are wired, gone ones unwired, and the enforcer is told.
    ///
    /// # Errors
    /// The kernel or the enforcer refuses.
    pub async fn apply(&mut self, objects: Vec<Object>) -> Result<(), StandError> {
        self.change(Vec::new(), objects).await
    }

    /// Deletes objects, as [`Self::apply`].
    ///
    /// # Errors
    /// The kernel or the enforcer refuses.
    pub async fn delete(&mut self, keys: Vec<ObjectKey>) -> Result<(), StandError> {
        self.change(keys, Vec::new()).await
    }

    /// Deletes and applies, and tells the enforcer once.
    ///
    /// # Errors
    /// The kernel or the enforcer refuses.
    pub async fn change(&mut self, gone: Vec<ObjectKey>, objects: Vec<Object>) -> Result<(), StandError> {
        self.wire(gone, objects).await?;
        self.enforce().await
    }

    /// Deletes and applies, and tells nobody yet.
    pub(super) async fn wire(
        &mut self,
        gone: Vec<ObjectKey>,
        objects: Vec<Object>,
    ) -> Result<(), StandError> {
        self.state.delete(gone);
        self.state.apply(objects);
        self.rewire().await
    }

    async fn rewire(&mut self) -> Result<(), StandError> {
        // A pod that is over gives its network back (R28).
        let mut snapshot = self.state.snapshot();
        snapshot.pods.retain(|pod| !pod.phase.is_terminal());
        let gone: Vec<ObjectName> = self
            .cluster
            .pods
            .iter()
            .filter(|built| {
                let pod = snapshot.pod(&built.name);
                pod.is_none_or(|pod| self.cluster.is_elsewhere(built, pod))
            })
            .map(|built| built.name.clone())
            .collect();
        let is_built = |pod: &&Pod| self.cluster.pod(&pod.name).is_some() && !gone.contains(&pod.name);
        let mut new: Vec<Pod> = snapshot
            .pods
            .iter()
            .filter(|pod| !is_built(pod))
            .cloned()
            .collect();
        // Whoever asks for addresses comes before those that take any.
        new.sort_by_key(|pod| pod.ips.is_empty());
        // Addresses that the lab cannot give are those of another cluster: the pods have their own.
        let strange = snapshot.pods.iter().filter(is_built).any(|pod| {
            self.cluster
                .pod(&pod.name)
                .is_some_and(|built| built.addresses != pod.ips)
        });
        if gone.is_empty() && new.is_empty() && !strange {
            return Ok(());
        }
        for name in &gone {
            self.cluster.remove_pod(name).await?;
        }
        for pod in &new {
            self.cluster.add_pod(pod, pod.node.as_deref()).await?;
        }
        self.learn_pods().await
    }

    /// Tells the enforcer how the cluster stands.
    ///
    /// # Errors
    /// It refuses, or does not answer as it should.
    pub async fn enforce(&mut self) -> Result<(), StandError> {
        let world = self.ready()?;
        Ok(self.enforcer.apply(&world).await?)
    }

    /// What the enforcer is to be told, where it runs and Services are translated.
    pub(super) fn ready(&mut self) -> Result<World, StandError> {
        self.start_enforcer()?;
        let world = self.world();
        self.proxy.apply(&world).map_err(Box::new)?;
        Ok(world)
    }

    /// Starts what must run. Noted before it is told anything: should this process be killed, the next run ends it.
    fn start_enforcer(&mut self) -> Result<(), StandError> {
        if let Some(process) = self.enforcer.start()? {
            self.cluster.record_process(process)?;
        }
        Ok(())
    }

    /// Ends the enforcer as a crash does: it forgets what it knows, and its rules stay.
    pub(super) async fn crash_enforcer(&mut self) {
        self.enforcer.crash().await;
    }

    /// Whether a user's program enforces.
    pub(super) const fn is_enforced_by_a_program(&self) -> bool {
        matches!(self.enforcer, AnyEnforcer::External(_))
    }

    /// The cluster as enforcers see it.
    #[must_use]
    pub fn world(&self) -> World {
        let snapshot = self.state.snapshot();
        let bridge = match self.cluster.wiring() {
            Wiring::Bridge {
                overlay: Overlay::Vxlan,
            } => Some("cni0"),
            Wiring::Bridge {
                overlay: Overlay::HostGateway,
            } => Some("cbr0"),
            Wiring::Routed => None,
        };
        let nodes = self.cluster.nodes.iter().map(|node| LabNode {
            name: node.name.clone(),
            netns: node.netns.path(),
            addresses: node.addresses.clone(),
            bridge: bridge.map(str::to_owned),
        });
        let pods = self.cluster.pods.iter().filter_map(|built| {
            Some(LabPod {
                pod: snapshot.pod(&built.name)?.clone(),
                node: built.node.clone(),
                netns: built.netns.path(),
                host_interface: built.host_interface.clone(),
            })
        });
        let (nodes, pods) = (nodes.collect(), pods.collect());
        World {
            nodes,
            pods,
            snapshot,
        }
    }

    /// Probes the pairs and judges what became of each.
    ///
    /// # Errors
    /// A probe cannot be made.
    pub async fn probe(&mut self, stage: &str, patterns: &[ProbePattern]) -> Result<StageResult, StandError> {
        let snapshot = self.state.snapshot();
        let (set, problems) = compile(&snapshot);
        let mut result = self.judged(stage, &set, attempts(&snapshot, patterns)).await?;
        result.problems = problems;
        Ok(result)
    }

    /// Makes attempts and judges them by `set`; a line for each that can be made, in their order.
    ///
    /// # Errors
    /// A probe cannot be made.
    pub(super) async fn judged(
        &mut self,
        stage: &str,
        set: &PolicySet,
        attempts: Vec<Attempt>,
    ) -> Result<StageResult, StandError> {
        if attempts.iter().any(Attempt::meets_outside) {
            self.open_outside().await?;
        }
        let mut planned = Vec::with_capacity(attempts.len());
        let mut asked = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            if let Some(plan) = self.plan(&attempt) {
                planned.push(plan);
                asked.push(attempt);
            }
        }
        let decided = self.prober.run(&planned).await?;
        // Positive evidence needs no heartbeat, but the report's account of losses does.
        self.prober.settle().await;
        let mut result = StageResult::default();
        for (attempt, decided) in asked.iter().zip(decided) {
            let judgement = judge(attempt.decide(set), decided.outcome);
            result.exercised.extend(deciders(&judgement.expected));
            let path = self.path(attempt);
            result
                .attempts
                .push(judged::line(stage, attempt, path, &judgement, decided.latency));
        }
        result.exercised.sort();
        result.exercised.dedup();
        Ok(result)
    }

    /// Sends one planned probe and waits for what becomes of it.
    pub(super) async fn run_planned(
        &mut self,
        planned: &Planned,
        tunnel: Option<Tunnel>,
    ) -> Result<Option<Decided>, StandError> {
        let decided = self
            .prober
            .run_through(std::slice::from_ref(planned), tunnel)
            .await?;
        Ok(decided.into_iter().next())
    }

    /// The one outside is watched and asks as a pod does.
    async fn open_outside(&mut self) -> Result<(), StandError> {
        if self.cookies.contains_key(&outside()) {
            return Ok(());
        }
        let netns = self.cluster.outside().await?.clone();
        let cookie = netns.cookie()?;
        self.prober
            .add_socket(ProbeSocket::open(&NetnsPath::from(netns.path()))?);
        let netns = Netns {
            node: NodeId(0),
            cookie,
        };
        self.cookies.insert(outside(), netns);
        Ok(())
    }

    pub(super) fn plan(&mut self, attempt: &Attempt) -> Option<Planned> {
        let source = *self.cookies.get(&attempt.from)?;
        let destination = self.cookies.get(&attempt.to).copied();
        self.next_port += 1;
        if self.next_port >= SOURCE_PORTS.end {
            self.next_port = SOURCE_PORTS.start;
        }
        self.nonce = self.nonce.wrapping_add(0x9e37_79b9);
        Some(Planned {
            source,
            destination,
            probe: Probe {
                protocol: attempt.protocol,
                source: SocketAddr::new(attempt.from_address, self.next_port),
                destination: attempt.dialled.as_ref().map_or_else(
                    || SocketAddr::new(attempt.to_address, attempt.port),
                    |dialled| SocketAddr::new(dialled.address, dialled.port),
                ),
                nonce: self.nonce,
            },
        })
    }

    pub(super) fn path(&self, attempt: &Attempt) -> Path {
        let node = |name| self.cluster.pod(name).map(|pod| pod.node.as_str());
        match (node(&attempt.from), node(&attempt.to)) {
            (Some(from), Some(to)) if from == to => Path::SameNode,
            _ => Path::CrossNode,
        }
    }

    /// Stops the enforcer and removes everything.
    ///
    /// # Errors
    /// With the first thing that could not be stopped or removed; everything is tried.
    pub async fn down(mut self) -> Result<(), StandError> {
        self.dns = None;
        drop(self.prober);
        let stopped = self.enforcer.stop().await;
        let removed = self.cluster.remove().await;
        stopped?;
        Ok(removed?)
    }

    /// Lets another enforcer take over from now on, and hands back the one before. Its rules stay until they are replaced.
    pub const fn change_enforcer(&mut self, enforcer: AnyEnforcer) -> AnyEnforcer {
        std::mem::replace(&mut self.enforcer, enforcer)
    }

    /// Ends the watch and hands back what stays: the cluster and what it holds. The enforcer's rules stay in place.
    #[must_use]
    pub fn into_parts(self) -> (VirtualCluster, ClusterState, AnyEnforcer) {
        (self.cluster, self.state, self.enforcer)
    }
}
