//! The paths that a change leaves as they are, however much of it is in force already.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::rounds::key;
use crate::{
    cluster::{Kind, Object, ObjectKey},
    finding::{Expected, JudgedAttempt},
};

/// What paths had to do before, by [`key`].
pub(super) type Required = HashMap<String, Was>;

/// What a path had to do, who decided, and whether it did.
#[derive(Clone, Debug)]
pub(super) struct Was {
    pub(super) expected: Expected,
    by: Vec<String>,
    right: bool,
}

impl From<&JudgedAttempt> for Was {
    fn from(attempt: &JudgedAttempt) -> Self {
        Self {
            expected: attempt.expected,
            by: attempt.by.clone(),
            right: !attempt.is_doubtful(),
        }
    }
}

/// A change, and what was required before it.
#[derive(Debug)]
pub(super) struct Unchanged {
    before: Arc<Required>,
    /// Whether one policy changes and nothing else: then either it or what it replaces is in force, wherever one looks.
    is_one_policy: bool,
    /// Where policies change: they select pods of their own namespace only.
    namespaces: BTreeSet<String>,
    /// The pods that come, go or change.
    pods: BTreeSet<String>,
}

impl Unchanged {
    /// Nothing where any path may change: by what a namespace, a Service or one of several administrators' policies says.
    pub(super) fn of(before: &Arc<Required>, gone: &[ObjectKey], objects: &[Object]) -> Option<Self> {
        let changed: Vec<ObjectKey> = gone
            .iter()
            .cloned()
            .chain(objects.iter().map(Object::key))
            .collect();
        let is_one_policy = matches!(
            &*changed,
            [ObjectKey {
                kind: Kind::NetworkPolicy | Kind::AdminPolicy(_),
                ..
            }]
        );
        let mut unchanged = Self {
            before: Arc::clone(before),
            is_one_policy,
            namespaces: BTreeSet::new(),
            pods: BTreeSet::new(),
        };
        for ObjectKey {
            kind,
            namespace,
            name,
        } in changed
        {
            let namespace = namespace.unwrap_or_default();
            match kind {
                Kind::Pod => {
                    unchanged.pods.insert(format!("{namespace}/{name}"));
                }
                Kind::NetworkPolicy => {
                    unchanged.namespaces.insert(namespace);
                }
                Kind::AdminPolicy(_) if is_one_policy => {}
                Kind::AdminPolicy(_) | Kind::Namespace | Kind::Node | Kind::Service | Kind::EndpointSlice => {
                    return None;
                }
            }
        }
        Some(unchanged)
    }

    /// Whether a path is one of them, and was as it must be.
    pub(super) fn holds(&self, attempt: &JudgedAttempt) -> bool {
        let is_same = self
            .before
            .get(&key(attempt))
            .is_some_and(|was| was.right && was.expected == attempt.expected && was.by == attempt.by);
        is_same && (self.is_one_policy || !self.concerns(&attempt.from) && !self.concerns(&attempt.to))
    }

    /// Whether one end of a path is what changes. Behind a Service's pod its door is named.
    fn concerns(&self, end: &str) -> bool {
        let pod = end.split(' ').next().unwrap_or(end);
        let namespace = pod.split_once('/').map(|(namespace, _)| namespace);
        self.pods.contains(pod) || namespace.is_some_and(|namespace| self.namespaces.contains(namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cluster::Loaded, finding::Verdict};

    fn objects(texts: &[&str]) -> Vec<Object> {
        let read = |text: &&str| Loaded::from_text(text, std::path::Path::new("-")).objects;
        texts.iter().flat_map(read).collect()
    }

    const POLICY: &str = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x}, spec: {podSelector: {}}}";
    const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: new, namespace: y}}";
    const NAMESPACE: &str = "{apiVersion: v1, kind: Namespace, metadata: {name: y}}";
    const ADMIN: &str = "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: nobody}, spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}]}]}}";

    fn was(attempts: &[JudgedAttempt]) -> Arc<Required> {
        let named = attempts.iter().map(|attempt| (key(attempt), attempt.into()));
        Arc::new(named.collect())
    }

    #[test]
    fn pods_that_no_change_concerns_go_on_as_they_were() {
        let [inside, across, beside] = [("x/a", "x/b"), ("y/a", "x/a"), ("y/a", "z/a")]
            .map(|(from, to)| JudgedAttempt::example(from, to, Verdict::Enforced));
        let before = was(&[inside.clone(), across.clone(), beside.clone()]);
        let both = Unchanged::of(&before, &[], &objects(&[POLICY, POD])).unwrap();
        assert!(!both.holds(&inside) && !both.holds(&across) && both.holds(&beside));
        let mut to_new = beside.clone();
        to_new.to = "y/new (Service y/web:80)".to_owned();
        assert!(!both.holds(&to_new), "the pod that comes, and was never asked");
        assert!(Unchanged::of(&before, &[], &objects(&[POLICY, NAMESPACE])).is_none());
        assert!(Unchanged::of(&before, &[], &objects(&[POLICY, ADMIN])).is_none());
    }

    #[test]
    fn of_one_policy_either_version_decides_and_so_paths_that_both_decide_alike_stay() {
        let mut path = JudgedAttempt::example("x/a", "x/b", Verdict::Enforced);
        path.by = vec!["x/p (ingress)".to_owned()];
        let before = was(&[path.clone()]);
        for one in [POLICY, ADMIN] {
            let change = Unchanged::of(&before, &[], &objects(&[one])).unwrap();
            assert!(change.holds(&path), "{one}");
            // The egress side may be open on its node before the ingress side is closed on the other.
            let mut other_side = path.clone();
            other_side.by = vec!["x/p (egress)".to_owned()];
            assert!(!change.holds(&other_side), "{one}");
            let mut other = path.clone();
            other.expected = Expected::Allow;
            assert!(!change.holds(&other), "{one}");
        }
        // What was not enforced before is not opened by the change.
        let before = was(&[JudgedAttempt {
            verdict: Verdict::Leak,
            ..path.clone()
        }]);
        assert!(
            !Unchanged::of(&before, &[], &objects(&[POLICY]))
                .unwrap()
                .holds(&path)
        );
    }
}
