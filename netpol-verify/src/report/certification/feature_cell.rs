//! One protocol of a feature in a few words: what all its families and kinds of path have in common, or which part differs.

use comfy_table::Cell as TableCell;

use super::{Cell, Feature};
use crate::{
    finding::{Path, Verdict},
    net::{Family, Protocol},
    report::{Style, Summary},
};

/// The worst that is to be said, and of which part.
pub(super) fn feature_cell(feature: &Feature, protocol: Protocol, style: Style) -> TableCell {
    let cells: Vec<&Cell> = feature
        .cells
        .iter()
        .filter(|cell| cell.protocol == protocol)
        .collect();
    let Some(verdict) = cells
        .iter()
        .map(|cell| worst(&cell.summary))
        .min_by_key(|one| rank(*one))
    else {
        return TableCell::new("–");
    };
    let shown: Vec<&Cell> = cells
        .iter()
        .copied()
        .filter(|cell| worst(&cell.summary) == verdict)
        .collect();
    let sum: Summary = shown.iter().map(|cell| cell.summary).sum();
    let mut text = match verdict {
        Verdict::Leak => format!("LEAK {}/{}", sum.leak, sum.leak + sum.enforced),
        Verdict::Overblock => format!("OVERBLOCK {}/{}", sum.overblock, sum.overblock + sum.permitted),
        Verdict::Inconclusive => format!("INCONCLUSIVE {}/{}", sum.inconclusive, sum.attempts),
        Verdict::Enforced => "enforced".to_owned(),
        Verdict::Permitted => "permitted".to_owned(),
        Verdict::Unspecified => "unspecified".to_owned(),
    };
    if let Some(part) = part(&shown, &cells) {
        text.push_str(&format!(" ({part})"));
    }
    style.cell(text, verdict)
}

/// What a reader must not miss first.
const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Leak => 0,
        Verdict::Overblock => 1,
        Verdict::Inconclusive => 2,
        Verdict::Enforced => 3,
        Verdict::Permitted => 4,
        Verdict::Unspecified => 5,
    }
}

const fn worst(summary: &Summary) -> Verdict {
    if summary.leak > 0 {
        Verdict::Leak
    } else if summary.overblock > 0 {
        Verdict::Overblock
    } else if summary.inconclusive > 0 {
        Verdict::Inconclusive
    } else if summary.enforced > 0 {
        Verdict::Enforced
    } else if summary.permitted > 0 {
        Verdict::Permitted
    } else {
        Verdict::Unspecified
    }
}

/// The family, the kind of path, or both, that tell some cells from all.
fn part(shown: &[&Cell], all: &[&Cell]) -> Option<String> {
    if shown.len() == all.len() || !shown.iter().any(|cell| worst(&cell.summary).is_violation()) {
        return None;
    }
    let mut families: Vec<Family> = shown.iter().map(|cell| cell.family).collect();
    let mut paths: Vec<Path> = shown.iter().map(|cell| cell.path).collect();
    families.sort_unstable();
    families.dedup();
    paths.sort_unstable();
    paths.dedup();
    Some(match (families.as_slice(), paths.as_slice()) {
        ([family], [path]) => format!("{family}, {path}"),
        ([family], _) => family.to_string(),
        (_, [path]) => path.to_string(),
        _ => {
            let parts: Vec<String> = shown
                .iter()
                .map(|cell| format!("{} {}", cell.family, cell.path))
                .collect();
            parts.join("; ")
        }
    })
}
