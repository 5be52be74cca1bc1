//! Sections 2 and 3 of the specification: tiers, priorities, actions, and what is read as closed.

use super::{
    Reading::{Permitted, Undefined},
    Undefined::{EqualPriority, OwnNode},
    tests_world::{EGRESS_REFUSES, INGRESS_REFUSES, about, ask, cnp, policy, v1alpha1},
};

const DENY_EGRESS: &str = "egress: [{action: Deny, to: [{namespaces: {}}]}]";
const ACCEPT_EGRESS: &str = "egress: [{action: Accept, to: [{namespaces: {}}]}]";
const PASS_EGRESS: &str = "egress: [{action: Pass, to: [{namespaces: {}}]}]";
const DENY_INGRESS: &str = "ingress: [{action: Deny, from: [{namespaces: {}}]}]";

/// In `x`, a NetworkPolicy that closes egress, and one that opens it.
fn closing() -> String {
    policy("x", "podSelector: {}, policyTypes: [Egress]")
}

fn opening() -> String {
    policy("x", "podSelector: {}, policyTypes: [Egress], egress: [{}]")
}

#[test]
fn accept_and_deny_of_the_admin_tier_are_final() {
    let accept = cnp("Admin", 1, ACCEPT_EGRESS);
    assert_eq!(ask(&[accept, closing()], "x/a>y/c:80"), Permitted);
    let deny = cnp("Admin", 1, DENY_EGRESS);
    assert_eq!(ask(&[deny, opening()], "x/a>y/c:80"), EGRESS_REFUSES);
}

#[test]
fn the_lower_priority_is_asked_first() {
    let policies = [cnp("Admin", 7, DENY_EGRESS), cnp("Admin", 6, ACCEPT_EGRESS)];
    assert_eq!(ask(&policies, "x/a>y/c:80"), Permitted);
    let policies = [cnp("Admin", 7, DENY_EGRESS), cnp("Admin", 8, ACCEPT_EGRESS)];
    assert_eq!(ask(&policies, "x/a>y/c:80"), EGRESS_REFUSES);
}

#[test]
fn the_rule_at_the_top_is_asked_first() {
    let rules = "egress: [{action: Accept, to: [{namespaces: {matchLabels: {team: blue}}}]},
        {action: Deny, to: [{namespaces: {}}]}]";
    let policies = [cnp("Admin", 1, rules)];
    assert_eq!(ask(&policies, "x/a>y/c:80"), Permitted);
    assert_eq!(ask(&policies, "x/a>x/b:80"), EGRESS_REFUSES);
}

#[test]
fn pass_skips_the_rest_of_its_tier() {
    let policies = [cnp("Admin", 1, PASS_EGRESS), cnp("Admin", 2, DENY_EGRESS)];
    assert_eq!(ask(&policies, "x/a>y/c:80"), Permitted);
    let [pass, deny] = policies;
    assert_eq!(
        ask(&[pass.clone(), deny, closing()], "x/a>y/c:80"),
        EGRESS_REFUSES
    );
    let baseline = cnp("Baseline", 1, DENY_EGRESS);
    assert_eq!(ask(&[pass, baseline], "x/a>y/c:80"), EGRESS_REFUSES);
}

#[test]
fn the_baseline_tier_is_for_pods_that_no_network_policy_isolates() {
    let deny = cnp("Baseline", 1, DENY_EGRESS);
    assert_eq!(ask(std::slice::from_ref(&deny), "x/a>y/c:80"), EGRESS_REFUSES);
    assert_eq!(ask(&[deny.clone(), opening()], "x/a>y/c:80"), Permitted);
    let accept = cnp("Baseline", 1, ACCEPT_EGRESS);
    assert_eq!(ask(&[accept, closing()], "x/a>y/c:80"), EGRESS_REFUSES);
    // Isolated for ingress is not isolated for egress.
    let ingress_only = policy("x", "podSelector: {}, policyTypes: [Ingress], ingress: [{}]");
    assert_eq!(ask(&[deny, ingress_only], "x/a>y/c:80"), EGRESS_REFUSES);
}

#[test]
fn a_baseline_that_passes_leaves_the_default_which_is_open() {
    let policies = [cnp("Baseline", 1, PASS_EGRESS), cnp("Baseline", 2, DENY_EGRESS)];
    assert_eq!(ask(&policies, "x/a>y/c:80"), Permitted);
}

