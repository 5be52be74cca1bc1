//! A real API server is followed: through changes, and through its death.

use anyhow::{Result, bail, ensure};
use netpol_verify::cluster::{Change, Followed, Kind, LiveError, ObjectName, Pod, Standing};
use netpol_verify_tests::{ApiServer, Follower};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::cluster_live::{collection, create, namespace, pod};

fn find<'a>(followed: &'a Followed, namespace: &str, name: &str) -> Option<&'a Pod> {
    followed.state().pod(&ObjectName::new(namespace, name))
}

/// Asks the server as its administrator for something that it must do.
pub(crate) fn must(server: &ApiServer, method: &str, path: &str, body: Value) -> Result<Value> {
    let (status, answer) = server.ask(method, path, Some(body))?;
    ensure!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    Ok(answer)
}

/// Deletes a pod at once, as a kubelet does in the end.
fn delete_pod(server: &ApiServer, namespace: &str, name: &str) -> Result<()> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    must(server, "DELETE", &path, json!({"gracePeriodSeconds": 0})).map(|_| ())
}

/// Deletes an empty namespace, as the controller does that is not there.
fn delete_namespace(server: &ApiServer, name: &str) -> Result<()> {
    let path = format!("/api/v1/namespaces/{name}");
    must(server, "DELETE", &path, json!({}))?;
    let ended = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}, "spec": {"finalizers": []}});
    must(server, "PUT", &format!("{path}/finalize"), ended).map(|_| ())
}

fn policy(namespace: &str, name: &str) -> Value {
    json!({
        "kind": "NetworkPolicy",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"podSelector": {}},
    })
}

/// The changes that are about a namespace and what lives in it: `+Pod moving/web`.
fn about(changes: &[Change], namespace: &str) -> Vec<String> {
    let shown = changes.iter().filter_map(|change| {
        let (sign, key) = match change {
            Change::Added(key) => ('+', key),
            Change::Changed(key) => ('~', key),
            Change::Removed(key) => ('-', key),
        };
        let of = key.namespace.as_deref().unwrap_or(&key.name);
        (of == namespace).then(|| format!("{sign}{key}"))
    });
    shown.collect()
}

#[test]
fn what_is_made_changed_and_deleted_arrives() -> Result<()> {
    let Some(server) = ApiServer::shared("what_is_made_changed_and_deleted_arrives")? else {
        return Ok(());
    };
    create(&server, &[namespace("before"), pod("before", "web", json!({}))])?;
    let mut follower = Follower::start(&server, "admin")?;
    follower.until("it is complete", Followed::is_complete)?;
    ensure!(find(follower.followed(), "before", "web").is_some());
    assert_eq!(follower.followed().problems(), []);

    create(
        &server,
        &[
            namespace("moving"),
            pod("moving", "web", json!({"app": "a"})),
            policy("moving", "np"),
        ],
    )?;
    let np = ObjectName::new("moving", "np");
    let made = follower.until("the policy and the pod are there", |followed| {
        followed.state().policy(&np).is_some()
            && find(followed, "moving", "web").is_some()
            && followed.implied_namespaces().count() == 0
    })?;
    for name in ["+Namespace moving", "+Pod moving/web", "+NetworkPolicy moving/np"] {
        assert!(
            about(&made, "moving").iter().any(|it| it == name),
            "{name}: {made:?}"
        );
    }

    let path = "/api/v1/namespaces/moving/pods/web";
    must(
        &server,
        "PATCH",
        path,
        json!({"metadata": {"labels": {"app": "b"}}}),
    )?;
    let status =
        json!({"status": {"phase": "Running", "podIP": "10.244.9.9", "podIPs": [{"ip": "10.244.9.9"}]}});
    must(&server, "PATCH", &format!("{path}/status"), status)?;
    let changed = follower.until("the pod has its label and its address", |followed| {
        find(followed, "moving", "web").is_some_and(|pod| pod.labels["app"] == "b" && pod.ips.len() == 1)
    })?;
    assert!(
        about(&changed, "moving").iter().all(|it| it == "~Pod moving/web"),
        "{changed:?}"
    );
    // What the model does not take is no change.
    must(
        &server,
        "PATCH",
        path,
        json!({"metadata": {"annotations": {"note": "new"}}}),
    )?;

    let old = find(follower.followed(), "moving", "web").and_then(|pod| pod.uid.clone());
    delete_pod(&server, "moving", "web")?;
    create(&server, &[pod("moving", "web", json!({"app": "b"}))])?;
    let anew = follower.until("the pod is another", |followed| {
        find(followed, "moving", "web").is_some_and(|pod| pod.uid != old)
    })?;
    assert_eq!(about(&anew, "moving"), ["-Pod moving/web", "+Pod moving/web"]);
    assert_eq!(
        find(follower.followed(), "moving", "web").map(|pod| pod.ips.len()),
        Some(0)
    );

    delete_pod(&server, "moving", "web")?;
    must(
        &server,
        "DELETE",
        &(collection(&policy("moving", "np"))? + "/np"),
        json!({}),
    )?;
    delete_namespace(&server, "moving")?;
    follower.until("the namespace is gone", |followed| {
        followed.state().namespace("moving").is_none()
    })?;
    let left = follower.followed().state().snapshot();
    assert!(left.pods.iter().all(|pod| pod.name.namespace != "moving"));
    assert!(
        left.policies
            .iter()
            .all(|policy| policy.name().namespace != "moving")
    );
    Ok(())
}

