//! What a cluster has and lacks for us: rights, nodes, admission, sensors, NATS, another run. Nothing is made.

use std::time::Duration;

use kube::ResourceExt as _;

use super::{
    api::{Cluster, DAEMON_SET, DEPLOYMENT, NAMESPACE, NODE, POD},
    error::CertifyError,
    install::{self, HOME, NATS, SENSOR, number},
    lease,
    machines::{listed, machines},
    nodes::{self, is_usable},
    rights::rights,
    sensors::{by_node, sensors},
};
use crate::{causes::causes, cluster::LiveCluster, report::Checked};

const LEVEL: &str = "pod-security.kubernetes.io/enforce";
const SENSOR_LABELS: &str = "app.kubernetes.io/name=netpol-verify,app.kubernetes.io/component=sensor";

/// How long all of it may take: a server that takes connections and never answers must not keep a command for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// Looks at a cluster. What cannot be looked at is a line, too.
///
/// # Errors
/// The API server does not answer.
pub async fn examine(live: &LiveCluster) -> Result<Vec<Checked>, CertifyError> {
    let looked = tokio::time::timeout(PATIENCE, look(live)).await;
    looked.unwrap_or_else(|_| {
        Err(CertifyError::Waited {
            what: format!("the answers of {}", live.server()),
            patience: PATIENCE,
            state: "not all of them came; does `kubectl version` in the same context get one?".to_owned(),
        })
    })
}

async fn look(live: &LiveCluster) -> Result<Vec<Checked>, CertifyError> {
    let cluster = Cluster::new(live);
    let client = live.client();
    let version = client.apiserver_version().await.map_err(|error| {
        CertifyError::api(
            live.server().to_owned(),
            "ask",
            "for its version".to_owned(),
            &error,
        )
    })?;
    let mut findings = vec![Checked::good(
        "API server",
        &format!("{} at {}", version.git_version, live.server()),
    )];
    let groups = client.list_api_groups().await.ok().map(|list| {
        let groups = list.groups.into_iter();
        groups.map(|group| group.name).collect::<Vec<_>>()
    });
    let set = cluster.get(DAEMON_SET, Some(HOME), SENSOR).await;
    let is_installed = matches!(&set, Ok(Some(_)));
    findings.extend(rights(&client, is_installed, groups.as_deref()).await);
    let names = match cluster.list(NODE, None, "").await {
        Ok(nodes) => {
            findings.push(usable(&nodes));
            findings.extend(machines(&nodes));
            nodes.iter().map(|node| node.name_any()).collect()
        }
        Err(error) => {
            findings.push(Checked::untold("nodes", false, &error.to_string()));
            Vec::new()
        }
    };
    findings.push(match nodes::cni(&cluster).await {
        Ok(Some(cni)) => Checked::good("CNI", &format!("{cni}, by its DaemonSet")),
        Ok(None) => Checked::untold(
            "CNI",
            false,
            "no DaemonSet of a CNI that is known; give certify --cni NAME",
        ),
        Err(error) => Checked::untold("CNI", false, &error.to_string()),
    });
    findings.push(admission(&cluster).await);
    findings.push(match lease::holder_now(&cluster, HOME).await {
        Ok(None) => Checked::good("another run", "none is certifying this cluster"),
        Ok(Some(held)) => Checked::new("another run", false, false, "", &held.to_string()),
        Err(error) => Checked::untold("another run", false, &error.to_string()),
    });
    match set {
        Ok(Some(_)) => findings.extend(installation(&cluster, &names).await),
        Ok(None) => findings.push(Checked::new(
            "sensors",
            false,
            false,
            "",
            "not installed: certify installs them for its run; for a verifier, apply deploy/install.yaml",
        )),
        Err(error) => findings.push(Checked::untold("sensors", false, &error.to_string())),
    }
    Ok(findings)
}

fn usable(nodes: &[kube::api::DynamicObject]) -> Checked {
    let (usable, others): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| is_usable(node));
    let names = |nodes: &[&kube::api::DynamicObject]| {
        let names: Vec<String> = nodes.iter().map(|node| node.name_any()).collect();
        listed(&names)
    };
    let mut good = format!("{} are ready and take pods", usable.len());
    if !others.is_empty() {
        good.push_str(&format!("; not: {}", names(&others)));
    }
    if usable.len() == 1 {
        good.push_str("; paths across nodes need a second one");
    }
    Checked::new(
        "nodes",
        !usable.is_empty(),
        true,
        &good,
        "none is ready and takes pods: certify has no place for its own; see `kubectl get nodes`",
    )
}

