//! Whole policies, misread.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyIngressRule},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use crate::{
    cluster::{NAMESPACE_NAME_LABEL, Snapshot, SourcedPolicy},
    lab::fault::policies::{each_rule, each_spec, name_types},
};

/// How policies are misread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum PolicyMisreading {
    /// Rules of a direction isolate, whatever policyTypes say.
    TypesIgnored,
    /// Without policyTypes, a policy isolates both directions.
    MissingTypesAreBoth,
    /// Of a policy for both directions, only ingress counts.
    OnlyIngressOfBoth,
    /// Rules for ingress are taken for egress, and the other way round.
    DirectionsSwapped,
    /// A policy applies to the pods of every namespace.
    NamespaceIgnored,
    /// The last policy of a namespace was never installed.
    LastOneMissing,
}

impl PolicyMisreading {
    /// The cluster as it is misread.
    pub(in super::super) fn reread(self, snapshot: &Snapshot) -> Snapshot {
        match self {
            Self::TypesIgnored => each_spec(snapshot, |_, spec| {
                name_types(spec);
                if let Some(types) = &mut spec.policy_types {
                    let has = [
                        (
                            "Ingress",
                            spec.ingress.as_ref().is_some_and(|rules| !rules.is_empty()),
                        ),
                        (
                            "Egress",
                            spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
                        ),
                    ];
                    for (name, _) in has.into_iter().filter(|(_, any)| *any) {
                        if !types.iter().any(|one| one == name) {
                            types.push(name.to_owned());
                        }
                    }
                }
            }),
            Self::MissingTypesAreBoth => each_spec(snapshot, |_, spec| {
                if spec.policy_types.as_ref().is_none_or(Vec::is_empty) {
                    spec.policy_types = Some(vec!["Ingress".to_owned(), "Egress".to_owned()]);
                }
            }),
            Self::OnlyIngressOfBoth => each_spec(snapshot, |_, spec| {
                name_types(spec);
                if let Some(types) = &mut spec.policy_types
                    && types.iter().any(|one| one == "Ingress")
                {
                    types.retain(|one| one == "Ingress");
                }
            }),
            Self::DirectionsSwapped => each_spec(snapshot, |_, spec| {
                name_types(spec);
                let (ingress, egress) = (spec.ingress.take(), spec.egress.take());
                spec.egress = ingress.map(|rules| {
                    let swapped = rules.into_iter().map(|rule| NetworkPolicyEgressRule {
                        to: rule.from,
                        ports: rule.ports,
                    });
                    swapped.collect()
                });
                spec.ingress = egress.map(|rules| {
                    let swapped = rules.into_iter().map(|rule| NetworkPolicyIngressRule {
                        from: rule.to,
                        ports: rule.ports,
                    });
                    swapped.collect()
                });
                for one in spec.policy_types.iter_mut().flatten() {
                    *one = if one == "Ingress" {
                        "Egress".to_owned()
                    } else {
                        "Ingress".to_owned()
                    };
                }
            }),
            Self::NamespaceIgnored => everywhere(snapshot),
            Self::LastOneMissing => {
                let mut reread = snapshot.clone();
                let mut last: BTreeMap<String, SourcedPolicy> = BTreeMap::new();
                for policy in &snapshot.policies {
                    last.insert(policy.name().namespace, policy.clone());
                }
                reread.policies.retain(|policy| {
                    let name = policy.name();
                    last.get(&name.namespace).is_none_or(|last| last.name() != name)
                });
                reread
            }
        }
    }
}

/// Every policy once in each namespace; whom its rules mean stays as it is.
fn everywhere(snapshot: &Snapshot) -> Snapshot {
    let fixed = each_rule(snapshot, |mut rule| {
        let own = LabelSelector {
            match_labels: Some(BTreeMap::from([(
                NAMESPACE_NAME_LABEL.to_owned(),
                rule.namespace.to_owned(),
            )])),
            match_expressions: None,
        };
        rule.each_peer(|mut peer| {
            if peer.pod_selector.is_some() && peer.namespace_selector.is_none() {
                peer.namespace_selector = Some(own.clone());
            }
            vec![peer]
        })
    });
    let mut reread = fixed.clone();
    reread.policies.clear();
    for policy in &fixed.policies {
        let home = policy.name();
        for namespace in &snapshot.namespaces {
            let mut copy = policy.clone();
            let metadata = &mut Arc::make_mut(&mut copy.object).metadata;
            if namespace.name != home.namespace {
                metadata.name = Some(format!("{}.{}", home.name, home.namespace));
            }
            metadata.namespace = Some(namespace.name.clone());
            reread.policies.push(copy);
        }
    }
    reread
}
