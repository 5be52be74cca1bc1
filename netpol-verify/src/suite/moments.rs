//! What is seen in a moment that no settle budget excuses: the start of a pod, the restart of whoever enforces, a change elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    rounds::key,
    scene::Round,
    unchanged::{Required, Unchanged},
};
use crate::{
    cluster::{Object, ObjectKey, Snapshot},
    finding::{JudgedAttempt, Verdict},
    net::{KernelTime, micros},
    report::{Moment, MomentKind, MomentSummary},
};

/// Looks on while a moment lasts.
#[derive(Debug)]
pub(super) struct Watch {
    whose: Whose,
    attempts: u64,
    paths: BTreeMap<String, Path>,
    /// Once it is over: of how many paths nothing could be told while it lasted.
    unknown: Option<u64>,
}

/// Which paths it looks at.
#[derive(Debug)]
enum Whose {
    /// All, in a restart.
    Everybodys,
    /// Those of pods that start.
    Of(BTreeSet<String>),
    /// Those that a change does not concern.
    Unchanged(Unchanged),
}

/// What a path did.
#[derive(Debug, Default)]
struct Path {
    told: bool,
    wrong: Option<Wrong>,
}

#[derive(Debug)]
struct Wrong {
    first: JudgedAttempt,
    last: Duration,
    times: u32,
}

impl Wrong {
    /// Whether only one probe was lost: a set of ranges in a new table of nftables is empty for some microseconds after its rules
    /// are in force (Linux 6.18, `nft_set_commit_update`), and agents of real CNIs load their rules anew when they start.
    fn is_loss(&self) -> bool {
        self.first.verdict == Verdict::Overblock && self.times == 1
    }
}

impl Watch {
    /// Has looked on while whoever enforced was started anew at `began`. What is seen from now on tells only how long it was
    /// wrong.
    pub(super) fn of_restart(rounds: &[Round], began: KernelTime) -> Self {
        let mut watch = Self::new(Whose::Everybodys);
        for (at, attempts) in rounds {
            watch.see(attempts, at.since(began));
        }
        watch.unknown = Some(watch.untold());
        watch
    }

    /// Looks on while something changes: at whom it does not concern, and at pods that come.
    pub(super) fn of_change(
        required: &Arc<Required>,
        before: &Snapshot,
        gone: &[ObjectKey],
        objects: &[Object],
    ) -> Vec<Self> {
        let unchanged = Unchanged::of(required, gone, objects);
        let unchanged = unchanged.map(|unchanged| Self::new(Whose::Unchanged(unchanged)));
        unchanged
            .into_iter()
            .chain(Self::of_start(before, gone, objects))
            .collect()
    }

    /// Looks on while pods start, where nothing else changes: what denies them was in force before. Administrators may deny by
    /// who the other side is, which is learnt only when it is there.
    fn of_start(before: &Snapshot, gone: &[ObjectKey], objects: &[Object]) -> Option<Self> {
        let new = objects.iter().map(|object| match object {
            Object::Pod(pod) if before.pod(&pod.name).is_none() => Some(pod.name.to_string()),
            _ => None,
        });
        let pods: BTreeSet<String> = new.collect::<Option<_>>()?;
        (gone.is_empty() && !pods.is_empty() && before.admin.is_empty()).then(|| Self::new(Whose::Of(pods)))
    }

    const fn new(whose: Whose) -> Self {
        Self {
            whose,
            attempts: 0,
            paths: BTreeMap::new(),
            unknown: None,
        }
    }

    const fn kind(&self) -> MomentKind {
        match self.whose {
            Whose::Everybodys => MomentKind::Restart,
            Whose::Of(_) => MomentKind::StartUp,
            Whose::Unchanged(_) => MomentKind::Change,
        }
    }

    /// Takes what a round of probes gave, so long after the moment began.
    pub(super) fn see(&mut self, attempts: &[JudgedAttempt], at: Duration) {
        for attempt in attempts {
            let is_ours = match &self.whose {
                Whose::Everybodys => true,
                Whose::Of(pods) => pods.contains(&attempt.from) || pods.contains(&attempt.to),
                Whose::Unchanged(unchanged) => unchanged.holds(attempt),
            };
            if !is_ours {
                continue;
            }
            self.attempts += 1;
            let is_wrong = match self.whose {
                Whose::Everybodys | Whose::Unchanged(_) => attempt.verdict.is_violation(),
                // What a pod may do may follow its start.
                Whose::Of(_) => attempt.verdict == Verdict::Leak,
            };
            // What is not told of a path that nothing changes is asked again, and told in the end.
            if matches!(self.whose, Whose::Unchanged(_)) && !is_wrong {
                continue;
            }
            let path = self.paths.entry(key(attempt)).or_default();
            path.told |= attempt.verdict != Verdict::Inconclusive;
            if is_wrong {
                let wrong = path.wrong.get_or_insert_with(|| Wrong {
                    first: attempt.clone(),
                    last: at,
                    times: 0,
                });
                wrong.last = at;
                wrong.times += 1;
                // The worst is what is told.
                if attempt.verdict == Verdict::Leak && wrong.first.verdict != Verdict::Leak {
                    wrong.first = attempt.clone();
                }
            }
        }
    }

