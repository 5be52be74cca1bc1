//! The whole catalogue of faults on real packets: each is named by the attempts that it touches and by no other.
//!
//! Every fault is played on one standing lab. What the packets do is held against the literal prediction, attempt by attempt: those
//! that it touches must be judged wrong in the way that was said, all others right. `cargo xtask faults` runs this and reads
//! the lines that it prints.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddrV4},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use netpol_verify::{
    cluster::{ClusterState, Object, ObjectKey, Snapshot},
    finding::{JudgedAttempt, Observed, Verdict},
    lab::{
        RuntimeDir, World,
        enforcer::EnforcerSpec,
        fault::{Change, Effect, Fault, Predicted, Prediction, Shown},
        literal::{Party, Reading, permits},
        topology::{Overlay, Plan, Plugins, VirtualCluster, Wiring},
    },
    net::Protocol,
    sensor::Tunnel,
    suite::{Attempt, Crafted, Door, ProbePattern, Scenario, Stand, attempts, load},
};
use netpol_verify_tests::as_root;

use crate::lab_fault_paths::{patterns, question};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/faults");
const BRIDGE: Wiring = Wiring::Bridge {
    overlay: Overlay::Vxlan,
};

/// Changes of the cluster, by the files in `steps`.
const STEPS: [&str; 8] = [
    "pod-label",
    "namespace-label",
    "policy-change",
    "policy-new",
    "pod-new",
    "pod-over",
    "pod-heir",
    DELETION,
];
/// The step that takes a policy away, where the others bring something.
const DELETION: &str = "policy-gone";

/// So many rows of the matrix are asked at most where not all of it is.
const ROWS: usize = 6;

/// The steps that make up a change.
const fn steps(change: Change) -> &'static [&'static str] {
    match change {
        Change::PodLabels => &["pod-label"],
        Change::NamespaceLabels => &["namespace-label"],
        Change::Policy => &["policy-change"],
        Change::NewPolicy => &["policy-new"],
        Change::PolicyGone => &[DELETION],
        Change::NewPods => &["pod-new"],
        Change::PodOver => &["pod-over", "pod-heir"],
        Change::Start => &[],
    }
}

/// What an attempt must look like of which this is predicted.
fn looks_as_predicted(one: &JudgedAttempt, predicted: Predicted) -> bool {
    let seen = (one.verdict, one.observed, one.only_retransmission);
    match predicted {
        Predicted::Open => one.verdict == Verdict::Unspecified,
        Predicted::Right => matches!(one.verdict, Verdict::Enforced | Verdict::Permitted),
        Predicted::Wrong(Effect::Leak) => seen == (Verdict::Leak, Observed::Delivered, false),
        Predicted::Wrong(Effect::LeakOnRetransmission { .. }) => {
            seen == (Verdict::Leak, Observed::Delivered, true)
        }
        Predicted::Wrong(Effect::Overblock) => seen == (Verdict::Overblock, Observed::Dropped, false),
        Predicted::Wrong(Effect::ReplyLost) => seen == (Verdict::Overblock, Observed::ReplyLost, false),
    }
}

/// What is predicted of each attempt.
fn predicted(prediction: &Prediction<'_>, asked: &[Attempt]) -> Vec<Predicted> {
    let of = |one: &Attempt| match prediction.of(&question(one)) {
        // What has no answer has none to lose: only kernels answer here, and only to TCP. An ICMP error about a datagram
        // is no packet of the flow, and passes.
        Predicted::Wrong(Effect::ReplyLost) if one.protocol != Protocol::Tcp => Predicted::Right,
        predicted => predicted,
    };
    asked.iter().map(of).collect()
}

/// A lab on which one enforcer after the other is tried.
struct Range {
    stand: Stand,
    base: Vec<Object>,
    probes: Vec<ProbePattern>,
    kind: EnforcerSpec,
    fault: Option<Fault>,
    /// What the enforcer was told since its start.
    told: Vec<Snapshot>,
    /// The rows of the matrix in which the fault touched anything at the last moment.
    wrong: Vec<ProbePattern>,
    /// How often attempts were made from the other side.
    answered: u16,
    /// Whether nodes unpack VXLAN at all.
    unpacks: bool,
    tally: Tally,
}

/// What came of one fault.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    attempts: usize,
    touched: usize,
    surprises: usize,
}

