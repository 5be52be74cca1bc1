//! Everybody's traffic: real packets, a real API server, a real NATS, and the verifier as a user runs it.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use netpol_verify::{
    bus::nats::{NatsAccess, Password, Role},
    lab::Netns,
    net::Protocol,
    sensor::{NetnsPath, Probe, ProbeSocket},
    verifier::{JudgedLine, KeptFinding},
};
use netpol_verify_tests::{ApiServer, NatsServer, Npv, Outpost, Pair, Running};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    cluster_live::{create, namespace},
    cluster_watch::must,
};

/// In the API server's own namespace nobody else listens.
const LISTEN: &str = "127.0.0.1:9464";
const NODE: &str = "node-a";

/// A cluster of two real pods, and the verifier of it.
struct World {
    // Dropped in this order.
    verifier: Option<Running>,
    outpost: Option<Outpost>,
    nats: NatsServer,
    pair: Pair,
    server: ApiServer,
    netns: Netns,
    sent: u32,
}

impl World {
    /// `None` after saying why this machine has none.
    fn new(test: &str) -> Result<Option<Self>> {
        let Some(server) = ApiServer::start(test)? else {
            return Ok(None);
        };
        let netns = server.netns()?;
        let Some(nats) = netns.run(|| NatsServer::start(test))?? else {
            return Ok(None);
        };
        let pair = Pair::new()?;
        create(&server, &[namespace("shop"), namespace("other")])?;
        for role in ["a", "b"] {
            let pod = json!({
                "kind": "Pod",
                "metadata": {"namespace": "shop", "name": role, "labels": {"app": role}},
                "spec": {
                    "nodeName": NODE,
                    "automountServiceAccountToken": false,
                    "containers": [{"name": "c", "image": "i"}],
                },
            });
            must(&server, "POST", "/api/v1/namespaces/shop/pods", pod)?;
            let (v4, v6) = (pair.address(role, false), pair.address(role, true));
            let status = json!({"status": {
                "phase": "Running", "podIP": v4.to_string(),
                "podIPs": [{"ip": v4.to_string()}, {"ip": v6.to_string()}],
            }});
            let path = format!("/api/v1/namespaces/shop/pods/{role}/status");
            must(&server, "PATCH", &path, status)?;
        }
        let outpost = Outpost::start(NODE, netns.clone(), &pair, nats.access(Role::Sensor))?;
        let mut world = Self {
            verifier: None,
            outpost: Some(outpost),
            nats,
            pair,
            server,
            netns,
            sent: 0,
        };
        world.start_verifier()?;
        Ok(Some(world))
    }

    fn start_verifier(&mut self) -> Result<()> {
        let NatsAccess {
            url,
            ca,
            user,
            password,
            ..
        } = self.nats.access(Role::Verifier);
        let Password::File(password) = password else {
            bail!("the harness gives passwords in files")
        };
        let access = self.server.access("admin");
        let words = format!(
            "verifier --settle 1 --listen {LISTEN} --nats {url} --nats-user {} --nats-password-file {} --nats-ca {} \
             --context admin --kubeconfig {}",
            user.context("no user")?,
            password.display(),
            ca.context("no authority")?.display(),
            access.kubeconfig.context("no kubeconfig")?.display(),
        );
        // A child is in the namespace of the thread that made it.
        let log = std::fs::File::create(self.nats.folder().join("verifier.log"))?;
        let running = self.netns.run(|| {
            let mut verifier = Npv::new(&words)?;
            verifier.command.stderr(log);
            verifier.start()
        })??;
        self.verifier = Some(running);
        self.until("it is ready and the sensor is live", |world| {
            let figures = world.get("/metrics")?;
            Ok(world.status("/readyz")? == 200
                && figures.contains("netpol_verify_sensors{state=\"live\"} 1")
                && figures.contains("netpol_verify_interfaces{state=\"watched\"} 2"))
        })
    }

    fn kill_verifier(&mut self) -> Result<()> {
        let running = self.verifier.take().context("no verifier runs")?;
        running.signal(Signal::SIGKILL)?;
        running.wait().map(|_| ())
    }

    fn request(&self, path: &str) -> Result<(u16, String)> {
        let answer = self.netns.run(|| {
            let address: SocketAddr = LISTEN.parse()?;
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            write!(stream, "GET {path} HTTP/1.0\r\nHost: verifier\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            anyhow::Ok(text)
        })??;
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of its head")?;
        let code = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((code, body.to_owned()))
    }

    fn status(&self, path: &str) -> Result<u16> {
        Ok(self.request(path)?.0)
    }

    fn get(&self, path: &str) -> Result<String> {
        Ok(self.request(path)?.1)
    }

    fn findings(&self, query: &str) -> Result<Vec<KeptFinding>> {
        let text = self.get(&format!("/v1/findings?{query}"))?;
        let mut list: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        ensure!(list["kind"] == "FindingList", "{text}");
        Ok(serde_json::from_value(list["items"].take())?)
    }

    /// One SYN from a to b that no other one is like.
    fn syn(&mut self) -> Result<()> {
        self.sent += 1;
        let probe = Probe {
            protocol: Protocol::Tcp,
            source: SocketAddr::new(self.pair.address("a", false), 30_000 + u16::try_from(self.sent)?),
            destination: SocketAddr::new(self.pair.address("b", false), 80),
            nonce: 77_000 + self.sent,
        };
        ProbeSocket::open(&NetnsPath::from(self.pair.path("a")))?.send(&probe)?;
        Ok(())
    }

    /// Waits until something is so; an answer that does not come is no answer yet.
    fn until(&mut self, what: &str, is_so: impl Fn(&mut Self) -> Result<bool>) -> Result<()> {
        let mut last = None;
        for _ in 0..300 {
            match is_so(self) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => last = Some(error),
            }
            thread::sleep(Duration::from_millis(200));
        }
        let figures = self.get("/metrics").unwrap_or_default();
        let findings = self.get("/v1/findings").unwrap_or_default();
        let said = std::fs::read_to_string(self.nats.folder().join("verifier.log"))?;
        let nats = self.nats.log();
        bail!("never: {what}; {last:?}\n{figures}\n{findings}\n{said}\n{nats}")
    }

