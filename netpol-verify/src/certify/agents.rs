//! The CNI's DaemonSets, and their restart: asked for by `--disruptive` alone.

use std::{str::FromStr, time::Duration};

use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::{Value, json};

use super::{
    api::{Cluster, DAEMON_SET},
    error::CertifyError,
    nodes,
};
use crate::cluster::{ObjectName, ParseObjectNameError};

/// How long the restart of all of a DaemonSet's pods may take: one node after the other, where it says nothing else.
pub(super) const ROLLOUT: Duration = Duration::from_secs(600);

/// Whose restart is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agents {
    /// The DaemonSets by which a CNI is known.
    OfCni,
    /// A DaemonSet, as `kube-system/calico-node`.
    Named(ObjectName),
}

impl FromStr for Agents {
    type Err = ParseObjectNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(Self::OfCni),
            name => name.parse().map(Self::Named),
        }
    }
}

/// A restart that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Restart {
    name: ObjectName,
    generation: i64,
}

/// The DaemonSets that are asked for; an error where there is none that can be restarted.
pub(super) async fn find(cluster: &Cluster, agents: &Agents) -> Result<Vec<ObjectName>, CertifyError> {
    let sets = cluster.list(DAEMON_SET, None, "").await?;
    let found: Vec<&DynamicObject> = sets
        .iter()
        .filter(|set| match agents {
            Agents::OfCni => nodes::is_of_cni(&set.name_any()),
            Agents::Named(name) => name_of(set) == *name,
        })
        .collect();
    let none = |why: &str| CertifyError::NoAgents { why: why.to_owned() };
    if found.is_empty() {
        return Err(match agents {
            Agents::OfCni => none("no DaemonSet bears the name of a known CNI's"),
            Agents::Named(name) => none(&format!("there is no DaemonSet {name}")),
        });
    }
    for set in &found {
        let strategy = set
            .data
            .pointer("/spec/updateStrategy/type")
            .and_then(Value::as_str);
        if strategy == Some("OnDelete") {
            return Err(none(&format!(
                "{} replaces its pods only when somebody deletes them (updateStrategy OnDelete)",
                name_of(set)
            )));
        }
    }
    Ok(found.into_iter().map(name_of).collect())
}

fn name_of(set: &DynamicObject) -> ObjectName {
    ObjectName::new(set.namespace().unwrap_or_default(), set.name_any())
}

/// Restarts them as `kubectl rollout restart` does: by an annotation of the pods' template.
pub(super) async fn restart(cluster: &Cluster, agents: &[ObjectName]) -> Result<Vec<Restart>, CertifyError> {
    let mut restarts = Vec::with_capacity(agents.len());
    for name in agents {
        let now = jiff::Timestamp::now().to_string();
        let told = cluster
            .apply(&json!({
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "metadata": {"namespace": name.namespace, "name": name.name},
                "spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}}},
            }))
            .await?;
        restarts.push(Restart {
            name: name.clone(),
            generation: told.metadata.generation.unwrap_or(0),
        });
    }
    Ok(restarts)
}

/// How far the first of them is that is not back yet.
pub(super) async fn waits_for(
    cluster: &Cluster,
    restarts: &[Restart],
) -> Result<Option<String>, CertifyError> {
    for one in restarts {
        let set = cluster
            .get(DAEMON_SET, Some(&one.name.namespace), &one.name.name)
            .await?;
        let Some(set) = set else {
            return Ok(Some(format!("{} is gone", one.name)));
        };
        let status = |field: &str| {
            let value = set.data.pointer(&format!("/status/{field}"));
            value.and_then(Value::as_i64).unwrap_or(0)
        };
        let wanted = status("desiredNumberScheduled");
        let (new, there) = (status("updatedNumberScheduled"), status("numberAvailable"));
        if status("observedGeneration") < one.generation || new < wanted || there < wanted {
            return Ok(Some(format!(
                "of {wanted} pods of {} {new} are new and {there} available",
                one.name
            )));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::Agents;
    use crate::cluster::ObjectName;

    #[test]
    fn a_name_is_read_as_kubectl_users_write_it() {
        let read = |text: &str| text.parse::<Agents>().unwrap();
        assert_eq!(read(""), Agents::OfCni);
        assert_eq!(
            read("kube-system/calico-node"),
            Agents::Named(ObjectName::new("kube-system", "calico-node"))
        );
        assert!("calico-node".parse::<Agents>().is_err());
    }
}
