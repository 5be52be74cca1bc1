//! The rows of a matrix one after the other: nothing is held but the answers of groups, so that 100 million rows are no
//! matter of memory.

use std::{collections::BTreeMap, hash::Hash, io};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    answers::{Answer, Answers, Word},
    port::Port,
    view::{By, Member, Spot, View},
};
use crate::{
    net::{Family, Protocol},
    policy::Unspecified,
};

/// What the policies require.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Expect {
    /// A conformant CNI must let it through.
    Allow,
    /// A conformant CNI must stop it.
    Deny,
    /// The API leaves it open.
    Unspecified,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Who opens the connection: `namespace/pod`, by workload `namespace/kind/name`, or a block of addresses.
    pub from: String,
    /// To whom.
    pub to: String,
    /// The protocol and what is answered.
    #[serde(flatten)]
    pub answer: RowAnswer,
}

/// The part of a row that many pairs share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowAnswer {
    /// The protocol.
    pub protocol: Protocol,
    /// The port at the destination pod.
    pub port: u16,
    /// The address family; only where the two differ in the answer or in who decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// What the policies require.
    pub expect: Expect,
    /// Who decides: rules and policies, or why the API leaves it open.
    pub by: Vec<String>,
    /// Which rule leaves it open; only where `expect` is `Unspecified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Unspecified>,
    /// By workload only: how many pairs of pods have this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<u64>,
}

/// How a format writes rows: the parts once, whole rows by putting parts together.
pub(super) trait Parts<A> {
    /// A name as the first part of a row.
    fn from(&self, name: &str) -> io::Result<Vec<u8>>;
    /// A name as the second part.
    fn to(&self, name: &str) -> io::Result<Vec<u8>>;
    /// The rest of a row, its end included; `pairs` are counted where workloads are asked for.
    fn answer(&self, port: Port, answer: &A, pairs: Option<u64>) -> io::Result<Vec<u8>>;
}

impl From<Word> for Expect {
    fn from(word: Word) -> Self {
        match word {
            Word::Allow => Self::Allow,
            Word::Deny => Self::Deny,
            Word::Unspecified => Self::Unspecified,
        }
    }
}

impl RowAnswer {
    pub(super) fn new(port: Port, answer: &Answer, pairs: Option<u64>) -> Self {
        Self {
            protocol: port.protocol,
            port: port.number,
            family: answer.family,
            expect: answer.word.into(),
            by: answer.by.clone(),
            why: answer.why,
            pairs,
        }
    }
}

/// Writes every row of the view on one port; `ask` gives what a pair has to show, each in a row of its own.
pub(super) fn write<A: Clone + Eq + Hash>(
    view: &View<'_>,
    port: Port,
    ask: &impl Fn(Spot, Spot) -> Vec<A>,
    parts: &impl Parts<A>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    match view.by {
        By::Pod => pods(view, port, ask, parts, out),
        By::Workload => workloads(view, port, ask, parts, out),
    }
}

fn pods<A: Clone + Eq + Hash>(
    view: &View<'_>,
    port: Port,
    ask: &impl Fn(Spot, Spot) -> Vec<A>,
    parts: &impl Parts<A>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let mut answers = Answers::default();
    let mut tails: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut lines = Lines::new(view, parts)?;
    let mut cache = Cache::new(view);
    for from in &view.members {
        lines.start(from, parts)?;
        let mut number = |from: &Member, to: &Member| answers.intern(ask(from.spot, to.spot));
        cache.each(view, from, &mut number, |to, number| lines.put(to, number));
        for answer in answers.since(tails.len()) {
            let rows = answer.iter().map(|one| parts.answer(port, one, None));
            tails.push(rows.collect::<io::Result<_>>()?);
        }
        lines.finish(&tails, out)?;
    }
    Ok(())
}

/// The rows of one source, gathered and written at once.
struct Lines {
    from: Vec<u8>,
    to: Vec<Vec<u8>>,
    pairs: Vec<(u32, u32)>,
    buffer: Vec<u8>,
}

impl Lines {
    fn new<A>(view: &View<'_>, parts: &impl Parts<A>) -> io::Result<Self> {
        let to: io::Result<Vec<Vec<u8>>> = view
            .members
            .iter()
            .map(|member| parts.to(&member.label))
            .collect();
        Ok(Self {
            from: Vec::new(),
            to: to?,
            pairs: Vec::new(),
            buffer: Vec::new(),
        })
    }

