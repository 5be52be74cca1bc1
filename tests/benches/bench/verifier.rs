//! The verifier of a large cluster: when it is ready, what it holds, how fast a change reaches it, what it asks of the API
//! server. A real API server with objects in it, and no kubelet.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use netpol_verify::lab::Netns;
use netpol_verify_tests::{ApiServer, Fleet, NatsServer};
use serde_json::{Value, json};

use crate::{
    process::{Process, ask, until},
    spread::Spread,
};

const PODS: usize = 10_000;
const POLICIES: usize = 1_000;
/// Starts of the verifier.
const STARTS: usize = 3;
/// Changes after which a marker is looked for.
const CHANGES: usize = 10_000;
/// Markers of which the lag is taken.
const MARKERS: usize = 5;
/// A verifier that nobody disturbs.
const QUIET: Duration = Duration::from_secs(30);

/// The cluster, and where it is reached.
struct World {
    nats: NatsServer,
    server: ApiServer,
    netns: Netns,
    pods: Vec<(String, String)>,
    policies: Vec<(String, String)>,
    marked: usize,
}

pub(crate) fn run() -> Result<()> {
    let Some(mut world) = World::new()? else {
        return Ok(());
    };
    let verifier = world.starts()?;
    world.quiet(&verifier)?;
    world.changes(&verifier)?;
    let memory = verifier.memory()?;
    println!(
        "  after all changes: {:.1} MiB resident ({:.1} its own), at most {:.1}",
        memory.resident, memory.own, memory.peak
    );
    Ok(())
}

impl World {
    fn new() -> Result<Option<Self>> {
        let what = "the verifier's figures";
        let Some(server) = ApiServer::start(what)? else {
            return Ok(None);
        };
        let netns = server.netns()?;
        let Some(nats) = netns.run(|| NatsServer::start(what))?? else {
            return Ok(None);
        };
        let fleet = Fleet {
            policies: Some(POLICIES),
            ..Fleet::of(PODS)
        };
        let text = fleet.manifests();
        // One by one: the parser takes no more than 1,024 documents at once.
        let documents = text.split("---\n").filter(|document| !document.is_empty());
        let objects = documents
            .map(serde_saphyr::from_str)
            .collect::<Result<Vec<Value>, _>>()?;
        let mut world = Self {
            nats,
            server,
            netns,
            pods: Vec::new(),
            policies: Vec::new(),
            marked: 0,
        };
        let started = Instant::now();
        world.fill(objects)?;
        println!(
            "\nverifier: {} pods with addresses, {} policies, {} namespaces and as many nodes in a real API server, written in {:.0} s",
            world.pods.len(),
            world.policies.len(),
            PODS / 50,
            started.elapsed().as_secs_f64()
        );
        Ok(Some(world))
    }

    fn fill(&mut self, objects: Vec<Value>) -> Result<()> {
        let mut statuses = Vec::new();
        let mut by_kind: BTreeMap<u8, Vec<(String, Value)>> = BTreeMap::new();
        for mut object in objects {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let kind = text(&object["kind"]);
            let (namespace, name) = (
                text(&object["metadata"]["namespace"]),
                text(&object["metadata"]["name"]),
            );
            let (turn, path) = match kind.as_str() {
                "Namespace" => (0, "/api/v1/namespaces".to_owned()),
                "Node" => (0, "/api/v1/nodes".to_owned()),
                "Pod" => {
                    object["spec"]["containers"][0]["image"] = json!("registry.example/shop/main:1.0");
                    let mut status = object["status"].take();
                    status["podIP"] = status["podIPs"][0]["ip"].clone();
                    statuses.push((
                        format!("/api/v1/namespaces/{namespace}/pods/{name}/status"),
                        json!({"status": status}),
                    ));
                    self.pods.push((namespace.clone(), name));
                    (1, format!("/api/v1/namespaces/{namespace}/pods"))
                }
                "NetworkPolicy" => {
                    self.policies.push((namespace.clone(), name));
                    (
                        1,
                        format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"),
                    )
                }
                other => bail!("where is a {other} created?"),
            };
            by_kind.entry(turn).or_default().push((path, object));
        }
        for objects in by_kind.into_values() {
            self.server.create(objects)?;
        }
        self.server.patch(statuses)
    }

    fn start(&self) -> Result<Process> {
        self.netns
            .run(|| Process::verifier(&self.server, &self.nats))
            .context("entering the server's namespace")?
    }

    /// Starts it several times; the last one stays.
    fn starts(&self) -> Result<Process> {
        let mut spans = Vec::new();
        loop {
            let before = self.requests()?;
            let started = Instant::now();
            let verifier = self.start()?;
            until("it is ready", || Ok(ask(&self.netns, "/readyz")?.0 == 200)).with_context(|| {
                std::fs::read_to_string(self.nats.folder().join("verifier.log")).unwrap_or_default()
            })?;
            spans.push(started.elapsed().as_secs_f64());
            if spans.len() < STARTS {
                continue;
            }
            let (used, memory) = (verifier.used()?, verifier.memory()?);
            let asked = difference(&before, &self.requests()?);
            let spans = Spread::of(spans);
            println!(
                "  from its start to /readyz 200: median {:.2} s, at most {:.2} s of {STARTS} (it looks at itself each second); {used:.2} s of a processor",
                spans.median(),
                spans.quantile(1000)
            );
            println!(
                "  then: {:.1} MiB resident ({:.1} its own), at most {:.1}; lists that it asked for: {asked:?}",
                memory.resident, memory.own, memory.peak
            );
            return Ok(verifier);
        }
    }

