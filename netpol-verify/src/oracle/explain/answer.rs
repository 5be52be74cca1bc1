//! The answers to one question.

use std::collections::BTreeMap;

use super::super::{
    end::Question,
    route::{RouteError, routes},
};
use crate::{
    cluster::Snapshot,
    net::{Family, Protocol},
    policy::{End, Expectation, Explanation, Intent, IntentCheck, PolicySet, Traffic, Whom, explain},
};

/// A question with all its answers.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The question.
    pub question: Question,
    /// One answer for connections that are alike, in the order in which they were found.
    pub(super) answers: Vec<Answer>,
    /// How many connections the question stands for that were not looked at, because there are too many.
    pub(super) left_out: usize,
    /// What the owner wants of the same pods and ports, where an intent was given.
    pub(super) intent: Vec<IntentCheck>,
}

/// One answer, and the connections it holds for.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) families: Vec<Family>,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    /// Whether a Service or a node's port stands between.
    pub(super) is_translated: bool,
    pub(super) explanation: Explanation,
}

impl Explained {
    /// Answers a question; `set` must be compiled from `snapshot`.
    ///
    /// # Errors
    ///
    /// When the question is about something that is not there.
    pub fn new(
        snapshot: &Snapshot,
        set: &PolicySet,
        question: Question,
        intent: Option<&Intent>,
    ) -> Result<Self, RouteError> {
        let (routes, all) = routes(snapshot, set, &question)?;
        let left_out = all - routes.len();
        let asked: Vec<Traffic> = routes.iter().map(|route| route.traffic.clone()).collect();
        let mut answers: Vec<Answer> = Vec::new();
        // The two families of one path are one answer where they agree.
        let mut seen: BTreeMap<(String, String, Protocol, u16), Vec<usize>> = BTreeMap::new();
        for route in routes {
            let explanation = explain(snapshot, set, &route.traffic);
            let key = (
                route.from.clone(),
                route.to.clone(),
                route.traffic.protocol,
                route.traffic.port,
            );
            let family = route
                .traffic
                .from
                .address()
                .or(route.traffic.to.address())
                .map(Family::of);
            let like = seen.entry(key).or_default();
            let same = like.iter().copied().find(|at| {
                answers
                    .get(*at)
                    .is_some_and(|answer| answer.explanation.decision == explanation.decision)
            });
            match same.and_then(|at| answers.get_mut(at)) {
                Some(answer) => answer.families.extend(family),
                None => {
                    like.push(answers.len());
                    answers.push(Answer {
                        from: route.from,
                        to: route.to,
                        families: family.into_iter().collect(),
                        protocol: route.traffic.protocol,
                        port: route.traffic.port,
                        is_translated: route.traffic.via.is_some(),
                        explanation,
                    });
                }
            }
        }
        let intent = intent.map_or_else(Vec::new, |intent| {
            intent
                .check(set, snapshot)
                .into_iter()
                .filter(|check| asked.iter().any(|traffic| is_about(check, traffic)))
                .collect()
        });
        Ok(Self {
            question,
            answers,
            left_out,
            intent,
        })
    }

    /// What is required, where all connections have it in common.
    #[must_use]
    pub fn expectation(&self) -> Option<Expectation> {
        let mut all = self
            .answers
            .iter()
            .map(|answer| answer.explanation.decision.expectation);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// Whether the policies contradict the owner on what was asked about.
    #[must_use]
    pub fn breaks_intent(&self) -> bool {
        self.intent.iter().any(IntentCheck::is_break)
    }
}

/// Whether an intent's path is the one of a connection.
fn is_about(check: &IntentCheck, traffic: &Traffic) -> bool {
    let is = |whom: &Whom, end: &End| match (whom, end) {
        (Whom::Pod(wanted), End::Pod { name, .. }) => wanted == name,
        (Whom::Address(wanted), end) => end.address() == Some(*wanted),
        (Whom::Pod(_) | Whom::Namespace(_), _) => false,
    };
    is(&check.from, &traffic.from)
        && is(&check.to, &traffic.to)
        && (check.protocol, check.port) == (traffic.protocol, traffic.port)
}
