//! Which pod is behind a network namespace or an address, now: by the pod's UID first, by its address only where nothing
//! better is known, and never by what a packet says of itself.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use super::ears::Ears;
use crate::{
    cluster::{ObjectName, Pod},
    net::{Netns, NodeId},
};

/// Pods by every way they can be known. Made anew when pods or interfaces change.
#[derive(Debug, Default)]
pub struct Identity {
    by_netns: HashMap<Netns, Found>,
    homes: HashMap<ObjectName, Netns>,
    by_address: HashMap<IpAddr, Vec<ObjectName>>,
    nodes: HashMap<IpAddr, String>,
    /// Sensors that announce pods which the API knows on another node.
    pub strangers: Vec<String>,
}

/// Who lives in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This pod.
    Pod(ObjectName),
    /// More than one pod claims it, or its pod has more than one network: nothing is judged of it.
    Open(&'static str),
}

/// Why a namespace with two watched interfaces is not judged: NetworkPolicy speaks of a pod's first network only.
const SECOND_INTERFACE: &str = "the pod has a second interface, and NetworkPolicy says nothing of it";
const SHARED: &str = "more than one pod is in the namespace";

impl Identity {
    /// Joins what sensors tell with what the API tells.
    #[must_use]
    pub fn new<'a>(
        ears: &Ears,
        pods: impl Iterator<Item = &'a Pod>,
        nodes: impl Iterator<Item = (&'a str, &'a [IpAddr])>,
    ) -> Self {
        let mut identity = Self::default();
        let mut by_uid: HashMap<&str, &Pod> = HashMap::new();
        let mut by_home: HashMap<(&str, IpAddr), &Pod> = HashMap::new();
        for pod in pods {
            if pod.host_network || pod.phase.is_terminal() {
                continue;
            }
            if let Some(uid) = &pod.uid {
                by_uid.insert(uid, pod);
            }
            for address in &pod.ips {
                identity
                    .by_address
                    .entry(address.to_canonical())
                    .or_default()
                    .push(pod.name.clone());
                if let Some(node) = &pod.node {
                    by_home.insert((node.as_str(), address.to_canonical()), pod);
                }
            }
        }
        for (name, addresses) in nodes {
            let addresses = addresses
                .iter()
                .map(|address| (address.to_canonical(), name.to_owned()));
            identity.nodes.extend(addresses);
        }
        let mut spaces: BTreeMap<Netns, Vec<&crate::bus::WatchedInterface>> = BTreeMap::new();
        let mut names: HashMap<NodeId, &str> = HashMap::new();
        for (id, node, interface) in ears.interfaces() {
            names.insert(id, node);
            let netns = Netns {
                node: id,
                cookie: interface.netns,
            };
            spaces.entry(netns).or_default().push(interface);
        }
        for (netns, interfaces) in spaces {
            let Some(node) = names.get(&netns.node) else {
                continue;
            };
            let mut found: Vec<&Pod> = Vec::new();
            for uid in interfaces.iter().flat_map(|interface| &interface.pods) {
                match by_uid.get(uid.as_str()) {
                    Some(pod) if pod.node.as_deref() != Some(*node) => {
                        identity.strangers.push(format!("{node} announces {}", pod.name));
                    }
                    Some(pod) => found.push(pod),
                    None => {}
                }
            }
            if interfaces.iter().all(|interface| interface.pods.is_empty()) {
                let addresses = interfaces.iter().flat_map(|interface| &interface.addresses);
                found.extend(addresses.filter_map(|address| by_home.get(&(*node, address.to_canonical()))));
            }
            found.sort_by(|a, b| a.name.cmp(&b.name));
            found.dedup_by(|a, b| a.name == b.name);
            let is_second = interfaces.len() > 1;
            let known = match found.as_slice() {
                [] => continue,
                [_] if is_second => Found::Open(SECOND_INTERFACE),
                [pod] => {
                    identity.homes.insert(pod.name.clone(), netns);
                    Found::Pod(pod.name.clone())
                }
                _ => Found::Open(SHARED),
            };
            identity.by_netns.insert(netns, known);
        }
        identity
    }

    /// Who lives in a namespace.
    #[must_use]
    pub fn of(&self, netns: Netns) -> Option<&Found> {
        self.by_netns.get(&netns)
    }

    /// A pod's namespace, where a sensor watches it.
    #[must_use]
    pub fn home(&self, pod: &ObjectName) -> Option<Netns> {
        self.homes.get(pod).copied()
    }

    /// The pods that have an address now.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> &[ObjectName] {
        self.by_address
            .get(&address.to_canonical())
            .map_or(&[], Vec::as_slice)
    }

    /// The node that has an address.
    #[must_use]
    pub fn node_at(&self, address: IpAddr) -> Option<&str> {
        self.nodes.get(&address.to_canonical()).map(String::as_str)
    }
}
