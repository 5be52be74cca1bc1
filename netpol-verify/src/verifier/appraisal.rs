//! One look at an attempt that waits: whose it is, whom it was for, what was required, what became of it, and what follows.

use std::{net::SocketAddr, time::Duration};

use super::{
    destination::{Destination, Target, destination, is_unaddressed},
    ears::Ears,
    elsewhere::judge_elsewhere,
    folds::Like,
    identity::Found,
    passive::{Judged, Limits, NotJudged, Pending},
    settle::{Stands, stands},
    trust::Trust,
    world::World,
};
use crate::{
    cluster::ObjectName,
    finding::{Code, Expected, JudgedAttempt, Observed, Path},
    flow::{Outcome, Reply, UnknownCause, Window},
    judge::{Judgement, Verdict, judge},
    net::{Family, KernelTime, Netns, Protocol},
    policy::{Decision, End, Expectation, Traffic},
    suite::{Label, labelled},
};

/// What is silent or dropped is sent again by TCP after a second (RFC 6298); whether that gets through is part of the verdict.
const RETRANSMISSION: Duration = Duration::from_millis(1_500);

/// The name of the stage that passive attempts belong to.
const STAGE: &str = "passive";

/// What came of a look.
pub(super) enum Look {
    /// It is not certain yet.
    Wait,
    /// It is.
    Judged(Box<Judged>),
    /// There is nothing to be said.
    Nothing(Why),
}

/// Why nothing is said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Why {
    NotReady,
    NoPod,
    Folded,
    Unaddressed,
}

impl Why {
    pub(super) const fn count(self, counts: &mut NotJudged) {
        let count = match self {
            Self::NotReady => &mut counts.not_ready,
            Self::NoPod => &mut counts.no_pod,
            Self::Folded => &mut counts.folded,
            Self::Unaddressed => &mut counts.unaddressed,
        };
        *count += 1;
    }
}

/// Looks at attempts at one moment.
pub(super) struct Appraiser<'a> {
    world: &'a World,
    limits: Limits,
    now: KernelTime,
    trust: Trust,
}

/// An attempt whose source is known.
struct Asked<'a> {
    pending: &'a Pending,
    source: &'a ObjectName,
    /// As near as it is known, and the earliest that it may have been.
    at: KernelTime,
    began: KernelTime,
}

impl<'a> Appraiser<'a> {
    pub(super) fn new(world: &'a World, limits: Limits, now: KernelTime) -> Self {
        Self {
            world,
            limits,
            now,
            trust: world.trust(now),
        }
    }

    pub(super) fn look(&self, ears: &Ears, pending: &Pending) -> Look {
        let departure = &pending.departure;
        let source_address = departure.key.source.ip();
        if is_unaddressed(source_address) || is_unaddressed(departure.to.ip()) {
            return Look::Nothing(Why::Unaddressed);
        }
        if self.trust.awaited.is_some() {
            return self.later(pending, || Look::Nothing(Why::NotReady));
        }
        let source = match self.world.identity().of(departure.source) {
            Some(Found::Pod(source)) => source,
            Some(Found::Open(why)) => {
                let line = self.open(pending, &departure.key.source.ip().to_string(), why);
                return self.done(pending.arrived, line);
            }
            None => return self.later(pending, || Look::Nothing(Why::NoPod)),
        };
        let clock = ears.tracker().nodes().get(departure.source.node).clock();
        let at = departure.at.or_else(|| clock.on_ours(departure.seen));
        let (Some(at), Some(error)) = (at, clock.error()) else {
            let node = node_name(ears, departure.source);
            let why = format!("the clock of node {node} is not known");
            return self.later(pending, || self.unclear(pending, source, &why));
        };
        let asked = Asked {
            pending,
            source,
            at,
            began: KernelTime(at.0.saturating_sub(u64::try_from(error.as_nanos()).unwrap_or(u64::MAX))),
        };
        if let Some(look) = self.spoof(&asked) {
            return look;
        }
        let deliveries = ears
            .tracker()
            .trace(&departure.key)
            .into_iter()
            .flat_map(|trace| trace.deliveries());
        match destination(self.world, departure.key.protocol, departure.to, deliveries) {
            Destination::Unaddressed => Look::Nothing(Why::Unaddressed),
            Destination::Unclear(why) => self.later(pending, || self.unclear(pending, source, &why)),
            Destination::Open(why) => self.done(at, self.open(pending, &source.to_string(), &why)),
            Destination::Elsewhere { end, port } => self.elsewhere(ears, &asked, end, port),
            Destination::Pods { targets, service } => self.pods(ears, &asked, &targets, service.as_ref()),
        }
    }