#[test]
fn what_no_rule_matches_goes_on_to_the_next_policy_and_tier() {
    let elsewhere = "egress: [{action: Accept, to: [{namespaces: {matchLabels: {team: green}}}]}]";
    let policies = [cnp("Admin", 1, elsewhere), cnp("Admin", 2, DENY_EGRESS)];
    assert_eq!(ask(&policies, "x/a>y/c:80"), EGRESS_REFUSES);
    assert_eq!(
        ask(&[cnp("Admin", 1, elsewhere), closing()], "x/a>y/c:80"),
        EGRESS_REFUSES
    );
    assert_eq!(ask(&[cnp("Admin", 1, elsewhere)], "x/a>y/c:80"), Permitted);
}

#[test]
fn a_policy_without_rules_in_a_direction_does_not_touch_it() {
    let policies = [cnp("Admin", 1, DENY_EGRESS)];
    assert_eq!(ask(&policies, "y/c>x/a:80"), Permitted);
    let policies = [cnp("Admin", 1, DENY_INGRESS)];
    assert_eq!(ask(&policies, "x/a>y/c:80"), Permitted);
    assert_eq!(ask(&policies, "y/c>x/a:80"), INGRESS_REFUSES);
}

#[test]
fn accepted_on_egress_is_not_accepted_on_ingress() {
    let rules = format!("{ACCEPT_EGRESS}, {DENY_INGRESS}");
    assert_eq!(ask(&[cnp("Admin", 1, &rules)], "x/a>x/b:80"), INGRESS_REFUSES);
}

#[test]
fn equal_priorities_that_decide_differently_are_undefined() {
    let policies = [cnp("Admin", 1, DENY_EGRESS), cnp("Admin", 1, ACCEPT_EGRESS)];
    assert_eq!(ask(&policies, "x/a>y/c:80"), Undefined(EqualPriority));
    assert_eq!(ask(&policies, "203.0.113.7>x/a:80"), Permitted);
}

#[test]
fn equal_priorities_that_end_alike_are_not() {
    let deny = || cnp("Admin", 1, DENY_EGRESS);
    assert_eq!(ask(&[deny(), deny()], "x/a>y/c:80"), EGRESS_REFUSES);
    let pass = || cnp("Admin", 1, PASS_EGRESS);
    assert_eq!(ask(&[deny(), pass()], "x/a>y/c:80"), Undefined(EqualPriority));
    assert_eq!(ask(&[deny(), pass(), closing()], "x/a>y/c:80"), EGRESS_REFUSES);
    // An earlier policy leaves them no choice, and one that does not match is none of them.
    let first = cnp("Admin", 0, ACCEPT_EGRESS);
    assert_eq!(ask(&[deny(), pass(), first], "x/a>y/c:80"), Permitted);
    let elsewhere = "egress: [{action: Accept, to: [{namespaces: {matchLabels: {team: red}}}]}]";
    assert_eq!(
        ask(&[deny(), cnp("Admin", 1, elsewhere)], "x/a>y/c:80"),
        EGRESS_REFUSES
    );
}

#[test]
fn a_choice_behind_a_choice_is_followed_too() {
    let policies = [
        cnp("Admin", 1, ACCEPT_EGRESS),
        cnp("Admin", 1, PASS_EGRESS),
        cnp("Baseline", 1, ACCEPT_EGRESS),
        cnp("Baseline", 1, DENY_EGRESS),
    ];
    assert_eq!(ask(&policies, "x/a>y/c:80"), Undefined(EqualPriority));
    assert_eq!(ask(&policies[..3], "x/a>y/c:80"), Permitted);
}

#[test]
fn equal_priorities_of_the_other_side_do_not_matter_to_a_refusal() {
    let policies = [
        cnp("Admin", 1, DENY_INGRESS),
        cnp(
            "Admin",
            1,
            "ingress: [{action: Accept, from: [{namespaces: {}}]}]",
        ),
        closing(),
    ];
    assert!(matches!(
        ask(&policies, "x/a>x/b:80"),
        super::Reading::Refused { egress: true, .. }
    ));
}

#[test]
fn both_kinds_of_admin_objects_share_their_tier() {
    let allow = "priority: 3, egress: [{action: Allow, to: [{namespaces: {}}]}]";
    let anp = || v1alpha1("AdminNetworkPolicy", allow);
    assert_eq!(
        ask(&[anp(), cnp("Admin", 4, DENY_EGRESS)], "x/a>y/c:80"),
        Permitted
    );
    assert_eq!(
        ask(&[anp(), cnp("Admin", 2, DENY_EGRESS)], "x/a>y/c:80"),
        EGRESS_REFUSES
    );
    assert_eq!(
        ask(&[anp(), cnp("Admin", 3, DENY_EGRESS)], "x/a>y/c:80"),
        Undefined(EqualPriority)
    );
}

