//! Which paths between pods are probed where there are more than may be: every pod first, then every kind of pair alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{cluster::ObjectName, net::Protocol, random::SplitMix, suite::Attempt};

/// How many draws an asked path may cost before what is left is taken in order.
const DRAWS: usize = 16;

/// A pod that can be probed.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) name: ObjectName,
    /// One of each family at most.
    pub(super) addresses: Vec<IpAddr>,
    /// The ports it is asked on.
    pub(super) ports: Vec<(Protocol, u16)>,
    /// The same for pods that no policy can tell apart.
    pub(super) kind: usize,
}

/// The paths that were chosen, of how many.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) attempts: Vec<Attempt>,
    pub(super) of: u64,
}

/// A path: from which pod to which, whether by IPv4, on which of its ports.
type Choice = (usize, usize, bool, usize);

/// Takes all paths where they are no more than `most`; else as many, the same ones for the same seed: first one that leaves
/// and one that reaches each pod, one pod of each kind before the others, so that each policy that selects any decides
/// some; then pairs of kinds, each as likely as any other.
pub(super) fn sample(pods: &[Candidate], most: usize, seed: u64) -> Sample {
    let of = count(pods);
    let every = || choices(pods);
    let chosen: BTreeSet<Choice> = if of <= u64::try_from(most).unwrap_or(u64::MAX) {
        every().collect()
    } else {
        let mut draw = Draw(SplitMix(seed));
        let mut chosen = BTreeSet::new();
        for ring in rings(pods, &mut draw) {
            for (from, to) in ring.iter().zip(ring.iter().cycle().skip(1)) {
                if chosen.len() >= most {
                    break;
                }
                chosen.extend(draw.path(pods, *from, *to));
            }
        }
        let kinds: Vec<Vec<usize>> = by_kind(pods).into_values().collect();
        for _ in 0..most.saturating_mul(DRAWS) {
            if chosen.len() >= most {
                break;
            }
            let mut end = || {
                let kind = draw.one(&kinds)?;
                draw.one(kind).copied()
            };
            if let (Some(from), Some(to)) = (end(), end()) {
                chosen.extend(draw.path(pods, from, to));
            }
        }
        // Almost all are asked for, and draws hit what was drawn before.
        for choice in every() {
            if chosen.len() >= most {
                break;
            }
            chosen.insert(choice);
        }
        chosen
    };
    let attempts = chosen.into_iter().filter_map(|choice| attempt(pods, choice));
    Sample {
        attempts: attempts.collect(),
        of,
    }
}

/// How many paths there are; 10,000 pods have too many to list them.
fn count(pods: &[Candidate]) -> u64 {
    let mut all = 0_u64;
    for is_v4 in [true, false] {
        let in_family = || pods.iter().filter(|pod| pod.address(is_v4).is_some());
        let sources = u64::try_from(in_family().count().saturating_sub(1)).unwrap_or(u64::MAX);
        let doors: usize = in_family().map(|pod| pod.ports.len()).sum();
        let doors = u64::try_from(doors).unwrap_or(u64::MAX);
        all = all.saturating_add(sources.saturating_mul(doors));
    }
    all
}

/// Every path, in order.
fn choices(pods: &[Candidate]) -> impl Iterator<Item = Choice> {
    let pairs = (0..pods.len()).flat_map(|from| (0..pods.len()).map(move |to| (from, to)));
    pairs.filter(|(from, to)| from != to).flat_map(|(from, to)| {
        let families = families(pods, from, to);
        let ports = pods.get(to).map_or(0, |pod| pod.ports.len());
        families
            .into_iter()
            .flat_map(move |is_v4| (0..ports).map(move |port| (from, to, is_v4, port)))
    })
}

/// The families that both have.
fn families(pods: &[Candidate], from: usize, to: usize) -> Vec<bool> {
    let has = |index: usize, is_v4| pods.get(index).is_some_and(|pod| pod.address(is_v4).is_some());
    [true, false]
        .into_iter()
        .filter(|is_v4| has(from, *is_v4) && has(to, *is_v4))
        .collect()
}

fn attempt(pods: &[Candidate], (from, to, is_v4, port): Choice) -> Option<Attempt> {
    let (from, to) = (pods.get(from)?, pods.get(to)?);
    let (protocol, port) = *to.ports.get(port)?;
    Some(Attempt {
        from: from.name.clone(),
        from_address: from.address(is_v4)?,
        to: to.name.clone(),
        to_address: to.address(is_v4)?,
        protocol,
        port,
        dialled: None,
    })
}

fn by_kind(pods: &[Candidate]) -> BTreeMap<usize, Vec<usize>> {
    let mut kinds = BTreeMap::<usize, Vec<usize>>::new();
    for (index, pod) in pods.iter().enumerate() {
        kinds.entry(pod.kind).or_default().push(index);
    }
    kinds
}

/// One pod of each kind, and all others, shuffled. Around each ring every pod asks one and is asked by one.
fn rings(pods: &[Candidate], draw: &mut Draw) -> [Vec<usize>; 2] {
    let mut shuffled: Vec<usize> = (0..pods.len()).collect();
    shuffled.sort_by_cached_key(|_| draw.0.next());
    let mut seen = BTreeSet::new();
    let is_first = |index: &usize| pods.get(*index).is_some_and(|pod| seen.insert(pod.kind));
    let (first, mut others): (Vec<usize>, Vec<usize>) = shuffled.into_iter().partition(is_first);
    // Nobody is a ring alone.
    if first.len() == 1 || others.len() == 1 {
        others.extend(first.first());
    }
    [first, others]
}

