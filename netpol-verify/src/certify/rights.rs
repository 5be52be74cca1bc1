//! Which rights in the API the commands need, and which of them are there: asked of the API server, one review a right.

use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};

use super::install::HOME;
use crate::{causes::causes, cluster::needed, report::Checked};

/// Reviews that are asked for at once.
const AT_ONCE: usize = 8;

/// Verbs on a resource, for a purpose.
#[derive(Clone, Copy, Debug)]
struct Right {
    group: &'static str,
    /// With its subresource: `pods/portforward`.
    resource: &'static str,
    verbs: &'static [&'static str],
    /// Only in our own namespace; otherwise in all.
    at_home: bool,
}

/// What rights are for.
#[derive(Clone, Debug)]
struct Purpose {
    what: &'static str,
    required: bool,
    /// What is lost without any one of them.
    cost: &'static str,
    rights: Vec<Right>,
}

const fn everywhere(group: &'static str, resource: &'static str, verbs: &'static [&'static str]) -> Right {
    Right {
        group,
        resource,
        verbs,
        at_home: false,
    }
}

const fn at_home(group: &'static str, resource: &'static str, verbs: &'static [&'static str]) -> Right {
    Right {
        group,
        resource,
        verbs,
        at_home: true,
    }
}

/// Server-side apply is a patch, and a creation where there was nothing.
const APPLY: &[&str] = &["create", "patch"];

/// Everything that `certify` does, whatever it probes.
const CERTIFY: [Right; 8] = [
    everywhere("", "namespaces", &["get", "list"]),
    everywhere("", "nodes", &["list"]),
    everywhere("apps", "daemonsets", &["list"]),
    at_home("apps", "daemonsets", &["get"]),
    at_home("apps", "deployments", &["get"]),
    at_home("", "secrets", &["get"]),
    // API servers before 1.35 ask for the one, later ones for both.
    at_home("", "pods/portforward", &["get", "create"]),
    at_home(
        "coordination.k8s.io",
        "leases",
        &["get", "create", "update", "delete"],
    ),
];

/// What it does for pods of its own.
const OWN: [Right; 3] = [
    everywhere("", "namespaces", &["create", "patch", "delete"]),
    everywhere("", "pods", &["get", "create", "patch"]),
    everywhere("networking.k8s.io", "networkpolicies", APPLY),
];

/// What it does to install sensors and NATS, and to remove them.
const INSTALL: [Right; 8] = [
    everywhere("", "namespaces", &["create", "delete"]),
    at_home("", "secrets", &["create"]),
    at_home("", "serviceaccounts", APPLY),
    at_home("", "configmaps", APPLY),
    at_home("", "services", APPLY),
    at_home("networking.k8s.io", "networkpolicies", APPLY),
    at_home("apps", "daemonsets", APPLY),
    at_home("apps", "deployments", APPLY),
];

/// What the commands need, and which of it is there. `installed` is whether sensors are; `groups` are the API groups that
/// the server has, where that is known.
pub(super) async fn rights(client: &Client, installed: bool, groups: Option<&[String]>) -> Vec<Checked> {
    let mut findings = Vec::new();
    for purpose in purposes(installed, groups) {
        findings.extend(examine(client, &purpose).await);
    }
    findings
}

fn purposes(installed: bool, groups: Option<&[String]>) -> Vec<Purpose> {
    let is_served = |group: &str| groups.is_none_or(|all| all.iter().any(|one| one == group));
    let mut purposes = Vec::new();
    let mut followed = Vec::new();
    let mut read = Vec::new();
    for needed in needed() {
        let right = |verbs| everywhere(needed.group, needed.resource, verbs);
        if needed.is_optional && !is_served(needed.group) {
            continue;
        }
        followed.push(right(&["watch"]));
        match needed.cost {
            None => read.push(right(&["list"])),
            Some(cost) => purposes.push(Purpose {
                what: "explain",
                required: false,
                cost,
                rights: vec![right(&["list"])],
            }),
        }
    }
    purposes.insert(
        0,
        Purpose {
            what: "explain",
            required: true,
            cost: "explain, matrix, lint, certify and the verifier have no answer without it",
            rights: read,
        },
    );
    purposes.push(Purpose {
        what: "verifier",
        required: false,
        cost: "a verifier with these credentials cannot follow the cluster; the one of deploy/install.yaml has an account of its own",
        rights: followed,
    });
    purposes.push(Purpose {
        what: "certify",
        required: true,
        cost: "certify is not possible",
        rights: CERTIFY.to_vec(),
    });
    purposes.push(Purpose {
        what: "certify's own pods",
        required: false,
        cost: "certify cannot make pods and policies of its own; certify --existing can do without",
        rights: OWN.to_vec(),
    });
    purposes.push(Purpose {
        what: "certify --disruptive",
        required: false,
        cost: "certify --disruptive cannot restart the CNI's DaemonSet; certify without it does not",
        rights: vec![everywhere("apps", "daemonsets", &["patch"])],
    });
    purposes.push(Purpose {
        what: "certify's sensors",
        required: !installed,
        cost: "certify cannot install sensors and NATS and remove them; an administrator can, by deploy/install.yaml",
        rights: INSTALL.to_vec(),
    });
    purposes
}

