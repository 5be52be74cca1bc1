//! The virtual cluster: what is there, how it changes, and how it goes.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{
    BuiltNode, BuiltPod, ClusterRecord, NodeNumber, Overlay, PlacementError, Plan, Plugins, TopologyError,
    Wiring,
    build::{self, PodSite},
    ready,
};
use crate::{
    cluster::{ObjectName, Pod},
    lab::{
        ClusterId, Netns, NetnsError, ProcessId, RunRecord, RuntimeDir,
        wiring::{
            outside,
            plugin::{self, PluginWiring},
        },
    },
};

/// The role of the namespace outside the cluster. No pod's has this name: theirs have a dot.
const OUTSIDE_ROLE: &str = "pod-outside";

/// A cluster of network namespaces. Dropping it removes it, unless it was left standing or reopened.
#[derive(Debug)]
pub struct VirtualCluster {
    /// The nodes, in order.
    pub nodes: Vec<BuiltNode>,
    /// The pods, in the order they came.
    pub pods: Vec<BuiltPod>,
    /// Which wiring it has and who made it, for the report.
    pub used: String,
    pub(super) id: ClusterId,
    pub(super) wiring: Wiring,
    pub(super) plugins: Option<PluginWiring>,
    pub(super) fabric: Netns,
    outside: Option<Netns>,
    dir: RuntimeDir,
    record: Option<RunRecord>,
    remove_on_drop: bool,
}

impl VirtualCluster {
    /// Builds the cluster; when this returns, all pods reach each other on both families. What was built is removed on failure.
    ///
    /// # Errors
    /// Without root's rights, with an impossible plan, or when the kernel or a plugin refuses.
    pub async fn build(plan: &Plan, dir: &RuntimeDir) -> Result<Self, TopologyError> {
        let places = plan.place()?;
        let numbers = plan.node_numbers()?;
        let (id, fabric, record) = claim(dir)?;
        let programs = match (plan.wiring, plan.plugins) {
            (Wiring::Bridge { .. }, Plugins::Auto) => plugin::installed(),
            _ => None,
        };
        let plugins = programs.map(|programs| PluginWiring::new(programs, dir.file(&plugin::data_name(id))));
        // From here on a failure drops the cluster, and so removes whatever there is.
        let mut cluster = Self {
            nodes: Vec::new(),
            pods: Vec::new(),
            used: used(plan.wiring, plugins.as_ref()),
            id,
            wiring: plan.wiring,
            plugins,
            fabric,
            outside: None,
            dir: dir.clone(),
            record: Some(record),
            remove_on_drop: true,
        };
        build::nodes(&mut cluster, &numbers).await?;
        let sites = plan
            .pods
            .iter()
            .zip(places)
            .map(|(pod, node)| PodSite::of(pod, node))
            .collect();
        build::pods(&mut cluster, sites).await?;
        ready::wait(&cluster).await?;
        Ok(cluster)
    }

    /// The cluster that another process left standing.
    ///
    /// # Errors
    /// When one of its namespaces is gone.
    pub fn reopen(record: &ClusterRecord, dir: &RuntimeDir) -> Result<Self, TopologyError> {
        let numbers: Option<Vec<_>> = (1..=record.nodes).map(NodeNumber::new).collect();
        let numbers = numbers.ok_or(PlacementError::NodeCount { wanted: record.nodes })?;
        let data = dir.file(&plugin::data_name(record.id));
        let plugins = record
            .plugins
            .clone()
            .map(|programs| PluginWiring::new(programs, data));
        let nodes = numbers.iter().map(|number| build::open_node(record.id, *number));
        let pods = record.pods.iter().map(|pod| {
            Ok(BuiltPod {
                name: pod.name.clone(),
                node: pod.node.clone(),
                netns: Netns::open(&pod.netns)?,
                host_interface: pod.host_interface.clone(),
                addresses: pod.addresses.clone(),
                host_network: pod.host_network,
            })
        });
        Ok(Self {
            nodes: nodes.collect::<Result<_, NetnsError>>()?,
            pods: pods.collect::<Result<_, NetnsError>>()?,
            used: used(record.wiring, plugins.as_ref()),
            id: record.id,
            wiring: record.wiring,
            plugins,
            fabric: Netns::open(&record.id.namespace(build::FABRIC_ROLE))?,
            outside: Netns::open(&record.id.namespace(OUTSIDE_ROLE)).ok(),
            dir: dir.clone(),
            record: None,
            remove_on_drop: false,
        })
    }

    /// Whose it is.
    #[must_use]
    pub const fn id(&self) -> ClusterId {
        self.id
    }

    /// Its wiring.
    #[must_use]
    pub const fn wiring(&self) -> Wiring {
        self.wiring
    }