#[test]
fn the_baseline_admin_network_policy_stands_at_the_end_of_its_tier() {
    let banp = || {
        v1alpha1(
            "BaselineAdminNetworkPolicy",
            "egress: [{action: Allow, to: [{namespaces: {}}]}]",
        )
    };
    let baseline = |priority| cnp("Baseline", priority, DENY_EGRESS);
    assert_eq!(ask(&[banp(), baseline(999)], "x/a>y/c:80"), EGRESS_REFUSES);
    assert_eq!(
        ask(&[banp(), baseline(1000)], "x/a>y/c:80"),
        Undefined(EqualPriority)
    );
    assert_eq!(ask(&[banp()], "x/a>y/c:80"), Permitted);
}

#[test]
fn the_subject_is_namespaces_and_pods() {
    let spec = |subject: &str| {
        about(&format!(
            "tier: Admin, priority: 1, subject: {subject}, {DENY_EGRESS}"
        ))
    };
    let pods =
        spec("{pods: {namespaceSelector: {matchLabels: {team: red}}, podSelector: {matchLabels: {app: a}}}}");
    assert_eq!(ask(std::slice::from_ref(&pods), "x/a>y/c:80"), EGRESS_REFUSES);
    assert_eq!(ask(std::slice::from_ref(&pods), "x/b>y/c:80"), Permitted);
    assert_eq!(ask(&[spec("{namespaces: {}}")], "y/c>x/a:80"), EGRESS_REFUSES);
}

#[test]
fn an_accept_rule_with_something_unknown_matches_nothing() {
    for rule in [
        "egress: [{action: Accept, to: [{namespaces: {}}, {}]}]",
        "egress: [{action: Accept, to: [{namespaces: {}}], protocols: [{tcp: {}}, {}]}]",
    ] {
        let policies = [cnp("Admin", 1, rule), cnp("Admin", 2, DENY_EGRESS)];
        assert_eq!(ask(&policies, "x/a>y/c:80"), EGRESS_REFUSES, "{rule}");
    }
}

#[test]
fn a_deny_or_pass_rule_with_something_unknown_denies_all_its_direction() {
    for rule in [
        "egress: [{action: Deny, to: [{}], protocols: [{tcp: {destinationPort: {number: 81}}}]}]",
        "egress: [{action: Pass, to: [{namespaces: {matchLabels: {team: red}}}, {}]}]",
        "egress: [{action: Deny, to: [{namespaces: {matchLabels: {team: red}}}], protocols: [{}]}]",
        "egress: [{action: Pass, to: [{namespaces: {matchLabels: {team: red}}}], protocols: [{}]}]",
    ] {
        let policies = [cnp("Admin", 1, rule)];
        assert_eq!(ask(&policies, "x/a>y/c:80"), EGRESS_REFUSES, "{rule}");
        assert_eq!(ask(&policies, "x/a>203.0.113.7:9/udp"), EGRESS_REFUSES, "{rule}");
        assert_eq!(ask(&policies, "y/c>x/a:80"), Permitted, "{rule}");
        assert_eq!(ask(&policies, "y/c>y/new:80"), Permitted, "{rule}");
    }
}

#[test]
fn r21_the_own_node_and_its_host_pods_reach_a_pod_whatever_the_tiers_say() {
    // Nothing but an unknown peer can mean nodes here.
    for tier in ["Admin", "Baseline"] {
        let policies = [cnp(tier, 1, "ingress: [{action: Deny, from: [{}]}]")];
        assert_eq!(ask(&policies, "n1>x/a:80"), Permitted);
        assert_eq!(ask(&policies, "y/host>x/a:80"), Permitted);
        assert_eq!(ask(&policies, "n2>x/a:80"), INGRESS_REFUSES);
        assert_eq!(ask(&policies, "y/host>x/b:80"), INGRESS_REFUSES);
    }
}

#[test]
fn r22_a_tier_may_keep_a_pod_from_its_own_node_and_of_network_policies_it_is_unsaid() {
    let deny = "egress: [{action: Deny, to: [{nodes: {}}]}]";
    assert_eq!(ask(&[cnp("Admin", 1, deny)], "x/a>n1:80"), EGRESS_REFUSES);
    assert_eq!(ask(&[cnp("Baseline", 1, deny)], "x/a>n1:80"), EGRESS_REFUSES);
    assert_eq!(ask(&[closing()], "x/a>n1:80"), Undefined(OwnNode));
    assert_eq!(ask(&[closing()], "x/a>n2:80"), EGRESS_REFUSES);
    assert_eq!(ask(&[opening()], "x/a>n1:80"), Permitted);
}