    /// Sends a SYN now and then until something is so. Folding lets one a second through.
    fn send_until(&mut self, what: &str, is_so: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        self.until(what, |world| {
            world.syn()?;
            thread::sleep(Duration::from_millis(1_100));
            is_so(world)
        })
    }

    /// Puts a policy that isolates b in place.
    fn deny(&self) -> Result<()> {
        let policy = json!({
            "kind": "NetworkPolicy",
            "metadata": {"namespace": "shop", "name": "deny"},
            "spec": {"podSelector": {"matchLabels": {"app": "b"}}, "policyTypes": ["Ingress"]},
        });
        create(&self.server, &[policy])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.kill_verifier();
        self.outpost.take();
    }
}

/// `watch` shows the next leak, in a line for people and in one for programs.
fn watched(world: &mut World) -> Result<()> {
    let mut readers = Vec::new();
    for words in ["-o table", "-A -o jsonl"] {
        let words = format!("watch --url http://{LISTEN} --verdict leak {words}");
        readers.push(world.netns.run(|| Npv::new(&words)?.start())??);
    }
    let count = leaks(world)?.iter().map(|leak| leak.count).sum::<u64>();
    // Whoever starts late sees a later one.
    world.send_until("more leaks", |world| {
        Ok(leaks(world)?.iter().map(|leak| leak.count).sum::<u64>() >= count + 4)
    })?;
    let mut said = Vec::new();
    for reader in readers {
        reader.signal(Signal::SIGINT)?;
        said.push(reader.wait()?.expect(0)?.out);
    }
    let [table, lines] = said.as_slice() else {
        bail!("two readers, two answers")
    };
    ensure!(
        table.starts_with("TIME") && table.contains("Leak NPV001") && table.contains("shop/deny (ingress)"),
        "{table}"
    );
    let line: JudgedLine = serde_json::from_str(lines.lines().next().context("no line")?)?;
    assert_eq!(line.code.as_deref(), Some("NPV001"));
    Ok(())
}

fn leaks(world: &World) -> Result<Vec<KeptFinding>> {
    world.findings("verdict=leak&namespace=shop")
}

#[test]
fn what_is_denied_and_arrives_is_a_leak_and_an_outage_makes_it_inconclusive_until_it_is_over() -> Result<()> {
    let name = "what_is_denied_and_arrives_is_a_leak_and_an_outage_makes_it_inconclusive_until_it_is_over";
    let Some(mut world) = World::new(name)? else {
        return Ok(());
    };
    // Nothing isolates b: what arrives is permitted.
    world.send_until("it is permitted", |world| {
        Ok(world.get("/metrics")?.contains("verdict=\"permitted\""))
    })?;
    ensure!(leaks(&world)?.is_empty());
    // Nobody enforces.
    world.deny()?;
    world.send_until("a leak", |world| Ok(!leaks(world)?.is_empty()))?;
    let leak = leaks(&world)?.pop().context("a leak")?;
    assert_eq!((leak.from.as_str(), leak.to.as_str()), ("shop/a", "shop/b"));
    assert_eq!(
        (leak.code.as_str(), leak.by.as_slice()),
        ("NPV001", ["shop/deny (ingress)".to_owned()].as_slice())
    );
    assert_eq!(leak.last_evidence.port, 80);
    ensure!(world.findings("verdict=leak&namespace=other")?.is_empty());
    watched(&mut world)?;
    assert_eq!(world.status("/v1/findings?verdict=leaks")?, 400);

    // The API server dies: what is denied may be allowed by now.
    world.server.kill()?;
    world.until("the watch is broken", |world| {
        Ok(world.get("/v1/findings")?.contains("s old"))
    })?;
    let before = leaks(&world)?;
    world.send_until("inconclusive, with its age", |world| {
        let open = world.findings("verdict=inconclusive")?;
        Ok(open
            .iter()
            .filter_map(|finding| finding.last_evidence.reason.as_deref())
            .any(|reason| reason.contains("s old")))
    })?;
    // Nobody was accused meanwhile.
    assert_eq!(leaks(&world)?, before);

    world.server.restart()?;
    let count = before.iter().map(|leak| leak.count).sum::<u64>();
    world.send_until("a leak again", |world| {
        Ok(leaks(world)?.iter().map(|leak| leak.count).sum::<u64>() > count)
    })
}

#[test]
fn a_verifier_that_is_killed_reads_again_what_it_missed_and_claims_nothing_of_it() -> Result<()> {
    let name = "a_verifier_that_is_killed_reads_again_what_it_missed_and_claims_nothing_of_it";
    let Some(mut world) = World::new(name)? else {
        return Ok(());
    };
    world.deny()?;
    world.send_until("a leak", |world| Ok(!leaks(world)?.is_empty()))?;
    world.kill_verifier()?;
    thread::sleep(Duration::from_millis(1_500));
    world.syn()?;
    world.start_verifier()?;
    world.until("what was missed is told", |world| {
        let open = world.findings("verdict=inconclusive&namespace=shop")?;
        Ok(open
            .iter()
            .filter_map(|finding| finding.first_evidence.reason.as_deref())
            .any(|reason| reason.contains("began to follow")))
    })?;
    ensure!(leaks(&world)?.is_empty());
    world.send_until("a leak again", |world| Ok(!leaks(world)?.is_empty()))
}
