//! The files of a suite as the model: every name found, every word known, every mistake reported at its line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{
    cluster::{
        ClusterState, Object, ObjectKey, ObjectName, Place, Pod, Problem, Snapshot, document::Document,
        path::FieldPath,
    },
    net::Family,
    suite::{
        Door,
        outside::outside,
        pairs::{can_be_asked, can_probe},
        scenario::ProbePattern,
    },
};

use super::{
    expect::{Access, Expect, ExpectedChanges, ExpectedProbe, ExpectedProblem, Line, Target},
    file::{CaseEntry, CasesFile, ChangesEntry, ExpectEntry, ProbeEntry, StepEntry},
    manifest::{self, Known},
    model::{Case, Port, Step, Suite},
};

/// Reads cases of one file after another into a suite, and gathers what is wrong.
pub(super) struct Builder {
    pub(super) suite: Suite,
    pub(super) known: Known,
    pub(super) problems: Vec<Problem>,
    words: BTreeSet<String>,
    ids: BTreeSet<String>,
}

/// The one outside the cluster, as an end of a probe.
const OUTSIDE: &str = "Outside";

/// Where in which file.
struct At<'a> {
    document: &'a Document<'a>,
    file: &'a Path,
    id: &'a str,
    path: FieldPath,
}

impl At<'_> {
    fn key(&self, key: &str) -> Self {
        self.with(self.path.key(key))
    }

    fn index(&self, index: usize) -> Self {
        self.with(self.path.index(index))
    }

    fn with(&self, path: FieldPath) -> Self {
        Self { path, ..*self }
    }

    fn place(&self) -> Place {
        Place {
            file: self.file.to_owned(),
            line: self.document.line_of(&self.path),
        }
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem {
            place: self.place(),
            object: Some(self.id.to_owned()),
            path: Some(self.path.to_string()),
            message: message.into(),
        }
    }
}

/// The cluster in the middle of a case, and every object that was ever in it.
struct Now {
    state: ClusterState,
    keys: BTreeMap<String, ObjectKey>,
}

impl Now {
    fn learn(&mut self, objects: &[Object]) {
        self.keys.extend(
            objects
                .iter()
                .map(|object| (object.key().to_string(), object.key())),
        );
    }
}

impl Builder {
    pub(super) fn new(suite: Suite, known: Known) -> Self {
        let words = suite.features.values().flatten().cloned().collect();
        Self {
            suite,
            known,
            problems: Vec::new(),
            words,
            ids: BTreeSet::new(),
        }
    }

    pub(super) fn file(&mut self, cases: CasesFile, document: &Document<'_>, file: &Path) {
        for (index, entry) in cases.cases.into_iter().enumerate() {
            let id = entry.id.clone();
            let at = At {
                document,
                file,
                id: &id,
                path: FieldPath::of("cases").index(index),
            };
            let case = self.case(entry, &at);
            self.suite.cases.push(case);
        }
    }

    fn case(&mut self, entry: CaseEntry, at: &At<'_>) -> Case {
        if !self.ids.insert(entry.id.clone()) {
            self.problems.push(
                at.key("id")
                    .problem("is there twice; give the case a name of its own"),
            );
        }
        for (index, word) in entry.features.iter().enumerate() {
            if !self.words.contains(word) {
                let message = format!("{word:?} is no feature; expected a word of suite.yaml's features");
                self.problems
                    .push(at.key("features").index(index).problem(message));
            }
        }
        if entry.steps.is_empty() {
            self.problems
                .push(at.key("steps").problem("is empty; a case has at least one step"));
        }
        let mut now = Now {
            state: self.suite.state(),
            keys: BTreeMap::new(),
        };
        now.learn(&self.suite.world);
        let steps = entry.steps.into_iter().enumerate();
        let steps = steps
            .map(|(index, step)| self.step(step, &mut now, &at.key("steps").index(index)))
            .collect();
        Case {
            id: entry.id,
            title: entry.title,
            features: entry.features.into_iter().collect(),
            default: entry.default,
            steps,
            place: at.place(),
        }
    }