impl Range {
    async fn build(scenario: &str, wiring: Wiring, kind: EnforcerSpec) -> Result<Self> {
        let scenario = Scenario::load(scenario)?;
        let stages = scenario.stages.iter().flat_map(|stage| &stage.apply);
        let texts: Vec<_> = scenario.pods.iter().chain(stages).cloned().collect();
        let loaded = load(&texts);
        ensure!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        let mut state = ClusterState::default();
        state.apply(loaded.objects.clone());
        let plan = Plan {
            wiring,
            nodes: 2,
            pods: state.snapshot().pods,
            // The plugins give out addresses in turn; here the one that came free is given to the next pod.
            plugins: Plugins::Never,
        };
        let cluster = VirtualCluster::build(&plan, &RuntimeDir::standard()).await?;
        let enforcer = EnforcerSpec::None.build(None, Duration::ZERO)?;
        let mut probes = [scenario.probes, patterns()?].concat();
        // Programs at the pods' links see what the node has put in the client's place, and no rules in the node do.
        probes.retain(|row| kind != EnforcerSpec::Tc || !matches!(row.door, Some(Door::Node(_))));
        Ok(Self {
            stand: Stand::new(cluster, state, enforcer).await?,
            base: loaded.objects,
            probes,
            kind,
            fault: None,
            told: Vec::new(),
            wrong: Vec::new(),
            answered: 0,
            unpacks: wiring == BRIDGE,
            tally: Tally::default(),
        })
    }

    /// Starts an enforcer anew; it knows nothing from before.
    async fn start(&mut self, fault: Option<Fault>) -> Result<()> {
        let enforcer = self.kind.build(fault, Duration::from_secs(10))?;
        self.stand.change_enforcer(enforcer);
        self.fault = fault;
        self.told.clear();
        self.tell().await
    }

    /// Tells the enforcer how the cluster stands.
    async fn tell(&mut self) -> Result<()> {
        self.stand.enforce().await?;
        self.told.push(self.stand.world().snapshot);
        Ok(())
    }

    async fn step(&mut self, step: &str) -> Result<()> {
        if step == DELETION {
            let policy = self.key("billing", "deny-all")?;
            self.stand.delete(vec![policy]).await?;
        } else {
            self.stand.apply(objects(step)?).await?;
        }
        self.told.push(self.stand.world().snapshot);
        Ok(())
    }

    fn key(&self, namespace: &str, name: &str) -> Result<ObjectKey> {
        let mut keys = self.base.iter().map(Object::key);
        keys.find(|key| key.namespace.as_deref() == Some(namespace) && key.name == name)
            .with_context(|| format!("no {namespace}/{name} in the scenario"))
    }

    /// Takes the steps back.
    async fn rewind(&mut self) -> Result<()> {
        let ours: Vec<ObjectKey> = self.base.iter().map(Object::key).collect();
        let mut added = Vec::new();
        for step in STEPS.iter().filter(|step| **step != DELETION) {
            let keys = objects(step)?.iter().map(Object::key).collect::<Vec<_>>();
            added.extend(keys.into_iter().filter(|key| !ours.contains(key)));
        }
        self.stand.delete(added).await?;
        self.stand.apply(self.base.clone()).await?;
        Ok(())
    }

