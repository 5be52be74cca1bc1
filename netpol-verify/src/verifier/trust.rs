//! How far the cluster as it was told can be trusted: what nobody has listed yet, what has broken, what nobody may read.

use std::time::Duration;

use crate::{
    cluster::{Followed, Kind, Standing},
    net::KernelTime,
};

/// Whoever follows notices a dead connection and tells; should that ever fail, what is so old is not believed.
const SILENCE: Duration = Duration::from_secs(900);

/// Why verdicts cannot be given, as far as they cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Nothing can be judged yet: what has not been listed.
    pub awaited: Option<String>,
    /// Nothing can be judged now: what policies or pods depend on is not up to date.
    pub stale: Option<String>,
    /// Only attempts between watched pods can be judged: nodes or Services are not up to date.
    pub ends_unknown: Option<String>,
}

impl Trust {
    /// As things stand at a moment.
    #[must_use]
    pub fn of(followed: &Followed, now: KernelTime) -> Self {
        let mut trust = Self::default();
        if !followed.is_complete() {
            let awaited: Vec<String> = followed
                .standings()
                .filter(|(_, standing)| standing.heard().is_none())
                .map(|(kind, standing)| match standing {
                    Standing::Broken { why, .. } => format!("{kind}: {why}"),
                    Standing::Awaited | Standing::Known { .. } | Standing::Absent { .. } => kind.to_string(),
                })
                .collect();
            trust.awaited = Some(format!("not listed yet: {}", awaited.join("; ")));
        }
        for (kind, standing) in followed.standings() {
            let Some(why) = doubt(kind, standing, now) else {
                continue;
            };
            let slot = match kind {
                Kind::Node | Kind::Service | Kind::EndpointSlice => &mut trust.ends_unknown,
                Kind::Namespace | Kind::Pod | Kind::NetworkPolicy | Kind::AdminPolicy(_) => &mut trust.stale,
            };
            slot.get_or_insert(why);
        }
        trust
    }
}

/// Why a kind is not up to date.
fn doubt(kind: Kind, standing: &Standing, now: KernelTime) -> Option<String> {
    match standing {
        Standing::Awaited => None,
        Standing::Known { heard } => {
            let age = now.since(*heard);
            (age > SILENCE).then(|| format!("nothing was heard of {kind} objects for {} s", age.as_secs()))
        }
        Standing::Broken { since, heard, why } => {
            let age = now.since(heard.unwrap_or(*since)).as_secs();
            Some(format!("what is known of {kind} objects is {age} s old: {why}"))
        }
        Standing::Absent { lacks, .. } => lacks
            .as_ref()
            .map(|lacks| format!("{kind} objects are not known: {lacks}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Trust;
    use crate::{
        cluster::{Followed, Kind, LiveError, Told},
        net::KernelTime,
    };

    const SECOND: u64 = 1_000_000_000;

    fn listed() -> Followed {
        let mut followed = Followed::default();
        let kinds: Vec<Kind> = followed.standings().map(|(kind, _)| kind).collect();
        for kind in kinds {
            let keys = BTreeSet::new();
            followed.take(Told::Listed { kind, keys }, KernelTime(SECOND));
        }
        followed
    }

    fn broken(kind: Kind) -> Told {
        let why = LiveError::Unreachable {
            server: "https://s".to_owned(),
            cause: "gone".to_owned(),
        };
        Told::Broken { kind, why }
    }

    #[test]
    fn before_everything_is_listed_nothing_is_judged() {
        let trust = Trust::of(&Followed::default(), KernelTime(5));
        assert!(trust.awaited.unwrap().contains("NetworkPolicy"));
        assert_eq!(Trust::of(&listed(), KernelTime(2 * SECOND)), Trust::default());
    }

    #[test]
    fn a_broken_watch_of_policies_is_told_with_its_age_and_recovers_by_a_list() {
        let mut followed = listed();
        followed.take(broken(Kind::NetworkPolicy), KernelTime(40 * SECOND));
        let stale = Trust::of(&followed, KernelTime(41 * SECOND)).stale.unwrap();
        assert!(stale.contains("NetworkPolicy objects is 40 s old"), "{stale}");
        let keys = BTreeSet::new();
        let kind = Kind::NetworkPolicy;
        followed.take(Told::Listed { kind, keys }, KernelTime(50 * SECOND));
        assert_eq!(Trust::of(&followed, KernelTime(51 * SECOND)).stale, None);
    }

    #[test]
    fn nodes_that_are_not_known_leave_pods_to_be_judged() {
        let mut followed = listed();
        followed.take(broken(Kind::Node), KernelTime(40 * SECOND));
        let trust = Trust::of(&followed, KernelTime(41 * SECOND));
        assert!(trust.stale.is_none() && trust.ends_unknown.is_some());
    }

    #[test]
    fn a_server_that_is_silent_for_long_is_not_believed() {
        let trust = Trust::of(&listed(), KernelTime(902 * SECOND));
        assert!(trust.stale.unwrap().contains("for 901 s"));
    }
}
