//! The names of the lab's network namespaces: they say whose they are, so that residue can be told from a living lab.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde::{Deserialize, Serialize};

use crate::cluster::ObjectName;

/// Every namespace of the lab starts with this.
pub const PREFIX: &str = "npv-";

/// The longest readable role; longer or unusual names are cut and get a hash. `NAME_MAX` is 255, a terminal is narrower.
const MAX_ROLE: usize = 72;

/// One virtual cluster of one process: `npv-<pid>-<serial>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClusterId {
    /// The process that built it.
    pub pid: u32,
    /// Which of that process's clusters, from 1.
    pub serial: u32,
}

impl ClusterId {
    /// The name of the namespace that plays `role`.
    #[must_use]
    pub fn namespace(self, role: &str) -> String {
        format!("{self}-{role}")
    }

    /// What all namespaces of this cluster start with; the trailing dash keeps 4242-1 apart from 4242-12.
    #[must_use]
    pub fn prefix(self) -> String {
        format!("{self}-")
    }

    /// Which cluster a namespace belongs to; none when the name is not one of the lab's.
    #[must_use]
    pub fn of_namespace(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '-');
        let id = Self {
            pid: number(parts.next()?)?,
            serial: number(parts.next()?)?,
        };
        parts.next().filter(|role| !role.is_empty()).map(|_| id)
    }
}

/// A number as this file writes it: digits alone, no leading zero.
fn number(text: &str) -> Option<u32> {
    let value: u32 = text.parse().ok()?;
    (value > 0 && value.to_string() == text).then_some(value)
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{}", self.pid, self.serial)
    }
}

/// The role of a pod's namespace: `pod-netpol-demo.frontend`.
///
/// Names come from anybody's manifests, and a slash or `..` in one must not leave the directory: what is not a short, lawful
/// Kubernetes name is cleaned and gets a hash of the original, so that two such names still differ.
#[must_use]
pub(crate) fn pod_role(pod: &ObjectName) -> String {
    let role = format!("pod-{}.{}", pod.namespace, pod.name);
    // A namespace with a dot would make (a.b, c) and (a, b.c) one name.
    let lawful = role
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
        && !pod.namespace.contains('.');
    if lawful && role.len() <= MAX_ROLE {
        return role;
    }
    let clean: String = role
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') {
                c
            } else {
                '_'
            }
        })
        .take(MAX_ROLE - 17)
        .collect();
    format!("{clean}-{:016x}", hash(pod))
}

/// The node's end of a pod's link: 15 bytes at most (`IFNAMSIZ`), the same name whenever the pod comes back.
#[must_use]
pub(crate) fn host_interface(prefix: &str, pod: &ObjectName) -> String {
    let hash = format!("{:016x}", hash(pod));
    format!("{prefix}{hash}").chars().take(15).collect()
}

/// A hash that does not change between runs of one build: `DefaultHasher::new` has fixed keys.
fn hash(pod: &ObjectName) -> u64 {
    let mut hasher = DefaultHasher::new();
    pod.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_name_says_whose_it_is() {
        let id = ClusterId { pid: 4242, serial: 3 };
        assert_eq!(id.namespace("node1"), "npv-4242-3-node1");
        assert_eq!(ClusterId::of_namespace("npv-4242-3-node1"), Some(id));
        for other in [
            "npv-4242-3",
            "npv-4242-3-",
            "npv-x-1-a",
            "npv-04-1-a",
            "npv-+4-1-a",
            "npv-0-1-a",
            "cni-1",
            "npv",
        ] {
            assert_eq!(ClusterId::of_namespace(other), None, "{other}");
        }
    }

    #[test]
    fn a_clusters_prefix_is_not_anothers() {
        let twelve = ClusterId { pid: 7, serial: 12 }.namespace("node1");
        assert!(!twelve.starts_with(&ClusterId { pid: 7, serial: 1 }.prefix()));
    }

    #[test]
    fn hostile_and_long_pod_names_stay_in_the_directory_and_apart() {
        assert_eq!(
            pod_role(&ObjectName::new("netpol-demo", "frontend")),
            "pod-netpol-demo.frontend"
        );
        let names = [
            ObjectName::new("a", "../../etc/passwd"),
            ObjectName::new("a", "__/__/etc/passwd"),
            ObjectName::new("a.b", "c"),
            ObjectName::new("a", "b.c"),
            ObjectName::new("a", "x".repeat(253)),
            ObjectName::new("a", "x".repeat(252)),
            ObjectName::new("a", "é\n\u{1b}[31m"),
        ];
        let roles: std::collections::BTreeSet<_> = names.iter().map(pod_role).collect();
        assert_eq!(roles.len(), names.len());
        for role in roles {
            assert!(role.len() <= MAX_ROLE, "{role}");
            assert!(role.chars().all(|c| c.is_ascii_graphic() && c != '/'), "{role}");
        }
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        let pod = ObjectName::new("a", "b");
        assert_eq!(host_interface("veth", &pod).len(), 15);
        assert_ne!(
            host_interface("veth", &pod),
            host_interface("veth", &ObjectName::new("ab", ""))
        );
    }
}