    /// Probes every pair and holds what became of each against the prediction. Where nothing is predicted, and nothing was at
    /// the moment before, the packets are left alone: they were seen to be right then.
    async fn look(&mut self, when: &str) -> Result<()> {
        let world = self.stand.world();
        let prediction = Prediction::new(self.fault, &world, &self.told);
        let mut asked = attempts(&world.snapshot, &self.probes);
        let mut expected = predicted(&prediction, &asked);
        let both = asked.iter().zip(&expected);
        let wrong: Vec<&Attempt> = both
            .filter(|(_, predicted)| matches!(predicted, Predicted::Wrong(_)))
            .map(|(one, _)| one)
            .collect();
        let is_wrong = |row: &&ProbePattern| {
            let of_row = attempts(&world.snapshot, std::slice::from_ref(row));
            of_row.iter().any(|one| wrong.contains(&one))
        };
        let mut wrong: Vec<ProbePattern> = self.probes.iter().filter(is_wrong).cloned().collect();
        if !self.is_whole() {
            let every = wrong.len().div_ceil(ROWS).max(1);
            wrong = wrong.into_iter().step_by(every).collect();
        }
        let before = std::mem::replace(&mut self.wrong, wrong);
        if self.fault.is_some() && self.told.len() > 1 && self.wrong.is_empty() && before.is_empty() {
            return Ok(());
        }
        let mut rows = self.probes.clone();
        if !self.is_whole() {
            rows.retain(|row| self.wrong.contains(row) || before.contains(row));
            // No rows at all would mean every one that there could be.
            if rows.is_empty() {
                return Ok(());
            }
            asked = attempts(&world.snapshot, &rows);
            expected = predicted(&prediction, &asked);
        }
        let touched = expected
            .iter()
            .filter(|one| matches!(one, Predicted::Wrong(_)))
            .count();
        let mut judged = self.stand.probe(when, &rows).await?.attempts;
        // The eyes come to a new pod's interface a moment after it does, and until then nothing is proven.
        for _ in 0..10 {
            if judged.iter().all(|one| one.verdict != Verdict::Inconclusive) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            judged = self.stand.probe(when, &rows).await?.attempts;
        }
        ensure!(!judged.is_empty(), "nothing was probed");
        ensure!(
            judged.len() == asked.len(),
            "{} of {} were probed",
            judged.len(),
            asked.len()
        );
        self.tally.attempts += judged.len();
        self.tally.touched += touched;
        for (one, predicted) in judged.iter().zip(expected) {
            if !looks_as_predicted(one, predicted) {
                self.tally.surprises += 1;
                if self.tally.surprises <= 4 {
                    println!("  {:?} {when}: {predicted:?}, but {one:?}", self.fault);
                }
            }
        }
        Ok(())
    }

    /// Whether the whole matrix is asked: of the enforcer whose every fault is played here, and of any that is right. Of the others it
    /// is some of the rows in which the fault shows, now or at the moment before.
    fn is_whole(&self) -> bool {
        self.kind == EnforcerSpec::Nftables || self.fault.is_none()
    }

    /// The attempts between pods by their own addresses.
    fn pairs(&self, world: &World) -> Vec<Attempt> {
        let between = self.probes.iter().filter(|probe| probe.is_between_pods());
        attempts(&world.snapshot, &between.cloned().collect::<Vec<_>>())
    }

    /// Makes an attempt by hand; `leaks` is what is predicted of it where the policies refuse it.
    async fn craft(&mut self, crafted: &Crafted, leaks: bool) -> Result<()> {
        let one = self
            .stand
            .try_crafted("crafted", crafted)
            .await?
            .context("a pod is not there")?;
        self.tally.attempts += 1;
        self.tally.touched += usize::from(leaks);
        let as_predicted = match one.verdict {
            Verdict::Leak => leaks,
            Verdict::Enforced | Verdict::Permitted => !leaks,
            Verdict::Overblock | Verdict::Inconclusive | Verdict::Unspecified => false,
        };
        if !as_predicted {
            self.tally.surprises += 1;
            println!(
                "  {:?} crafted: a leak was predicted: {leaks}, but {crafted:?}: {one:?}",
                self.fault
            );
        }
        Ok(())
    }

    /// Attempts that the policies refuse at the destination and that cross nodes, and then one from the other side by the
    /// same addresses and ports: the source's node knows the flow, and nobody answered in it.
    async fn answering(&mut self) -> Result<()> {
        let opens = self
            .fault
            .is_some_and(|fault| fault.shown() == Shown::ByAnswering);
        // Below the kernel's own, and others each time: what was refused before is remembered for minutes.
        self.answered += 1;
        let ports = 10_000 + 1000 * self.answered;
        let world = self.stand.world();
        for (index, one) in self.pairs(&world).into_iter().enumerate() {
            let port = ports + u16::try_from(index % 1000)?;
            let back = Attempt {
                from: one.to.clone(),
                from_address: one.to_address,
                to: one.from.clone(),
                to_address: one.from_address,
                protocol: one.protocol,
                port,
                dialled: None,
            };
            let at_destination = Reading::Refused {
                egress: false,
                ingress: true,
            };
            let crosses =
                world.pod(&one.from).map(|lab| &lab.node) != world.pod(&one.to).map(|lab| &lab.node);
            let is_such = one.protocol == Protocol::Tcp
                && crosses
                && reading(&world, &one) == Some(at_destination)
                && reading(&world, &back) == Some(at_destination);
            if is_such {
                self.craft(&by_hand(&one, Some(port)), false).await?;
                self.craft(&by_hand(&back, Some(one.port)), opens).await?;
            }
        }
        Ok(())
    }

