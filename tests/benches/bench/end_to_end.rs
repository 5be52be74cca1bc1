//! From a SYN to the line on `/v1/findings?watch=1&verdicts=all` that judges it: sensor, NATS, API server and verifier as in
//! a cluster, real packets.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use netpol_verify::{
    net::Protocol,
    sensor::{NetnsPath, Probe, ProbeSocket},
};
use netpol_verify_tests::{ApiServer, NatsServer, Node, Pair};
use serde_json::{Value, json};

use crate::{
    process::{Process, ask, open, until},
    spread::Spread,
};

const NODE: &str = "node-a";
/// SYNs of each kind, and how far apart: no divisor of any rhythm of ours.
const SYNS: u16 = 300;
const APART: Duration = Duration::from_millis(37);
/// The first ports of those that the policy allows, of those that are denied and dropped, and of those that leak.
const KINDS: [(&str, u16); 3] = [
    ("allowed, delivered", 1_000),
    ("denied, dropped", 10_000),
    ("denied, delivered", 20_000),
];

type Lines = Arc<Mutex<BTreeMap<u16, (Instant, Value)>>>;

pub(crate) fn run() -> Result<()> {
    let what = "from a SYN to its line";
    let Some(server) = ApiServer::start(what)? else {
        return Ok(());
    };
    let netns = server.netns()?;
    let Some(nats) = netns.run(|| NatsServer::start(what))?? else {
        return Ok(());
    };
    let (pair, node) = (Pair::new()?, Node::new()?);
    // In the pod, as a netkit device or a mesh does: the router is no namespace of a node that the sensor knows.
    pair.chain("b", "inet", "input", "", "tcp dport 10000-19999 drop")?;
    let uids = fill(&server, &pair)?;
    let pod = |number: usize, role| node.start_pod(&uids[number], Some(&pair.path(role)));
    let _pods = [pod(0, "a")?, pod(1, "b")?];
    let _sensor = netns.run(|| Process::sensor(NODE, &node, &nats))??;
    let _verifier = netns.run(|| Process::verifier(&server, &nats))??;
    until("it is ready and sees both pods", || {
        let figures = ask(&netns, "/metrics")?.1;
        Ok(ask(&netns, "/readyz")?.0 == 200
            && figures.contains("netpol_verify_sensors{state=\"live\"} 1")
            && figures.contains("netpol_verify_interfaces{state=\"watched\"} 2"))
    })
    .with_context(|| {
        let log = |name| std::fs::read_to_string(nats.folder().join(name)).unwrap_or_default();
        log("sensor.log") + &log("verifier.log")
    })?;
    // What the policies say is settled by then.
    thread::sleep(Duration::from_secs(7));
    let stream = netns.run(|| open("/v1/findings?watch=1&verdicts=all"))??;
    let lines = Lines::default();
    let written = lines.clone();
    thread::spawn(move || {
        // The head's lines, and empty ones, are no JSON.
        for line in BufReader::new(stream).lines().map_while(std::result::Result::ok) {
            let now = Instant::now();
            let Ok(line) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            let port = line["attempt"]["port"]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok());
            if let Some(port) = port {
                let mut lines = written.lock().unwrap_or_else(PoisonError::into_inner);
                lines.entry(port).or_insert((now, line));
            }
        }
    });
    println!(
        "\nend to end: ms from a SYN to its line on /v1/findings?watch=1&verdicts=all; {SYNS} of each, {APART:?} apart"
    );
    println!(
        "  {:<20} {:>6} {:>8} {:>8} {:>8} {:>8}  verdicts",
        "", "lines", "median", "p90", "p99", "most"
    );
    let socket = ProbeSocket::open(&NetnsPath::from(pair.path("a")))?;
    for (what, first) in KINDS {
        let mut sent = BTreeMap::new();
        for port in first..first + SYNS {
            let probe = Probe {
                protocol: Protocol::Tcp,
                source: SocketAddr::new(pair.address("a", false), 30_000 + port % 1_000),
                destination: SocketAddr::new(pair.address("b", false), port),
                nonce: 1_000_000 + u32::from(port),
            };
            sent.insert(port, Instant::now());
            socket.send(&probe)?;
            thread::sleep(APART);
        }
        // An attempt that stays open is told as inconclusive after ten seconds.
        thread::sleep(Duration::from_secs(13));
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut millis = Vec::new();
        let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
        for (port, at) in &sent {
            let Some((came, line)) = lines.get(port) else {
                continue;
            };
            millis.push((*came - *at).as_secs_f64() * 1e3);
            let attempt = &line["attempt"];
            let verdict = match attempt["verdict"].as_str().unwrap_or_default() {
                // Why not: a figure of what could not be judged is none of the product's speed.
                "Inconclusive" => format!("Inconclusive ({})", attempt["reason"]),
                verdict => verdict.to_owned(),
            };
            *verdicts.entry(verdict).or_default() += 1;
        }
        let spread = Spread::of(millis);
        println!(
            "  {what:<20} {:>6} {:>8.0} {:>8.0} {:>8.0} {:>8.0}  {verdicts:?}",
            spread.len(),
            spread.median(),
            spread.quantile(900),
            spread.quantile(990),
            spread.quantile(1000)
        );
    }
    let (_, figures) = ask(&netns, "/metrics")?;
    let not_judged = figures
        .lines()
        .filter(|line| line.starts_with("netpol_verify_attempts_not_judged_total") && !line.ends_with(" 0"));
    println!("  seen and not judged: {:?}", not_judged.collect::<Vec<_>>());
    Ok(())
}

/// Both pods with their addresses, and a policy that allows b's low ports; the pods' UIDs.
fn fill(server: &ApiServer, pair: &Pair) -> Result<Vec<String>> {
    let made = |path: &str, object: Value| -> Result<Value> {
        let (status, answer) = server.ask("POST", path, Some(object))?;
        ensure!(status == 201, "{path}: {answer}");
        Ok(answer)
    };
    made("/api/v1/namespaces", json!({"metadata": {"name": "shop"}}))?;
    made("/api/v1/nodes", json!({"metadata": {"name": NODE}}))?;
    let mut uids = Vec::new();
    for role in ["a", "b"] {
        let pod = made(
            "/api/v1/namespaces/shop/pods",
            json!({
                "metadata": {"name": role, "labels": {"app": role}},
                "spec": {
                    "nodeName": NODE,
                    "automountServiceAccountToken": false,
                    "containers": [{"name": "c", "image": "i"}],
                },
            }),
        )?;
        uids.push(pod["metadata"]["uid"].as_str().context("no UID")?.to_owned());
        let ips =
            [pair.address(role, false), pair.address(role, true)].map(|ip| json!({"ip": ip.to_string()}));
        let status = json!({"status": {"phase": "Running", "podIP": ips[0]["ip"], "podIPs": ips}});
        server.patch([(format!("/api/v1/namespaces/shop/pods/{role}/status"), status)])?;
    }
    made(
        "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies",
        json!({
            "metadata": {"name": "low-ports"},
            "spec": {
                "podSelector": {"matchLabels": {"app": "b"}},
                "policyTypes": ["Ingress"],
                "ingress": [{"ports": [{"protocol": "TCP", "port": 1, "endPort": 9_999}]}],
            },
        }),
    )?;
    Ok(uids)
}
