//! Subjects: a node's name as one word of them, and back.

/// What every sensor says.
pub(super) const ALL_SENSORS: &str = "npv.sensors.>";
/// Verifiers' calls to all sensors.
pub(super) const CALL: &str = "npv.call";
const SENSOR: &str = "npv.sensors.";
const ASK: &str = "npv.ask.";
/// Kubernetes' own limit of an object's name.
const NAME_LIMIT: usize = 253;

/// Where a node's sensor speaks. `None` when that is no node's name.
pub(super) fn sensor(node: &str) -> Option<String> {
    Some(format!("{SENSOR}{}", word(node)?))
}

/// Where a node's sensor listens.
pub(super) fn ask(node: &str) -> Option<String> {
    Some(format!("{ASK}{}", word(node)?))
}

/// Whether what came on the subject may speak for the node.
pub(super) fn speaks_for(subject: &str, node: &str) -> bool {
    sensor(node).is_some_and(|expected| expected == subject)
}

/// Dots part the words of a subject. No node has `_` in its name, so no two nodes share a word.
fn word(node: &str) -> Option<String> {
    let is_name = !node.is_empty()
        && node.len() <= NAME_LIMIT
        && node
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    is_name.then(|| node.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::{ask, sensor, speaks_for};

    #[test]
    fn dots_become_one_word_and_only_the_node_itself_has_it() {
        assert_eq!(sensor("a.b-1").as_deref(), Some("npv.sensors.a_b-1"));
        assert_eq!(ask("node").as_deref(), Some("npv.ask.node"));
        assert!(speaks_for("npv.sensors.a_b-1", "a.b-1"));
        assert!(!speaks_for("npv.sensors.a_b-1", "a_b-1"));
        assert!(!speaks_for("npv.sensors.other", "a.b-1"));
    }

    #[test]
    fn what_would_be_another_subject_is_no_node() {
        for name in ["", ">", "*", "a b", "a_b", "a\r\nb", "ä", &"n".repeat(254)] {
            assert_eq!(sensor(name), None, "{name:?}");
        }
    }
}