    /// A source address that is none of the pod's.
    fn spoof(&self, asked: &Asked<'_>) -> Option<Look> {
        let address = asked.pending.departure.key.source.ip().to_canonical();
        let pod = self.world.state().pod(asked.source)?;
        if pod.ips.iter().any(|own| own.to_canonical() == address) {
            return None;
        }
        let change = self
            .world
            .last_change([asked.source], None, self.limits.settle)
            .filter(|(change, _)| asked.began < change.noticed.plus(change.settle));
        if pod.ips.is_empty() || change.is_some() {
            let why = format!(
                "{address} may be an address of {} that the API has not told yet",
                asked.source
            );
            return Some(self.later(asked.pending, || self.unclear(asked.pending, asked.source, &why)));
        }
        let reason = format!("it says that it comes from {address}, which is no address of the pod");
        let attempt = JudgedAttempt {
            reason: Some(reason),
            ..blank(asked.pending, asked.source.to_string(), Verdict::Unspecified)
        };
        Some(Look::Judged(Box::new(Judged {
            at: asked.at,
            code: Some(Code::SPOOF),
            attempt,
        })))
    }

    fn pods(&self, ears: &Ears, asked: &Asked<'_>, targets: &[Target], service: Option<&ObjectName>) -> Look {
        let pending = asked.pending;
        let key = &pending.departure.key;
        let [first, others @ ..] = targets else {
            return Look::Nothing(Why::NoPod);
        };
        let ends = || {
            [asked.source]
                .into_iter()
                .chain(targets.iter().map(|target| &target.pod))
        };
        // Which backend would have been chosen nobody knows.
        let destination = first.home.filter(|_| others.is_empty());
        let window = Window {
            source: pending.departure.source,
            destination,
            started: asked.at,
        };
        let mut outcome = ears.tracker().outcome(key, window);
        if let Some(why) = self.early(ears, asked, destination, &outcome) {
            return self.later(pending, || self.unclear(pending, asked.source, &why));
        }
        let doubt = self
            .trust
            .stale
            .clone()
            .or_else(|| self.world.gap(ends()))
            .or_else(|| service.and_then(|_| self.trust.ends_unknown.clone()));
        if let Some(why) = doubt {
            return self.later(pending, || self.unclear(pending, asked.source, &why));
        }
        let decision = self.decide(asked.source, key.source, &first.end(), first, key.protocol);
        let is_disputed = others.iter().any(|other| {
            let decision_there = self.decide(asked.source, key.source, &other.end(), other, key.protocol);
            word(decision_there.expectation) != word(decision.expectation)
        });
        if is_disputed {
            let why = "the policies do not say the same of all pods behind the Service";
            return self.later(pending, || self.unclear(pending, asked.source, why));
        }
        match self.folded(ears, asked, first, destination, &outcome) {
            Fold::Nothing => {}
            Fold::Unsure => return Look::Nothing(Why::Folded),
            Fold::ReplyOnly => {
                outcome = Outcome::Delivered {
                    reply: Reply::NoneSeen,
                    only_retransmission: false,
                };
            }
        }
        let to = match service {
            Some(service) if !others.is_empty() => format!("{} (Service)", service),
            _ => first.pod.to_string(),
        };
        let path = match destination {
            Some(netns) if netns.node == pending.departure.source.node => Path::SameNode,
            Some(_) | None => Path::CrossNode,
        };
        let judgement = judge(decision, outcome);
        let line = self.line(asked, to, first.port, path, &judgement);
        let change = self.world.last_change(ends(), service, self.limits.settle);
        self.done(asked.at, self.settled(asked, line, change))
    }

