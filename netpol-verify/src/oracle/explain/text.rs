//! The answers for people: the verdict, each side with who decides it, what came nearest, and what would open it.

use super::answer::{Answer, Explained};
use crate::{
    cluster::Action,
    policy::{ClosedSide, Direction, Expectation, NearMiss, Side, Suggestion, Wanted},
    report::{Style, escape, escape_to, wrapped},
};

/// More policies than this are only counted: a reader wants names, not a wall.
const NAMED: usize = 8;

/// The text. Every string from outside is escaped.
#[must_use]
pub fn text(explained: &Explained, style: Style) -> String {
    let mut text = String::new();
    let mut last_suggestion: Option<&str> = None;
    for answer in &explained.answers {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&head(explained, answer, style));
        text.push_str(&sides(answer, style));
        if let Some(suggestion) = &answer.explanation.suggestion {
            if last_suggestion == Some(&suggestion.manifest) {
                text.push_str("\n  What would open it is the same as above.\n");
            } else {
                text.push_str(&opening(answer, suggestion, style));
            }
            last_suggestion = Some(&suggestion.manifest);
        } else if answer.explanation.decision.expectation == Expectation::Deny {
            text.push_str(&wrapped(
                "No rule was found that would open it: no policy can be put before the one that denies.",
                "  ",
                style.width,
            ));
        }
    }
    if explained.left_out > 0 {
        text.push_str(&format!(
            "\n{} more connections are not shown; ask about one pod or a smaller block.\n",
            explained.left_out
        ));
    }
    text.push_str(&intent(explained, style));
    text
}

fn head(explained: &Explained, answer: &Answer, style: Style) -> String {
    let families: Vec<String> = answer.families.iter().map(ToString::to_string).collect();
    let over = if families.is_empty() {
        String::new()
    } else {
        format!(" over {}", families.join(" and "))
    };
    let port = format!("{}/{}", answer.protocol, answer.port);
    let word = match answer.explanation.decision.expectation {
        Expectation::Allow => style.green("ALLOW"),
        Expectation::Deny => style.red("DENY"),
        Expectation::Unspecified(_) => style.cyan("UNSPECIFIED"),
    };
    let asked = if answer.is_translated {
        let dialled = explained
            .question
            .port
            .as_ref()
            .map_or_else(String::new, |port| format!(":{port}"));
        format!(
            " (dialled as {}{dialled}; policies judge the pod and its port)",
            escape(&explained.question.to.to_string())
        )
    } else {
        String::new()
    };
    let line = format!(
        "{} → {} {port}{over}{asked}",
        escape(&answer.from),
        escape(&answer.to)
    );
    let mut text = format!("{}: {word}\n", style.bold(&line));
    if let Expectation::Unspecified(why) = answer.explanation.decision.expectation {
        text.push_str(&wrapped(
            &format!("A CNI may do either: {}.", why.why()),
            "  ",
            style.width,
        ));
    }
    text
}

fn sides(answer: &Answer, style: Style) -> String {
    let decision = &answer.explanation.decision;
    let mut text = String::new();
    for (direction, side, end) in [
        (Direction::Egress, &decision.egress, &answer.from),
        (Direction::Ingress, &decision.ingress, &answer.to),
    ] {
        let closed = answer
            .explanation
            .closed
            .iter()
            .find(|closed| closed.direction == direction);
        let state = match side.answer {
            None => "not subject to policies".to_owned(),
            Some(Expectation::Allow) => style.green("open"),
            Some(Expectation::Deny) => style.red("CLOSED"),
            Some(Expectation::Unspecified(_)) => style.cyan("left open by the API"),
        };
        text.push_str(&format!("  {direction} of {}: {state}\n", escape(end)));
        text.push_str(&reasons(side, closed, direction, style));
    }
    if let [closed] = answer.explanation.closed.as_slice() {
        let (open, shut) = match closed.direction {
            Direction::Egress => ("ingress", "egress"),
            Direction::Ingress => ("egress", "ingress"),
        };
        let is_half = match closed.direction {
            Direction::Egress => !decision.ingress.allowing.is_empty(),
            Direction::Ingress => !decision.egress.allowing.is_empty(),
        };
        if is_half {
            text.push_str(&wrapped(
                &format!(
                    "The {open} side alone is open: half a path. A connection needs both, and {shut} refuses."
                ),
                "  ",
                style.width,
            ));
        }
    }
    text
}

