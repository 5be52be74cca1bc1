//! One look at an attempt that waits: whose it is, whom it was for, what was required, what became of it, and what follows.

use std::net::SocketAddr;

use super::{
    destination::{Destination, Target, destination, is_unaddressed},
    doubt::{Fold, early, folded, node_name, unless_answer},
    ears::Ears,
    elsewhere::judge_elsewhere,
    identity::Found,
    passive::{Judged, Limits, NotJudged, Pending},
    trust::Trust,
    wording::{blank, done, line, open, settled, unclear},
    world::World,
};
use crate::{
    cluster::ObjectName,
    finding::{Code, JudgedAttempt, Observed, Path},
    flow::{Outcome, Reply, Window},
    judge::{Verdict, judge},
    net::{KernelTime, Protocol},
    policy::{Decision, End, Expectation, Traffic},
};

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
pub(super) struct Asked<'a> {
    pub(super) pending: &'a Pending,
    pub(super) source: &'a ObjectName,
    /// As near as it is known, and the earliest that it may have been.
    pub(super) at: KernelTime,
    pub(super) began: KernelTime,
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
                let line = open(pending, &departure.key.source.ip().to_string(), why);
                return done(pending.arrived, line);
            }
            None => return self.later(pending, || Look::Nothing(Why::NoPod)),
        };
        let clock = ears.tracker().nodes().get(departure.source.node).clock();
        let at = departure.at.or_else(|| clock.on_ours(departure.seen));
        let (Some(at), Some(error)) = (at, clock.error()) else {
            let node = node_name(ears, departure.source);
            let why = format!("the clock of node {node} is not known");
            return self.later(pending, || unclear(pending, source, &why));
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
            Destination::Unclear(why) => self.later(pending, || unclear(pending, source, &why)),
            Destination::Open(why) => done(at, open(pending, &source.to_string(), &why)),
            Destination::Elsewhere { end, port } => self.elsewhere(ears, &asked, end, port),
            Destination::Pods { targets, service } => self.pods(ears, &asked, &targets, service.as_ref()),
        }
    }

    /// A source address that is none of the pod's. The API may tell a pod's new address late, so that is waited for.
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
        if self.now < asked.pending.deadline {
            return Some(Look::Wait);
        }
        if let Some(why) = &self.trust.stale {
            return Some(unclear(asked.pending, asked.source, why));
        }
        if pod.ips.is_empty() || change.is_some() {
            let why = format!(
                "{address} may be an address of {} that the API has not told yet",
                asked.source
            );
            return Some(unclear(asked.pending, asked.source, &why));
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
        if let Some(why) = early(self.now, ears, asked, destination, &outcome) {
            return self.later(pending, || unclear(pending, asked.source, &why));
        }
        let doubt = self
            .trust
            .stale
            .clone()
            .or_else(|| self.world.gap(ends()))
            .or_else(|| {
                let is_translated = service.is_some() || targets.iter().any(|target| target.via.is_some());
                self.trust.ends_unknown.clone().filter(|_| is_translated)
            });
        if let Some(why) = doubt {
            return self.later(pending, || unclear(pending, asked.source, &why));
        }
        let decision = self.decide(asked.source, key.source, &first.end(), first, key.protocol);
        let is_disputed = others.iter().any(|other| {
            let decision_there = self.decide(asked.source, key.source, &other.end(), other, key.protocol);
            word(decision_there.expectation) != word(decision.expectation)
        });
        if is_disputed {
            let why = "the policies do not say the same of all pods behind the Service";
            return self.later(pending, || unclear(pending, asked.source, why));
        }
        match folded(self.now, ears, asked, first, destination, &outcome) {
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
        let line = unless_answer(key, line(self.now, asked, to, first.port, path, &judgement));
        let change = self.world.last_change(ends(), service, self.limits.settle);
        done(asked.at, settled(asked, line, change))
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
        if !is_accepted && let Some(why) = early(self.now, ears, asked, None, &outcome) {
            return self.later(pending, || unclear(pending, asked.source, &why));
        }
        let doubt = self
            .trust
            .stale
            .clone()
            .or_else(|| self.trust.ends_unknown.clone())
            .or_else(|| self.world.gap([asked.source]));
        if let Some(why) = doubt {
            return self.later(pending, || unclear(pending, asked.source, &why));
        }
        let from = End::Pod {
            name: asked.source.clone(),
            address: Some(key.source.ip().to_canonical()),
        };
        let traffic = Traffic::direct(from, end.clone(), key.protocol, port);
        let decision = self.world.policies().decide(&traffic);
        let Some(told) = judge_elsewhere(decision.expectation, &outcome, is_accepted) else {
            return self.later(pending, || {
                unclear(pending, asked.source, "what became of it stayed uncertain")
            });
        };
        let mut judgement = judge(decision, outcome);
        judgement.verdict = told.verdict;
        let mut line = line(
            self.now,
            asked,
            end.to_string(),
            port,
            Path::CrossNode,
            &judgement,
        );
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
        done(asked.at, settled(asked, unless_answer(key, line), change))
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

    /// Waits, or says the last word when there is no time left.
    fn later(&self, pending: &Pending, last: impl FnOnce() -> Look) -> Look {
        if self.now < pending.deadline {
            Look::Wait
        } else {
            last()
        }
    }
}

const fn word(expectation: Expectation) -> u8 {
    match expectation {
        Expectation::Allow => 0,
        Expectation::Deny => 1,
        Expectation::Unspecified(_) => 2,
    }
}
