//! Why: every path, gathered by what the policies say of it, what its packets did and what follows.

use std::collections::BTreeMap;

use super::{
    closing::wrapped,
    escape,
    ink::{Style, word},
    path_result::{Answer, Names, PathResult, Service, families_text, service_text},
};
use crate::{
    finding::{Expected, Path},
    net::Family,
};

/// Answers, the worst first; each lists the paths it holds for.
pub(crate) fn draw(results: &[PathResult<'_>], names: &Names, style: Style) -> String {
    let mut groups: BTreeMap<&Answer<'_>, Vec<&PathResult<'_>>> = BTreeMap::new();
    for one in results {
        groups.entry(&one.result).or_default().push(one);
    }
    let mut text = String::new();
    for (answer, paths) in groups {
        let fans = fans(&paths);
        // One path of one service reads best on its own; services with the same paths share them.
        for (families, fan, services) in fans {
            let what = format!("{} over {}", services.join(" and "), families_text(families));
            text.push_str(&format!(
                "  {}  {what}\n",
                style.verdict(word(answer.verdict), answer.verdict)
            ));
            text.push_str(&labelled("policies say: ", &said(answer, names), style));
            text.push_str(&labelled("packets:      ", &done(answer), style));
            for (path, sources) in fan {
                let label = match path {
                    Path::SameNode => "same node:    ",
                    Path::CrossNode => "cross node:   ",
                };
                text.push_str(&labelled(label, &listed(sources, names), style));
            }
        }
    }
    text
}

/// A label and its text; what does not fit goes on under the text.
fn labelled(label: &str, text: &str, style: Style) -> String {
    let indent = " ".repeat(label.len() + 4);
    let body = wrapped(text, &indent, style.width);
    match body.strip_prefix(indent.as_str()) {
        Some(rest) => format!("    {label}{rest}"),
        None => body,
    }
}

/// `deny, by default-deny-egress (egress)`.
fn said(answer: &Answer<'_>, names: &Names) -> String {
    let by = answer
        .by
        .iter()
        .map(|by| names.short(by))
        .collect::<Vec<_>>()
        .join(", ");
    match answer.expected {
        Expected::Allow if by.is_empty() => "allow, as no policy isolates either end".to_owned(),
        Expected::Allow => format!("allow, by {by}"),
        Expected::Deny => format!("deny, by {by}"),
        Expected::Unspecified => format!("nothing: {by}"),
    }
}

/// `dropped: NETFILTER_DROP at nft_do_chain`.
fn done(answer: &Answer<'_>) -> String {
    match answer.reason {
        Some(reason) => format!("{}: {}", answer.observed, escape(reason)),
        None => answer.observed.to_string(),
    }
}

/// Sources with their destinations, by path.
type Fan<'a> = BTreeMap<Path, Vec<(&'a str, Vec<&'a str>)>>;

/// Sources with their destinations, apart for each family; services with the same ones are put together.
fn fans<'a>(paths: &[&'a PathResult<'_>]) -> Vec<(&'a [Family], Fan<'a>, Vec<String>)> {
    let mut fans: BTreeMap<(Service, &[Family]), Fan<'_>> = BTreeMap::new();
    for one in paths {
        let sources = fans
            .entry((one.service, &one.families))
            .or_default()
            .entry(one.path)
            .or_default();
        match sources.iter_mut().find(|(from, _)| *from == one.from) {
            Some((_, to)) => to.push(one.to),
            None => sources.push((one.from, vec![one.to])),
        }
    }
    let mut shared: Vec<(&[Family], Fan<'_>, Vec<String>)> = Vec::new();
    for ((service, families), fan) in fans {
        match shared
            .iter_mut()
            .find(|(other, same, _)| *other == families && *same == fan)
        {
            Some((_, _, services)) => services.push(service_text(service)),
            None => shared.push((families, fan, vec![service_text(service)])),
        }
    }
    shared
}

/// `frontend → backend, database; backend → frontend`; sources that go to one and
/// the same place are put together.
fn listed(sources: Vec<(&str, Vec<&str>)>, names: &Names) -> String {
    let mut shared: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
    for (from, to) in sources {
        match shared.iter_mut().find(|(_, same)| *same == to && to.len() == 1) {
            Some((sources, _)) => sources.push(names.short(from)),
            None => shared.push((vec![names.short(from)], to)),
        }
    }
    let fans: Vec<String> = shared
        .into_iter()
        .map(|(from, to)| {
            let to: Vec<String> = to.into_iter().map(|to| names.short(to)).collect();
            format!("{} → {}", from.join(", "), to.join(", "))
        })
        .collect();
    fans.join("; ")
}
