//! When what an attempt depends on last changed: its pods, their namespaces and policies, or what holds for everyone.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use crate::{
    cluster::{Change, ClusterState, Kind, ObjectName},
    net::KernelTime,
};

/// A change, and when it was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touch {
    pub(super) noticed: KernelTime,
    /// What changed, for people.
    pub(super) what: Arc<str>,
}

/// Recent changes; the older ones touch no attempt that is still open.
#[derive(Debug, Default)]
pub(super) struct Recent {
    everyone: Option<Touch>,
    pods: HashMap<ObjectName, Touch>,
    namespaces: HashMap<String, Touch>,
    services: HashMap<String, Touch>,
    vacated: HashMap<IpAddr, Touch>,
    /// The addresses that each pod is known to have.
    homes: HashMap<ObjectName, Vec<IpAddr>>,
}

impl Recent {
    /// From now on policies are known: before, they were not.
    pub(super) fn began(&mut self, now: KernelTime) {
        *self = Self {
            everyone: Some(Touch {
                noticed: now,
                what: "this verifier began to follow the cluster".into(),
            }),
            homes: std::mem::take(&mut self.homes),
            ..Self::default()
        };
    }

    /// Takes note of a change that `state` already has.
    pub(super) fn note(&mut self, change: &Change, state: &ClusterState, now: KernelTime) {
        let key = change.key();
        let touch = Touch {
            noticed: now,
            what: format!("{key} changed").into(),
        };
        let namespace = key.namespace.clone().unwrap_or_default();
        match key.kind {
            Kind::Pod => {
                let name = ObjectName::new(namespace, key.name.clone());
                self.moved(&name, state, &touch);
                self.pods.insert(name, touch);
            }
            Kind::Namespace => {
                self.namespaces.insert(key.name.clone(), touch);
            }
            Kind::NetworkPolicy => {
                self.namespaces.insert(namespace, touch);
            }
            Kind::Service | Kind::EndpointSlice => {
                self.services.insert(namespace, touch);
            }
            Kind::Node | Kind::AdminPolicy(_) => self.everyone = Some(touch),
        }
    }

    /// A pod's addresses are taken over; those that it no longer has were its own until now.
    fn moved(&mut self, name: &ObjectName, state: &ClusterState, touch: &Touch) {
        let now: Vec<IpAddr> = state
            .pod(name)
            .filter(|pod| !pod.host_network && !pod.phase.is_terminal())
            .map(|pod| pod.ips.iter().map(IpAddr::to_canonical).collect())
            .unwrap_or_default();
        let kept: HashSet<IpAddr> = now.iter().copied().collect();
        let before = if now.is_empty() {
            self.homes.remove(name)
        } else {
            self.homes.insert(name.clone(), now)
        };
        for address in before.into_iter().flatten() {
            if !kept.contains(&address) {
                self.vacated.insert(address, touch.clone());
            }
        }
    }

    /// The last change that touches attempts between these pods.
    pub(super) fn touching<'a>(
        &'a self,
        pods: impl IntoIterator<Item = &'a ObjectName>,
    ) -> Option<&'a Touch> {
        pods.into_iter()
            .flat_map(|pod| [self.pods.get(pod), self.namespaces.get(&pod.namespace)])
            .flatten()
            .chain(&self.everyone)
            .max_by_key(|touch| touch.noticed)
    }

    /// The last change of Services in a namespace.
    pub(super) fn of_services(&self, namespace: &str) -> Option<&Touch> {
        self.services.get(namespace)
    }

    /// When a pod last gave an address up.
    pub(super) fn vacated(&self, address: IpAddr) -> Option<&Touch> {
        self.vacated.get(&address.to_canonical())
    }

    /// Lets go of changes that no open attempt can have lived through.
    pub(super) fn forget_before(&mut self, now: KernelTime, span: Duration) {
        let is_recent = |touch: &Touch| now.since(touch.noticed) <= span;
        self.pods.retain(|_, touch| is_recent(touch));
        self.namespaces.retain(|_, touch| is_recent(touch));
        self.services.retain(|_, touch| is_recent(touch));
        self.vacated.retain(|_, touch| is_recent(touch));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Recent;
    use crate::{
        cluster::{ClusterState, Kind, Loaded, ObjectKey, ObjectName},
        net::KernelTime,
    };

    fn apply(state: &mut ClusterState, recent: &mut Recent, yaml: &str, at: u64) {
        let loaded = Loaded::from_text(yaml, "-".as_ref());
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        for change in state.apply(loaded.objects) {
            recent.note(&change, state, KernelTime(at));
        }
    }

    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: ns}\nspec: {containers: [{name: c}]}\nstatus: {podIPs: [{ip: 10.0.0.1}]}\n";

    #[test]
    fn a_policy_touches_its_namespace_and_a_pod_only_itself() {
        let (mut state, mut recent) = (ClusterState::default(), Recent::default());
        apply(&mut state, &mut recent, POD, 5);
        apply(
            &mut state,
            &mut recent,
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: m}\nspec: {podSelector: {}}\n",
            9,
        );
        let when = |name: ObjectName| recent.touching([&name]).map(|touch| touch.noticed.0);
        assert_eq!(when(ObjectName::new("ns", "a")), Some(5));
        assert_eq!(when(ObjectName::new("m", "x")), Some(9));
        assert_eq!(when(ObjectName::new("o", "x")), None);
        let both = [ObjectName::new("ns", "a"), ObjectName::new("m", "x")];
        assert_eq!(
            &*recent.touching(&both).unwrap().what,
            "NetworkPolicy m/p changed"
        );
    }

    #[test]
    fn an_address_that_was_a_pods_until_just_now_is_known_as_such() {
        let (mut state, mut recent) = (ClusterState::default(), Recent::default());
        apply(&mut state, &mut recent, POD, 5);
        let address = "10.0.0.1".parse().unwrap();
        assert!(recent.vacated(address).is_none());
        let key = ObjectKey {
            kind: Kind::Pod,
            namespace: Some("ns".to_owned()),
            name: "a".to_owned(),
        };
        for change in state.delete([key]) {
            recent.note(&change, &state, KernelTime(7));
        }
        assert_eq!(recent.vacated(address).unwrap().noticed, KernelTime(7));
        recent.forget_before(KernelTime(100_000_000_000), Duration::from_secs(60));
        assert!(recent.vacated(address).is_none());
    }
}
