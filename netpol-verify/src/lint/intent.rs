//! The policies held against what their owner wants, path by path.

use super::{
    code::{INTENT_BROKEN, INTENT_UNKNOWN},
    finding::{Finding, listed},
    world::World,
};
use crate::{
    cluster::Place,
    policy::{Expectation, Intent, IntentCheck, Wanted},
};

/// One finding a path that is broken or cannot be asked; `file` is where the intent was read.
pub(super) fn find(world: &World<'_>, intent: &Intent, file: &Place, out: &mut Vec<Finding>) {
    for check in intent.check(world.set, world.snapshot) {
        let found = if check.is_break() {
            Some(broken(check))
        } else if let Expectation::Unspecified(why) = check.policy {
            let message = format!("{}: {}.", path(&check), why.why());
            let fix = "See that both ends are in the input, by these names.";
            Some(Finding::new(INTENT_UNKNOWN, message, fix))
        } else {
            None
        };
        out.extend(found.map(|finding| finding.about("Intent", Some(file))));
    }
}

fn path(check: &IntentCheck) -> String {
    let wanted = match check.wanted {
        Wanted::Open => "open",
        Wanted::Closed => "closed",
    };
    let IntentCheck {
        from,
        to,
        protocol,
        port,
        ..
    } = check;
    format!("{from} to {to} on {protocol}/{port} is wanted {wanted}")
}

fn broken(check: IntentCheck) -> Finding {
    let path = path(&check);
    let by = if check.by.is_empty() {
        "nothing restricts it".to_owned()
    } else {
        listed(&check.by)
    };
    let (message, fix) = match check.wanted {
        Wanted::Open => (
            format!("{path}, and the policies deny it: {by}."),
            "Add the smallest rule that opens it.",
        ),
        Wanted::Closed => (
            format!("{path}, and the policies allow it: {by}."),
            "Narrow the rules that let it through, or add a default deny where there is none.",
        ),
    };
    let mut finding = Finding::new(INTENT_BROKEN, message, fix);
    let verified = check.suggestion.filter(|suggestion| suggestion.verified);
    finding.manifest = verified.map(|suggestion| suggestion.manifest);
    finding
}