    /// Whether another process had left it standing.
    #[must_use]
    pub const fn is_reopened(&self) -> bool {
        !self.remove_on_drop
    }

    /// The namespace between the nodes.
    #[must_use]
    pub const fn fabric(&self) -> &Netns {
        &self.fabric
    }

    /// The one outside the cluster, on the same network as the nodes; made when it is first asked for.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn outside(&mut self) -> Result<&Netns, TopologyError> {
        let netns = match self.outside.take() {
            Some(netns) => netns,
            None => {
                let netns = Netns::create(&self.id.namespace(OUTSIDE_ROLE))?;
                let numbers: Vec<NodeNumber> = self
                    .nodes
                    .iter()
                    .filter_map(|node| NodeNumber::from_name(&node.name))
                    .collect();
                if let Err(error) = outside::join(&self.fabric, &netns, &numbers).await {
                    // Else the next call would only say that it is there.
                    let _ = Netns::remove(netns.name());
                    return Err(error.into());
                }
                netns
            }
        };
        Ok(self.outside.insert(netns))
    }

    /// The node of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&BuiltNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The pod of that name.
    #[must_use]
    pub fn pod(&self, name: &ObjectName) -> Option<&BuiltPod> {
        self.pods.iter().find(|pod| pod.name == *name)
    }

    /// Whether a pod is wanted on another node or at other addresses of ours than it has: then it is another pod of its name.
    #[must_use]
    pub fn is_elsewhere(&self, built: &BuiltPod, pod: &Pod) -> bool {
        let node = pod.node.as_deref().unwrap_or(&built.node);
        let wanted = NodeNumber::from_name(node).and_then(|number| number.wanted(&pod.ips));
        let moved = wanted.is_some_and(|(v4, v6)| {
            let pair = [IpAddr::V4(v4), IpAddr::V6(v6)];
            pair.iter().any(|address| !built.addresses.contains(address))
        });
        node != built.node || built.host_network != pod.host_network || (moved && self.plugins.is_none())
    }

    /// The cluster as text, to be kept by `lab up`.
    #[must_use]
    pub fn record(&self) -> ClusterRecord {
        ClusterRecord {
            id: self.id,
            wiring: self.wiring,
            nodes: self.nodes.len(),
            plugins: self.plugins.as_ref().map(|plugins| plugins.programs().to_owned()),
            pods: self.pods.iter().map(Into::into).collect(),
        }
    }

    /// Adds a pod on that node, or on the one with the fewest pods.
    ///
    /// # Errors
    /// When the name is taken, the node is not there, or the kernel or a plugin refuses; then nothing of the pod is left.
    pub async fn add_pod(&mut self, pod: &Pod, node: Option<&str>) -> Result<&BuiltPod, TopologyError> {
        if self.pod(&pod.name).is_some() {
            return Err(PlacementError::Twice {
                pod: pod.name.clone(),
            }
            .into());
        }
        let number = match node {
            Some(name) => self.node(name).and_then(|node| NodeNumber::from_name(&node.name)),
            None => self.emptiest(),
        };
        let number = number.ok_or_else(|| PlacementError::NoSuchNode {
            pod: pod.name.clone(),
            node: node.unwrap_or_default().to_owned(),
            nodes: self.nodes.len(),
        })?;
        let site = PodSite::of(pod, number);
        match build::pods(self, vec![site.clone()]).await {
            Ok(()) => {}
            // The namespace of that name is not this pod's.
            Err(error @ TopologyError::Netns(NetnsError::Exists { .. })) => return Err(error),
            Err(error) => {
                build::discard(self, &site).await;
                return Err(error);
            }
        }
        if let Err(error) = ready::wait(self).await {
            self.remove_pod(&pod.name).await?;
            return Err(error);
        }
        self.pod(&pod.name).ok_or_else(|| TopologyError::NoSuchPod {
            pod: pod.name.clone(),
        })
    }

    /// Removes a pod and gives its addresses back.
    ///
    /// # Errors
    /// When there is none of that name, or the kernel or a plugin refuses.
    pub async fn remove_pod(&mut self, name: &ObjectName) -> Result<(), TopologyError> {
        let pod = self
            .pod(name)
            .ok_or_else(|| TopologyError::NoSuchPod { pod: name.clone() })?;
        build::unwire(self, pod).await?;
        self.pods.retain(|pod| pod.name != *name);
        Ok(())
    }

    /// Notes a process that was started inside, so that it is ended should this one be killed.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn record_process(&mut self, pid: u32) -> Result<(), TopologyError> {
        let Some(process) = ProcessId::of(pid) else {
            return Ok(());
        };
        let mut record = match self.record.take() {
            Some(record) => record,
            None => new_record(self.id),
        };
        record.processes.push(process);
        let saved = record.save(&self.dir);
        self.record = Some(record);
        Ok(saved?)
    }

    /// Leaves the cluster for other commands. Save its [`VirtualCluster::record`] in the lab's state first: from now on that
    /// state is what keeps the next run from taking the cluster for residue.
    ///
    /// # Errors
    /// When the run's note cannot be removed.
    pub fn leave_standing(mut self) -> Result<(), TopologyError> {
        self.remove_on_drop = false;
        self.forget_run()
    }

    /// Removes the cluster, also one that was reopened.
    ///
    /// # Errors
    /// With the first thing that could not be removed; everything is tried.
    pub async fn remove(mut self) -> Result<(), TopologyError> {
        self.remove_on_drop = false;
        self.remove_now()
    }

    /// The node with the fewest pods, the first of equals.
    fn emptiest(&self) -> Option<NodeNumber> {
        let pods_on = |name: &str| self.pods.iter().filter(|pod| pod.node == name).count();
        let node = self.nodes.iter().min_by_key(|node| pods_on(&node.name))?;
        NodeNumber::from_name(&node.name)
    }

    fn remove_now(&mut self) -> Result<(), TopologyError> {
        let removed = remove_namespaces(self.id);
        let forgotten = self
            .dir
            .remove(&plugin::data_name(self.id))
            .map_err(TopologyError::from);
        removed
            .map_err(TopologyError::from)
            .and(forgotten)
            .and_then(|()| self.forget_run())
    }

    fn forget_run(&mut self) -> Result<(), TopologyError> {
        match self.record.take() {
            Some(record) => Ok(self.dir.remove(&RunRecord::file_name(record.cluster))?),
            None => Ok(()),
        }
    }
}

