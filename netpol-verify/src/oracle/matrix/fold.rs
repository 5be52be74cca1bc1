//! Rows and columns that fit: ends with the same answers share one.

use std::collections::BTreeMap;

use super::{
    answers::{Asked, Cell, Word, grouped},
    view::{By, View},
};

/// More groups than this are not compared with each other; each is a row of its own then.
const COMPARED: usize = 2000;

/// A row or a column.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) label: String,
    /// How many pods or addresses it stands for.
    pub(super) size: usize,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Member(u32),
    Groups(Vec<u32>),
}

/// Rows and columns.
#[derive(Debug)]
pub(super) struct Axes {
    pub(super) rows: Vec<Unit>,
    pub(super) columns: Vec<Unit>,
    /// Whether ends that are asked for one by one share a row or column.
    pub(super) is_folded: bool,
}

/// What a row and a column are answered: each answer with its number of pairs.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(BTreeMap<Cell, u64>);

impl Tally {
    fn add(&mut self, cell: Cell, pairs: u64) {
        if !cell.is_empty() {
            *self.0.entry(cell).or_default() += pairs;
        }
    }

    /// The one answer of all pairs, where they agree.
    pub(super) fn cell(&self) -> Option<Cell> {
        let mut cells = self.0.keys();
        cells.next().copied().filter(|_| cells.next().is_none())
    }

    /// The one word of all pairs, where they agree.
    pub(super) fn word(&self) -> Option<Word> {
        self.cell()?.word()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many pairs are open for certain, and how many there are.
    pub(super) fn allowed(&self) -> (u64, u64) {
        (
            self.pairs(|cell| cell.word() == Some(Word::Allow)),
            self.pairs(|_| true),
        )
    }

    /// In words: `3 of 9` are allowed where pairs do not agree; what nobody can tell is counted apart.
    pub(super) fn text(&self) -> String {
        if self.is_empty() {
            return "–".to_owned();
        }
        if let Some(cell) = self.cell() {
            return cell.text();
        }
        let (allowed, all) = self.allowed();
        let open = self.pairs(|cell| cell.word() == Some(Word::Unspecified));
        let open = if open > 0 {
            format!(", {} unspecified", grouped(open))
        } else {
            String::new()
        };
        format!("{} of {}{open}", grouped(allowed), grouped(all))
    }

    fn pairs(&self, of: impl Fn(Cell) -> bool) -> u64 {
        let taken = self.0.iter().filter(|(cell, _)| of(**cell));
        taken.map(|(_, pairs)| pairs).sum()
    }
}

impl Axes {
    /// One row and column an end where that fits, else ends with the same answers together.
    pub(super) fn new(view: &View<'_>, asked: &Asked<'_>, fits: impl Fn(&[Unit], &[Unit]) -> bool) -> Self {
        let (rows, columns) = match view.by {
            By::Pod => (view.singles(true), view.singles(false)),
            By::Workload => (view.by_workload(true), view.by_workload(false)),
        };
        if fits(&rows, &columns) {
            return Self {
                rows,
                columns,
                is_folded: false,
            };
        }
        let (rows, columns) = view.folded(asked);
        Self {
            rows,
            columns,
            is_folded: true,
        }
    }
}

impl View<'_> {
    /// What a row and a column are answered.
    pub(super) fn tally(&self, asked: &Asked<'_>, from: &Unit, to: &Unit) -> Tally {
        let mut tally = Tally::default();
        match (&from.what, &to.what) {
            (What::Groups(from), What::Groups(to)) => {
                for one in from {
                    for other in to {
                        self.meetings(*one, *other, |meeting| {
                            tally.add(asked.cell(meeting.from, meeting.to), meeting.pairs);
                        });
                    }
                }
            }
            (What::Member(one), What::Member(other)) if one != other => {
                let member = |at: u32| self.members.get(at as usize);
                if let (Some(from), Some(to)) = (member(*one), member(*other))
                    && let (Some(source), Some(target)) = (
                        self.groups.get(from.group as usize),
                        self.groups.get(to.group as usize),
                    )
                    && self.is_shown(source, target)
                {
                    tally.add(asked.cell(from.spot, to.spot), 1);
                }
            }
            _ => {}
        }
        tally
    }

    fn takes_part(&self, group: u32, as_source: bool) -> bool {
        self.groups.get(group as usize).is_some_and(|group| {
            if as_source {
                group.is_source
            } else {
                group.is_target
            }
        })
    }

    fn singles(&self, as_source: bool) -> Vec<Unit> {
        (0..)
            .zip(&self.members)
            .filter(|(_, member)| self.takes_part(member.group, as_source))
            .map(|(number, member)| Unit {
                label: member.label.clone(),
                size: 1,
                what: What::Member(number),
            })
            .collect()
    }

