//! The pods that are asked, and the policies under which they are: the suites' own world, so that little has to be made.

use std::path::Path;

use serde_json::{Value, json};

use super::sockets::Sockets;
use crate::{
    cluster::{ClusterState, Loaded, Object, ObjectName, Pod, Snapshot},
    suite::{
        player::difference,
        scene::{Changed, Scene},
    },
};

const WORLD: &str = include_str!("../../../suites/world.yaml");
/// Who is asked.
pub(super) const SERVER: &str = "x/a";
/// Who asks: one on the server's node, one on the other.
pub(super) const CLIENTS: [&str; 2] = ["x/c", "x/b"];
/// The port at the server.
pub(super) const PORT: u16 = 80;
/// The port of the server's Service.
const SERVICE_PORT: u16 = 8080;

/// What the one policy that is there denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// There is no policy.
    Nothing,
    /// Ingress to the server.
    Ingress,
    /// Egress of the clients.
    Egress,
    /// All of the namespace, in both directions.
    Everything,
    /// Ingress to the server, but for a block of each client's address.
    AllButBlocks,
}

/// Why no more can be asked.
pub(super) enum Halt<E> {
    /// Nothing can be done on the scene any more.
    Scene(E),
    /// The ground cannot be had there.
    Refused(String),
}

/// The world, in which a policy comes and goes.
pub(super) struct Ground {
    world: ClusterState,
}

impl Ground {
    /// The suites' world; where sockets can be opened, with a Service of the server, and no more nodes than there are.
    pub(super) fn new(sockets: Option<&Sockets>) -> Self {
        let (mut world, _) = Loaded::from_text(WORLD, Path::new("world.yaml")).into_state();
        if sockets.is_some_and(|sockets| sockets.nodes() < 2) {
            // Another node cannot be asked for where there is none.
            let pods = world
                .snapshot()
                .pods
                .into_iter()
                .map(|pod| Pod { node: None, ..pod });
            let namespaces = world.snapshot().namespaces.into_iter().map(Object::Namespace);
            let objects: Vec<Object> = namespaces.chain(pods.map(Object::Pod)).collect();
            world = ClusterState::default();
            world.apply(objects);
        }
        if sockets.is_some_and(Sockets::services) {
            world.apply(objects(&service()));
        }
        Self { world }
    }

    /// Makes the scene so, with that policy alone.
    pub(super) async fn lay<S: Scene>(&self, scene: &mut S, denied: Denied) -> Result<(), Halt<S::Error>> {
        let mut wanted = self.world.clone();
        if let Some(policy) = denied.policy(&scene.state().snapshot()) {
            wanted.apply(objects(&policy));
        }
        let (gone, fresh) = difference(scene.state(), &wanted);
        match scene.change(gone, fresh).await.map_err(Halt::Scene)? {
            Changed::Done => Ok(()),
            Changed::Refused { why } => Err(Halt::Refused(why)),
            Changed::Partly { refused } => {
                let words = refused
                    .iter()
                    .map(|(key, why)| format!("{key} was refused: {why}"));
                Err(Halt::Refused(words.collect::<Vec<_>>().join("; ")))
            }
        }
    }

    /// The addresses and the port of the server's Service.
    pub(super) fn service(&self) -> Vec<std::net::SocketAddr> {
        let services = self.world.snapshot().services;
        let addresses = services.into_iter().flat_map(|service| service.cluster_ips);
        addresses.map(|address| (address, SERVICE_PORT).into()).collect()
    }
}

impl Denied {
    fn policy(self, snapshot: &Snapshot) -> Option<Value> {
        let server = json!({"matchLabels": {"pod": "a"}});
        let spec = match self {
            Self::Nothing => return None,
            Self::Ingress => json!({"podSelector": server, "policyTypes": ["Ingress"]}),
            Self::Egress => json!({
                "podSelector": {"matchExpressions": [{"key": "pod", "operator": "NotIn", "values": ["a"]}]},
                "policyTypes": ["Egress"],
            }),
            Self::Everything => json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
            Self::AllButBlocks => json!({
                "podSelector": server,
                "policyTypes": ["Ingress"],
                "ingress": [{"from": blocks(snapshot)}],
            }),
        };
        Some(json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "open", "namespace": "x"},
            "spec": spec,
        }))
    }
}

/// A block of each client's every address.
fn blocks(snapshot: &Snapshot) -> Vec<Value> {
    let names = CLIENTS.iter().filter_map(|name| name.parse::<ObjectName>().ok());
    let pods = names.filter_map(|name| snapshot.pod(&name));
    let addresses = pods.flat_map(|pod| &pod.ips);
    let block = |address| json!({"ipBlock": {"cidr": ipnet::IpNet::from(address)}});
    addresses.map(|address| block(*address)).collect()
}

fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "open", "namespace": "x"},
        "spec": {
            "clusterIPs": ["10.96.0.99", "fd00:96::63"],
            "selector": {"pod": "a"},
            "ports": [{"port": SERVICE_PORT, "targetPort": PORT}],
        },
    })
}

/// A manifest by the door of all manifests.
fn objects(manifest: &Value) -> Vec<Object> {
    Loaded::from_text(&manifest.to_string(), Path::new("open.json")).objects
}

#[cfg(test)]
mod tests {
    use super::{CLIENTS, Denied, Ground, SERVER, objects};
    use crate::{
        net::Family,
        policy::{Expectation, compile},
        suite::{ProbePattern, attempts},
    };

    /// What the engine requires of each client over each family.
    fn required(denied: Denied) -> Vec<Expectation> {
        let mut world = Ground::new(None).world;
        let policy = denied.policy(&world.snapshot());
        world.apply(policy.iter().flat_map(objects));
        let snapshot = world.snapshot();
        let (set, problems) = compile(&snapshot);
        assert_eq!(problems, [], "{denied:?}");
        let patterns: Vec<ProbePattern> = CLIENTS
            .iter()
            .map(|client| super::super::block::pattern(client).unwrap())
            .collect();
        attempts(&snapshot, &patterns)
            .iter()
            .map(|attempt| attempt.decide(&set).expectation)
            .collect()
    }

    #[test]
    fn each_policy_parts_clients_and_server_and_the_blocks_join_them() {
        for denied in [Denied::Ingress, Denied::Egress, Denied::Everything] {
            assert_eq!(required(denied), [Expectation::Deny; 4], "{denied:?}");
        }
        for open in [Denied::Nothing, Denied::AllButBlocks] {
            assert_eq!(required(open), [Expectation::Allow; 4], "{open:?}");
        }
    }

    #[test]
    fn the_clients_are_on_both_nodes_and_have_both_families() {
        let snapshot = Ground::new(None).world.snapshot();
        let pod = |name: &str| snapshot.pod(&name.parse().unwrap()).unwrap().clone();
        let [near, far] = CLIENTS.map(pod);
        assert_eq!(near.node, pod(SERVER).node);
        assert_ne!(far.node, pod(SERVER).node);
        for family in [Family::Ipv4, Family::Ipv6] {
            assert!(near.address(family).is_some() && far.address(family).is_some());
        }
    }
}
