//! A comparison for people: on a terminal, and as Markdown for a pull request.

use std::collections::{BTreeMap, HashMap};

use super::{
    answers::grouped,
    diff::{Changed, Diff, Effect},
    port::Port,
    table::sentence,
};
use crate::{
    cluster::ObjectName,
    report::{Style, escape},
};

const MOST_LINES: usize = 100;
const MOST_NAMES: usize = 3;
const MOST_PODS: usize = 10;

/// Changes of one kind in a line: every source meets every destination.
struct Line {
    effect: Effect,
    from: String,
    to: String,
    ports: String,
    before: String,
    after: String,
    pairs: u64,
}

impl Effect {
    const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::BecameUnspecified => "unspecified",
        }
    }
}

impl Diff<'_, '_> {
    /// For a terminal.
    #[must_use]
    pub fn table(&self, style: Style) -> String {
        let mut text = String::new();
        let lines = self.lines();
        for line in lines.iter().take(MOST_LINES) {
            let effect = format!("{:<11}", line.effect.word());
            let pairs = if line.pairs > 1 {
                format!(" ({} pairs)", grouped(line.pairs))
            } else {
                String::new()
            };
            text.push_str(&format!(
                "{} {} → {} {}{pairs}\n    before: {}\n    after:  {}\n",
                style.bold(&effect),
                escape(&line.from),
                escape(&line.to),
                line.ports,
                escape(&line.before),
                escape(&line.after)
            ));
        }
        for line in self.closing(lines.len()) {
            text.push_str(&escape(&line));
            text.push('\n');
        }
        text
    }

    /// For a pull request.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::from("### What this change opens and closes\n\n");
        let lines = self.lines();
        if !lines.is_empty() {
            text.push_str("| change | from | to | port | before | after |\n|---|---|---|---|---|---|\n");
            for line in lines.iter().take(MOST_LINES) {
                let pairs = if line.pairs > 1 {
                    format!(" ({} pairs)", grouped(line.pairs))
                } else {
                    String::new()
                };
                text.push_str(&format!(
                    "| **{}**{pairs} | {} | {} | {} | {} | {} |\n",
                    line.effect.word(),
                    code(&line.from),
                    code(&line.to),
                    line.ports,
                    code(&line.before),
                    code(&line.after)
                ));
            }
            text.push('\n');
        }
        for line in self.closing(lines.len()) {
            text.push_str(&plain(&line));
            text.push_str("\n\n");
        }
        text
    }

    /// Changes with the same sources, answers and ports together.
    fn lines(&self) -> Vec<Line> {
        type Same<'a> = (Effect, Vec<Port>, &'a Changed);
        let mut sources: BTreeMap<u32, Vec<(Same<'_>, Vec<u32>, u64)>> = BTreeMap::new();
        for change in &self.changes {
            let same = (change.what.effect(), change.ports.clone(), &change.what);
            let to = sources.entry(change.to).or_default();
            match to.iter_mut().find(|(other, ..)| *other == same) {
                Some((_, from, pairs)) => {
                    from.push(change.from);
                    *pairs += change.pairs;
                }
                None => to.push((same, vec![change.from], change.pairs)),
            }
        }
        let mut merged: Vec<(Same<'_>, Vec<u32>, Vec<u32>, u64)> = Vec::new();
        let mut places: HashMap<(Vec<u32>, Changed, Vec<Port>), usize> = HashMap::new();
        for (to, changes) in sources {
            for (same, from, pairs) in changes {
                let key = (from.clone(), same.2.clone(), same.1.clone());
                match places.get(&key).and_then(|at| merged.get_mut(*at)) {
                    Some((_, _, targets, count)) => {
                        targets.push(to);
                        *count += pairs;
                    }
                    None => {
                        places.insert(key, merged.len());
                        merged.push((same, from, vec![to], pairs));
                    }
                }
            }
        }
        let mut lines: Vec<Line> = merged
            .into_iter()
            .map(|((effect, ports, changed), from, to, pairs)| {
                let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                let over = changed
                    .family
                    .map(|family| format!(" over {family}"))
                    .unwrap_or_default();
                Line {
                    effect,
                    from: self.names(from),
                    to: self.names(to),
                    ports: format!("{}{over}", ports.join(", ")),
                    before: sentence(&changed.before),
                    after: sentence(&changed.after),
                    pairs,
                }
            })
            .collect();
        lines.sort_by(|one, other| {
            let key = |line: &Line| (line.effect, line.from.clone(), line.to.clone());
            key(one).cmp(&key(other))
        });
        lines
    }

    fn names(&self, mut groups: Vec<u32>) -> String {
        if groups.len() > MOST_NAMES {
            return self.view.unit(groups).label;
        }
        groups.sort_unstable();
        let labels = groups.into_iter().map(|group| self.view.unit(vec![group]).label);
        labels.collect::<Vec<_>>().join(", ")
    }

    fn closing(&self, lines: usize) -> Vec<String> {
        let mut text = Vec::new();
        if lines > MOST_LINES {
            let more = grouped((lines - MOST_LINES) as u64);
            text.push(format!("and {more} more lines; -o json has every pair."));
        }
        let count = |effect| grouped(self.count(effect));
        text.push(if self.is_empty() {
            let ports: Vec<String> = self
                .ports
                .iter()
                .take(MOST_PODS)
                .map(ToString::to_string)
                .collect();
            let more = if self.ports.len() > MOST_PODS {
                " and others"
            } else {
                ""
            };
            format!("No pair is answered otherwise on {}{more}.", ports.join(", "))
        } else {
            format!(
                "{} opened, {} closed, {} became unspecified (pairs of pods, each port counted)",
                count(Effect::Opened),
                count(Effect::Closed),
                count(Effect::BecameUnspecified)
            )
        });
        for (pods, when) in [(self.removed(), "before"), (self.added(), "after")] {
            if !pods.is_empty() {
                let names: Vec<String> = pods.iter().take(MOST_PODS).map(ObjectName::to_string).collect();
                let more = pods.len().saturating_sub(MOST_PODS);
                let more = if more > 0 {
                    format!(" and {} more", grouped(more as u64))
                } else {
                    String::new()
                };
                text.push(format!(
                    "Only {when}, so that their pairs are not compared: {}{more}",
                    names.join(", ")
                ));
            }
        }
        text
    }
}

/// A code span that no text in it can leave.
fn code(text: &str) -> String {
    let safe = escape(text).replace('`', "'").replace('|', "\\|");
    format!("`{safe}`")
}

/// A sentence in which nothing means anything to Markdown.
fn plain(text: &str) -> String {
    let mut safe = String::new();
    for character in escape(text).chars() {
        if "\\`*_{}[]<>#|!&@~".contains(character) {
            safe.push('\\');
        }
        safe.push(character);
    }
    safe
}
