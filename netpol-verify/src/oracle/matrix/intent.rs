//! Where the policies contradict what the owner wants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{answers::Word, rows::Expect, view::Cluster};
use crate::{
    net::Protocol,
    policy::{Intent, Wanted},
    report::escape,
};

/// One path that the policies open or close against their owner's wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Break {
    /// Who opens the connection.
    pub from: String,
    /// To whom.
    pub to: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
    /// What the owner wants.
    pub wanted: Wanted,
    /// What the policies require.
    pub expect: Expect,
    /// Who decides.
    pub by: Vec<String>,
    /// The smallest rule that would open it, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// The breaks, and how many paths were checked.
#[must_use]
pub fn breaks(intent: &Intent, cluster: Cluster<'_>) -> (Vec<Break>, usize) {
    let checks = intent.check(cluster.set, cluster.snapshot);
    let count = checks.len();
    let broken = checks.into_iter().filter(|check| check.is_break());
    let broken = broken.map(|check| Break {
        from: check.from.to_string(),
        to: check.to.to_string(),
        protocol: check.protocol,
        port: check.port,
        wanted: check.wanted,
        expect: Word::of(check.policy).into(),
        by: check.by,
        suggestion: check.suggestion.map(|suggestion| suggestion.summary),
    });
    (broken.collect(), count)
}

/// One line for each break, after one that counts them; each harmless for a terminal.
#[must_use]
pub fn break_lines(breaks: &[Break], checked: usize) -> Vec<String> {
    let mut lines = vec![match breaks.len() {
        0 => format!("The policies keep to all {checked} paths of the intent."),
        count => format!("On {count} of {checked} paths the policies break their owner's intent:"),
    }];
    for one in breaks {
        let (wanted, does) = match one.wanted {
            Wanted::Open => ("open", "deny"),
            Wanted::Closed => ("closed", "allow"),
        };
        let by = if one.by.is_empty() {
            "no policy stops it".to_owned()
        } else {
            one.by.join("; ")
        };
        let (from, to) = (escape(&one.from), escape(&one.to));
        lines.push(format!(
            "  {from} → {to} {}/{}: wanted {wanted}, the policies {does} it ({})",
            one.protocol,
            one.port,
            escape(&by)
        ));
        if let Some(suggestion) = &one.suggestion {
            lines.push(format!("    smallest rule that opens it: {}", escape(suggestion)));
        }
    }
    lines
}
