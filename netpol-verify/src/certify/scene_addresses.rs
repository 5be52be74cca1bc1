//! Blocks of a suite's policies speak of addresses of its own world; in a cluster pods have others. A block that holds a
//! pod of the world becomes the block of the same length around that pod's address in the cluster, as Cyclonus makes its own.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::cluster::{ObjectName, Pod};

/// Which address of the world is which in the cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    pairs: Vec<(ObjectName, IpAddr, IpAddr)>,
}

impl Addresses {
    /// Pods of the world, each with itself as it is in the cluster.
    pub(super) fn of<'a>(pods: impl Iterator<Item = (&'a Pod, &'a Pod)>) -> Self {
        let mut pairs = Vec::new();
        for (of_world, of_cluster) in pods {
            for address in &of_world.ips {
                let same = of_cluster
                    .ips
                    .iter()
                    .find(|one| one.is_ipv4() == address.is_ipv4());
                pairs.extend(same.map(|same| (of_world.name.clone(), *address, *same)));
            }
        }
        Self { pairs }
    }

    /// The block for the cluster. Of several pods in it the last one counts, so that a block, its exceptions and a smaller
    /// block in it stay about the same pod where they were.
    fn block(&self, block: IpNet) -> IpNet {
        let held = self
            .pairs
            .iter()
            .rev()
            .find(|(_, address, _)| block.contains(address));
        let moved = held.and_then(|(_, _, address)| IpNet::new(*address, block.prefix_len()).ok());
        moved.map_or(block, |moved| moved.trunc())
    }

    /// Every block in a manifest.
    pub(super) fn move_in(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::Object(block)) = map.get_mut("ipBlock") {
                    block.values_mut().for_each(|inner| self.move_texts(inner));
                }
                map.values_mut().for_each(|inner| self.move_in(inner));
            }
            Value::Array(items) => items.iter_mut().for_each(|inner| self.move_in(inner)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn move_texts(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Ok(block) = text.parse::<IpNet>() {
                    *text = self.block(block).to_string();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|inner| self.move_texts(inner)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Addresses;
    use crate::suite::suites;

    #[test]
    fn a_block_and_its_exception_stay_around_their_pod() {
        let suites = suites("cyclonus").unwrap();
        let snapshot = suites[0].state().snapshot();
        let mut moved = snapshot.pods.clone();
        for (pod, last) in moved.iter_mut().zip(1..) {
            pod.ips = vec![
                format!("192.168.7.{}", 200 + last).parse().unwrap(),
                format!("fd12::{last}").parse().unwrap(),
            ];
        }
        let addresses = Addresses::of(snapshot.pods.iter().zip(&moved));
        let mut value = json!({"spec": {"egress": [{"to": [
            {"ipBlock": {"cidr": "10.244.2.0/24", "except": ["10.244.2.16/28"]}},
            {"ipBlock": {"cidr": "0.0.0.0/31"}},
            {"ipBlock": {"cidr": "fd00:244:2::13/128"}},
        ]}]}});
        addresses.move_in(&mut value);
        let to = &value["spec"]["egress"][0]["to"];
        assert_eq!(to[0]["ipBlock"]["cidr"], "192.168.7.0/24");
        assert_eq!(
            to[0]["ipBlock"]["except"][0], "192.168.7.208/28",
            "around z/c, which is 192.168.7.209"
        );
        assert_eq!(to[1]["ipBlock"]["cidr"], "0.0.0.0/31", "nobody is in it");
        assert_eq!(to[2]["ipBlock"]["cidr"], "fd12::9/128");
    }
}