    fn quiet(&self, verifier: &Process) -> Result<()> {
        let (before, used) = (self.requests()?, verifier.used()?);
        thread::sleep(QUIET);
        let asked = difference(&before, &self.requests()?);
        let memory = verifier.memory()?;
        println!(
            "  quiet for {} s: {:.4} CPU, {:.1} MiB; lists and watches at the server meanwhile, its own among them: {asked:?}",
            QUIET.as_secs(),
            (verifier.used()? - used) / QUIET.as_secs_f64(),
            memory.resident
        );
        Ok(())
    }

    fn changes(&mut self, verifier: &Process) -> Result<()> {
        let mut lags = Vec::new();
        for _ in 0..MARKERS {
            lags.push(self.lag()?);
        }
        let quiet = Spread::of(lags);
        println!(
            "  a new pod until /metrics counts it, nothing else happening: median {:.2} s, at most {:.2} s (told each second)",
            quiet.median(),
            quiet.quantile(1000)
        );
        let labels = |number: usize| {
            let tier = ["web", "api", "db"].get(number % 3);
            json!({"metadata": {"labels": {"tier": tier}}})
        };
        let pods = self.pods.iter().cycle().take(CHANGES).enumerate();
        let pods: Vec<_> = pods
            .map(|(number, (namespace, name))| {
                (
                    format!("/api/v1/namespaces/{namespace}/pods/{name}"),
                    labels(number),
                )
            })
            .collect();
        self.storm(verifier, "labels of pods", pods)?;
        let policies = self.policies.iter().cycle().take(CHANGES / 5).enumerate();
        let policies: Vec<_> = policies
            .map(|(number, (namespace, name))| {
                let path = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/{name}");
                (path, json!({"spec": {"podSelector": {"matchLabels": {"app": format!("app-{}", number % 10)}}}}))
            })
            .collect();
        self.storm(verifier, "selectors of policies", policies)
    }

    /// Changes as fast as the server takes them, and how far behind the verifier is then.
    fn storm(&mut self, verifier: &Process, what: &str, patches: Vec<(String, Value)>) -> Result<()> {
        let count = patches.len() as f64;
        let (used, started) = (verifier.used()?, Instant::now());
        self.server.patch(patches)?;
        let seconds = started.elapsed().as_secs_f64();
        let lag = self.lag()?;
        let used = verifier.used()? - used;
        println!(
            "  {what}: {count:.0} changes at {:.0}/s, as fast as the server takes them; {lag:.2} s behind at the end; {:.2} CPU, \
             {:.0} µs each: {:.0}/s would fill one processor; {:.1} MiB",
            count / seconds,
            used / seconds,
            used * 1e6 / count,
            count / used,
            verifier.memory()?.resident
        );
        Ok(())
    }

    /// Seconds from a new pod's creation until the verifier counts it.
    fn lag(&mut self) -> Result<f64> {
        let name = format!("marker-{}", self.marked);
        self.marked += 1;
        let pod = json!({
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        });
        self.server
            .create([("/api/v1/namespaces/ns-0/pods".to_owned(), pod)])?;
        let started = Instant::now();
        let wanted = format!("netpol_verify_pods {}\n", self.pods.len() + self.marked);
        until("the marker is counted", || {
            Ok(ask(&self.netns, "/metrics")?.1.contains(&wanted))
        })?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// LIST and WATCH requests that the server has answered, by resource; a watch counts when it ends.
    fn requests(&self) -> Result<BTreeMap<String, u64>> {
        let (_, figures) = self.server.ask("GET", "/metrics", None)?;
        let mut requests = BTreeMap::new();
        for line in figures.as_str().context("no text")?.lines() {
            let label = |name: &str| {
                let (_, rest) = line.split_once(&format!("{name}=\""))?;
                Some(rest.split_once('"')?.0)
            };
            if line.starts_with("apiserver_request_total{")
                && let Some(verb @ ("LIST" | "WATCH")) = label("verb")
                && let Some(count) = line
                    .rsplit(' ')
                    .next()
                    .and_then(|count| count.parse::<u64>().ok())
            {
                let name = format!("{verb} {}", label("resource").unwrap_or_default());
                *requests.entry(name).or_default() += count;
            }
        }
        Ok(requests)
    }
}

fn difference(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let grew = after.iter().map(|(name, count)| {
        let earlier = before.get(name).copied().unwrap_or(0);
        (name.clone(), count - earlier)
    });
    grew.filter(|(_, count)| *count > 0).collect()
}