impl Candidate {
    fn address(&self, is_v4: bool) -> Option<IpAddr> {
        self.addresses
            .iter()
            .find(|address| address.is_ipv4() == is_v4)
            .copied()
    }
}

/// The same choices for the same seed.
struct Draw(SplitMix);

impl Draw {
    fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let len = u64::try_from(of.len()).ok().filter(|len| *len > 0)?;
        of.get(usize::try_from(self.0.next() % len).ok()?)
    }

    /// One of a pair's paths.
    fn path(&mut self, pods: &[Candidate], from: usize, to: usize) -> Option<Choice> {
        if from == to {
            return None;
        }
        let is_v4 = *self.one(&families(pods, from, to))?;
        let ports: Vec<usize> = (0..pods.get(to)?.ports.len()).collect();
        Some((from, to, is_v4, *self.one(&ports)?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Candidate, sample};
    use crate::{cluster::ObjectName, net::Protocol};

    fn pods(count: u16, kinds: usize, ports: &[u16]) -> Vec<Candidate> {
        (0..count)
            .map(|number| Candidate {
                name: ObjectName::new("shop", format!("p{number}")),
                addresses: vec![
                    [10, 0, number.to_be_bytes()[0], number.to_be_bytes()[1]].into(),
                    [0xfd00, 0, 0, 0, 0, 0, 0, number].into(),
                ],
                ports: ports.iter().map(|port| (Protocol::Tcp, *port)).collect(),
                kind: usize::from(number) % kinds,
            })
            .collect()
    }

    #[test]
    fn few_paths_are_all_taken_in_order_and_none_leads_to_itself() {
        let pods = pods(3, 1, &[80, 443]);
        let found = sample(&pods, 24, 1);
        // 3 × 2 pairs, 2 ports, 2 families.
        assert_eq!((found.attempts.len(), found.of), (24, 24));
        let again = sample(&pods, 2_000, 2).attempts;
        assert_eq!(found.attempts, again);
        let is_lawful = |one: &crate::suite::Attempt| {
            one.from != one.to && one.from_address.is_ipv4() == one.to_address.is_ipv4()
        };
        assert!(found.attempts.iter().all(is_lawful));
    }

    #[test]
    fn the_count_is_what_listing_gives_also_where_pods_have_one_family() {
        let mut pods = pods(5, 2, &[80]);
        for (index, pod) in pods.iter_mut().enumerate() {
            if index % 2 == 0 {
                pod.addresses.pop();
            }
            if index == 4 {
                pod.ports.push((Protocol::Udp, 53));
            }
        }
        let found = sample(&pods, usize::MAX, 1);
        assert_eq!(u64::try_from(found.attempts.len()).unwrap(), found.of);
    }

    #[test]
    fn a_sample_is_exactly_as_large_as_asked_and_the_same_for_a_seed() {
        let pods = pods(30, 7, &[80, 443]);
        for most in [1, 20, 500, 3_479] {
            let found = sample(&pods, most, 42);
            assert_eq!((found.attempts.len(), found.of), (most, 3_480));
            let distinct: BTreeSet<String> = found.attempts.iter().map(|one| format!("{one:?}")).collect();
            assert_eq!(distinct.len(), most, "no path is taken twice");
            assert_eq!(found.attempts, sample(&pods, most, 42).attempts);
        }
        assert_ne!(sample(&pods, 500, 42).attempts, sample(&pods, 500, 43).attempts);
    }

    #[test]
    fn every_pod_is_asked_and_asks_when_there_is_a_path_for_each() {
        for (count, kinds, most) in [(300, 3, 300), (300, 300, 300), (300, 1, 301), (300, 299, 301)] {
            let pods = pods(count, kinds, &[80]);
            let found = sample(&pods, most, 5).attempts;
            let from: BTreeSet<_> = found.iter().map(|one| &one.from).collect();
            let to: BTreeSet<_> = found.iter().map(|one| &one.to).collect();
            assert_eq!((from.len(), to.len()), (300, 300), "{kinds} kinds");
        }
    }

    #[test]
    fn every_kind_is_asked_and_asks_when_there_are_fewer_paths_than_pods() {
        let pods = pods(1_000, 10, &[80]);
        let found = sample(&pods, 10, 5).attempts;
        let kinds = |names: Vec<&ObjectName>| -> BTreeSet<usize> {
            let kind = |name: &ObjectName| pods.iter().find(|pod| pod.name == *name).unwrap().kind;
            names.into_iter().map(kind).collect()
        };
        assert_eq!(kinds(found.iter().map(|one| &one.from).collect()).len(), 10);
        assert_eq!(kinds(found.iter().map(|one| &one.to).collect()).len(), 10);
    }

    #[test]
    fn a_kind_of_one_pod_is_not_lost_among_thousands() {
        let mut pods = pods(2_000, 1, &[80]);
        pods.last_mut().unwrap().kind = 1;
        let last = pods.last().unwrap().name.clone();
        let found = sample(&pods, 4_000, 9).attempts;
        let reached = found.iter().filter(|one| one.to == last).count();
        assert!(reached > 500, "{reached}");
    }

    #[test]
    fn nothing_and_one_pod_have_no_paths() {
        assert_eq!(sample(&[], 10, 1).of, 0);
        let one = sample(&pods(1, 1, &[80]), 10, 1);
        assert_eq!((one.attempts.len(), one.of), (0, 0));
    }
}
