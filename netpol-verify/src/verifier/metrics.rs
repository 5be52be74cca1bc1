//! The verifier's figures as OpenMetrics. Labels are words of ours only: no pod's name and no policy's ever becomes one.

use std::sync::atomic::AtomicU64;

use jiff::{SignedDuration, Timestamp};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use super::board::{Board, Status};
use crate::finding::{CODES, Expected, Observed, Verdict};

/// A finding counts as one that is there for so long after it showed last.
const SHOWN: SignedDuration = SignedDuration::from_hours(1);

type Labels = Vec<(&'static str, String)>;
type Count = Family<Labels, Counter>;
type Level = Family<Labels, Gauge>;

/// All of them, as text.
///
/// # Errors
/// The encoder refuses, which it has no reason to.
pub(super) fn text(board: &Board, now: Timestamp) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    registry.register(
        "netpol_verify_build",
        "What runs here",
        Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
    );
    let status = board.status();
    judged(&mut registry, board, now);
    levels(&mut registry, &status);
    counts(&mut registry, &status, board.readers_dropped());
    let ages = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for (kind, age) in &status.watch_ages {
        ages.get_or_create(&vec![("kind", (*kind).to_owned())]).set(*age);
    }
    registry.register(
        "netpol_verify_watch_age_seconds",
        "Seconds since the API server was heard of a kind",
        ages,
    );
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn judged(registry: &mut Registry, board: &Board, now: Timestamp) {
    let verdicts = Count::default();
    let findings = Level::default();
    let let_go = Counter::<u64>::default();
    {
        let ledger = board.ledger();
        for ((expected, observed, verdict), count) in ledger.verdicts() {
            let labels = vec![
                ("expected", expected_word(*expected).to_owned()),
                ("observed", observed_word(*observed).to_owned()),
                ("verdict", verdict_word(*verdict).to_owned()),
            ];
            verdicts.get_or_create(&labels).inc_by(*count);
        }
        let since = now.checked_sub(SHOWN).unwrap_or(Timestamp::MIN);
        let by_code = ledger.by_code(since);
        for code in &CODES {
            let count = by_code.get(code.id).copied().unwrap_or(0);
            findings
                .get_or_create(&vec![("code", code.id.to_owned())])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let_go.inc_by(ledger.let_go());
    }
    registry.register("netpol_verify_verdicts", "Attempts that were judged", verdicts);
    registry.register(
        "netpol_verify_findings",
        "Findings that showed within the last hour",
        findings,
    );
    registry.register(
        "netpol_verify_findings_let_go",
        "Findings that made room for others",
        let_go,
    );
}

fn levels(registry: &mut Registry, status: &Status) {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let by_state = |values: &[(&str, u64)]| {
        let family = Level::default();
        for (state, value) in values {
            family
                .get_or_create(&vec![("state", (*state).to_owned())])
                .set(number(*value));
        }
        family
    };
    registry.register(
        "netpol_verify_sensors",
        "Sensors, by whether they were heard of a moment ago",
        by_state(&[("live", status.sensors_live), ("stale", status.sensors_stale)]),
    );
    let interfaces: Vec<_> = status
        .interfaces
        .iter()
        .map(|(state, count)| (*state, *count))
        .collect();
    registry.register(
        "netpol_verify_interfaces",
        "Interfaces inside pods",
        by_state(&interfaces),
    );
    for (name, help, value) in [
        (
            "attempts_pending",
            "Attempts that wait for a verdict",
            status.pending,
        ),
        (
            "attempts_tracked",
            "Attempts of which packets are kept",
            status.tracked,
        ),
        ("policies", "Policies of every kind", status.policies),
        ("pods", "Pods", status.pods),
        (
            "ready",
            "Whether everything that is needed was listed and the bus is there",
            u64::from(status.not_ready.is_none()),
        ),
        (
            "doubts",
            "Reasons why not everything can be judged now",
            status.doubts.len() as u64,
        ),
        (
            "sensor_conflicts",
            "Pods that a sensor announces and the API knows on another node",
            status.strangers,
        ),
    ] {
        let level = Gauge::<i64>::default();
        level.set(number(value));
        registry.register(format!("netpol_verify_{name}"), help, level);
    }
}

fn counts(registry: &mut Registry, status: &Status, readers_dropped: u64) {
    let lost = Count::default();
    for (step, count) in &status.lost {
        lost.get_or_create(&vec![("step", (*step).to_owned())])
            .inc_by(*count);
    }
    registry.register(
        "netpol_verify_records_lost",
        "Records that were lost, by where",
        lost,
    );
    let not_judged = Count::default();
    let counts = status.not_judged;
    for (why, count) in [
        ("overflow", counts.overflow),
        ("not-ready", counts.not_ready),
        ("no-pod", counts.no_pod),
        ("folded", counts.folded),
        ("unaddressed", counts.unaddressed),
    ] {
        not_judged
            .get_or_create(&vec![("why", why.to_owned())])
            .inc_by(count);
    }
    registry.register(
        "netpol_verify_attempts_not_judged",
        "Attempts that were seen and not judged",
        not_judged,
    );
    let dropped = Counter::<u64>::default();
    dropped.inc_by(readers_dropped);
    registry.register(
        "netpol_verify_readers_dropped",
        "Readers of the live stream that could not keep up",
        dropped,
    );
}

const fn expected_word(expected: Expected) -> &'static str {
    match expected {
        Expected::Allow => "allow",
        Expected::Deny => "deny",
        Expected::Unspecified => "unspecified",
    }
}

const fn observed_word(observed: Observed) -> &'static str {
    match observed {
        Observed::Delivered => "delivered",
        Observed::ReplyLost => "reply-lost",
        Observed::Rejected => "rejected",
        Observed::Dropped => "dropped",
        Observed::Unanswered => "unanswered",
        Observed::Unknown => "unknown",
    }
}

const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Enforced => "enforced",
        Verdict::Permitted => "permitted",
        Verdict::Leak => "leak",
        Verdict::Overblock => "overblock",
        Verdict::Unspecified => "unspecified",
        Verdict::Inconclusive => "inconclusive",
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::text;
    use crate::verifier::Board;

    #[test]
    fn the_names_are_those_that_the_chart_goes_by() {
        let text = text(&Board::default(), Timestamp::UNIX_EPOCH).unwrap();
        for line in [
            "netpol_verify_build_info{version=\"",
            "netpol_verify_findings{code=\"NPV001\"} 0",
            "netpol_verify_sensors{state=\"stale\"} 0",
            "netpol_verify_attempts_pending 0",
            "netpol_verify_attempts_not_judged_total{why=\"folded\"} 0",
            "netpol_verify_ready 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
