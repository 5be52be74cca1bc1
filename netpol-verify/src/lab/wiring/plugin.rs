//! The bridge wiring by the real CNI plugins `bridge` and `host-local`, run as the kubelet's runtime runs them.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
};

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::json;

use super::{BridgeKind, Wired, WiringError};
use crate::{
    cluster::ObjectName,
    lab::{
        Netns,
        topology::{NodeNumber, pod_networks},
    },
};

/// Where distributions (Debian's `containernetworking-plugins`) and the project itself install them.
const DIRECTORIES: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// The installed plugins and the place for their notes.
#[derive(Clone, Debug)]
pub(crate) struct PluginWiring {
    /// The directory with both programs.
    programs: PathBuf,
    /// `host-local` writes here who has which address.
    data: PathBuf,
}

/// The parts of a CNI result that matter; the same in 0.3.1 to 1.0.0.
#[derive(Deserialize)]
struct CniResult {
    #[serde(default)]
    interfaces: Vec<CniInterface>,
    #[serde(default)]
    ips: Vec<CniAddress>,
}

#[derive(Deserialize)]
struct CniInterface {
    name: String,
    #[serde(default)]
    sandbox: String,
}

#[derive(Deserialize)]
struct CniAddress {
    address: IpNet,
}

/// How a plugin says no.
#[derive(Deserialize)]
struct CniError {
    msg: String,
    #[serde(default)]
    details: String,
}

/// The directory that has both plugins.
pub(crate) fn installed() -> Option<PathBuf> {
    let complete = |directory: &Path| {
        ["bridge", "host-local"]
            .iter()
            .all(|name| directory.join(name).is_file())
    };
    DIRECTORIES
        .into_iter()
        .map(PathBuf::from)
        .find(|directory| complete(directory))
}

impl PluginWiring {
    /// The plugins in `programs`, with their notes in `data`.
    pub(crate) const fn new(programs: PathBuf, data: PathBuf) -> Self {
        Self { programs, data }
    }

    /// The directory with both programs.
    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    /// Hangs a pod on the node's bridge; the first pod makes the bridge.
    pub(crate) fn add_pod(
        &self,
        kind: BridgeKind,
        netns: &Netns,
        node: NodeNumber,
        pod: &Netns,
    ) -> Result<Wired, WiringError> {
        let answer = self.call("ADD", kind, netns, node, pod)?;
        let bad = |why: String| self.failed("ADD", pod, why);
        let result: CniResult = serde_json::from_slice(&answer)
            .map_err(|error| bad(format!("its answer is not a CNI result: {error}")))?;
        let host = result
            .interfaces
            .into_iter()
            .find(|i| i.sandbox.is_empty() && i.name != kind.name);
        let host_interface = host
            .ok_or_else(|| bad("its answer names no interface on the node".to_owned()))?
            .name;
        let addresses: Vec<IpAddr> = result.ips.iter().map(|ip| ip.address.addr()).collect();
        if addresses.len() != 2 {
            return Err(bad(format!(
                "{} addresses instead of one of each family",
                addresses.len()
            )));
        }
        Ok(Wired {
            host_interface,
            addresses,
        })
    }

    /// Takes a pod off the bridge and gives its addresses back.
    pub(crate) fn remove_pod(
        &self,
        kind: BridgeKind,
        netns: &Netns,
        node: NodeNumber,
        pod: &Netns,
    ) -> Result<(), WiringError> {
        self.call("DEL", kind, netns, node, pod).map(drop)
    }

    fn call(
        &self,
        verb: &'static str,
        kind: BridgeKind,
        netns: &Netns,
        node: NodeNumber,
        pod: &Netns,
    ) -> Result<Vec<u8>, WiringError> {
        let mut command = Command::new(self.programs.join("bridge"));
        command
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", pod.name())
            .env("CNI_NETNS", pod.path())
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", &self.programs);
        let config = self.config(kind, node).to_string();
        let output = netns.command_with_input(command, config.as_bytes())?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = serde_json::from_slice::<CniError>(&output.stdout).map_or_else(
            |_| {
                format!(
                    "{}: {}",
                    output.status,
                    String::from_utf8_lossy(&output.stderr).trim()
                )
            },
            |error| format!("{} {}", error.msg, error.details),
        );
        Err(self.failed(verb, pod, said))
    }

    fn failed(&self, verb: &'static str, pod: &Netns, why: String) -> WiringError {
        let why = why.trim().escape_debug().to_string();
        WiringError::Plugin {
            plugin: self.programs.join("bridge"),
            verb,
            netns: pod.name().to_owned(),
            why,
        }
    }

    /// What Flannel's plugin delegates (flannel-io/cni-plugin at 6f13a99, `flannel_linux.go`) with the `delegate` of its usual
    /// manifest, or what kubenet wrote (kubernetes at 034eb14, `kubenet_linux.go`): there `routes` do what `isDefaultGateway` does
    /// here. The notes of `host-local` are kept per node, as each real node has its own disk.
    fn config(&self, kind: BridgeKind, node: NodeNumber) -> serde_json::Value {
        let ranges: Vec<_> = pod_networks(node)
            .iter()
            .map(|net| json!([{ "subnet": net.to_string() }]))
            .collect();
        json!({
            "cniVersion": "0.3.1",
            "name": if kind == BridgeKind::FLANNEL { "cbr0" } else { "kubenet" },
            "type": "bridge",
            "bridge": kind.name,
            "mtu": kind.mtu,
            "isGateway": true,
            "isDefaultGateway": true,
            "hairpinMode": true,
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "ranges": ranges,
                "dataDir": self.data.join(node.name()),
            },
        })
    }
}

/// The name of the notes' directory of a cluster.
pub(crate) fn data_name(cluster: crate::lab::ClusterId) -> String {
    format!("cni-{}-{}", cluster.pid, cluster.serial)
}

/// The cluster whose notes a directory holds.
pub(crate) fn cluster_of(name: &str) -> Option<crate::lab::ClusterId> {
    let numbers = name.strip_prefix("cni-")?;
    let cluster = crate::lab::ClusterId::of_namespace(&format!("{}{numbers}-x", crate::lab::PREFIX))?;
    (data_name(cluster) == name).then_some(cluster)
}

/// The name of the pod's link when the lab makes it.
pub(crate) fn own_interface(pod: &ObjectName) -> String {
    crate::lab::naming::host_interface("veth", pod)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_flannels() {
        let wiring = PluginWiring::new("/x".into(), "/run/d".into());
        let config = wiring.config(BridgeKind::FLANNEL, NodeNumber::new(2).unwrap());
        assert_eq!(config["bridge"], "cni0");
        assert_eq!(config["hairpinMode"], true);
        assert_eq!(config["ipMasq"], false);
        assert_eq!(config["ipam"]["ranges"][1][0]["subnet"], "fd00:244:2::/64");
        assert_eq!(config["ipam"]["dataDir"], "/run/d/node2");
    }

    #[test]
    fn an_answer_is_read_whatever_its_version() {
        let text = r#"{"cniVersion":"0.3.1","interfaces":[{"name":"cni0","mac":"x"},{"name":"veth1"},
            {"name":"eth0","sandbox":"/run/netns/a"}],"ips":[{"version":"4","interface":2,"address":"10.244.1.2/24"}]}"#;
        let result: CniResult = serde_json::from_str(text).unwrap();
        assert_eq!(result.interfaces[1].name, "veth1");
        assert_eq!(result.ips[0].address.to_string(), "10.244.1.2/24");
    }
}
