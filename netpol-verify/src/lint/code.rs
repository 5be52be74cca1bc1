//! The codes of findings: a number is given once, never reused, and never changes its meaning.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Wrong whatever the cluster holds.
    Error,
    /// Wrong in this cluster, as it was read.
    Warning,
    /// Worth knowing; it may be meant so.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// A kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The stable number.
    pub id: &'static str,
    /// The stable word.
    pub name: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it means, in one line.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($constant:ident $id:literal $name:literal $severity:ident $meaning:literal)*) => {
        $(pub(super) const $constant: &Code = &Code {
            id: $id,
            name: $name,
            severity: Severity::$severity,
            meaning: $meaning,
        };)*

        /// Every code, by number.
        pub const CODES: &[&Code] = &[$($constant),*];
    };
}

codes! {
    NOT_TAKEN "NPL001" "not-taken" Error
        "Something in the input could not be taken as it stands."
    EGRESS_HALF_MISSING "NPL002" "egress-half-missing" Warning
        "An ingress rule lets pods in that may not leave towards it."
    INGRESS_HALF_MISSING "NPL003" "ingress-half-missing" Warning
        "An egress rule lets pods out to pods that do not let them in."
    DNS_FORGOTTEN "NPL004" "dns-forgotten" Warning
        "Pods may open connections to pods or anybody, and may not ask DNS."
    SUBJECT_SELECTS_NOTHING "NPL005" "subject-selects-nothing" Warning
        "A policy selects no pod of its namespace."
    PEER_SELECTS_NOTHING "NPL006" "peer-selects-nothing" Warning
        "A peer of a rule selects no pod."
    NOT_AMONG_WHAT_WAS_READ "NPL007" "not-among-what-was-read" Info
        "A selector points at pods or namespaces that are not in the input."
    OR_WHERE_AND_WAS_MEANT "NPL008" "or-where-and-was-meant" Warning
        "namespaceSelector and podSelector stand in two entries, which means either, and both were meant."
    NOBODY_DECLARES_THE_PORT "NPL009" "nobody-declares-the-port" Warning
        "A rule names a port that no pod which it is about declares."
    PORT_OF_ANOTHER_PROTOCOL "NPL010" "port-of-another-protocol" Warning
        "A rule names a port that pods declare with another protocol only."
    PORT_NAME_WITH_BLOCK "NPL011" "port-name-with-block" Error
        "A port's name stands where only ipBlocks are meant, which it never matches."
    EXCEPT_OUTSIDE "NPL012" "except-outside" Error
        "An exception lies outside of its block or is all of it."
    OLD_SPELLING "NPL013" "old-spelling" Warning
        "A block is spelled as only old API servers take it: leading zeros, or bits beyond its length."
    BLOCK_HOLDS_PODS "NPL014" "block-holds-pods" Info
        "An ipBlock holds addresses of pods, which some CNIs never match by address."
    RULES_UNLISTED "NPL015" "rules-unlisted" Error
        "A policy has rules for a direction that its policyTypes do not list."
    EMPTY_LIST_CLOSES_NOTHING "NPL016" "empty-list-closes-nothing" Error
        "A policy has an empty list of rules for a direction that it does not isolate."
    POD_WITHOUT_POLICY "NPL017" "pod-without-policy" Info
        "Pods are selected by no policy, while their namespace has some."
    NAMESPACE_WITHOUT_POLICY "NPL018" "namespace-without-policy" Info
        "A namespace has pods and no policy is about any of them."
    OPEN_TO_ALL "NPL019" "open-to-all" Warning
        "A rule lets everybody through on every port, so that the rules beside it restrict nothing."
    RULE_ADDS_NOTHING "NPL020" "rule-adds-nothing" Info
        "Another rule lets through all that this one does."
    DUPLICATE_POLICY "NPL021" "duplicate-policy" Info
        "Two policies of a namespace say the same."
    ONLY_HOST_NETWORK_SUBJECT "NPL022" "only-host-network-subject" Warning
        "A policy selects hostNetwork pods only, for which policies are undefined."
    HOST_NETWORK_SUBJECT "NPL023" "host-network-subject" Info
        "A policy selects hostNetwork pods too, for which policies are undefined."
    ONLY_HOST_NETWORK_PEER "NPL024" "only-host-network-peer" Warning
        "A peer selects hostNetwork pods only, which most CNIs see as their node."
    EQUAL_PRIORITY "NPL025" "equal-priority" Warning
        "Administrators' policies of one priority contradict each other, and either may be taken."
    ADMIN_RULE_NEVER_REACHED "NPL026" "admin-rule-never-reached" Warning
        "An earlier rule of the same policy matches all that this one does."
    DENY_CUTS_PODS "NPL027" "deny-cuts-pods" Info
        "A Deny to all addresses stops traffic between pods too."
    INTENT_BROKEN "NPL028" "intent-broken" Error
        "The policies contradict what their owner wants of a path."
    INTENT_UNKNOWN "NPL029" "intent-unknown" Warning
        "What the policies say of a path of the intent cannot be asked or is left open."
}

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn codes_count_up_and_words_are_their_own() {
        for (index, code) in CODES.iter().enumerate() {
            assert_eq!(code.id, format!("NPL{:03}", index + 1));
            assert_eq!(CODES.iter().filter(|other| other.name == code.name).count(), 1);
            assert!(code.meaning.ends_with('.') && !code.meaning.contains('\n'));
        }
    }
}
