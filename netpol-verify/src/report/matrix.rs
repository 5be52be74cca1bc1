//! Who reaches whom over one protocol and port: expected and observed side by side in each cell.

use std::collections::BTreeMap;

use comfy_table::Cell;

use super::{
    closing::wrapped,
    ink::{Style, rank, word},
    path_result::{Names, PathResult, Service, expected_word, families_text, service_text},
};
use crate::{finding::Verdict, net::Family};

/// The widest text of a full cell (`deny → unanswered`) with its padding and line.
const FULL_CELL: usize = 20;
/// The widest verdict (`INCONCLUSIVE`) with its padding and line.
const SHORT_CELL: usize = 15;

/// Draws each service that has several destinations as a matrix and every other as lines.
pub(crate) fn draw(results: &[PathResult<'_>], names: &Names, style: Style) -> String {
    let mut services: Vec<Service> = Vec::new();
    for one in results {
        if !services.contains(&one.service) {
            services.push(one.service);
        }
    }
    let mut text = String::new();
    let mut lines: Vec<&PathResult<'_>> = Vec::new();
    for service in services {
        let of: Vec<&PathResult<'_>> = results.iter().filter(|one| one.service == service).collect();
        let ends = ends(&of);
        let label = ends
            .iter()
            .map(|end| names.short(end).chars().count())
            .max()
            .unwrap_or(0);
        let space = usize::from(style.width).saturating_sub(label + 4);
        let sources = ends
            .iter()
            .filter(|end| of.iter().any(|one| one.from == **end))
            .count();
        let destinations = ends
            .iter()
            .filter(|end| of.iter().any(|one| one.to == **end))
            .count();
        if destinations < 2 || sources < 2 || destinations * SHORT_CELL > space {
            lines.extend(of);
            continue;
        }
        let full = destinations * FULL_CELL <= space;
        for families in alike(&of) {
            text.push_str(&format!(
                "{} over {}\n",
                service_text(service),
                families_text(&families)
            ));
            let shown: Vec<&PathResult<'_>> = of
                .iter()
                .copied()
                .filter(|one| one.families.iter().any(|family| families.first() == Some(family)))
                .collect();
            text.push_str(&grid(&shown, names, style, full));
            text.push_str("\n\n");
        }
    }
    text.push_str(&compact(&lines, names, style));
    text
}

/// Names in the order they appear.
fn ends<'a>(results: &[&PathResult<'a>]) -> Vec<&'a str> {
    let mut ends = Vec::new();
    for end in results
        .iter()
        .map(|one| one.from)
        .chain(results.iter().map(|one| one.to))
    {
        if !ends.contains(&end) {
            ends.push(end);
        }
    }
    ends
}

/// Families in groups that behave alike on every path; one matrix a group. Who decides may differ (an ipBlock has a
/// family), what is seen in a cell may not.
fn alike(results: &[&PathResult<'_>]) -> Vec<Vec<Family>> {
    let mut by_family: BTreeMap<Family, Vec<_>> = BTreeMap::new();
    for one in results {
        for family in &one.families {
            let seen = (
                one.from,
                one.to,
                one.result.expected,
                one.result.observed,
                one.result.verdict,
            );
            by_family.entry(*family).or_default().push(seen);
        }
    }
    let mut groups: Vec<(Vec<Family>, Vec<_>)> = Vec::new();
    for (family, mut seen) in by_family {
        seen.sort_unstable();
        match groups.iter_mut().find(|(_, other)| *other == seen) {
            Some((families, _)) => families.push(family),
            None => groups.push((vec![family], seen)),
        }
    }
    groups.into_iter().map(|(families, _)| families).collect()
}

fn grid(results: &[&PathResult<'_>], names: &Names, style: Style, full: bool) -> String {
    let ends = ends(results);
    let rows: Vec<&str> = ends
        .iter()
        .copied()
        .filter(|end| results.iter().any(|one| one.from == *end))
        .collect();
    let columns: Vec<&str> = ends
        .iter()
        .copied()
        .filter(|end| results.iter().any(|one| one.to == *end))
        .collect();
    let mut table = style.grid();
    table.set_header(
        std::iter::once("from \\ to".to_owned())
            .chain(columns.iter().map(|end| names.short(end)))
            .map(Cell::new),
    );
    for from in rows {
        let mut row = vec![Cell::new(names.short(from))];
        for to in &columns {
            let found = results
                .iter()
                .filter(|one| one.from == from && one.to == *to)
                .min_by_key(|one| one.result.rank);
            row.push(match found {
                None => Cell::new("–"),
                Some(one) => style.cell(cell_text(one, full), one.result.verdict),
            });
        }
        table.add_row(row);
    }
    table.trim_fmt()
}

fn cell_text(one: &PathResult<'_>, full: bool) -> String {
    let verdict = word(one.result.verdict);
    if full {
        format!(
            "{} → {}\n{verdict}",
            expected_word(one.result.expected),
            observed_word(one)
        )
    } else {
        verdict.to_owned()
    }
}

/// What is bad is also loud.
fn observed_word(one: &PathResult<'_>) -> String {
    let word = one.result.observed.to_string();
    if one.result.verdict == Verdict::Leak {
        word.to_uppercase()
    } else {
        word
    }
}

/// Lines for what is no matrix: one destination (DNS), or too many to draw.
fn compact(results: &[&PathResult<'_>], names: &Names, style: Style) -> String {
    type Line<'a> = (&'a str, Vec<Family>, u8, String);
    let mut lines: Vec<(Line<'_>, Vec<Service>, Vec<&str>)> = Vec::new();
    // First the services with the same answer from one source, then the sources with the same answer.
    let mut by_source: Vec<(&str, Line<'_>, Vec<Service>)> = Vec::new();
    for one in results {
        let line = (
            one.to,
            one.families.clone(),
            rank(one.result.verdict),
            cell_text(one, true).replace('\n', "  "),
        );
        match by_source
            .iter_mut()
            .find(|(from, other, _)| *from == one.from && *other == line)
        {
            Some((_, _, services)) => services.push(one.service),
            None => by_source.push((one.from, line, vec![one.service])),
        }
    }
    for (from, line, services) in by_source {
        match lines
            .iter_mut()
            .find(|(other, same, _)| *other == line && *same == services)
        {
            Some((_, _, sources)) => sources.push(from),
            None => lines.push((line, services, vec![from])),
        }
    }
    let mut text = String::new();
    let mut last = String::new();
    for ((to, families, _, answer), services, sources) in lines {
        let services: Vec<String> = services.into_iter().map(service_text).collect();
        let head = format!(
            "{} to {} over {}",
            services.join(" and "),
            names.short(to),
            families_text(&families)
        );
        if head != last {
            text.push_str(&wrapped(&head, "", style.width));
            last = head;
        }
        let sources: Vec<String> = sources.into_iter().map(|from| names.short(from)).collect();
        text.push_str(&wrapped(
            &format!("{answer}   from {}", sources.join(", ")),
            "  ",
            style.width,
        ));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}
