//! The user's own pods: who is probed, on which ports, and who is left out and why. Nothing is made for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kube::core::{Selector, SelectorExt as _};

use super::{
    install::HOME,
    sample::{Candidate, sample},
};
use crate::{
    cluster::{Phase, Pod, Snapshot},
    net::Protocol,
    policy::PolicySet,
    suite::Attempt,
    verifier::Identity,
};

/// The name of the only stage.
pub(super) const STAGE: &str = "as-it-stands";
/// Its title.
pub(super) const TITLE: &str = "Your own pods, under the policies that are there";
/// How many names a note lists.
const LISTED: usize = 20;
/// Where neither policies nor the pod name a port, there is still one to ask about.
const DEFAULT_PORT: (Protocol, u16) = (Protocol::Tcp, 80);

/// Which of the user's own pods are probed, and how carefully.
#[derive(Clone, Debug)]
pub struct Existing {
    /// Only pods of these namespaces; empty means all.
    pub namespaces: Vec<String>,
    /// Only pods with these labels.
    pub labels: Option<Selector>,
    /// Only these ports; empty means those that policies or the pod's containers name.
    pub ports: Vec<(Protocol, u16)>,
    /// Datagrams too: the application gets them.
    pub udp: bool,
    /// Probes that are begun in a second, at most.
    pub rate: u16,
    /// Paths that are probed, at most: a pair on a port in a family.
    pub most: usize,
    /// Which paths are taken where there are more.
    pub seed: u64,
}

/// What will be probed.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) attempts: Vec<Attempt>,
    /// For people: what was left out.
    pub(super) notes: Vec<String>,
}

impl Existing {
    /// Whether objects of a namespace are looked at. Our own, which may be there for this run only, by its name alone.
    pub(super) fn holds(&self, namespace: &str) -> bool {
        match self.namespaces.as_slice() {
            [] => namespace != HOME,
            named => named.iter().any(|one| one == namespace),
        }
    }

    /// Whether a pod is selected. Both ends of a path are: nobody else's pods get or send a packet.
    pub(super) fn takes(&self, pod: &Pod) -> bool {
        let labels = self.labels.as_ref();
        self.holds(&pod.name.namespace) && labels.is_none_or(|labels| labels.matches(&pod.labels))
    }

    /// What is selected, for an error when that is nothing.
    pub(super) fn words(&self) -> String {
        let place = match self.namespaces.as_slice() {
            [] => "any namespace".to_owned(),
            [one] => format!("namespace {one}"),
            several => format!("the namespaces {}", several.join(", ")),
        };
        match &self.labels {
            Some(labels) => format!("{place} with the labels {labels}"),
            None => place,
        }
    }

    /// Who is probed, and on which paths.
    pub(super) fn plan(&self, snapshot: &Snapshot, set: &PolicySet, identity: &Identity) -> Plan {
        let named = self.named(snapshot);
        let mut kinds = HashMap::new();
        let mut candidates = Vec::new();
        let mut plan = Plan::default();
        let mut out = BTreeMap::<&'static str, Vec<String>>::new();
        for pod in snapshot.pods.iter().filter(|pod| self.takes(pod)) {
            let watched = identity.home(&pod.name).is_some();
            if let Some(why) = unfit(pod).or_else(|| (!watched).then_some(UNWATCHED)) {
                out.entry(why).or_default().push(pod.name.to_string());
                continue;
            }
            let next = kinds.len();
            let kind = *kinds.entry(set.likeness(&pod.name)).or_insert(next);
            candidates.push(Candidate {
                name: pod.name.clone(),
                addresses: pod.ips.clone(),
                ports: self.ports(pod, &named),
                kind,
            });
        }
        let sample = sample(&candidates, self.most, self.seed);
        for (why, pods) in &out {
            let count = pods.len();
            plan.notes
                .push(format!("left out, because {why}: {count}: {}", listed(pods)));
        }
        let taken = u64::try_from(sample.attempts.len()).unwrap_or(u64::MAX);
        if taken < sample.of {
            let left = sample.of - taken;
            plan.notes.push(format!(
                "{taken} of {} paths were probed, {left} were not ({} %): each pod first, then each kind of pair alike, by --seed {}; --max-pairs takes more",
                sample.of,
                percent(left, sample.of),
                self.seed
            ));
        }
        plan.attempts = sample.attempts;
        plan
    }

    /// The ports that policies name, of the protocols that are probed.
    fn named(&self, snapshot: &Snapshot) -> BTreeSet<(Protocol, u16)> {
        let policies = Snapshot {
            policies: snapshot.policies.clone(),
            admin: snapshot.admin.clone(),
            ..Snapshot::default()
        };
        policies.ports()
    }

    fn ports(&self, pod: &Pod, named: &BTreeSet<(Protocol, u16)>) -> Vec<(Protocol, u16)> {
        if !self.ports.is_empty() {
            let asked: BTreeSet<(Protocol, u16)> = self.ports.iter().copied().collect();
            return asked.into_iter().collect();
        }
        let is_probed = |(protocol, _): &(Protocol, u16)| match protocol {
            Protocol::Tcp => true,
            Protocol::Udp => self.udp,
            // Where it is wanted, it is asked for by its number.
            Protocol::Sctp => false,
        };
        let declared = pod.ports.iter().map(|port| (port.protocol, port.port));
        let all: BTreeSet<(Protocol, u16)> =
            declared.chain(named.iter().copied()).filter(is_probed).collect();
        if all.is_empty() {
            vec![DEFAULT_PORT]
        } else {
            all.into_iter().collect()
        }
    }
}

