//! What must hold after a step, for every pair of pods on every port, in each address family.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cluster::{ObjectKey, ObjectName, Snapshot},
    finding::Expected,
    net::Family,
    suite::{
        Door,
        outside::is_outside,
        pairs::{Attempt, attempts, attempts_to, can_be_asked},
        scenario::ProbePattern,
    },
};

use super::model::{Port, Suite};

/// One direction of a table: who is closed, and the lines that open it. A pod that is not listed is open.
pub type Access = BTreeMap<ObjectName, Vec<Line>>;

/// What opens a closed pod: these others, on these ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Sources of an ingress line, destinations of an egress line.
    pub others: BTreeSet<ObjectName>,
    /// On which ports at the destination.
    pub ports: Vec<Port>,
    /// Only in this address family.
    pub family: Option<Family>,
}

/// What must hold after a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// Whom connections may reach.
    pub ingress: Access,
    /// Whom connections may leave.
    pub egress: Access,
    /// Questions beyond every pair on every port; they win over the lines.
    pub probes: Vec<ExpectedProbe>,
    /// What the policies' reader must find wrong, and nothing else.
    pub problems: Vec<ExpectedProblem>,
    /// What the step must do to the cluster, where the case is about that.
    pub changes: Option<ExpectedChanges>,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedProbe {
    /// Who asks; the name `*` is every pod of the namespace.
    pub from: ObjectName,
    /// Whom; a hostNetwork pod too, which no line speaks of.
    pub to: Target,
    /// On which port: the pod's, or the door's.
    pub port: Port,
    /// Only in this address family.
    pub family: Option<Family>,
    /// The answer.
    pub expect: Expected,
}

/// Whom a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Pods; the name `*` is every pod of the namespace.
    Pods(ObjectName),
    /// Whoever stands behind a Service or a port of a node.
    Door(Door),
}

/// A field that the API server would refuse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedProblem {
    /// The object: `NetworkPolicy x/base`.
    pub object: String,
    /// The field: `spec.egress[0].ports[0].endPort`.
    pub path: String,
}

/// What a step does to a cluster's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedChanges {
    /// What is new.
    pub added: BTreeSet<ObjectKey>,
    /// What differs.
    pub changed: BTreeSet<ObjectKey>,
    /// What is gone.
    pub removed: BTreeSet<ObjectKey>,
}

/// One line of the whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The connection.
    pub attempt: Attempt,
    /// Whether it must be let through.
    pub expect: Expected,
}

impl Suite {
    /// The whole table of a step; `snapshot` is the cluster after it.
    #[must_use]
    pub fn table(&self, expect: &Expect, snapshot: &Snapshot) -> Vec<Row> {
        let all = self.everyone();
        let mut rows: Vec<Row> = attempts(snapshot, &all)
            .into_iter()
            .map(|attempt| Row {
                expect: expect.by_lines(&attempt),
                attempt,
            })
            .collect();
        for probe in &expect.probes {
            let asked = [probe.pattern()];
            for attempt in attempts_to(snapshot, &asked, can_be_asked) {
                if probe
                    .family
                    .is_some_and(|family| family != Family::of(attempt.to_address))
                {
                    continue;
                }
                match rows.iter_mut().find(|row| row.attempt == attempt) {
                    Some(row) => row.expect = probe.expect,
                    None => rows.push(Row {
                        attempt,
                        expect: probe.expect,
                    }),
                }
            }
        }
        rows
    }
}

impl ExpectedProbe {
    /// Through what it asks, if not the pods themselves.
    pub(in crate::suite) const fn door(&self) -> Option<&Door> {
        match &self.to {
            Target::Pods(_) => None,
            Target::Door(door) => Some(door),
        }
    }

    /// Whether both ends are pods, as of the questions that every pair is asked.
    pub(in crate::suite) fn is_between_pods(&self) -> bool {
        let to_pods = matches!(&self.to, Target::Pods(to) if !is_outside(to));
        to_pods && !is_outside(&self.from)
    }

    /// The question as the prober takes it.
    pub(in crate::suite) fn pattern(&self) -> ProbePattern {
        ProbePattern {
            from: self.from.clone(),
            to: match &self.to {
                Target::Pods(to) => to.clone(),
                Target::Door(_) => ObjectName::new("*", "*"),
            },
            port: self.port.number,
            protocol: self.port.protocol,
            door: self.door().cloned(),
        }
    }
}

impl Expect {
    fn by_lines(&self, attempt: &Attempt) -> Expected {
        let open = |access: &Access, pod: &ObjectName, other: &ObjectName| {
            access
                .get(pod)
                .is_none_or(|lines| lines.iter().any(|line| line.opens(other, attempt)))
        };
        if open(&self.egress, &attempt.from, &attempt.to) && open(&self.ingress, &attempt.to, &attempt.from) {
            Expected::Allow
        } else {
            Expected::Deny
        }
    }
}

impl Line {
    fn opens(&self, other: &ObjectName, attempt: &Attempt) -> bool {
        let port = Port {
            protocol: attempt.protocol,
            number: attempt.port,
        };
        self.others.contains(other)
            && self.ports.contains(&port)
            && self
                .family
                .is_none_or(|family| family == Family::of(attempt.to_address))
    }
}
