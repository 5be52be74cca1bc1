//! The matrix for people: a grid for the ports with the same answers, and counts that leave nobody out.

use super::{
    answers::{Answer, Answers, Asked, Cell, Counts, Word, grouped},
    fold::{Axes, Tally, Unit},
    port::Port,
    view::{Meeting, View},
};
use crate::report::{Shade, Style, escape};

/// How the grids are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Grids {
    /// Colours and width.
    pub style: Style,
    /// Whether to say who decides.
    pub who: bool,
}

const MOST_ROWS: usize = 40;
/// Names break behind `/`, `-` and `.` to lines of at most this width.
const COLUMN: usize = 12;
const LABEL: usize = 20;
/// More meetings than this are not compared between ports.
const COMPARED: usize = 4_000_000;
const MOST_ANSWERS: usize = 30;
const MOST_EXAMPLES: usize = 3;

/// Ports with the same answers.
pub(super) struct Alike<'a> {
    pub(super) ports: Vec<Port>,
    pub(super) asked: Asked<'a>,
    pub(super) counts: Counts,
    seen: Option<Vec<Cell>>,
    who: Vec<u32>,
}

/// The grids as text.
#[must_use]
pub fn grids(view: &View<'_>, ports: &[Port], how: Grids) -> String {
    let mut text = String::new();
    let mut is_cut = false;
    let mut is_mixed = false;
    for alike in alike(view, ports, how.who) {
        text.push_str(&how.style.bold(&alike.title()));
        if let Some(namespace) = &view.namespace {
            text.push_str(&format!(" in {}", escape(namespace)));
        }
        text.push_str(&format!(" — {}\n", alike.counts));
        if alike.counts.pairs > 0 {
            let (grid, cut, mixed) = grid(view, &alike.asked, how.style);
            text.push_str(&grid);
            text.push('\n');
            (is_cut, is_mixed) = (is_cut | cut, is_mixed | mixed);
            if how.who {
                text.push_str(&who(view, &alike.asked));
            }
        }
        text.push('\n');
    }
    if is_mixed {
        text.push_str("`3 of 9`: of 9 pairs 3 are allowed.\n");
    }
    if is_cut {
        text.push_str(
            "Ends with the same answers share a row or a column. -n, -l, --from and --to narrow it, --by\n\
             workload gathers pods, -o csv and -o json have every pair.\n",
        );
    }
    text
}

impl Alike<'_> {
    /// Its ports in a line.
    pub(super) fn title(&self) -> String {
        let names: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
        names.join(", ")
    }
}

pub(super) fn alike<'a>(view: &View<'a>, ports: &[Port], with_who: bool) -> Vec<Alike<'a>> {
    let mut answers = Answers::default();
    let mut all: Vec<Alike<'a>> = Vec::new();
    let is_small = view.groups.len().pow(2) <= COMPARED;
    for port in ports {
        let Some(asked) = Asked::new(view, 0, *port) else {
            continue;
        };
        let mut counts = Counts::default();
        let (mut seen, mut who) = (Vec::new(), Vec::new());
        view.each_meeting(|_, _, Meeting { from, to, pairs }| {
            let cell = asked.cell(from, to);
            counts.add(cell, pairs);
            if is_small {
                seen.push(cell);
                if with_who {
                    who.push(answers.intern(asked.answer(from, to)));
                }
            }
        });
        let seen = is_small.then_some(seen);
        let same = all
            .iter_mut()
            .find(|other| seen.is_some() && other.seen == seen && other.who == who);
        match same {
            Some(other) => other.ports.push(*port),
            None => all.push(Alike {
                ports: vec![*port],
                asked,
                counts,
                seen,
                who,
            }),
        }
    }
    all
}