    fn elsewhere(&self, ears: &Ears, asked: &Asked<'_>, end: End, port: u16) -> Look {
        let pending = asked.pending;
        let key = &pending.departure.key;
        let window = Window {
            source: pending.departure.source,
            destination: None,
            started: asked.at,
        };
        let outcome = ears.tracker().outcome(key, window);
        let is_accepted = ears
            .tracker()
            .trace(key)
            .is_some_and(|trace| trace.is_accepted(pending.departure.source));
        if !is_accepted && let Some(why) = self.early(ears, asked, None, &outcome) {
            return self.later(pending, || self.unclear(pending, asked.source, &why));
        }
        let doubt = self
            .trust
            .stale
            .clone()
            .or_else(|| self.trust.ends_unknown.clone())
            .or_else(|| self.world.gap([asked.source]));
        if let Some(why) = doubt {
            return self.later(pending, || self.unclear(pending, asked.source, &why));
        }
        let from = End::Pod {
            name: asked.source.clone(),
            address: Some(key.source.ip().to_canonical()),
        };
        let traffic = Traffic::direct(from, end.clone(), key.protocol, port);
        let decision = self.world.policies().decide(&traffic);
        let Some(told) = judge_elsewhere(decision.expectation, &outcome, is_accepted) else {
            return self.later(pending, || {
                self.unclear(pending, asked.source, "what became of it stayed uncertain")
            });
        };
        let mut judgement = judge(decision, outcome);
        judgement.verdict = told.verdict;
        let mut line = self.line(asked, end.to_string(), port, Path::CrossNode, &judgement);
        if told.is_answered {
            line.observed = Observed::Delivered;
            line.reason = Some("an answer came back".to_owned());
            line.drop_kind = None;
        } else if let Some(why) = told.why {
            line.reason = Some(match line.reason.filter(|_| line.drop_kind.is_some()) {
                Some(place) => format!("{place}: {why}"),
                None => why.to_owned(),
            });
        }
        let change = self.world.last_change([asked.source], None, self.limits.settle);
        self.done(asked.at, self.settled(asked, line, change))
    }

    /// Why an outcome is not final yet, and what to say of it should it never be.
    fn early(
        &self,
        ears: &Ears,
        asked: &Asked<'_>,
        destination: Option<Netns>,
        outcome: &Outcome,
    ) -> Option<String> {
        if matches!(
            outcome,
            Outcome::Unknown {
                why: UnknownCause::Pending
            }
        ) {
            return Some(self.silent(ears, asked, destination));
        }
        let may_come_again = asked.pending.departure.key.protocol == Protocol::Tcp
            && !matches!(outcome, Outcome::Delivered { .. })
            && self.now.since(asked.at) < RETRANSMISSION
            && self.now < asked.pending.deadline;
        may_come_again.then(|| "its retransmission was awaited".to_owned())
    }

    /// Whose silence keeps it uncertain.
    fn silent(&self, ears: &Ears, asked: &Asked<'_>, destination: Option<Netns>) -> String {
        let nodes = ears.tracker().nodes();
        let ends = [Some(asked.pending.departure.source), destination];
        let silent = ends.into_iter().flatten().find(|netns| {
            nodes
                .get(netns.node)
                .heard_at()
                .is_none_or(|heard| self.now.since(heard) > Duration::from_secs(3))
        });
        match silent {
            Some(netns) => {
                let name = node_name(ears, netns);
                match nodes.get(netns.node).heard_at() {
                    Some(heard) => format!(
                        "the sensor of node {name} has been silent for {} s",
                        self.now.since(heard).as_secs()
                    ),
                    None => format!("the sensor of node {name} has proven nothing yet"),
                }
            }
            None => "what became of it stayed uncertain".to_owned(),
        }
    }

    fn decide(
        &self,
        source: &ObjectName,
        from: SocketAddr,
        to: &End,
        target: &Target,
        protocol: Protocol,
    ) -> Decision {
        let from = End::Pod {
            name: source.clone(),
            address: Some(from.ip().to_canonical()),
        };
        self.world.policies().decide(&Traffic {
            via: target.via.clone(),
            ..Traffic::direct(from, to.clone(), protocol, target.port)
        })
    }