fn reasons(side: &Side, closed: Option<&ClosedSide>, direction: Direction, style: Style) -> String {
    let mut lines: Vec<String> = Vec::new();
    for rule in &side.admin {
        let says = match rule.action {
            Action::Accept => "accepts it",
            Action::Deny => "denies it",
            Action::Pass => "passes it on",
        };
        lines.push(format!("{} {direction}[{}] {says}", rule.policy, rule.index));
    }
    if !side.isolating.is_empty() {
        lines.push(format!("isolated by {}", listed(side.isolating.iter())));
        if !side.allowing.is_empty() {
            lines.push(format!("let through by {}", listed(side.allowing.iter())));
        }
    } else if side.answer == Some(Expectation::Allow) && side.admin.is_empty() {
        lines.push(format!(
            "no policy isolates it for {direction}, or its own node asks"
        ));
    }
    if let Some(near) = closed.and_then(|closed| closed.nearest.as_ref()) {
        lines.push(format!("nearest rule: {}", near_miss(near)));
    } else if closed.is_some_and(|closed| closed.denied_by.is_none()) {
        lines.push("none of them has a rule that could let anything through".to_owned());
    }
    lines
        .iter()
        .map(|line| wrapped(&escape_to(line, 2000), "    ", style.width))
        .collect()
}

fn near_miss(near: &NearMiss) -> String {
    let unmet: Vec<String> = near
        .unmet
        .iter()
        .map(|unmet| {
            format!(
                "{} wants {}, here it is {}",
                unmet.clause, unmet.wanted, unmet.found
            )
        })
        .collect();
    format!("{}: {}", near.rule, unmet.join("; "))
}

fn listed<T: ToString>(names: impl ExactSizeIterator<Item = T>) -> String {
    let all = names.len();
    let mut shown: Vec<String> = names.take(NAMED).map(|name| name.to_string()).collect();
    if all > NAMED {
        shown.push(format!("and {} more", all - NAMED));
    }
    shown.join(", ")
}

fn opening(answer: &Answer, suggestion: &Suggestion, style: Style) -> String {
    let port = format!("{}/{}", answer.protocol, answer.port);
    let mut effect = if suggestion.verified {
        "Tried out: with it applied the policies allow this connection".to_owned()
    } else {
        "Tried out, and it is NOT enough: something else stands in the way".to_owned()
    };
    effect.push_str(&match suggestion.also_opens {
        0 => format!("; it opens no other pair of pods on {port}"),
        1 => format!("; it opens 1 other pair of pods on {port}"),
        more => format!("; it opens {more} other pairs of pods on {port}"),
    });
    if suggestion.also_isolates > 0 {
        effect.push_str(&format!(
            ", and isolates {} pods that nothing isolated before",
            suggestion.also_isolates
        ));
    }
    effect.push('.');
    let mut text = format!(
        "\n  {}\n",
        style.bold("What would open it, the smallest rule (kubectl apply -f -):")
    );
    text.push_str(&wrapped(&effect, "  ", style.width));
    text.push('\n');
    for line in suggestion.manifest.lines() {
        text.push_str(&format!("    {}\n", escape_to(line, 400)));
    }
    text
}

fn intent(explained: &Explained, style: Style) -> String {
    let mut text = String::new();
    for check in &explained.intent {
        let wanted = match check.wanted {
            Wanted::Open => "open",
            Wanted::Closed => "closed",
        };
        let line = format!(
            "The owner wants {} to {} on {}/{} {wanted}: {}",
            check.from,
            check.to,
            check.protocol,
            check.port,
            if check.is_break() {
                "the policies break this"
            } else {
                "the policies keep to it"
            }
        );
        let line = escape_to(&line, 800);
        text.push('\n');
        text.push_str(&if check.is_break() { style.red(&line) } else { line });
        text.push('\n');
    }
    text
}
