//! A follower against a server that forgets, falls mute, talks nonsense or is proxied away; each is told, and it goes on.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::Query, http::StatusCode, routing::get};
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};

use super::{Access, LiveCluster, LiveError, Told, follow::Follower, resource::Resource};
use crate::cluster::Kind;

/// What the server says to each watch: lines, or a status.
type Script = Vec<Result<String, StatusCode>>;

fn event(kind: &str, object: &serde_json::Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

fn pod(name: &str) -> serde_json::Value {
    json!({"metadata": {"namespace": "shop", "name": name, "resourceVersion": "8"}})
}

fn bookmark() -> String {
    event(
        "BOOKMARK",
        &json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}}),
    )
}

/// Follows the pods of a server with one pod: what is told, as words, and the versions that watches began behind. Ends when
/// the script is over: the last watch never stands, so what comes of its list is not `listed`.
async fn follow(script: Script) -> (Vec<String>, Vec<String>) {
    let (script, asked) = (
        Arc::new(Mutex::new(VecDeque::from(script))),
        Arc::new(Mutex::new(vec![])),
    );
    let (end, mut ended) = mpsc::channel::<()>(1);
    let (left, seen) = (script.clone(), asked.clone());
    let answer = move |Query(asked): Query<Vec<(String, String)>>| async move {
        let of = |name: &str| {
            asked
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, it)| it.clone())
        };
        if of("watch").is_none() {
            let list = json!({"metadata": {"resourceVersion": "7"}, "items": [pod("web")]});
            return Ok(list.to_string());
        }
        seen.lock()
            .unwrap()
            .push(of("resourceVersion").unwrap_or_default());
        let said = left.lock().unwrap().pop_front();
        match said {
            Some(said) => said,
            None => {
                end.send(()).await.unwrap();
                std::future::pending().await
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Router::new().route("/api/v1/pods", get(answer));
    let server = tokio::spawn(async move { axum::serve(listener, server).await });
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let text = json!({
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
    });
    std::fs::write(&kubeconfig, text.to_string()).unwrap();
    let access = Access {
        kubeconfig: Some(kubeconfig),
        ..Access::default()
    };
    let cluster = LiveCluster::find(&access).await.unwrap();
    let (tell, mut told) = mpsc::channel(1_000);
    let resource = Resource::of(Kind::Pod).unwrap();
    let follower = tokio::spawn(Follower::new(cluster, resource, tell, Duration::ZERO).run());
    ended.recv().await.unwrap();
    follower.abort();
    server.abort();
    let mut words = Vec::new();
    while let Some(told) = told.recv().await {
        words.push(match told {
            Told::Put { key, .. } => format!("put {}", key.name),
            Told::Gone(key) => format!("gone {}", key.name),
            Told::Listed { keys, .. } => format!("listed {}", keys.len()),
            Told::Alive(_) => "alive".to_owned(),
            Told::Broken { why, .. } => match &why {
                LiveError::Unreachable { cause, .. } => cause.clone(),
                other => other.word().to_owned(),
            },
            Told::Absent { .. } => "absent".to_owned(),
        });
    }
    let asked = asked.lock().unwrap().clone();
    (words, asked)
}

const BEGUN: [&str; 2] = ["put web", "listed 1"];

#[tokio::test]
async fn a_watch_that_ends_goes_on_behind_the_last_word() {
    let said = event("ADDED", &pod("new")) + &event("DELETED", &pod("web"));
    let (told, asked) = follow(vec![Ok(said), Ok(bookmark())]).await;
    let expected = [&BEGUN[..], &["put new", "gone web", "alive"]].concat();
    assert_eq!((told, asked), (owned(&expected), owned(&["7", "8", "9"])));
}

#[tokio::test]
async fn what_the_server_forgot_is_told_and_listed_anew() {
    let gone = event(
        "ERROR",
        &json!({"kind": "Status", "status": "Failure", "code": 410, "message": "too old", "reason": "Expired"}),
    );
    for lapse in [Ok(bookmark() + &gone), Err(StatusCode::GONE)] {
        let first = lapse.is_err();
        let (told, asked) = follow(vec![Ok(bookmark()), lapse]).await;
        let alive: &[&str] = if first { &["alive"] } else { &["alive", "alive"] };
        let expected = [&BEGUN[..], alive, &["lapsed", "put web"]].concat();
        assert_eq!((told, asked), (owned(&expected), owned(&["7", "9", "7"])));
    }
}

#[tokio::test]
async fn nonsense_and_refusals_are_told_and_tried_again() {
    for (said, word) in [
        (Ok("{\"type\": \"ADDED\"}\n".to_owned()), "not-kubernetes"),
        (Ok(event("LATER", &pod("web"))), "not-kubernetes"),
        (Err(StatusCode::UNAUTHORIZED), "unauthorized"),
        (Err(StatusCode::INTERNAL_SERVER_ERROR), "refused"),
    ] {
        let (told, _) = follow(vec![Ok(bookmark()), said]).await;
        let expected = [&BEGUN[..], &["alive", word, "put web"]].concat();
        assert_eq!(told, owned(&expected), "{word}");
    }
}

#[tokio::test]
async fn watches_that_end_without_a_word_again_and_again_are_no_watch() {
    let mute = || Ok(String::new());
    let (told, _) = follow(vec![mute(), mute(), Ok(bookmark()), mute(), mute(), mute()]).await;
    let mute = "watch pods ended 3 times without a word";
    let expected = [&BEGUN[..], &["alive", mute, "put web"]].concat();
    assert_eq!(told, owned(&expected));
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
