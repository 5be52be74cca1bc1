//! What a pair is answered: quickly as a cell, in full with who decides.

use std::{collections::HashMap, hash::Hash};

use super::{
    port::Port,
    view::{Meeting, Spot, View},
};
use crate::{
    net::Family,
    policy::{Decision, End, Expectation, Matrix, PolicySet, Traffic, Unspecified},
};

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// What a pair is answered in each address family, without reasons: one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Cell(u8);

/// The answer in one family, without reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Word {
    Allow,
    Deny,
    Unspecified,
}

/// What a pair is answered in one family, or in both where they agree, and who decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Answer {
    /// Only where the two families differ.
    pub(super) family: Option<Family>,
    pub(super) word: Word,
    pub(super) why: Option<Unspecified>,
    pub(super) by: Vec<String>,
}

/// One port of one cluster, to be asked.
pub(super) struct Asked<'a> {
    matrix: Matrix<'a>,
    cluster: usize,
}

/// Answers in full, each kept once.
#[derive(Debug)]
pub(super) struct Answers<A> {
    all: Vec<Vec<A>>,
    numbers: HashMap<Vec<A>, u32>,
}

impl<A> Default for Answers<A> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

/// How many pairs are answered what. Exact, whatever the number of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All pairs that have an address family in common.
    pub pairs: u64,
    /// Open in every family they have in common.
    pub allowed: u64,
    /// Closed, likewise.
    pub denied: u64,
    /// Left open by the API, likewise.
    pub unspecified: u64,
    /// Answered differently over IPv4 and IPv6.
    pub differ: u64,
}

impl Word {
    pub(super) const fn of(expectation: Expectation) -> Self {
        match expectation {
            Expectation::Allow => Self::Allow,
            Expectation::Deny => Self::Deny,
            Expectation::Unspecified(_) => Self::Unspecified,
        }
    }

    /// As a sentence says it.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Unspecified => "unspecified",
        }
    }
}

impl Cell {
    pub(super) fn new(words: [Option<Word>; 2]) -> Self {
        let code = |word: Option<Word>| word.map_or(0, |word| word as u8 + 1);
        Self(code(words[0]) | code(words[1]) << 4)
    }

    /// A number of eight bits that is 0 only where the pair has no family in common.
    pub(super) fn code(self) -> u32 {
        self.0.into()
    }

    /// Over IPv4 and over IPv6.
    pub(super) fn words(self) -> [Option<Word>; 2] {
        [self.0 & 15, self.0 >> 4].map(|code| match code {
            0 => None,
            1 => Some(Word::Allow),
            2 => Some(Word::Deny),
            _ => Some(Word::Unspecified),
        })
    }

    /// The one answer; none where the families differ or there is no such pair.
    pub(super) fn word(self) -> Option<Word> {
        match self.words() {
            [Some(one), Some(other)] if one != other => None,
            [one, other] => one.or(other),
        }
    }

    /// Whether there is no address family that both ends have.
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In words.
    pub(super) fn text(self) -> String {
        match (self.word(), self.words()) {
            (Some(word), _) => word.text().to_owned(),
            (None, [Some(one), Some(other)]) => format!("{} IPv4, {} IPv6", one.text(), other.text()),
            (None, _) => "–".to_owned(),
        }
    }
}

impl Counts {
    pub(super) fn add(&mut self, cell: Cell, pairs: u64) {
        if cell.is_empty() {
            return;
        }
        self.pairs += pairs;
        *match cell.word() {
            Some(Word::Allow) => &mut self.allowed,
            Some(Word::Deny) => &mut self.denied,
            Some(Word::Unspecified) => &mut self.unspecified,
            None => &mut self.differ,
        } += pairs;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} pairs: {} allowed, {} denied, {} unspecified",
            grouped(self.pairs),
            grouped(self.allowed),
            grouped(self.denied),
            grouped(self.unspecified)
        )?;
        if self.differ > 0 {
            write!(f, ", {} differ between IPv4 and IPv6", grouped(self.differ))?;
        }
        Ok(())
    }
}