/// Takes an object out behind the server's back, as if it had been deleted while nobody heard.
fn delete_in_etcd(server: &ApiServer, key: &str) -> Result<()> {
    use std::fmt::Write as _;
    let encoded = base64(key.as_bytes());
    let body = json!({"key": encoded}).to_string();
    let mut request = String::new();
    write!(
        request,
        "POST /v3/kv/deleterange HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let answer = server.inside(async || {
        let mut stream = TcpStream::connect("127.0.0.1:2379").await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    })??;
    ensure!(answer.contains(r#""deleted":"1""#), "{answer}");
    Ok(())
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0, |word, at| {
            word << 8 | u32::from(chunk.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { digit.into() } else { '=' });
        }
    }
    text
}

#[test]
fn a_server_that_dies_is_told_with_the_reason_and_what_was_missed_is_found() -> Result<()> {
    let Some(mut server) =
        ApiServer::start("a_server_that_dies_is_told_with_the_reason_and_what_was_missed_is_found")?
    else {
        return Ok(());
    };
    create(
        &server,
        &[
            namespace("lost"),
            pod("lost", "goes", json!({})),
            pod("lost", "stays", json!({})),
            policy("lost", "goes"),
        ],
    )?;
    let mut follower = Follower::start(&server, "admin")?;
    follower.until("it is complete", Followed::is_complete)?;
    server.kill()?;
    follower.until("pods and policies are broken", |followed| {
        [Kind::Pod, Kind::NetworkPolicy]
            .iter()
            .all(|kind| matches!(followed.standing(*kind), Standing::Broken { .. }))
    })?;
    let Standing::Broken {
        since,
        heard: Some(heard),
        why,
    } = follower.followed().standing(Kind::Pod).clone()
    else {
        bail!("{:?}", follower.followed().standing(Kind::Pod))
    };
    assert!(
        matches!(&why, LiveError::Unreachable { cause, .. } if cause.contains("refused")),
        "{why:?}"
    );
    assert!(heard < since);
    assert!(follower.followed().is_complete() && find(follower.followed(), "lost", "goes").is_some());
    assert!(!follower.followed().problems().is_empty());

    delete_in_etcd(&server, "/registry/pods/lost/goes")?;
    delete_in_etcd(&server, "/registry/networkpolicies/lost/goes")?;
    server.restart()?;
    create(&server, &[pod("lost", "new", json!({}))])?;
    let found = follower.until("all is known again", |followed| {
        find(followed, "lost", "new").is_some()
            && followed
                .standings()
                .all(|(_, standing)| matches!(standing, Standing::Known { .. } | Standing::Absent { .. }))
    })?;
    let mut found = about(&found, "lost");
    found.sort();
    assert_eq!(
        found,
        ["+Pod lost/new", "-NetworkPolicy lost/goes", "-Pod lost/goes"],
        "and nothing else"
    );
    assert_eq!(follower.followed().problems(), []);
    // And it goes on.
    delete_pod(&server, "lost", "stays")?;
    follower.until("the pod is gone", |followed| {
        find(followed, "lost", "stays").is_none()
    })?;
    Ok(())
}

#[test]
fn more_pods_than_two_pages_hold_are_all_followed() -> Result<()> {
    let Some(server) = ApiServer::shared("more_pods_than_two_pages_hold_are_all_followed")? else {
        return Ok(());
    };
    const MANY: usize = 1_150;
    create(&server, &[namespace("crowd")])?;
    let path = "/api/v1/namespaces/crowd/pods".to_owned();
    let made = (0..MANY).map(|number| (path.clone(), pod("crowd", &format!("p{number}"), json!({}))));
    server.create(made)?;
    let mut follower = Follower::start(&server, "admin")?;
    follower.until("it is complete", Followed::is_complete)?;
    let snapshot = follower.followed().state().snapshot();
    let crowd = snapshot.pods.iter().filter(|pod| pod.name.namespace == "crowd");
    assert_eq!(crowd.count(), MANY);
    Ok(())
}