    /// Attempts of pods that are refused, under the address of a pod of the same node that is not.
    async fn claiming(&mut self) -> Result<()> {
        let passes = self
            .fault
            .is_some_and(|fault| fault.shown() == Shown::ByForeignAddress);
        let world = self.stand.world();
        let all = self.pairs(&world);
        let refused = all
            .iter()
            .filter(|one| matches!(reading(&world, one), Some(Reading::Refused { .. })));
        // Some of them: the answer goes to whose address it is, and each is waited for.
        for one in refused.step_by(9) {
            let node = |name| world.pod(name).map(|lab| lab.node.clone());
            let other = all.iter().find(|other| {
                (&other.to, other.to_address, other.protocol, other.port)
                    == (&one.to, one.to_address, one.protocol, one.port)
                    && node(&other.from) == node(&one.from)
                    && reading(&world, other) == Some(Reading::Permitted)
            });
            if let Some(other) = other {
                let crafted = Crafted {
                    claimed: Some(other.from_address),
                    ..by_hand(one, None)
                };
                self.craft(&crafted, passes).await?;
            }
        }
        Ok(())
    }

    /// Attempts of a pod that may send nothing, inside VXLAN, to its own node: where only its own side refuses them, they come
    /// through if the node unpacks them.
    async fn tunnelling(&mut self) -> Result<()> {
        if !self.unpacks {
            return Ok(());
        }
        let unpacked = self.fault.is_some_and(|fault| fault.shown() == Shown::ByTunnel);
        let world = self.stand.world();
        let stranger: IpAddr = "10.244.77.7".parse()?;
        for one in self.pairs(&world) {
            let (Some(from), Some(to)) = (world.pod(&one.from), world.pod(&one.to)) else {
                continue;
            };
            let IpAddr::V4(own) = one.from_address else {
                continue;
            };
            let party = Party::Pod {
                pod: &to.pod,
                address: Some(one.to_address),
            };
            let as_stranger = permits(
                &world.snapshot,
                Party::Outside(stranger),
                party,
                one.protocol,
                one.port,
            );
            let is_refused = matches!(reading(&world, &one), Some(Reading::Refused { .. }));
            if one.from.name != "ledger"
                || !is_refused
                || from.node != to.node
                || one.protocol != Protocol::Tcp
            {
                continue;
            }
            let node = world.node(&from.node).context("the pod's node")?;
            let end = node.addresses.iter().find_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            });
            let end = end.context("the node's address")?;
            let number = end.octets()[3];
            let crafted = Crafted {
                claimed: Some(stranger),
                tunnel: Some(Tunnel {
                    source: SocketAddrV4::new(own, 16_000 + one.port % 1000),
                    end: SocketAddrV4::new(end, 8472),
                    network: 1,
                    device: [0x0a, 0x58, 10, 244, number, 0],
                }),
                ..by_hand(&one, None)
            };
            self.craft(&crafted, unpacked && as_stranger == Reading::Permitted)
                .await?;
        }
        Ok(())
    }

    /// Plays one fault, or none: at first, and after each change that it could mind.
    async fn play(&mut self, fault: Option<Fault>) -> Result<Tally> {
        self.tally = Tally::default();
        self.start(fault).await?;
        self.look("start").await?;
        if fault.is_none() && self.kind != EnforcerSpec::Nftables {
            return Ok(self.tally);
        }
        let steps = match fault.map(Fault::shown) {
            None => &STEPS,
            Some(Shown::ByChange(change)) => steps(change),
            Some(shown) => {
                match shown {
                    Shown::ByAnswering => self.answering().await?,
                    Shown::ByForeignAddress => self.claiming().await?,
                    Shown::ByTunnel => self.tunnelling().await?,
                    Shown::ByPairs | Shown::ByChange(_) => {}
                }
                return Ok(self.tally);
            }
        };
        if fault.is_none() {
            self.answering().await?;
            self.claiming().await?;
            self.tunnelling().await?;
        }
        self.tell().await?;
        self.look("start, told again").await?;
        for step in steps {
            self.step(step).await?;
            self.look(step).await?;
            self.tell().await?;
            self.look(&format!("{step}, told again")).await?;
        }
        self.start(fault).await?;
        self.look("start anew").await?;
        if !steps.is_empty() {
            self.rewind().await?;
        }
        Ok(self.tally)
    }
}

