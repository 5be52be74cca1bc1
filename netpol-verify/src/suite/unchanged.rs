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

impl Was {
    /// Whether it holds on the way to a state in which these decide the same, when each side of a path may be in either state. What
    /// both states allow, each side lets through in both. What both deny may pass in between, unless one side is closed in both.
    fn holds_beside(&self, by: &[String]) -> bool {
        self.expected == Expected::Allow
            || self
                .by
                .iter()
                .any(|one| by.iter().any(|other| side(one) == side(other)))
    }
}

/// The side on which a policy of those that deny does so; what does not name it stands for itself.
fn side(by: &str) -> &str {
    let sides = ["(egress)", "(ingress)"].into_iter();
    sides.fold(by, |by, side| if by.ends_with(side) { side } else { by })
}

/// A change, and what was required before it.
#[derive(Debug)]
pub(super) struct Unchanged {
    before: Arc<Required>,
    /// Whether one policy changes and nothing else: then either it or what it replaces is in force, wherever one looks.
    is_one_policy: bool,
    /// Whether it is an administrators' policy, which may concern everybody.
    is_everybodys: bool,
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
            is_everybodys: false,
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
                Kind::AdminPolicy(_) if is_one_policy => unchanged.is_everybodys = true,
                Kind::AdminPolicy(_) | Kind::Namespace | Kind::Node | Kind::Service | Kind::EndpointSlice => {
                    return None;
                }
            }
        }
        Some(unchanged)
    }

    /// Whether a path is one of them, and was as it must be.
    pub(super) fn holds(&self, attempt: &JudgedAttempt) -> bool {
        let Some(was) = self.before.get(&key(attempt)) else {
            return false;
        };
        let is_beside = !self.concerns(&attempt.from) && !self.concerns(&attempt.to);
        let is_either_way = self.is_one_policy && was.holds_beside(&attempt.by);
        was.right && was.expected == attempt.expected && (is_beside || is_either_way)
    }

    /// Whether one end of a path is what changes. Behind a Service's pod its door is named.
    fn concerns(&self, end: &str) -> bool {
        let pod = end.split(' ').next().unwrap_or(end);
        let namespace = pod.split_once('/').map(|(namespace, _)| namespace);
        self.is_everybodys
            || self.pods.contains(pod)
            || namespace.is_some_and(|namespace| self.namespaces.contains(namespace))
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
    const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: new, namespace: 'y'}}";
    const NAMESPACE: &str = "{apiVersion: v1, kind: Namespace, metadata: {name: 'y'}}";
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
            let mut by_others = path.clone();
            by_others.by = ["x/q (egress)", "x/q (ingress)"].map(ToOwned::to_owned).into();
            assert!(change.holds(&by_others), "{one}");
            // The egress side may be open on its node before the ingress side is closed on the other.
            by_others.by.pop();
            assert!(!change.holds(&by_others), "{one}");
            let mut other = path.clone();
            other.expected = Expected::Allow;
            assert!(!change.holds(&other), "{one}");
        }
        let mut open = JudgedAttempt::example("x/a", "x/b", Verdict::Permitted);
        (open.expected, open.by) = (Expected::Allow, vec!["x/p ingress[0]".to_owned()]);
        let before_open = was(&[open.clone()]);
        open.by = vec!["x/p ingress[1]".to_owned()];
        let change = Unchanged::of(&before_open, &[], &objects(&[POLICY])).unwrap();
        assert!(change.holds(&open), "either rule lets it through");
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
