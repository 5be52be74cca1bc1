//! What each sensor of a cluster says of its node, when it is asked.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::{
    api::Cluster,
    clocks::{Skew, clocks},
    error::CertifyError,
    reach::Reach,
};
use crate::{
    bus::{Answer, Ask, AskError, SensorFacts, Sensors},
    net::Clock,
    report::Checked,
};

/// Asks the sensors of these nodes, through the tunnel: a line for each, and one for all clocks.
pub(super) async fn sensors(cluster: &Cluster, nodes: &[String]) -> Result<Vec<Checked>, CertifyError> {
    let reach = Reach::open(cluster).await?;
    let bus = reach.sensors();
    let answers = join_all(nodes.iter().map(|node| ask(&bus, node))).await;
    let mut findings = Vec::new();
    let mut skews = Vec::new();
    for (node, answer) in nodes.iter().zip(answers) {
        match answer {
            Ok((facts, skew)) => {
                findings.push(line(node, &facts));
                skews.push((node.clone(), skew));
            }
            Err(why) => findings.push(Checked::new(&called(node), false, true, "", &why)),
        }
    }
    findings.extend(clocks(&skews));
    Ok(findings)
}

async fn ask(bus: &impl Sensors, node: &str) -> Result<(SensorFacts, Skew), String> {
    let asked = Timestamp::now().as_nanosecond();
    let began = Clock.now();
    let answer = bus.ask(node, Ask::Facts).await;
    let round = Clock.now().since(began);
    match answer {
        Ok(Answer::Facts(_, facts)) => {
            let skew = Skew::new(asked, round, facts.wall_clock);
            Ok((*facts, skew))
        }
        Ok(other) => Err(format!(
            "it answers {other:?} when it is asked for facts: is it of another version than this program ({})?",
            env!("CARGO_PKG_VERSION")
        )),
        Err(error @ AskError::Unreadable { .. }) => Err(format!(
            "{error}: is it of another version than this program ({})?",
            env!("CARGO_PKG_VERSION")
        )),
        Err(error) => Err(error.to_string()),
    }
}

fn called(node: &str) -> String {
    format!("sensor on {node}")
}

/// What a sensor is, and what it lacks.
fn line(node: &str, facts: &SensorFacts) -> Checked {
    let mut lacks = facts.notes.clone();
    if !facts.sees_drops && !lacks.iter().any(|note| note.contains("drop")) {
        lacks.push("it sees no drops: a denied attempt is proven by silence".to_owned());
    }
    let ours = env!("CARGO_PKG_VERSION");
    if facts.version != ours {
        lacks.push(format!("it is version {}, this program is {ours}", facts.version));
    }
    let what = format!(
        "Linux {}, {}, {}, {} reasons of drops, boot {}",
        facts.kernel,
        facts.attachment,
        if facts.sees_drops {
            "sees drops"
        } else {
            "sees no drops"
        },
        facts.drop_reasons.len(),
        facts.boot.chars().take(8).collect::<String>()
    );
    let lack = format!("{what}: {}", lacks.join("; "));
    Checked::new(&called(node), lacks.is_empty(), false, &what, &lack)
}

/// Sensors' pods that are there and not ready, by their node's name; nodes without one are not in it.
pub(super) fn by_node(pods: &[kube::api::DynamicObject]) -> BTreeMap<String, bool> {
    let text = |value: Option<&serde_json::Value>| value.and_then(|it| it.as_str()).map(str::to_owned);
    pods.iter()
        .filter_map(|pod| {
            let node = text(pod.data.pointer("/spec/nodeName"))?;
            let conditions = pod
                .data
                .pointer("/status/conditions")
                .and_then(|it| it.as_array());
            let is_ready = conditions.is_some_and(|all| {
                all.iter().any(|one| {
                    text(one.get("type")).as_deref() == Some("Ready")
                        && text(one.get("status")).as_deref() == Some("True")
                })
            });
            Some((node, is_ready))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{by_node, line};
    use crate::bus::SensorFacts;

    fn facts() -> SensorFacts {
        SensorFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: "6.18.44".to_owned(),
            boot: "0123456789".to_owned(),
            attachment: "tcx".to_owned(),
            sees_drops: true,
            ..SensorFacts::default()
        }
    }

    #[test]
    fn a_sensors_notes_are_what_lacks_on_its_node() {
        let good = line("n1", &facts());
        assert_eq!((good.ok, good.what.as_str()), (Some(true), "sensor on n1"));
        assert_eq!(
            good.detail,
            "Linux 6.18.44, tcx, sees drops, 0 reasons of drops, boot 01234567"
        );
        for facts in [
            SensorFacts {
                notes: vec!["no BTF".to_owned()],
                ..facts()
            },
            SensorFacts {
                sees_drops: false,
                ..facts()
            },
            SensorFacts {
                version: "0.0.9".to_owned(),
                ..facts()
            },
        ] {
            let lacking = line("n1", &facts);
            assert_eq!(
                (lacking.ok, lacking.required),
                (Some(false), false),
                "{lacking:?}"
            );
        }
    }

    #[test]
    fn a_pod_without_a_node_is_on_none() {
        let pod = |value| serde_json::from_value(value).unwrap();
        let found = by_node(&[
            pod(
                serde_json::json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
            ),
            pod(serde_json::json!({"metadata": {"name": "b"}, "spec": {"nodeName": "n2"}, "status": {}})),
            pod(serde_json::json!({"metadata": {"name": "c"}, "spec": {}})),
        ]);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("n1".to_owned(), true), ("n2".to_owned(), false)]
        );
    }
}