    fn by_workload(&self, as_source: bool) -> Vec<Unit> {
        let taken = |groups: &[u32]| -> Vec<u32> {
            let part = groups.iter().copied();
            part.filter(|group| self.takes_part(*group, as_source)).collect()
        };
        self.workloads
            .iter()
            .map(|(name, groups)| (name, taken(groups)))
            .filter(|(_, groups)| !groups.is_empty())
            .map(|(name, groups)| Unit {
                label: name.clone(),
                size: self.size(&groups),
                what: What::Groups(groups),
            })
            .collect()
    }

    fn size(&self, groups: &[u32]) -> usize {
        groups
            .iter()
            .filter_map(|group| self.groups.get(*group as usize))
            .map(|group| group.members.len())
            .sum()
    }

    /// What is one end of a path in a drawing: pods that no policy tells apart, or a workload.
    pub(super) fn ends(&self) -> Vec<Unit> {
        match self.by {
            By::Pod => self.group_units(),
            By::Workload => {
                let of = |(name, groups): &(String, Vec<u32>)| Unit {
                    label: name.clone(),
                    size: self.size(groups),
                    what: What::Groups(groups.clone()),
                };
                self.workloads.iter().map(of).collect()
            }
        }
    }

    /// The namespace of a unit of groups; none of what is outside the cluster.
    pub(super) fn namespace_of(&self, unit: &Unit) -> Option<&str> {
        let What::Groups(groups) = &unit.what else {
            return None;
        };
        let group = self.groups.get(*groups.first()? as usize)?;
        let member = self.members.get(*group.members.first()? as usize)?;
        member.namespace.as_deref()
    }

    /// Each group as a unit of its own.
    pub(super) fn group_units(&self) -> Vec<Unit> {
        (0..self.groups.len() as u32)
            .map(|group| self.unit(vec![group]))
            .collect()
    }

    /// Groups with the same answers together, as sources and as destinations.
    fn folded(&self, asked: &Asked<'_>) -> (Vec<Unit>, Vec<Unit>) {
        let all: Vec<u32> = (0..self.groups.len() as u32).collect();
        let axis = |as_source: bool| -> Vec<Unit> {
            let taken = all.iter().copied();
            let groups: Vec<u32> = taken.filter(|group| self.takes_part(*group, as_source)).collect();
            if self.groups.len() > COMPARED {
                return groups.into_iter().map(|group| self.unit(vec![group])).collect();
            }
            let mut units: Vec<(Vec<u32>, Vec<u32>)> = Vec::new();
            for group in groups {
                let answers: Vec<u32> = all
                    .iter()
                    .map(|other| {
                        let (from, to) = if as_source {
                            (group, *other)
                        } else {
                            (*other, group)
                        };
                        self.sign(asked, from, to)
                    })
                    .collect();
                match units.iter_mut().find(|(_, same)| agree(same, &answers)) {
                    Some((groups, same)) => {
                        groups.push(group);
                        for (one, other) in same.iter_mut().zip(answers) {
                            *one |= other;
                        }
                    }
                    None => units.push((vec![group], answers)),
                }
            }
            units.into_iter().map(|(groups, _)| self.unit(groups)).collect()
        };
        (axis(true), axis(false))
    }

    /// The answers of two groups in a number; 0 where there is no pair, which agrees with everything.
    fn sign(&self, asked: &Asked<'_>, from: u32, to: u32) -> u32 {
        let mut sign = 0;
        self.meetings(from, to, |meeting| {
            sign = sign << 8 | asked.cell(meeting.from, meeting.to).code()
        });
        sign
    }

    pub(super) fn unit(&self, groups: Vec<u32>) -> Unit {
        let mut members: Vec<u32> = groups
            .iter()
            .filter_map(|group| self.groups.get(*group as usize))
            .flat_map(|group| &group.members)
            .copied()
            .collect();
        members.sort_unstable();
        Unit {
            label: self.label(&members),
            size: members.len(),
            what: What::Groups(groups),
        }
    }

    /// What several members are called together.
    fn label(&self, numbers: &[u32]) -> String {
        let mut members = numbers
            .iter()
            .filter_map(|number| self.members.get(*number as usize));
        let Some(first) = members.next() else {
            return "–".to_owned();
        };
        let count = numbers.len();
        if count == 1 {
            return first.label.clone();
        }
        let pods = grouped(count as u64);
        let (mut same_workload, mut same_namespace) = (first.workload.is_some(), first.namespace.is_some());
        for member in members {
            same_namespace &= member.namespace == first.namespace;
            same_workload &= same_namespace && member.workload == first.workload;
        }
        if let (true, Some(namespace)) = (same_namespace, &first.namespace) {
            if let (true, Some(workload)) = (same_workload, &first.workload) {
                return format!("{namespace}/{workload} ({pods} pods)");
            }
            let there = self
                .members
                .iter()
                .filter(|member| member.namespace == first.namespace);
            if there.count() == count {
                return format!("{namespace}/* ({pods} pods)");
            }
        }
        format!("{} and {} more", first.label, grouped(count as u64 - 1))
    }
}

fn agree(one: &[u32], other: &[u32]) -> bool {
    one.iter()
        .zip(other)
        .all(|(one, other)| one == other || *one == 0 || *other == 0)
}
