//! The words of a verdict: a line of the report, or one that says why nothing follows.

use super::{
    appraisal::{Asked, Look},
    passive::{Judged, Pending},
    settle::{LastChange, Stands, stands},
};
use crate::{
    cluster::ObjectName,
    finding::{Code, Expected, JudgedAttempt, Observed, Path},
    judge::{Judgement, Verdict},
    net::{Family, KernelTime},
    suite::{Label, labelled},
};

/// The name of the stage that passive attempts belong to.
const STAGE: &str = "passive";

/// The line of a judgement.
pub(super) fn line(
    now: KernelTime,
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
    labelled(label, judgement, Some(now.since(asked.at)))
}

/// The line, or an inconclusive one where something that it depends on has just changed.
pub(super) fn settled(
    asked: &Asked<'_>,
    line: JudgedAttempt,
    change: Option<(LastChange, &str)>,
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

/// Nothing can be said of it, and this is why.
pub(super) fn unclear(pending: &Pending, source: &ObjectName, why: &str) -> Look {
    let line = JudgedAttempt {
        reason: Some(why.to_owned()),
        ..blank(pending, source.to_string(), Verdict::Inconclusive)
    };
    done(pending.departure.at.unwrap_or(pending.arrived), line)
}

/// Whatever happened to it is right, and this is why.
pub(super) fn open(pending: &Pending, from: &str, why: &str) -> JudgedAttempt {
    JudgedAttempt {
        by: vec![why.to_owned()],
        ..blank(pending, from.to_owned(), Verdict::Unspecified)
    }
}

/// The last word on it.
pub(super) fn done(at: KernelTime, attempt: JudgedAttempt) -> Look {
    Look::Judged(Box::new(Judged {
        at,
        code: Code::of(&attempt),
        attempt,
    }))
}

/// A line of which only the ends' addresses are known.
pub(super) fn blank(pending: &Pending, from: String, verdict: Verdict) -> JudgedAttempt {
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