fn by_hand(attempt: &Attempt, source_port: Option<u16>) -> Crafted {
    Crafted {
        attempt: attempt.clone(),
        source_port,
        claimed: None,
        tunnel: None,
    }
}

/// What the specification says of an attempt.
fn reading(world: &World, one: &Attempt) -> Option<Reading> {
    let party = |name, address| {
        let pod = &world.pod(name)?.pod;
        Some(Party::Pod {
            pod,
            address: Some(address),
        })
    };
    let (from, to) = (
        party(&one.from, one.from_address)?,
        party(&one.to, one.to_address)?,
    );
    Some(permits(&world.snapshot, from, to, one.protocol, one.port))
}

fn objects(step: &str) -> Result<Vec<Object>> {
    let path = std::path::PathBuf::from(format!("{FOLDER}/steps/{step}.yaml"));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let loaded = load(&[(path, text)]);
    ensure!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    Ok(loaded.objects)
}

/// Plays the catalogue and gives what came of each fault; `NPV_FAULTS` names some of them.
async fn catalogue(wiring: Wiring, kind: EnforcerSpec) -> Result<BTreeMap<&'static str, Tally>> {
    let wanted = std::env::var("NPV_FAULTS").unwrap_or_default();
    let is_named = |fault: &Fault| wanted.is_empty() || wanted.split(',').any(|id| id == fault.id());
    let is_wanted = |fault: &Fault| is_named(fault) && kind.can_have(*fault);
    let mut range = Range::build(FOLDER, wiring, kind.clone()).await?;
    let mut all = BTreeMap::new();
    // The correct enforcer first and last: no fault leaves anything behind.
    let right = range.play(None).await?;
    ensure!(right.surprises == 0, "the correct enforcer: {right:?}");
    for fault in Fault::all().filter(is_wanted) {
        let started = std::time::Instant::now();
        let tally = range.play(Some(fault)).await?;
        println!(
            "fault {} class {:?} enforcer {kind} wiring {wiring} touched {} surprises {} attempts {} in {:?}",
            fault.id(),
            fault.class(),
            tally.touched,
            tally.surprises,
            tally.attempts,
            started.elapsed(),
        );
        all.insert(fault.id(), tally);
    }
    let right = range.play(None).await?;
    ensure!(right.surprises == 0, "the correct enforcer at the end: {right:?}");
    range.stand.down().await?;
    Ok(all)
}

/// The faults that were not named by exactly what they touch, but for those that cannot touch anything on this wiring.
fn not_caught(all: &BTreeMap<&'static str, Tally>, harmless: &[&str]) -> Vec<String> {
    all.iter()
        .filter(|(id, tally)| tally.surprises > 0 || (tally.touched == 0) != harmless.contains(id))
        .map(|(id, tally)| format!("{id}: {tally:?}"))
        .collect()
}

#[tokio::test]
async fn every_fault_touches_what_it_must_and_nothing_else_on_bridges() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let all = catalogue(BRIDGE, EnforcerSpec::Nftables).await?;
    assert_eq!(not_caught(&all, &[]), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn every_fault_touches_what_it_must_and_nothing_else_routed() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let all = catalogue(Wiring::Routed, EnforcerSpec::Nftables).await?;
    // Without bridges nothing goes past the rules by way of one,
    // and without an overlay nothing unpacks.
    let harmless = [
        "bridge-nf-off",
        "bridge-nf-off-ipv4",
        "bridge-nf-off-ipv6",
        "encap-from-pod",
    ];
    assert_eq!(not_caught(&all, &harmless), Vec::<String>::new());
    Ok(())
}

/// What lies in the reading and not in the rules is the same whoever enforces.
#[tokio::test]
async fn every_fault_touches_what_it_must_and_nothing_else_by_ipset_on_bridges() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let all = catalogue(BRIDGE, EnforcerSpec::Ipset).await?;
    assert_eq!(not_caught(&all, &[]), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn every_fault_touches_what_it_must_and_nothing_else_by_tc_routed() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let all = catalogue(Wiring::Routed, EnforcerSpec::Tc).await?;
    assert_eq!(not_caught(&all, &[]), Vec::<String>::new());
    Ok(())
}