impl Drop for VirtualCluster {
    fn drop(&mut self) {
        let gone = if self.remove_on_drop {
            self.remove_now()
        } else {
            self.forget_run()
        };
        if let Err(error) = gone {
            tracing::warn!(cluster = %self.id, %error, "The virtual cluster was not removed whole; the next run will try again.");
        }
    }
}

/// Removes every namespace of a cluster; gives the first failure after trying all.
fn remove_namespaces(id: ClusterId) -> Result<(), NetnsError> {
    let names = Netns::list(&id.prefix());
    let names = names.map_err(|source| NetnsError::Remove {
        name: id.to_string(),
        source,
    })?;
    let results: Vec<_> = names.iter().map(|name| Netns::remove(name)).collect();
    results.into_iter().collect()
}

/// Takes a name for a new cluster: the note first, so that there is never a namespace without one.
fn claim(dir: &RuntimeDir) -> Result<(ClusterId, Netns, RunRecord), TopologyError> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let pid = std::process::id();
    // A lab that an earlier process with our number left standing holds some names; few, so a thousand tries are plenty.
    for _ in 0..1000 {
        let id = ClusterId {
            pid,
            serial: NEXT.fetch_add(1, Ordering::Relaxed).max(1),
        };
        let standing = Netns::list(&id.prefix()).is_ok_and(|names| !names.is_empty());
        if standing || dir.file(&RunRecord::file_name(id)).exists() {
            continue;
        }
        let record = new_record(id);
        record.save(dir)?;
        match Netns::create(&id.namespace(build::FABRIC_ROLE)) {
            Ok(fabric) => return Ok((id, fabric, record)),
            Err(NetnsError::Exists { .. }) => dir.remove(&RunRecord::file_name(id))?,
            Err(error) => {
                dir.remove(&RunRecord::file_name(id))?;
                return Err(error.into());
            }
        }
    }
    Err(TopologyError::NoName { pid })
}

fn new_record(cluster: ClusterId) -> RunRecord {
    let pid = std::process::id();
    // Without /proc the start time is unknown and 0: then the note counts as a dead run's, and only its state protects a lab.
    let owner = ProcessId::of(pid).unwrap_or(ProcessId { pid, start_time: 0 });
    RunRecord {
        cluster,
        owner,
        processes: Vec::new(),
    }
}

/// The words for the report.
fn used(wiring: Wiring, plugins: Option<&PluginWiring>) -> String {
    let who = plugins.map_or_else(
        || "made by netpol-verify".to_owned(),
        |plugins| {
            format!(
                "made by the CNI plugins bridge and host-local in {}",
                plugins.programs().display()
            )
        },
    );
    match wiring {
        Wiring::Bridge {
            overlay: Overlay::Vxlan,
        } => format!("bridge cni0 and VXLAN flannel.1, {who}"),
        Wiring::Bridge {
            overlay: Overlay::HostGateway,
        } => format!("bridge cbr0 and routes between nodes, {who}"),
        Wiring::Routed => "routed /32 and /128 pods, made by netpol-verify".to_owned(),
    }
}