/// Why a pod that could be probed otherwise is not.
const UNWATCHED: &str = "no sensor watches it, or it has more than one network";

/// Why a pod cannot be probed.
pub(super) fn unfit(pod: &Pod) -> Option<&'static str> {
    if pod.phase.is_terminal() {
        Some("it is over")
    } else if pod.host_network {
        Some("it shares its node's network, where NetworkPolicies do not hold")
    } else if pod.phase != Phase::Running || pod.ips.is_empty() {
        Some("it does not run, or has no address")
    } else {
        None
    }
}

fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    let more = names.len().saturating_sub(LISTED);
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// In whole percent, and never 0 or 100 where it is neither.
fn percent(part: u64, of: u64) -> u64 {
    let whole = u128::from(part) * 100 / u128::from(of.max(1));
    let whole = u64::try_from(whole).unwrap_or(100);
    match part {
        0 => 0,
        part if part < of => whole.clamp(1, 99),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Existing, percent, unfit};
    use crate::{
        cluster::{Loaded, Snapshot},
        net::Protocol,
        policy::compile,
        verifier::{Ears, Identity},
    };

    fn existing() -> Existing {
        Existing {
            namespaces: vec!["shop".to_owned()],
            labels: None,
            ports: Vec::new(),
            udp: false,
            rate: 100,
            most: 2_000,
            seed: 1,
        }
    }

    fn snapshot() -> Snapshot {
        let pod = |namespace: &str, name: &str, spec: &str, status: &str| {
            format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}, spec: {{nodeName: n1, {spec}containers: [{{name: c, image: i, ports: [{{containerPort: 8080}}, {{containerPort: 53, protocol: UDP}}]}}]}}, status: {{{status}}}}}\n---\n"
            )
        };
        let text = [
            pod("shop", "web", "", "phase: Running, podIP: 10.0.0.1"),
            pod("shop", "host", "hostNetwork: true, ", "phase: Running, podIP: 192.0.2.1"),
            pod("shop", "done", "", "phase: Succeeded, podIP: 10.0.0.3"),
            pod("shop", "new", "", "phase: Pending"),
            pod("bank", "vault", "", "phase: Running, podIP: 10.0.0.5"),
            "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: shop}, spec: {podSelector: {}, ingress: [{ports: [{port: 443}, {port: 123, protocol: UDP}, {port: 9, protocol: SCTP}]}]}}".to_owned(),
        ]
        .concat();
        let (snapshot, problems) = Loaded::from_text(&text, Path::new("t")).into_snapshot();
        assert_eq!(problems, []);
        snapshot
    }

    #[test]
    fn who_cannot_be_probed_is_left_out_and_listed_with_the_reason() {
        let snapshot = snapshot();
        let (set, _) = compile(&snapshot);
        let nobody = Identity::new(&Ears::new(Default::default(), None), [].iter(), [].into_iter());
        let plan = existing().plan(&snapshot, &set, &nobody);
        assert_eq!(plan.attempts, []);
        assert_eq!(
            plan.notes,
            [
                "left out, because it does not run, or has no address: 1: shop/new",
                "left out, because it is over: 1: shop/done",
                "left out, because it shares its node's network, where NetworkPolicies do not hold: 1: shop/host",
                "left out, because no sensor watches it, or it has more than one network: 1: shop/web",
            ]
        );
    }

    #[test]
    fn only_tcp_ports_that_the_pod_or_a_policy_names_are_probed_unless_more_is_asked_for() {
        let snapshot = snapshot();
        let web = snapshot.pods.iter().find(|pod| pod.name.name == "web").unwrap();
        let ports = |existing: &Existing| existing.ports(web, &existing.named(&snapshot));
        let mut existing = existing();
        assert_eq!(ports(&existing), [(Protocol::Tcp, 443), (Protocol::Tcp, 8080)]);
        existing.udp = true;
        assert_eq!(ports(&existing).len(), 4);
        existing.ports = vec![(Protocol::Sctp, 9), (Protocol::Sctp, 9)];
        assert_eq!(ports(&existing), [(Protocol::Sctp, 9)]);
    }

    #[test]
    fn both_namespace_and_labels_select_and_nobody_elses_pod_is_taken() {
        let snapshot = snapshot();
        let count = |existing: &Existing| snapshot.pods.iter().filter(|pod| existing.takes(pod)).count();
        let mut existing = existing();
        assert_eq!(count(&existing), 4);
        existing.labels = Some(
            [kube::core::Expression::Equal("app".into(), "web".into())]
                .into_iter()
                .collect(),
        );
        assert_eq!(count(&existing), 1);
        assert_eq!(existing.words(), "namespace shop with the labels app=web");
        existing.labels = None;
        existing.namespaces.clear();
        assert!(existing.holds("bank") && !existing.holds("netpol-verify"));
        assert_eq!(
            (count(&existing), existing.words().as_str()),
            (5, "any namespace")
        );
        assert_eq!(snapshot.pods.iter().filter(|pod| unfit(pod).is_none()).count(), 2);
    }

    #[test]
    fn a_share_is_never_rounded_to_nothing_or_to_all() {
        let all = [(0, 5), (1, 1_000), (999, 1_000), (1, 2), (5, 5)];
        assert_eq!(all.map(|(part, of)| percent(part, of)), [0, 1, 99, 50, 100]);
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
    }
}