    fn step(&mut self, entry: StepEntry, now: &mut Now, at: &At<'_>) -> Step {
        let mut apply = Vec::new();
        for (index, manifest) in entry.apply.iter().enumerate() {
            let at = at.key("apply").index(index);
            match manifest::whole(manifest, &self.known) {
                Err((key, message)) => self.problems.push(at.with(at.path.then(&key)).problem(message)),
                Ok(manifest) => {
                    let (objects, problems) = manifest::objects(&manifest, &at.place());
                    apply.extend(objects);
                    self.problems.extend(problems);
                }
            }
        }
        now.learn(&apply);
        let mut delete = Vec::new();
        for (index, name) in entry.delete.iter().enumerate() {
            delete.extend(self.named(name, now, &at.key("delete").index(index)));
        }
        if entry.restart && !(apply.is_empty() && delete.is_empty()) {
            let message = "cannot be told from the other changes of its step; give it a step of its own";
            self.problems.push(at.key("restart").problem(message));
        }
        if entry.watched && apply.is_empty() && delete.is_empty() {
            let message = "changes nothing that could be watched; a restart is always";
            self.problems.push(at.key("watched").problem(message));
        }
        let step = Step {
            apply,
            delete,
            restart: entry.restart,
            watched: entry.watched,
            expect: Expect::default(),
            place: at.place(),
        };
        step.play(&mut now.state);
        let expect = self.expect(entry.expect, now, &at.key("expect"));
        Step { expect, ..step }
    }

    /// An object that is or was there, by kind and name.
    fn named(&mut self, name: &str, now: &Now, at: &At<'_>) -> Option<ObjectKey> {
        let found = now.keys.get(name).cloned();
        if found.is_none() {
            let message =
                format!("{name:?} was never there; expected kind and name, as NetworkPolicy x/base");
            self.problems.push(at.problem(message));
        }
        found
    }

    fn expect(&mut self, entry: ExpectEntry, now: &Now, at: &At<'_>) -> Expect {
        let snapshot = now.state.snapshot();
        let ingress = entry.ingress.into_iter().map(|(pod, lines)| {
            let lines = lines.into_iter().map(|line| (line.from, line.ports, line.family));
            (pod, lines.collect())
        });
        let ingress = self.access(ingress, "from", &snapshot, &at.key("ingress"));
        let egress = entry.egress.into_iter().map(|(pod, lines)| {
            let lines = lines.into_iter().map(|line| (line.to, line.ports, line.family));
            (pod, lines.collect())
        });
        let egress = self.access(egress, "to", &snapshot, &at.key("egress"));
        let mut probes = Vec::new();
        for (index, probe) in entry.probes.into_iter().enumerate() {
            let at = at.key("probes").index(index);
            let Some(from) = self.source(&probe.from, &snapshot, &at.key("from")) else {
                continue;
            };
            let Some(to) = self.target(&probe, &snapshot, &at) else {
                continue;
            };
            probes.push(ExpectedProbe {
                from,
                to,
                port: probe.port,
                family: probe.family,
                expect: probe.expect,
            });
        }
        let problems = entry.problems.into_iter().map(|problem| ExpectedProblem {
            object: problem.object,
            path: problem.path,
        });
        Expect {
            ingress,
            egress,
            probes,
            problems: problems.collect(),
            changes: entry
                .changes
                .map(|changes| self.changes(&changes, now, &at.key("changes"))),
        }
    }

    /// Who asks: pods that are there, or the one outside.
    fn source(&mut self, from: &str, snapshot: &Snapshot, at: &At<'_>) -> Option<ObjectName> {
        if from == OUTSIDE {
            return Some(outside());
        }
        match from.parse::<ObjectName>() {
            Ok(pods) => {
                self.pods(&pods, snapshot, at);
                Some(pods)
            }
            Err(error) => {
                self.problems.push(at.problem(format!("{error}, nor {OUTSIDE}")));
                None
            }
        }
    }

