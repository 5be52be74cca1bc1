//! A pod's own node, which no policy may keep from it (R21): what is found here is no trait but a violation.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;

use super::{
    answer::Place,
    control::News,
    ground::{PORT, SERVER},
    question::{NO_POD, Question},
    reach::Reach,
    sockets::Sockets,
};
use crate::{
    cluster::Snapshot,
    finding::{Expected, JudgedAttempt, Observed, Verdict},
    net::Protocol,
    report::{CaseResult, Trait},
    suite::proof::proof,
};

/// R21.
pub(super) const OWN: &str = "a pod's own node to the pod whose ingress is denied (R21: it must pass)";
/// What is silent is given this long before it counts against anybody: TCP sends again after one second, and after three.
const LAST: Duration = Duration::from_millis(3_500);

/// The own node, asked as other questions are.
pub(super) struct OwnNode {
    question: Question,
    node: String,
    /// What was not reached under the policy, however long it was tried.
    blocked: Vec<(Place, Reach)>,
}

impl OwnNode {
    /// Asks when nothing is denied.
    pub(super) async fn before(sockets: &Sockets) -> Self {
        let pairs = sockets.by_nodes(true);
        Self {
            question: Question::by_connecting(OWN, NO_POD, &pairs).await,
            node: sockets.own_node().to_owned(),
            blocked: Vec::new(),
        }
    }

    /// Asks under the policy; what has no answer once more, with more patience.
    pub(super) async fn under(&mut self) -> Vec<Reach> {
        let first = self.question.again().await;
        let each = self.question.ways().zip(first);
        let patient = each.map(|((place, way, was_open), reach)| async move {
            let reach = match reach {
                Reach::Silent | Reach::Rejected(_) if was_open => way.ask(LAST).await,
                reach => reach,
            };
            (place, was_open, reach)
        });
        let reached = join_all(patient).await;
        let is_blocked = |reach: &Reach| matches!(reach, Reach::Silent | Reach::Rejected(_));
        self.blocked = reached
            .iter()
            .filter(|(_, was_open, reach)| *was_open && is_blocked(reach))
            .map(|(place, _, reach)| (*place, reach.clone()))
            .collect();
        reached.into_iter().map(|(_, _, reach)| reach).collect()
    }

    /// What came back under the policy, as a trait.
    pub(super) fn answer(&self, under: Vec<Reach>, news: &News) -> Trait {
        self.question.answer(under, news)
    }

    /// Asks when the policy is gone: in which places the node reaches the pod again.
    pub(super) async fn after(&self) -> BTreeMap<Place, Reach> {
        let places = self.question.ways().map(|(place, ..)| place);
        // Nothing is asked where there is nothing to confirm.
        if self.blocked.is_empty() {
            return BTreeMap::new();
        }
        places.zip(self.question.again().await).collect()
    }

    /// The case that fails, where the policy and nothing else kept the node from its pod.
    pub(super) fn violation(&self, after: &BTreeMap<Place, Reach>, under: &Snapshot) -> Option<CaseResult> {
        let mut case = CaseResult::new(
            "open",
            "OPEN-R21",
            "A pod's own node reaches it, whatever policies say of the pod",
            true,
        );
        case.features = [("host-network".to_owned(), vec!["own-node".to_owned()])].into();
        let confirmed = self
            .blocked
            .iter()
            .filter(|(place, _)| after.get(place) == Some(&Reach::Answered));
        for (place, reach) in confirmed {
            let attempt = self.attempt(*place, reach);
            case.count(&attempt);
            if case.proof.is_none() {
                case.proof = Some(proof(&case.id, 1, &attempt, under));
            }
        }
        case.proof.is_some().then_some(case)
    }

    fn attempt(&self, place: Place, reach: &Reach) -> JudgedAttempt {
        let (observed, reason) = match reach {
            Reach::Rejected(why) => (Observed::Rejected, Some(why.clone())),
            _ => (Observed::Unanswered, None),
        };
        JudgedAttempt {
            stage: String::new(),
            from: self.node.clone(),
            to: SERVER.to_owned(),
            protocol: Protocol::Tcp,
            port: PORT,
            family: place.family,
            path: place.path,
            expected: Expected::Allow,
            by: vec!["a pod's own node always reaches it (R21)".to_owned()],
            observed,
            reason,
            drop_kind: None,
            only_retransmission: false,
            verdict: Verdict::Overblock,
            latency_micros: None,
        }
    }
}