/// A name in lines of at most `width` characters where it has places to break.
fn broken(label: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for piece in escape(label).split_inclusive(['/', '-', '.', ' ']) {
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + piece.trim_end().chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(piece);
        }
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

fn column_width(view: &View<'_>, unit: &Unit) -> usize {
    widest(&broken(view.short(&unit.label), COLUMN)).max(5) + 3
}

fn label_width(view: &View<'_>, rows: &[Unit]) -> usize {
    let widths = rows
        .iter()
        .take(MOST_ROWS)
        .map(|unit| widest(&broken(view.short(&unit.label), LABEL)));
    widths.max().unwrap_or(0).max("from \\ to".len()) + 4
}

/// The grid, whether something is left out or shared, and whether pairs of a cell do not agree.
fn grid(view: &View<'_>, asked: &Asked<'_>, style: Style) -> (String, bool, bool) {
    let space = |rows: &[Unit]| usize::from(style.width).saturating_sub(label_width(view, rows));
    let axes = Axes::new(view, asked, |rows, columns| {
        let needed = || columns.iter().map(|unit| column_width(view, unit)).sum::<usize>();
        rows.len() <= MOST_ROWS && needed() <= space(rows)
    });
    // What shall show that there is more needs a column too.
    let mut left = space(&axes.rows).saturating_sub(COLUMN + 3);
    let all: usize = axes.columns.iter().map(|unit| column_width(view, unit)).sum();
    if all <= space(&axes.rows) {
        left = all;
    }
    let mut columns = 0;
    for unit in &axes.columns {
        let width = column_width(view, unit);
        if width > left && columns > 0 {
            break;
        }
        left = left.saturating_sub(width);
        columns += 1;
    }
    let (shown, hidden) = axes.columns.split_at(columns.min(axes.columns.len()));
    let (rows, more) = axes.rows.split_at(MOST_ROWS.min(axes.rows.len()));
    let count = |units: &[Unit]| {
        let pods: usize = units.iter().map(|unit| unit.size).sum();
        format!("and {} more", grouped(pods as u64))
    };
    let mut is_mixed = false;
    let mut table = style.dense_grid();
    let mut header = vec!["from \\ to".to_owned()];
    header.extend(shown.iter().map(|unit| broken(view.short(&unit.label), COLUMN)));
    if !hidden.is_empty() {
        header.push(broken(&count(hidden), COLUMN));
    }
    table.set_header(header);
    for from in rows {
        let mut cells = vec![style.shaded(broken(view.short(&from.label), LABEL), Shade::Plain)];
        for to in shown {
            let tally = view.tally(asked, from, to);
            is_mixed |= tally.cell().is_none() && !tally.is_empty();
            cells.push(style.shaded(tally.text(), shade(&tally)));
        }
        if !hidden.is_empty() {
            cells.push(style.shaded("…".to_owned(), Shade::Faint));
        }
        table.add_row(cells);
    }
    if !more.is_empty() {
        let width = 1 + shown.len() + usize::from(!hidden.is_empty());
        let mut cells = vec![style.shaded(count(more), Shade::Plain)];
        cells.resize_with(width, || style.shaded("…".to_owned(), Shade::Faint));
        table.add_row(cells);
    }
    let is_cut = axes.is_folded || !hidden.is_empty() || !more.is_empty();
    (table.trim_fmt(), is_cut, is_mixed)
}

fn shade(tally: &Tally) -> Shade {
    match tally.word() {
        Some(Word::Allow) => Shade::Open,
        Some(Word::Deny) => Shade::Faint,
        Some(Word::Unspecified) => Shade::Unsure,
        None if tally.is_empty() => Shade::Plain,
        None => Shade::Mixed,
    }
}

/// Who decides in words.
fn who(view: &View<'_>, asked: &Asked<'_>) -> String {
    let deciders = deciders(view, asked);
    let more = deciders.len().saturating_sub(MOST_ANSWERS);
    let mut text = String::new();
    for one in deciders.into_iter().take(MOST_ANSWERS) {
        let examples: Vec<String> = one.examples.iter().map(|example| escape(example)).collect();
        text.push_str(&format!(
            "  {} × {}\n      {}{}\n",
            grouped(one.pairs),
            escape(&one.sentence),
            examples.join(", "),
            if one.is_more { ", …" } else { "" }
        ));
    }
    if more > 0 {
        text.push_str(&format!(
            "  and {} more answers; -o json has all\n",
            grouped(more as u64)
        ));
    }
    text
}

/// An answer, how many pairs have it, and some of them.
pub(super) struct Decider {
    pub(super) sentence: String,
    pub(super) pairs: u64,
    pub(super) examples: Vec<String>,
    pub(super) is_more: bool,
}

/// Each answer once, the most frequent first.
pub(super) fn deciders(view: &View<'_>, asked: &Asked<'_>) -> Vec<Decider> {
    let mut answers = Answers::default();
    let mut all: Vec<Decider> = Vec::new();
    let units = view.group_units();
    let label = |group: u32| units.get(group as usize).map_or("", |unit| unit.label.as_str());
    view.each_meeting(|from, to, meeting| {
        for answer in asked.answer(meeting.from, meeting.to) {
            let at = answers.intern(vec![answer]) as usize;
            if at == all.len() {
                all.extend(answers.since(at).iter().flatten().map(|answer| Decider {
                    sentence: sentence(answer),
                    pairs: 0,
                    examples: Vec::new(),
                    is_more: false,
                }));
            }
            if let Some(decider) = all.get_mut(at) {
                decider.pairs += meeting.pairs;
                decider.is_more = decider.examples.len() == MOST_EXAMPLES;
                if !decider.is_more {
                    decider
                        .examples
                        .push(format!("{} → {}", view.short(label(from)), view.short(label(to))));
                }
            }
        }
    });
    all.sort_by(|one, other| {
        other
            .pairs
            .cmp(&one.pairs)
            .then_with(|| one.sentence.cmp(&other.sentence))
    });
    all
}

/// An answer with who decides: `deny by shop/default-deny (ingress)`.
pub(super) fn sentence(answer: &Answer) -> String {
    let family = answer
        .family
        .map(|family| format!(" over {family}"))
        .unwrap_or_default();
    let by = match (answer.word, answer.by.is_empty()) {
        (Word::Unspecified, _) => format!(": {}", answer.by.join("; ")),
        (_, true) => ", no policy stops it".to_owned(),
        (_, false) => format!(" by {}", answer.by.join("; ")),
    };
    format!("{}{family}{by}", answer.word.text())
}