/// Thousands apart: `9,996`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl<'a> Asked<'a> {
    /// One port of a view's first (0) or second (1) cluster.
    pub(super) fn new(view: &View<'a>, cluster: usize, port: Port) -> Option<Self> {
        let matrix = view.clusters.get(cluster)?.set.matrix(port.protocol, port.number);
        Some(Self { matrix, cluster })
    }

    /// The cell of a pair.
    pub(super) fn cell(&self, from: Spot, to: Spot) -> Cell {
        Cell::new(match (from, to) {
            (Spot::Pod(from), Spot::Pod(to)) => FAMILIES.map(|family| {
                let answer = self.matrix.expect(from[self.cluster], to[self.cluster], family)?;
                Some(Word::of(answer))
            }),
            _ => self
                .decide(from, to)
                .map(|decision| decision.map(|decision| Word::of(decision.expectation))),
        })
    }

    /// The answer of a pair in full: none where they have no family in common, two where the families differ.
    pub(super) fn answer(&self, from: Spot, to: Spot) -> Vec<Answer> {
        let answers = self
            .decide(from, to)
            .map(|decision| decision.map(|decision| Answer::of(&decision)));
        match answers {
            [Some(one), Some(other)] if one == other => vec![one],
            [Some(mut one), Some(mut other)] => {
                (one.family, other.family) = (Some(Family::Ipv4), Some(Family::Ipv6));
                vec![one, other]
            }
            [one, other] => one.or(other).into_iter().collect(),
        }
    }

    /// Over IPv4 and over IPv6; none where an end has no such address.
    pub(super) fn decide(&self, from: Spot, to: Spot) -> [Option<Decision>; 2] {
        FAMILIES.map(|family| {
            let (from, to) = (self.end(from, family)?, self.end(to, family)?);
            let (protocol, port) = self.matrix.port();
            Some(self.set().decide(&Traffic::direct(from, to, protocol, port)))
        })
    }

    fn end(&self, spot: Spot, family: Family) -> Option<End> {
        match spot {
            Spot::Pod(pod) => self.set().end(pod[self.cluster], family),
            Spot::Outside(address) => (Family::of(address) == family).then_some(End::Address(address)),
        }
    }

    fn set(&self) -> &'a PolicySet {
        self.matrix.set()
    }
}

impl Answer {
    pub(super) fn of(decision: &Decision) -> Self {
        Self {
            family: None,
            word: Word::of(decision.expectation),
            why: match decision.expectation {
                Expectation::Unspecified(rule) => Some(rule),
                Expectation::Allow | Expectation::Deny => None,
            },
            by: decision.by(),
        }
    }
}

impl<A: Clone + Eq + Hash> Answers<A> {
    pub(super) fn intern(&mut self, answer: Vec<A>) -> u32 {
        if let Some(found) = self.numbers.get(&answer) {
            return *found;
        }
        let next = self.all.len() as u32;
        self.numbers.insert(answer.clone(), next);
        self.all.push(answer);
        next
    }

    pub(super) fn get(&self, number: u32) -> &[A] {
        self.all.get(number as usize).map_or(&[], Vec::as_slice)
    }

    /// The answers that came since there were `known` of them.
    pub(super) fn since(&self, known: usize) -> &[Vec<A>] {
        self.all.get(known..).unwrap_or_default()
    }
}

impl View<'_> {
    /// The counts of one port in the first cluster.
    #[must_use]
    pub fn counts(&self, port: Port) -> Counts {
        let mut counts = Counts::default();
        if let Some(asked) = Asked::new(self, 0, port) {
            self.each_meeting(|_, _, meeting| {
                counts.add(asked.cell(meeting.from, meeting.to), meeting.pairs)
            });
        }
        counts
    }

    /// Calls with the groups and the meeting of everything that is shown.
    pub(super) fn each_meeting(&self, mut each: impl FnMut(u32, u32, Meeting)) {
        for from in self.sources() {
            for to in 0..self.groups.len() as u32 {
                self.meetings(from, to, |meeting| each(from, to, meeting));
            }
        }
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = u32> + '_ {
        (0..)
            .zip(&self.groups)
            .filter(|(_, group)| group.is_source)
            .map(|(number, _)| number)
    }
}
