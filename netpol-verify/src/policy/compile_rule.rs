//! The parts of a policy that stand for themselves: its directions, its blocks, and what both kinds of rules share.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
};

use crate::cluster::{
    cidr::{is_strict_subset, parse_cidr},
    path::FieldPath,
};

use super::{compile::Report, peer::Block};

/// R3: what is listed; when nothing is, ingress always and egress where the section has rules.
pub(crate) fn directions(policy: &NetworkPolicy, report: &mut Report<'_>) -> (bool, bool) {
    let spec = policy.spec.as_ref();
    let types = spec
        .and_then(|spec| spec.policy_types.as_deref())
        .unwrap_or_default();
    let path = FieldPath::of("spec.policyTypes");
    if types.len() > 2 {
        report.problem(
            &path,
            format!(
                "has {} entries; the API takes two at most; all are read",
                types.len()
            ),
        );
    }
    for (index, unknown) in types
        .iter()
        .enumerate()
        .filter(|(_, it)| !matches!(it.as_str(), "Ingress" | "Egress"))
    {
        report.problem(
            &path.index(index),
            format!("{unknown:?} is no policy type; expected Ingress or Egress; the entry is ignored"),
        );
    }
    let listed = |name: &str| types.iter().any(|it| it == name);
    if listed("Ingress") || listed("Egress") {
        return (listed("Ingress"), listed("Egress"));
    }
    let has_egress = spec
        .and_then(|spec| spec.egress.as_ref())
        .is_some_and(|rules| !rules.is_empty());
    (true, has_egress)
}

/// An `ipBlock`; `None` when the API would refuse it, so that it lets nothing through.
pub(crate) fn block(
    cidr: &str,
    except: &[String],
    path: &FieldPath,
    report: &mut Report<'_>,
) -> Option<Block> {
    let net = match parse_cidr(cidr) {
        Ok(net) => net,
        Err(error) => {
            report.problem(&path.key("cidr"), format!("{error}; the peer matches nothing"));
            return None;
        }
    };
    let mut excepted = Vec::with_capacity(except.len());
    for (index, text) in except.iter().enumerate() {
        let path = path.key("except").index(index);
        match parse_cidr(text) {
            Ok(inner) if is_strict_subset(&inner, &net) => excepted.push(inner),
            Ok(inner) => {
                report.problem(
                    &path,
                    format!("{inner} is no strict subset of {net}; the peer matches nothing"),
                );
                return None;
            }
            Err(error) => {
                report.problem(&path, format!("{error}; the peer matches nothing"));
                return None;
            }
        }
    }
    Some(Block {
        net,
        except: excepted,
    })
}

/// What ingress and egress rules have in common.
pub(crate) trait Written {
    /// The key of the peers.
    const PEERS: &'static str;
    /// Its peers; none means any.
    fn peers(&self) -> &[NetworkPolicyPeer];
    /// Its ports; none means any.
    fn ports(&self) -> &[NetworkPolicyPort];
}

impl Written for NetworkPolicyIngressRule {
    const PEERS: &'static str = "from";

    fn peers(&self) -> &[NetworkPolicyPeer] {
        self.from.as_deref().unwrap_or_default()
    }

    fn ports(&self) -> &[NetworkPolicyPort] {
        self.ports.as_deref().unwrap_or_default()
    }
}

impl Written for NetworkPolicyEgressRule {
    const PEERS: &'static str = "to";

    fn peers(&self) -> &[NetworkPolicyPeer] {
        self.to.as_deref().unwrap_or_default()
    }

    fn ports(&self) -> &[NetworkPolicyPort] {
        self.ports.as_deref().unwrap_or_default()
    }
}