    fn start<A>(&mut self, from: &Member, parts: &impl Parts<A>) -> io::Result<()> {
        self.from = parts.from(&from.label)?;
        self.pairs.clear();
        Ok(())
    }

    fn put(&mut self, to: u32, answer: u32) {
        self.pairs.push((to, answer));
    }

    fn finish(&mut self, tails: &[Vec<Vec<u8>>], out: &mut impl io::Write) -> io::Result<()> {
        const ENOUGH: usize = 1 << 18;
        self.buffer.clear();
        for (to, answer) in &self.pairs {
            let Some((to, tails)) = self.to.get(*to as usize).zip(tails.get(*answer as usize)) else {
                continue;
            };
            for tail in tails {
                self.buffer.extend_from_slice(&self.from);
                self.buffer.extend_from_slice(to);
                self.buffer.extend_from_slice(tail);
            }
            if self.buffer.len() > ENOUGH {
                out.write_all(&self.buffer)?;
                self.buffer.clear();
            }
        }
        out.write_all(&self.buffer)
    }
}

const UNASKED: u32 = u32::MAX;

/// The answers of each group that has members yet to come.
struct Cache {
    rows: Vec<Vec<u32>>,
    left: Vec<usize>,
}

impl Cache {
    fn new(view: &View<'_>) -> Self {
        Self {
            rows: vec![Vec::new(); view.groups.len()],
            left: view.groups.iter().map(|group| group.members.len()).collect(),
        }
    }

    /// Calls with every destination of a source and the number of the answer; `ask` is called once for pairs that are alike.
    fn each(
        &mut self,
        view: &View<'_>,
        from: &Member,
        ask: &mut impl FnMut(&Member, &Member) -> u32,
        mut each: impl FnMut(u32, u32),
    ) {
        let at = from.group as usize;
        let (Some(group), Some(row), Some(left)) =
            (view.groups.get(at), self.rows.get_mut(at), self.left.get_mut(at))
        else {
            return;
        };
        if !group.is_source {
            return;
        }
        let ways = view.ways();
        row.resize(view.groups.len() * ways, UNASKED);
        let shown: Vec<bool> = view.groups.iter().map(|to| view.is_shown(group, to)).collect();
        for (number, to) in (0..).zip(&view.members) {
            if !shown.get(to.group as usize).is_some_and(|shown| *shown) || std::ptr::eq(from, to) {
                continue;
            }
            let slot = to.group as usize * ways + view.relation(from, to);
            let Some(answer) = row.get_mut(slot) else { continue };
            if *answer == UNASKED {
                *answer = ask(from, to);
            }
            each(number, *answer);
        }
        *left -= 1;
        if *left == 0 {
            *row = Vec::new();
        }
    }
}

fn workloads<A: Clone + Eq + Hash>(
    view: &View<'_>,
    port: Port,
    ask: &impl Fn(Spot, Spot) -> Vec<A>,
    parts: &impl Parts<A>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let to: io::Result<Vec<Vec<u8>>> = view.workloads.iter().map(|(name, _)| parts.to(name)).collect();
    let to = to?;
    let mut answers = Answers::default();
    let mut buffer = Vec::new();
    for (name, sources) in &view.workloads {
        let from = parts.from(name)?;
        for ((_, targets), to) in view.workloads.iter().zip(&to) {
            let mut found: BTreeMap<u32, u64> = BTreeMap::new();
            for one in sources {
                for other in targets {
                    view.meetings(*one, *other, |meeting| {
                        for answer in ask(meeting.from, meeting.to) {
                            *found.entry(answers.intern(vec![answer])).or_default() += meeting.pairs;
                        }
                    });
                }
            }
            for (number, pairs) in found {
                for answer in answers.get(number) {
                    buffer.extend_from_slice(&from);
                    buffer.extend_from_slice(to);
                    buffer.extend_from_slice(&parts.answer(port, answer, Some(pairs))?);
                }
            }
        }
        out.write_all(&buffer)?;
        buffer.clear();
    }
    Ok(())
}