/// Whether the sensors' pods would be let in.
async fn admission(cluster: &Cluster) -> Checked {
    const WHAT: &str = "Pod Security";
    let looked = async {
        let Some(home) = cluster.get(NAMESPACE, None, HOME).await? else {
            cluster
                .would_create(NAMESPACE, &install::home_manifest()?)
                .await?;
            let good = format!("namespace {HOME} would be made, with {LEVEL}: privileged");
            return Ok(Checked::good(WHAT, &good));
        };
        cluster.would_create(POD, &install::sensor_pod()?).await?;
        let level = home
            .labels()
            .get(LEVEL)
            .map_or("the server's default", String::as_str);
        let good = format!("namespace {HOME} admits sensors (level: {level})");
        Ok::<_, CertifyError>(Checked::good(WHAT, &good))
    };
    match looked.await {
        Ok(checked) => checked,
        Err(CertifyError::Api { code: 403, said, .. }) => refused(WHAT, &said),
        Err(error) => Checked::untold(WHAT, true, &causes(&error)),
    }
}

/// Whether a refusal is about the pod, or about who asks.
fn refused(what: &str, said: &str) -> Checked {
    // RBAC and a service account that is not there say nothing of the pod.
    let is_of_us = said.contains(" cannot create resource ") || said.contains("serviceaccount");
    if is_of_us {
        return Checked::untold(what, true, &format!("the server says: {said}"));
    }
    let lack = format!(
        "sensors are not admitted: {said}; label the namespace: `kubectl label namespace {HOME} {LEVEL}=privileged --overwrite`, or exempt it where another admission says so"
    );
    Checked::new(what, false, true, "", &lack)
}

/// What is installed, and whether it works.
async fn installation(cluster: &Cluster, nodes: &[String]) -> Vec<Checked> {
    let mut findings = Vec::new();
    let pods = cluster.list(POD, Some(HOME), SENSOR_LABELS).await;
    let ready: Vec<String> = match &pods {
        Ok(pods) => {
            let by_node = by_node(pods);
            let is_ready = |node: &String| by_node.get(node) == Some(&true);
            let (ready, not): (Vec<String>, Vec<String>) = nodes.iter().cloned().partition(is_ready);
            let trouble = if not.is_empty() {
                String::new()
            } else {
                install::troubles(cluster)
                    .await
                    .unwrap_or_else(|error| error.to_string())
            };
            findings.push(Checked::new(
                "sensors",
                not.is_empty() && !ready.is_empty(),
                // Nothing is seen at all where none is ready.
                ready.is_empty(),
                &format!("ready on every node ({})", ready.len()),
                &format!(
                    "ready on {} of {} nodes, not on {}: nothing is seen of the pods there; {trouble}",
                    ready.len(),
                    nodes.len(),
                    listed(&not)
                ),
            ));
            ready
        }
        Err(error) => {
            findings.push(Checked::untold("sensors", true, &error.to_string()));
            Vec::new()
        }
    };
    let nats = match cluster.get(DEPLOYMENT, Some(HOME), NATS).await {
        Ok(found) => {
            let count = number(found.as_ref(), "/status/readyReplicas");
            let lack = "it is not ready, and nothing is heard of sensors without it: see `kubectl -n netpol-verify describe pods`; a NATS of your own elsewhere is not looked at";
            let is_ready = count >= 1;
            findings.push(Checked::new("NATS", is_ready, true, "ready", lack));
            is_ready
        }
        Err(error) => {
            findings.push(Checked::untold("NATS", true, &error.to_string()));
            true
        }
    };
    if nats && !ready.is_empty() {
        match sensors(cluster, &ready).await {
            Ok(said) => findings.extend(said),
            Err(error) => findings.push(Checked::untold("sensors' own words", true, &causes(&error))),
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{refused, usable};

    fn node(name: &str, ready: &str, taints: Value) -> kube::api::DynamicObject {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"taints": taints},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_cluster_needs_one_node_that_takes_pods_and_paths_across_need_two() {
        let taint = json!([{"key": "control-plane", "effect": "NoSchedule"}]);
        let (good, bad, control) = (
            node("a", "True", json!([])),
            node("b", "Unknown", json!([])),
            node("c", "True", taint),
        );
        let none = usable(&[bad.clone(), control.clone()]);
        assert!(none.is_fatal(), "{none:?}");
        let one = usable(&[good.clone(), bad, control]);
        assert_eq!(one.ok, Some(true));
        assert!(
            one.detail.contains("not: b, c") && one.detail.contains("second one"),
            "{}",
            one.detail
        );
        assert!(!usable(&[good.clone(), good]).detail.contains("second one"));
    }

    #[test]
    fn only_a_refusal_of_the_pod_itself_is_a_lack() {
        let violates = r#"pods "x" is forbidden: violates PodSecurity "baseline:latest": hostPID=true"#;
        assert!(refused("w", violates).is_fatal());
        assert!(refused("w", "admission webhook \"kyverno\" denied the request").is_fatal());
        for of_us in [
            r#"pods is forbidden: User "nobody" cannot create resource "pods" in API group """#,
            r#"pods "x" is forbidden: error looking up service account netpol-verify/a: serviceaccount "a" not found"#,
        ] {
            assert_eq!(refused("w", of_us).ok, None, "{of_us}");
        }
    }
}
