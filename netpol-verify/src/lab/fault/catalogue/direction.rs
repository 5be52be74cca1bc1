//! Class B: direction and the logic of chains.

use super::super::{
    engine::EngineFault,
    entry::{Entry, Harm, How},
    gates::GateFault,
    misread::PolicyMisreading,
};

/// The faults of class B.
pub(in super::super) const DIRECTION: &[Entry] = &[
    Entry {
        id: "egress-unsupported",
        harm: Harm::Leak,
        how: How::Gates(GateFault::EgressUnsupported),
        line: "ingress is enforced, egress is ignored",
        source: "openshift/sdn#69, weaveworks/weave#2624",
    },
    Entry {
        id: "ingress-unsupported",
        harm: Harm::Leak,
        how: How::Gates(GateFault::IngressUnsupported),
        line: "egress is enforced, ingress is ignored",
        source: "",
    },
    Entry {
        id: "egress-accept-skips-ingress",
        harm: Harm::Leak,
        how: How::Engine(EngineFault::EgressAcceptSkipsIngress),
        line: "what an egress rule accepts is not asked at the destination on the same node",
        source: "cloudnativelabs/kube-router#916",
    },
    Entry {
        id: "policytypes-ignored",
        harm: Harm::Overblock,
        how: How::Policies(PolicyMisreading::TypesIgnored),
        line: "rules of a direction isolate though policyTypes do not name it",
        source: "aws/amazon-network-policy-controller-k8s#229",
    },
    Entry {
        id: "policytypes-both-by-default",
        harm: Harm::Overblock,
        how: How::Policies(PolicyMisreading::MissingTypesAreBoth),
        line: "a policy without policyTypes isolates both directions",
        source: "",
    },
    Entry {
        id: "egress-of-both-ignored",
        harm: Harm::Leak,
        how: How::Policies(PolicyMisreading::OnlyIngressOfBoth),
        line: "of a policy for both directions only ingress is enforced",
        source: "",
    },
    Entry {
        id: "directions-swapped",
        harm: Harm::Partial,
        how: How::Policies(PolicyMisreading::DirectionsSwapped),
        line: "ingress rules are installed for egress, and the other way round",
        source: "",
    },
    Entry {
        id: "foreign-drop-below",
        harm: Harm::Overblock,
        how: How::Engine(EngineFault::FallsToForeignDrop),
        line: "what the policies let through returns to a chain that drops it",
        source: "cloudnativelabs/kube-router#984",
    },
    Entry {
        id: "foreign-accept-above",
        harm: Harm::Leak,
        how: How::Engine(EngineFault::ForeignAcceptAbove),
        line: "a chain above accepts what comes from the first node's pods",
        source: "projectcalico/felix#1118",
    },
    Entry {
        id: "replies-asked",
        harm: Harm::Overblock,
        how: How::Engine(EngineFault::RepliesAsked),
        line: "answers must be permitted as if they opened a connection",
        source: "",
    },
];