/// A line for all that is there, and one for each right that is not.
async fn examine(client: &Client, purpose: &Purpose) -> Vec<Checked> {
    let all = purpose
        .rights
        .iter()
        .flat_map(|right| right.verbs.iter().map(move |verb| (*right, *verb)));
    let answers: Vec<_> = stream::iter(all)
        .map(|(right, verb)| async move { (right, verb, is_allowed(client, right, verb).await) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let what = format!("rights: {}", purpose.what);
    let mut findings = Vec::new();
    let mut granted: Vec<(Vec<&str>, String)> = Vec::new();
    for (right, verb, answer) in answers {
        match answer {
            Ok(true) => match granted.last_mut().filter(|(_, place)| *place == right.place()) {
                Some((verbs, _)) => verbs.push(verb),
                None => granted.push((vec![verb], right.place())),
            },
            Ok(false) => {
                let lack = format!(
                    "may not {verb} {}: {}; check with `{}`",
                    right.place(),
                    purpose.cost,
                    right.check(verb)
                );
                findings.push(Checked::new(&what, false, purpose.required, "", &lack));
            }
            Err(why) => {
                let why = format!("whether one may {verb} {}: {why}", right.place());
                findings.push(Checked::untold(&what, purpose.required, &why));
            }
        }
    }
    if findings.is_empty() {
        let granted = granted
            .into_iter()
            .map(|(verbs, place)| format!("{} {place}", verbs.join(", ")));
        let granted: Vec<String> = granted.collect();
        findings.push(Checked::good(&what, &format!("may {}", granted.join("; "))));
    }
    findings
}

async fn is_allowed(client: &Client, right: Right, verb: &str) -> Result<bool, String> {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource, None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(right.group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource,
                verb: Some(verb.to_owned()),
                namespace: right.at_home.then(|| HOME.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = Api::<SelfSubjectAccessReview>::all(client.clone())
        .create(&PostParams::default(), &review)
        .await
        .map_err(|error| causes(&error))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

impl Right {
    /// `pods/portforward` or `networkpolicies.networking.k8s.io`, as kubectl takes it.
    fn name(&self) -> String {
        match (self.group, self.resource.split_once('/')) {
            ("", _) => self.resource.to_owned(),
            (group, None) => format!("{}.{group}", self.resource),
            (group, Some((resource, subresource))) => format!("{resource}.{group}/{subresource}"),
        }
    }

    fn place(&self) -> String {
        let place = if self.at_home {
            format!("in namespace {HOME}")
        } else {
            "everywhere".to_owned()
        };
        format!("{} {place}", self.name())
    }

    fn check(&self, verb: &str) -> String {
        let place = if self.at_home {
            format!("-n {HOME}")
        } else {
            "--all-namespaces".to_owned()
        };
        format!("kubectl auth can-i {verb} {} {place}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{INSTALL, Right, purposes};
    use crate::certify::install;

    #[test]
    fn every_kind_that_is_installed_is_asked_about() {
        for kind in install::kinds().unwrap() {
            let plural = match kind.to_lowercase().as_str() {
                "networkpolicy" => "networkpolicies".to_owned(),
                other => format!("{other}s"),
            };
            assert!(INSTALL.iter().any(|right| right.resource == plural), "{plural}");
        }
    }

    #[test]
    fn administrators_policies_are_asked_about_only_where_the_server_has_them() {
        let resources = |groups: Option<&[String]>| -> Vec<&str> {
            let all = purposes(true, groups);
            all.iter()
                .flat_map(|purpose| purpose.rights.iter().map(|right| right.resource))
                .collect()
        };
        let admin = "adminnetworkpolicies";
        assert!(!resources(Some(&[])).contains(&admin));
        assert!(resources(Some(&["policy.networking.k8s.io".to_owned()])).contains(&admin));
        // Not known: better asked in vain.
        assert!(resources(None).contains(&admin));
    }

    #[test]
    fn installing_is_required_only_where_nothing_is_installed() {
        let required = |installed| -> Vec<&str> {
            let all = purposes(installed, None);
            all.iter()
                .filter(|purpose| purpose.required)
                .map(|purpose| purpose.what)
                .collect()
        };
        assert_eq!(required(true), ["explain", "certify"]);
        assert_eq!(required(false), ["explain", "certify", "certify's sensors"]);
    }

    #[test]
    fn a_right_is_spelt_as_kubectl_takes_it() {
        let right = |group, resource, at_home| Right {
            group,
            resource,
            verbs: &["get"],
            at_home,
        };
        assert_eq!(
            right("apps", "daemonsets", true).check("get"),
            "kubectl auth can-i get daemonsets.apps -n netpol-verify"
        );
        assert_eq!(
            right("", "pods/portforward", false).check("create"),
            "kubectl auth can-i create pods/portforward --all-namespaces"
        );
    }
}
