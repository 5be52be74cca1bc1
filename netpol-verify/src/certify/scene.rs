//! A cluster as a scene for cases: its pods and policies are made under names of the run's own, and judged by what the API
//! says then.

use std::{collections::BTreeSet, time::Duration};

use super::{
    agents::{self, ROLLOUT},
    api::{Cluster, POD},
    error::CertifyError,
    install::Installed,
    names::Names,
    nodes::Home,
    run::{PODS, make_pod, wait_for_pods},
    scene_addresses::Addresses,
    stage::Probing,
};
use crate::{
    bus::nats::NatsSensors,
    cluster::{ClusterState, Object, ObjectKey, ObjectName, Pod},
    finding::JudgedAttempt,
    net::Clock,
    suite::{Changed, ProbePattern, Round, Scene, ScenePatience, Sockets, attempts, cases::Case, pick},
};

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(300);

/// A change is looked at so long: the API says when it has it, and nobody when the CNI does.
const LOOK: Duration = Duration::from_secs(2);

/// Features of cases that would pass for nothing on a cluster, and why.
const IN_THE_LAB: [(&str, &str); 2] = [
    ("init-container", "a pod of ours has no init container that ends"),
    (
        "address-reused",
        "which pod gets which address is the cluster's to say",
    ),
];

/// A cluster on which cases are played.
pub(super) struct ClusterScene<'a> {
    pub(super) probing: Probing<'a, NatsSensors>,
    pub(super) cluster: &'a Cluster,
    pub(super) homes: &'a [Home],
    pub(super) installed: &'a Installed,
    pub(super) names: Names,
    /// The suite's objects under the suite's names.
    state: ClusterState,
    addresses: Addresses,
    /// Who is started anew, where that was asked for.
    agents: Vec<ObjectName>,
}

impl<'a> ClusterScene<'a> {
    pub(super) fn new(
        probing: Probing<'a, NatsSensors>,
        cluster: &'a Cluster,
        homes: &'a [Home],
        installed: &'a Installed,
        names: Names,
        agents: Vec<ObjectName>,
    ) -> Self {
        Self {
            probing,
            cluster,
            homes,
            installed,
            names,
            state: ClusterState::default(),
            addresses: Addresses::default(),
            agents,
        }
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), CertifyError> {
        let namespace = key.namespace.as_deref().map(|name| self.names.namespace(name));
        let name = match namespace {
            Some(_) => key.name.clone(),
            None => self.names.namespace(&key.name),
        };
        self.cluster.remove(key.kind, namespace.as_deref(), &name).await
    }

    async fn wait_until_gone(&self, key: &ObjectKey) -> Result<(), CertifyError> {
        let namespace = self.names.namespace(key.namespace.as_deref().unwrap_or_default());
        let is_gone = async || {
            let left = self.cluster.get(POD, Some(&namespace), &key.name).await?;
            Ok(match left {
                None => Ok(()),
                Some(_) => Err("it is still there".to_owned()),
            })
        };
        let what = format!("pod {namespace}/{} to go", key.name);
        self.cluster.until(&what, PODS, is_gone).await
    }

    /// The hostname of the node for a pod: `node2` of a suite is the second of ours.
    fn hostname(&self, pod: &Pod) -> &str {
        let number = pod.node.as_deref().and_then(|node| node.strip_prefix("node"));
        let index = number
            .and_then(|number| number.parse::<usize>().ok())
            .unwrap_or(1);
        let count = self.homes.len().max(1);
        let home = self.homes.get(index.saturating_sub(1) % count);
        home.map_or("", |home| &home.hostname)
    }

    async fn make(&self, pod: &Pod) -> Result<(), CertifyError> {
        let named = Pod {
            name: self.names.object(&pod.name),
            ..pod.clone()
        };
        let manifest = Names::pod_manifest(
            &named,
            self.hostname(pod),
            &self.installed.image,
            &self.installed.pull_policy,
        );
        make_pod(self.cluster, &named.name, &manifest).await
    }

