//! The virtual cluster as the one JSON line that a user's enforcer reads.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde::Serialize;

use crate::{
    cluster::{AdminPolicy, ContainerPort, Phase},
    lab::{World, world::netns_name},
};

/// The line.
#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    generation: u64,
    nodes: Vec<Node<'a>>,
    pods: Vec<Pod<'a>>,
    namespaces: Vec<Namespace<'a>>,
    policies: Vec<&'a NetworkPolicy>,
    #[serde(rename = "adminPolicies")]
    admin_policies: Vec<&'a AdminPolicy>,
}

#[derive(Debug, Serialize)]
struct Node<'a> {
    name: &'a str,
    netns: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pod<'a> {
    namespace: &'a str,
    name: &'a str,
    node: &'a str,
    netns: &'a str,
    host_interface: &'a str,
    ips: &'a [IpAddr],
    labels: &'a BTreeMap<String, String>,
    phase: Phase,
    ports: &'a [ContainerPort],
}

#[derive(Debug, Serialize)]
struct Namespace<'a> {
    name: &'a str,
    labels: &'a BTreeMap<String, String>,
}

impl<'a> View<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self {
            generation: world.generation(),
            nodes: world
                .nodes
                .iter()
                .map(|node| Node {
                    name: &node.name,
                    netns: node.netns_name(),
                })
                .collect(),
            pods: world
                .pods
                .iter()
                .map(|lab| Pod {
                    namespace: &lab.pod.name.namespace,
                    name: &lab.pod.name.name,
                    node: &lab.node,
                    netns: netns_name(&lab.netns),
                    host_interface: &lab.host_interface,
                    ips: &lab.pod.ips,
                    labels: &lab.pod.labels,
                    phase: lab.pod.phase,
                    ports: &lab.pod.ports,
                })
                .collect(),
            namespaces: world
                .snapshot
                .namespaces
                .iter()
                .map(|namespace| Namespace {
                    name: &namespace.name,
                    labels: &namespace.labels,
                })
                .collect(),
            policies: world
                .snapshot
                .policies
                .iter()
                .map(|policy| &*policy.object)
                .collect(),
            admin_policies: world
                .snapshot
                .admin
                .iter()
                .map(|policy| &*policy.object)
                .collect(),
        }
    }
}
