//! Which network namespace is a pod's: one each, however many its processes have made or entered.

use std::collections::{BTreeMap, BTreeSet};

use super::{cgroup::Owner, processes::Process};

/// A pod's namespace, or another kubelet's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Home {
    /// The pods at home in it, by UID.
    pub(super) pods: BTreeSet<String>,
    /// Processes in it.
    pub(super) pids: Vec<u32>,
    /// Only processes of pods elsewhere run in it.
    pub(super) is_elsewhere: bool,
}

/// The first process that a pod has in a namespace.
#[derive(Clone, Copy)]
struct First {
    netns: u64,
    started: u64,
}

/// Assigns pods to namespaces.
///
/// A pod's home is where its first process is: the pause container's, which comes before every container. A namespace that
/// its processes have made (a container in a container) or entered (a privileged pod in another's) is no home, or what goes
/// on in there would be told of the wrong pod. Namespaces that a runtime has `named` go before others, because where a
/// runtime names them, it names each pod's. A pod whose first process is in the node's own namespace is on the node's
/// network, unless there is a named one that is nobody else's: then that process is the runtime's monitor, which some
/// put into the pod's cgroup.
pub(super) fn homes<'a>(
    processes: impl Iterator<Item = &'a Process>,
    node: &BTreeSet<u64>,
    named: &BTreeSet<u64>,
) -> BTreeMap<u64, Home> {
    let mut homes: BTreeMap<u64, Home> = BTreeMap::new();
    let mut of_pods: BTreeMap<&str, BTreeMap<u64, u64>> = BTreeMap::new();
    let mut elsewhere = BTreeSet::new();
    for process in processes {
        match &process.owner {
            Owner::Nobody => {}
            Owner::Elsewhere => {
                elsewhere.insert(process.netns);
            }
            Owner::Pod(uid) => {
                let first = of_pods.entry(uid).or_default().entry(process.netns);
                first
                    .and_modify(|started| *started = process.started.min(*started))
                    .or_insert(process.started);
            }
        }
        if !node.contains(&process.netns) && process.owner != Owner::Nobody {
            homes.entry(process.netns).or_default().pids.push(process.pid);
        }
    }
    let mut on_the_node = Vec::new();
    for (uid, namespaces) in of_pods {
        let first = |only: &dyn Fn(u64) -> bool| {
            namespaces
                .iter()
                .map(|(&netns, &started)| First { netns, started })
                .filter(|first| only(first.netns))
                .min_by_key(|first| (first.started, first.netns))
        };
        let Some(earliest) = first(&|_| true) else {
            continue;
        };
        let earliest_named = first(&|netns| named.contains(&netns) && !node.contains(&netns));
        if node.contains(&earliest.netns) {
            on_the_node.extend(earliest_named.map(|home| (uid, home.netns)));
        } else {
            let home = if named.contains(&earliest.netns) {
                earliest
            } else {
                earliest_named.unwrap_or(earliest)
            };
            homes.entry(home.netns).or_default().pods.insert(uid.to_owned());
        }
    }
    for (uid, netns) in on_the_node {
        let home = homes.entry(netns).or_default();
        if home.pods.is_empty() {
            home.pods.insert(uid.to_owned());
        }
    }
    for (netns, home) in &mut homes {
        home.pids.sort_unstable();
        home.is_elsewhere = home.pods.is_empty() && elsewhere.contains(netns);
    }
    homes
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Owner, Process, homes};

    const NODE: u64 = 1;

    /// Who is where by the processes `(pod, namespace, started)`; namespaces from 100 on are named.
    fn at_home(processes: &[(&str, u64, u64)]) -> BTreeMap<u64, Vec<String>> {
        let processes: Vec<Process> = (1..)
            .zip(processes)
            .map(|(pid, &(pod, netns, started))| Process {
                pid,
                netns,
                owner: match pod {
                    "" => Owner::Nobody,
                    "elsewhere" => Owner::Elsewhere,
                    pod => Owner::Pod(pod.to_owned()),
                },
                started,
            })
            .collect();
        let named = processes.iter().map(|p| p.netns).filter(|n| *n >= 100).collect();
        homes(processes.iter(), &BTreeSet::from([NODE]), &named)
            .into_iter()
            .filter(|(_, home)| !home.pods.is_empty())
            .map(|(netns, home)| (netns, home.pods.into_iter().collect()))
            .collect()
    }

    fn is(netns: u64, pod: &str) -> BTreeMap<u64, Vec<String>> {
        BTreeMap::from([(netns, vec![pod.to_owned()])])
    }

    #[test]
    fn a_pod_is_at_home_where_its_first_process_is() {
        assert_eq!(at_home(&[("a", 10, 5), ("a", 10, 9), ("", 11, 1)]), is(10, "a"));
        assert_eq!(
            at_home(&[("a", 11, 9), ("a", 10, 5)]),
            is(10, "a"),
            "11 is its own making"
        );
    }

    #[test]
    fn a_named_namespace_goes_before_one_of_the_pods_own() {
        assert_eq!(at_home(&[("a", 10, 5), ("a", 100, 9)]), is(100, "a"));
        assert_eq!(at_home(&[("a", 100, 5), ("a", 10, 4)]), is(100, "a"));
    }

    #[test]
    fn a_pod_on_the_nodes_network_has_no_namespace_of_its_own() {
        assert_eq!(at_home(&[("a", NODE, 5)]), BTreeMap::new());
        assert_eq!(
            at_home(&[("a", NODE, 5), ("a", 10, 9)]),
            BTreeMap::new(),
            "its making"
        );
        let entered = at_home(&[("node", NODE, 1), ("node", 100, 9), ("b", 100, 5)]);
        assert_eq!(entered, is(100, "b"), "a daemon that has entered a pod");
    }

    #[test]
    fn a_runtimes_monitor_in_the_pods_cgroup_does_not_hide_the_pod() {
        assert_eq!(at_home(&[("a", NODE, 1), ("a", 100, 2)]), is(100, "a"));
    }

    #[test]
    fn a_privileged_pod_in_anothers_namespace_is_not_at_home_there() {
        let entered = at_home(&[("a", 100, 1), ("b", 101, 5), ("a", 101, 9)]);
        assert_eq!(entered.get(&101).map(Vec::as_slice), Some(&["b".to_owned()][..]));
        assert_eq!(entered.get(&100).map(Vec::as_slice), Some(&["a".to_owned()][..]));
    }

    #[test]
    fn pods_elsewhere_are_told_from_namespaces_of_nobody() {
        let process = |netns, owner| Process {
            pid: 7,
            netns,
            owner,
            started: 0,
        };
        let processes = [process(10, Owner::Elsewhere), process(11, Owner::Nobody)];
        let homes = homes(processes.iter(), &BTreeSet::from([NODE]), &BTreeSet::new());
        assert!(homes.get(&10).is_some_and(|home| home.is_elsewhere));
        assert!(!homes.contains_key(&11));
    }
}
