//! Who may follow a real API server, and kinds that it serves later or no more; garbage that it takes stops nothing.

use anyhow::Result;
use netpol_verify::cluster::{AdminKind, Followed, Kind, LiveError, Standing};
use netpol_verify_tests::{ApiServer, Follower};
use serde_json::{Value, json};

use crate::{cluster_live::definition, cluster_watch::must};

const CNP: Kind = Kind::AdminPolicy(AdminKind::ClusterNetworkPolicy);

#[test]
fn who_may_not_follow_is_told_apart_from_who_cannot_reach_the_server() -> Result<()> {
    let Some(server) =
        ApiServer::shared("who_may_not_follow_is_told_apart_from_who_cannot_reach_the_server")?
    else {
        return Ok(());
    };
    for (context, word) in [
        ("nobody", "forbidden"),
        ("stranger", "unauthorized"),
        ("closed", "unreachable"),
        ("distrusted", "unreachable"),
    ] {
        let mut follower = Follower::start(&server, context)?;
        follower.until(context, |followed| {
            matches!(followed.standing(Kind::Pod), Standing::Broken { why, .. } if why.word() == word)
        })?;
        assert!(!follower.followed().is_complete(), "{context}");
    }
    Ok(())
}

/// Rules for one verb on all that is read.
fn rules(verb: &str) -> Vec<Value> {
    [
        ("", vec!["nodes", "services", "namespaces", "pods"]),
        ("discovery.k8s.io", vec!["endpointslices"]),
        ("networking.k8s.io", vec!["networkpolicies"]),
    ]
    .into_iter()
    .map(|(group, resources)| json!({"apiGroups": [group], "resources": resources, "verbs": [verb]}))
    .collect()
}

fn denied(followed: &Followed, kind: Kind) -> Vec<(&'static str, &'static str)> {
    match followed.standing(kind) {
        Standing::Broken {
            why: LiveError::Forbidden { denied, .. },
            ..
        } => denied.iter().map(|it| (it.verb, it.resource)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn rights_and_kinds_that_come_later_are_noticed() -> Result<()> {
    let Some(server) = ApiServer::start("rights_and_kinds_that_come_later_are_noticed")? else {
        return Ok(());
    };
    let mut reader = Follower::start(&server, "reader")?;
    reader.until("both verbs are named", |followed| {
        denied(followed, Kind::Pod) == [("list", "pods"), ("watch", "pods")]
    })?;
    // The server says 403 for what it does not serve, and nothing is missed there.
    reader.until("what is not served is absent", |followed| {
        matches!(followed.standing(CNP), Standing::Absent { lacks: None, .. })
    })?;
    server.grant("reader", &rules("list"))?;
    reader.until("only the watch is missing", |followed| {
        denied(followed, Kind::Pod) == [("watch", "pods")]
    })?;
    assert!(!reader.followed().is_complete());
    let why = reader
        .followed()
        .problems()
        .iter()
        .map(ToString::to_string)
        .collect::<String>();
    assert!(
        why.contains("kubectl auth can-i watch pods --all-namespaces"),
        "{why}"
    );
    server.grant("reader", &rules("watch"))?;
    reader.until("it is complete", Followed::is_complete)?;

    let mut follower = Follower::start(&server, "admin")?;
    follower.until("it is complete", Followed::is_complete)?;
    assert_eq!(follower.followed().problems(), []);
    const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let defined = [
        definition("ClusterNetworkPolicy", "clusternetworkpolicies", &["v1alpha2"]),
        definition(
            "BaselineAdminNetworkPolicy",
            "baselineadminnetworkpolicies",
            &["v9"],
        ),
    ];
    server.create(defined.map(|definition| (DEFINITIONS.to_owned(), definition)))?;
    follower.until("the new kind is followed", |followed| {
        matches!(followed.standing(CNP), Standing::Known { .. })
    })?;
    // Its rights were not given.
    reader.until("the new kind may not be read", |followed| {
        !denied(followed, CNP).is_empty()
    })?;
    assert!(reader.followed().is_complete());

    let admin = |name: &str, spec: Value| {
        let metadata = json!({"name": name});
        json!({"kind": "ClusterNetworkPolicy", "apiVersion": "policy.networking.k8s.io/v1alpha2", "metadata": metadata, "spec": spec})
    };
    let policies = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies".to_owned();
    let good = json!({"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}});
    server.create([
        (
            policies.clone(),
            admin("garbage", json!([{"ingress": 7}, null, "x".repeat(10_000)])),
        ),
        (policies.clone(), admin("good", good.clone())),
    ])?;
    let is_there = |followed: &Followed, name: &str| {
        followed
            .state()
            .admin_policy(AdminKind::ClusterNetworkPolicy, name)
            .is_some()
    };
    let is_a_problem = |followed: &Followed| {
        let problems = followed.problems();
        problems
            .iter()
            .any(|it| it.object.as_deref() == Some("ClusterNetworkPolicy garbage"))
    };
    follower.until("the good one is there, the other a problem", |followed| {
        is_there(followed, "good") && is_a_problem(followed)
    })?;
    assert!(!is_there(follower.followed(), "garbage"));
    must(
        &server,
        "PATCH",
        &format!("{policies}/garbage"),
        json!({"spec": good}),
    )?;
    follower.until("it is mended", |followed| {
        is_there(followed, "garbage") && !is_a_problem(followed)
    })?;
    let other = |followed: &Followed| {
        let problems = followed.problems();
        problems
            .iter()
            .any(|it| it.message.starts_with("is served as v9 only"))
    };
    follower.until("the version that is not read is told", other)?;

    must(
        &server,
        "DELETE",
        &format!("{DEFINITIONS}/clusternetworkpolicies.policy.networking.k8s.io"),
        json!({}),
    )?;
    follower.until("the kind is served no more", |followed| {
        matches!(followed.standing(CNP), Standing::Absent { .. })
    })?;
    assert!(!is_there(follower.followed(), "good"));
    Ok(())
}