    fn untold(&self) -> u64 {
        self.paths.values().filter(|path| !path.told).count() as u64
    }

    /// What it came to, and the attempts that were wrong for a while only: what is wrong in the end too is counted there. Nothing
    /// where there was no path to look at.
    pub(super) fn end(self, step: usize, end: &[JudgedAttempt]) -> Option<(Moment, Vec<JudgedAttempt>)> {
        if self.attempts == 0 {
            return None;
        }
        let kind = self.kind();
        let still_wrong: BTreeSet<String> = end
            .iter()
            .filter(|attempt| attempt.verdict.is_violation())
            .map(key)
            .collect();
        let mut seen = MomentSummary {
            moments: 1,
            attempts: self.attempts,
            unknown: self.unknown.unwrap_or_else(|| self.untold()),
            ..MomentSummary::default()
        };
        let mut wrong = Vec::new();
        for (name, path) in self.paths {
            let Some(found) = path.wrong else { continue };
            if found.is_loss() {
                seen.lost += u64::from(!still_wrong.contains(&name));
                continue;
            }
            match found.first.verdict {
                Verdict::Leak => seen.leaks += 1,
                _ => seen.overblocks += 1,
            }
            seen.last_wrong_micros = seen.last_wrong_micros.max(Some(micros(found.last)));
            if !still_wrong.contains(&name) {
                wrong.push(found.first);
            }
        }
        let moment = Moment { step, kind, seen };
        Some((moment, wrong))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Watch;
    use crate::{
        cluster::{ClusterState, Loaded, Object},
        finding::{JudgedAttempt, Verdict},
        net::KernelTime,
    };

    const OLD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: old, namespace: x}}";
    const NEW: &str = "{apiVersion: v1, kind: Pod, metadata: {name: new, namespace: x}}";
    const POLICY: &str = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x}, spec: {podSelector: {}}}";
    const ADMIN: &str = "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: nobody}, spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}]}]}}";

    fn objects(texts: &[&str]) -> Vec<Object> {
        let read = |text: &&str| Loaded::from_text(text, std::path::Path::new("-")).objects;
        texts.iter().flat_map(read).collect()
    }

    fn attempt(to: &str, verdict: Verdict) -> JudgedAttempt {
        JudgedAttempt::example("x/old", to, verdict)
    }

    fn of_start(before: &[&str], objects_then: &[&str]) -> Option<Watch> {
        let mut state = ClusterState::default();
        state.apply(objects(before));
        Watch::of_start(&state.snapshot(), &[], &objects(objects_then))
    }

    #[test]
    fn only_pods_that_come_alone_and_where_nobody_denies_by_peers_must_be_closed_at_once() {
        assert!(of_start(&[OLD, POLICY], &[NEW]).is_some());
        assert!(
            of_start(&[OLD], &[NEW, POLICY]).is_none(),
            "the policy may take its time"
        );
        assert!(of_start(&[OLD, POLICY], &[OLD]).is_none(), "nobody starts");
        assert!(
            of_start(&[OLD, ADMIN], &[NEW]).is_none(),
            "who is denied is learnt when it comes"
        );
        let gone = objects(&[OLD]).iter().map(Object::key).collect::<Vec<_>>();
        let state = ClusterState::default();
        assert!(Watch::of_start(&state.snapshot(), &gone, &objects(&[NEW])).is_none());
    }

    #[test]
    fn a_start_counts_leaks_of_its_pods_and_a_restart_every_violation() {
        let ms = Duration::from_millis;
        let mut start = of_start(&[OLD, POLICY], &[NEW]).unwrap();
        start.see(
            &[attempt("x/new", Verdict::Leak), attempt("x/other", Verdict::Leak)],
            ms(3),
        );
        start.see(&[attempt("x/new", Verdict::Overblock)], ms(5));
        let (moment, wrong) = start.end(2, &[attempt("x/new", Verdict::Enforced)]).unwrap();
        assert_eq!(
            (moment.seen.attempts, moment.seen.leaks, moment.seen.overblocks),
            (2, 1, 0)
        );
        assert_eq!(moment.seen.last_wrong_micros, Some(3000));
        assert_eq!(wrong.len(), 1);

        let untold = attempt("x/c", Verdict::Inconclusive);
        let lost_once = attempt("x/d", Verdict::Overblock);
        let began = KernelTime(0);
        let rounds = [
            (
                began.plus(ms(1)),
                vec![
                    attempt("x/a", Verdict::Leak),
                    attempt("x/b", Verdict::Overblock),
                    untold,
                ],
            ),
            (
                began.plus(ms(2)),
                vec![attempt("x/b", Verdict::Overblock), lost_once],
            ),
        ];
        let mut restart = Watch::of_restart(&rounds, began);
        restart.see(&[attempt("x/c", Verdict::Enforced)], ms(3));
        let (moment, wrong) = restart.end(2, &[attempt("x/a", Verdict::Leak)]).unwrap();
        let seen = moment.seen;
        assert_eq!(
            (seen.leaks, seen.overblocks, seen.lost, seen.unknown),
            (1, 1, 1, 1)
        );
        assert_eq!(wrong.len(), 1, "what is wrong in the end is counted there");
    }
}