    /// Whom a question is about: pods that are there, or a door with somebody behind it.
    fn target(&mut self, probe: &ProbeEntry, snapshot: &Snapshot, at: &At<'_>) -> Option<Target> {
        let at_to = at.key("to");
        if probe.to == OUTSIDE {
            return Some(Target::Pods(outside()));
        }
        if let Ok(pods) = probe.to.parse::<ObjectName>()
            && !probe.to.contains(' ')
        {
            self.pods_that(can_be_asked, &pods, snapshot, &at_to);
            return Some(Target::Pods(pods));
        }
        let door = match probe.to.parse::<Door>() {
            Ok(door) => door,
            Err(error) => {
                self.problems
                    .push(at_to.problem(format!("{error}, and no pod either")));
                return None;
            }
        };
        let anyone = ProbePattern {
            door: Some(door.clone()),
            ..ProbePattern::everyone(probe.port.protocol, probe.port.number)
        };
        let found = door.attempts(snapshot, &anyone);
        if found.is_empty() {
            let message = format!(
                "nobody, or more than one pod, stands behind {door} on {}",
                probe.port
            );
            self.problems.push(at_to.problem(message));
        }
        Some(Target::Door(door))
    }

    fn changes(&mut self, entry: &ChangesEntry, now: &Now, at: &At<'_>) -> ExpectedChanges {
        let mut list = |key: &str, names: &[String]| -> BTreeSet<ObjectKey> {
            let at = at.key(key);
            names
                .iter()
                .enumerate()
                .filter_map(|(index, name)| self.named(name, now, &at.index(index)))
                .collect()
        };
        ExpectedChanges {
            added: list("added", &entry.added),
            changed: list("changed", &entry.changed),
            removed: list("removed", &entry.removed),
        }
    }

    fn access(
        &mut self,
        entries: impl Iterator<Item = (ObjectName, Vec<Opening>)>,
        key: &str,
        snapshot: &Snapshot,
        at: &At<'_>,
    ) -> Access {
        let mut access = Access::new();
        for (pattern, openings) in entries {
            let at = at.key(&pattern.to_string());
            let lines = openings.into_iter().enumerate();
            let lines: Vec<Line> = lines
                .map(|(index, opening)| self.line(opening, key, snapshot, &at.index(index)))
                .collect();
            for pod in self.pods(&pattern, snapshot, &at) {
                if access.insert(pod.clone(), lines.clone()).is_some() {
                    self.problems
                        .push(at.problem(format!("{pod} is listed twice; write all its lines in one place")));
                }
            }
        }
        access
    }

    fn line(
        &mut self,
        (others, ports, family): Opening,
        key: &str,
        snapshot: &Snapshot,
        at: &At<'_>,
    ) -> Line {
        let at_others = at.key(key);
        if others.is_empty() {
            self.problems
                .push(at_others.problem("is empty; a line opens something, leave it out"));
        }
        let mut all = BTreeSet::new();
        for (index, other) in others.iter().enumerate() {
            all.extend(self.pods(other, snapshot, &at_others.index(index)));
        }
        let asked: BTreeSet<Port> = self.suite.ports.iter().copied().collect();
        for (index, port) in ports.iter().flatten().enumerate() {
            if !asked.contains(port) {
                let message = format!(
                    "{port} is asked by nobody; expected a port of suite.yaml, or a line under probes"
                );
                self.problems.push(at.key("ports").index(index).problem(message));
            }
        }
        Line {
            others: all,
            ports: ports.unwrap_or_else(|| self.suite.ports.clone()),
            family,
        }
    }

    /// The pods that can be probed under a name, of which there must be one.
    fn pods(&mut self, pattern: &ObjectName, snapshot: &Snapshot, at: &At<'_>) -> Vec<ObjectName> {
        self.pods_that(can_probe, pattern, snapshot, at)
    }

    fn pods_that(
        &mut self,
        can: fn(&Pod) -> bool,
        pattern: &ObjectName,
        snapshot: &Snapshot,
        at: &At<'_>,
    ) -> Vec<ObjectName> {
        let pods = snapshot.pods.iter().filter(|pod| can(pod));
        let pods: Vec<ObjectName> = pods
            .filter(|pod| ProbePattern::covers(pattern, &pod.name))
            .map(|pod| pod.name.clone())
            .collect();
        if pods.is_empty() {
            let message = format!("{pattern} is no pod at this step; expected namespace/pod or namespace/*");
            self.problems.push(at.problem(message));
        }
        pods
    }
}

/// The others, the ports and the family of a line.
type Opening = (Vec<ObjectName>, Option<Vec<Port>>, Option<Family>);