    /// Whether what was not seen may have been folded into a record of a like packet.
    fn folded(
        &self,
        ears: &Ears,
        asked: &Asked<'_>,
        target: &Target,
        destination: Option<Netns>,
        outcome: &Outcome,
    ) -> Fold {
        let departure = &asked.pending.departure;
        let (protocol, source) = (departure.key.protocol, departure.key.source);
        let there = SocketAddr::new(target.address, target.port);
        let may_hide = |netns, like| ears.may_have_folded(netns, like, asked.began, self.now);
        match outcome {
            Outcome::Delivered {
                reply: Reply::Lost { .. },
                ..
            } => {
                let hidden = [there, departure.to]
                    .into_iter()
                    .any(|from| may_hide(departure.source, Like::answer(protocol, from, source)));
                if hidden { Fold::ReplyOnly } else { Fold::Nothing }
            }
            Outcome::Delivered { .. } | Outcome::Unknown { .. } => Fold::Nothing,
            Outcome::Dropped { .. } | Outcome::Rejected { .. } | Outcome::Unanswered => {
                let like = Like::first(protocol, source, there);
                let hidden = destination.is_some_and(|netns| may_hide(netns, like));
                if hidden { Fold::Unsure } else { Fold::Nothing }
            }
        }
    }

    fn line(
        &self,
        asked: &Asked<'_>,
        to: String,
        port: u16,
        path: Path,
        judgement: &Judgement,
    ) -> JudgedAttempt {
        let key = &asked.pending.departure.key;
        let label = Label {
            stage: STAGE.to_owned(),
            from: asked.source.to_string(),
            to,
            protocol: key.protocol,
            port,
            family: Family::of(key.source.ip().to_canonical()),
            path,
        };
        labelled(label, judgement, Some(self.now.since(asked.at)))
    }

    /// The line, or an inconclusive one where something that it depends on has just changed.
    fn settled(
        &self,
        asked: &Asked<'_>,
        line: JudgedAttempt,
        change: Option<(super::settle::LastChange, &str)>,
    ) -> JudgedAttempt {
        let reason = match stands(line.verdict, asked.began, change.map(|(change, _)| change)) {
            Stands::Yes => return line,
            Stands::Propagating { age } => format!(
                "propagating: {:.1} s before, {}",
                age.as_secs_f64(),
                change.map_or("", |(_, what)| what)
            ),
            Stands::Overtaken => format!(
                "what was required then is not known: meanwhile {}",
                change.map_or("", |(_, what)| what)
            ),
        };
        JudgedAttempt {
            verdict: Verdict::Inconclusive,
            reason: Some(reason),
            ..line
        }
    }

    /// Waits, or says the last word when there is no time left.
    fn later(&self, pending: &Pending, last: impl FnOnce() -> Look) -> Look {
        if self.now < pending.deadline {
            Look::Wait
        } else {
            last()
        }
    }

    fn unclear(&self, pending: &Pending, source: &ObjectName, why: &str) -> Look {
        let line = JudgedAttempt {
            reason: Some(why.to_owned()),
            ..blank(pending, source.to_string(), Verdict::Inconclusive)
        };
        self.done(pending.departure.at.unwrap_or(pending.arrived), line)
    }

    fn open(&self, pending: &Pending, from: &str, why: &str) -> JudgedAttempt {
        JudgedAttempt {
            by: vec![why.to_owned()],
            ..blank(pending, from.to_owned(), Verdict::Unspecified)
        }
    }

    fn done(&self, at: KernelTime, attempt: JudgedAttempt) -> Look {
        Look::Judged(Box::new(Judged {
            at,
            code: Code::of(&attempt),
            attempt,
        }))
    }
}

/// What folding may have hidden.
enum Fold {
    Nothing,
    ReplyOnly,
    Unsure,
}

/// A line of which only the ends' addresses are known.
fn blank(pending: &Pending, from: String, verdict: Verdict) -> JudgedAttempt {
    let departure = &pending.departure;
    JudgedAttempt {
        stage: STAGE.to_owned(),
        from,
        to: departure.to.ip().to_canonical().to_string(),
        protocol: departure.key.protocol,
        port: departure.to.port(),
        family: Family::of(departure.to.ip().to_canonical()),
        path: Path::CrossNode,
        expected: Expected::Unspecified,
        by: Vec::new(),
        observed: Observed::Unknown,
        reason: None,
        drop_kind: None,
        only_retransmission: false,
        verdict,
        latency_micros: None,
    }
}

const fn word(expectation: Expectation) -> u8 {
    match expectation {
        Expectation::Allow => 0,
        Expectation::Deny => 1,
        Expectation::Unspecified(_) => 2,
    }
}

fn node_name(ears: &Ears, netns: Netns) -> String {
    ears.name(netns.node)
        .map_or_else(|| "?".to_owned(), ToString::to_string)
}