    /// Waits for the pods, and learns their addresses.
    async fn meet(&mut self, pods: &[Pod]) -> Result<(), CertifyError> {
        let wanted: Vec<ObjectName> = pods.iter().map(|pod| self.names.object(&pod.name)).collect();
        let snapshot = wait_for_pods(self.probing.live, self.cluster, self.probing.prober, &wanted).await?;
        let pairs = pods
            .iter()
            .zip(&wanted)
            .filter_map(|(pod, name)| Some((pod, snapshot.pod(name)?)));
        self.addresses = Addresses::of(pairs);
        Ok(())
    }

    /// Deletes and applies objects, and waits for pods.
    async fn make_change(
        &mut self,
        gone: Vec<ObjectKey>,
        objects: Vec<Object>,
    ) -> Result<Changed, CertifyError> {
        (self.probing.check)()?;
        if let Some(why) = objects.iter().find_map(unplayable) {
            return Ok(Changed::Refused { why });
        }
        let before = self.state.snapshot();
        let remade = |object: &&Object| {
            let Object::Pod(pod) = object else { return false };
            before.pod(&pod.name).is_some_and(|known| is_another(known, pod))
        };
        let remade: Vec<ObjectKey> = objects.iter().filter(remade).map(Object::key).collect();
        for key in gone.iter().chain(&remade) {
            self.remove(key).await?;
        }
        // One of its name that is going would be taken for the new one, or refuse its spec.
        for key in &remade {
            self.wait_until_gone(key).await?;
        }
        self.state.delete(gone.iter().cloned());
        self.state.apply(objects.iter().cloned());
        let mut refused = Vec::new();
        let (pods, policies): (Vec<&Object>, Vec<&Object>) = objects
            .iter()
            .partition(|object| !matches!(object, Object::Policy(_)));
        let mut new = !remade.is_empty();
        for object in pods {
            match object {
                Object::Namespace(namespace) => {
                    let mut named = namespace.clone();
                    named.name = self.names.namespace(&namespace.name);
                    self.cluster.apply(&self.names.namespace_manifest(&named)).await?;
                }
                Object::Pod(pod) => {
                    new |= before.pod(&pod.name).is_none();
                    match self.make(pod).await {
                        Ok(()) => {}
                        // Found out with the next case, when what is there is compared with what that one wants.
                        Err(CertifyError::Api { code: 422, said, .. }) => {
                            let why = format!("{} was refused: {}", object.key(), self.names.of_suite(&said));
                            return Ok(Changed::Refused { why });
                        }
                        Err(error) => return Err(error),
                    }
                }
                _ => {}
            }
        }
        if new {
            let pods = self.state.snapshot().pods;
            self.meet(&pods).await?;
        }
        for object in policies {
            let Object::Policy(policy) = object else { continue };
            let mut manifest = self.names.policy_manifest(policy)?;
            self.addresses.move_in(&mut manifest);
            match self.cluster.apply(&manifest).await {
                Ok(_) => {}
                Err(CertifyError::Api { code: 422, said, .. }) => {
                    refused.push((object.key(), self.names.of_suite(&said)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(match refused.is_empty() {
            true => Changed::Done,
            false => Changed::Partly { refused },
        })
    }
}

impl Scene for ClusterScene<'_> {
    type Error = CertifyError;

    fn state(&self) -> &ClusterState {
        &self.state
    }

    async fn change_watched(
        &mut self,
        gone: Vec<ObjectKey>,
        objects: Vec<Object>,
        patterns: &[ProbePattern],
    ) -> Result<(Changed, Vec<Round>), CertifyError> {
        let changed = self.make_change(gone, objects).await?;
        let is_made = !matches!(changed, Changed::Refused { .. });
        let began = tokio::time::Instant::now();
        let mut rounds = Vec::new();
        while is_made && !patterns.is_empty() && began.elapsed() < LOOK {
            (self.probing.check)()?;
            rounds.push((Clock.now(), self.probe(patterns, None).await?));
        }
        Ok((changed, rounds))
    }

    async fn probe(
        &mut self,
        patterns: &[ProbePattern],
        only: Option<&[usize]>,
    ) -> Result<Vec<JudgedAttempt>, CertifyError> {
        let view = self.probing.look().await?;
        let mut ours = view.snapshot.clone();
        // A pod that a case deletes is there for a while yet.
        let wanted: BTreeSet<ObjectName> = self
            .state
            .snapshot()
            .pods
            .iter()
            .map(|pod| self.names.object(&pod.name))
            .collect();
        ours.pods.retain(|pod| wanted.contains(&pod.name));
        let renamed: Vec<ProbePattern> = patterns.iter().map(|one| self.names.pattern(one)).collect();
        let mut all = attempts(&ours, &renamed);
        if let Some(only) = only {
            all = pick(&all, only);
        }
        let mut judged = self.probing.probe(&view, "", &all).await?.attempts;
        for one in &mut judged {
            one.from = self.names.of_suite(&one.from);
            one.to = self.names.of_suite(&one.to);
            one.by = one.by.iter().map(|by| self.names.of_suite(by)).collect();
        }
        Ok(judged)
    }

    async fn restart(&mut self, patterns: &[ProbePattern]) -> Result<Vec<Round>, CertifyError> {
        let mut rounds = vec![(Clock.now(), self.probe(patterns, None).await?)];
        let restarts = agents::restart(self.cluster, &self.agents).await?;
        let until = tokio::time::Instant::now() + ROLLOUT;
        loop {
            (self.probing.check)()?;
            rounds.push((Clock.now(), self.probe(patterns, None).await?));
            match agents::waits_for(self.cluster, &restarts).await? {
                None => break,
                Some(state) if tokio::time::Instant::now() >= until => {
                    return Err(CertifyError::Waited {
                        what: "the CNI's DaemonSet to be back after its restart".to_owned(),
                        patience: ROLLOUT,
                        state,
                    });
                }
                Some(_) => self.rest(PAUSE).await?,
            }
        }
        rounds.push((Clock.now(), self.probe(patterns, None).await?));
        Ok(rounds)
    }

    fn unplayable(&self, case: &Case, patterns: &[ProbePattern]) -> Option<&'static str> {
        let for_nothing = IN_THE_LAB
            .into_iter()
            .find(|(feature, _)| case.features.contains(*feature));
        if let Some((_, why)) = for_nothing {
            Some(why)
        } else if !patterns.iter().all(ProbePattern::is_between_pods) {
            Some("Services, node ports and the outside are asked about in the lab only")
        } else if case.restarts() && self.agents.is_empty() {
            Some("the CNI's DaemonSet is restarted only when that is asked for, by --disruptive")
        } else {
            None
        }
    }

    fn sockets(&self) -> Result<Sockets, String> {
        Err(
            "sensors send and record first packets; this takes sockets in the pods, as the lab has them"
                .to_owned(),
        )
    }

    async fn rest(&mut self, pause: Duration) -> Result<(), CertifyError> {
        Ok(self.probing.prober.listen(pause).await?)
    }

    fn patience(&self) -> ScenePatience {
        ScenePatience {
            budget: self.probing.settle,
            pause: PAUSE,
            says_when_done: false,
        }
    }
}

/// Whether the API takes only labels as a change of a running pod, and this is more; its addresses are the cluster's to give.
fn is_another(known: &Pod, pod: &Pod) -> bool {
    known.ports != pod.ports || known.node != pod.node
}

/// Why an object of a suite cannot be had in a cluster that is not ours alone.
fn unplayable(object: &Object) -> Option<String> {
    match object {
        Object::Admin(policy) => Some(format!(
            "{:?} holds for the whole cluster, and only the lab is ours alone",
            policy.object.kind
        )),
        Object::Pod(pod) if pod.host_network => {
            Some("a pod of the node's own network is refused where Pod Security is".to_owned())
        }
        Object::Pod(pod) if pod.phase.is_terminal() => {
            Some("a pod that is over, with its address given to another, cannot be had on purpose".to_owned())
        }
        Object::Service(_) | Object::EndpointSlice(_) => {
            Some("Services of a suite are played in the lab only".to_owned())
        }
        Object::Pod(_) | Object::Namespace(_) | Object::Node(_) | Object::Policy(_) => None,
    }
}
