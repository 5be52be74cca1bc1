//! The report that network-policy-api collects from implementations, in its own shape: `kind: ConformanceReport`.
//!
//! The shape is that of `conformance/apis/v1alpha1/profilereport.go` and of the reports under `conformance/reports` of
//! kubernetes-sigs/network-policy-api at v0.2.0.

use serde::Serialize;

use super::{CaseCounts, CaseResult, CaseVerdict, Certification, Refused};

/// The suite whose cases are those of upstream.
pub const CONFORMANCE_SUITE: &str = "cnp";
/// The version of the API that they are of.
const API: &str = "v0.2.0";
/// The group and the word by which a case says that it is about an experimental field.
const CHANNEL: &str = "channel";
const EXPERIMENTAL: &str = "experimental";
/// Upstream's names for what experimental cases exercise.
const EXPERIMENTAL_FEATURES: [(&str, &str); 2] = [
    ("named-port", "ClusterNetworkPolicyNamedPorts"),
    ("nodes", "ClusterNetworkPolicyEgressNodePeers"),
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConformanceReport {
    api_version: &'static str,
    kind: &'static str,
    date: String,
    implementation: Implementation,
    #[serde(rename = "networkPolicyV2APIVersion")]
    network_policy_v2_api_version: &'static str,
    profiles: Vec<Profile>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Implementation {
    organization: &'static str,
    project: String,
    url: &'static str,
    version: String,
    contact: Vec<String>,
    additional_information: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    name: &'static str,
    standard: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    experimental: Option<Experimental>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Experimental {
    #[serde(flatten)]
    status: Status,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    supported_features: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unsupported_features: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    result: &'static str,
    summary: String,
    statistics: Statistics,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped_tests: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_tests: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statistics {
    failed: u64,
    passed: u64,
    skipped: u64,
}

/// The report as YAML; none when no case of the suite `cnp` was played. Who made the implementation is not known here: the
/// fields for it are left empty for a person to fill in.
///
/// # Errors
/// When it cannot be written as YAML; no certification can cause that today.
pub fn conformance_report(run: &Certification) -> Result<Option<String>, crate::report::YamlError> {
    let of_suite: Vec<&CaseResult> = run
        .cases
        .iter()
        .filter(|case| case.suite == CONFORMANCE_SUITE)
        .collect();
    if of_suite.is_empty() {
        return Ok(None);
    }
    let (experimental, standard): (Vec<_>, Vec<_>) =
        of_suite.into_iter().partition(|case| is_experimental(case));
    let refused: Vec<&Refused> = run
        .refused
        .iter()
        .filter(|one| one.suite == CONFORMANCE_SUITE)
        .collect();
    let standard = status(&standard, &refused);
    let report = ConformanceReport {
        api_version: "policy.networking.k8s.io/v1alpha1",
        kind: "ConformanceReport",
        date: run.finished.to_string(),
        implementation: Implementation {
            organization: "",
            project: run.environment.cni.clone(),
            url: "",
            version: run.versions.get("cni").cloned().unwrap_or_default(),
            contact: Vec::new(),
            additional_information: format!("by {} {}, from packets", run.tool.name, run.tool.version),
        },
        network_policy_v2_api_version: API,
        profiles: vec![Profile {
            name: "ClusterNetworkPolicy",
            standard,
            experimental: (!experimental.is_empty()).then(|| features(&experimental)),
        }],
    };
    serde_saphyr::to_string(&report).map(Some)
}

fn is_experimental(case: &CaseResult) -> bool {
    case.features
        .get(CHANNEL)
        .is_some_and(|words| words.iter().any(|word| word == EXPERIMENTAL))
}

/// A case that cannot be told is one that was not run, as far as upstream is concerned: never a pass, and no failure.
fn status(cases: &[&CaseResult], refused: &[&Refused]) -> Status {
    let counts = CaseCounts::of(cases.iter().copied());
    let named = |verdict| {
        let found = cases.iter().filter(move |case| case.verdict == verdict);
        found.map(|case| case.id.clone()).collect::<Vec<_>>()
    };
    let mut skipped = named(CaseVerdict::Inconclusive);
    skipped.extend(refused.iter().map(|one| one.id.clone()));
    Status {
        result: match (counts.failed, skipped.is_empty()) {
            (0, true) => "success",
            (0, false) => "partial",
            _ => "failure",
        },
        summary: String::new(),
        statistics: Statistics {
            failed: counts.failed,
            passed: counts.passed,
            skipped: skipped.len() as u64,
        },
        skipped_tests: skipped,
        failed_tests: named(CaseVerdict::Failed),
    }
}

fn features(cases: &[&CaseResult]) -> Experimental {
    let with = |word: &str| -> Vec<&CaseResult> {
        let has = |case: &&CaseResult| case.features.values().flatten().any(|one| one == word);
        cases.iter().copied().filter(has).collect()
    };
    let (mut supported, mut unsupported) = (Vec::new(), Vec::new());
    for (word, upstream) in EXPERIMENTAL_FEATURES {
        let of_feature = with(word);
        let all_pass = of_feature.iter().all(|case| case.verdict == CaseVerdict::Passed);
        match (of_feature.is_empty(), all_pass) {
            (true, _) => {}
            (false, true) => supported.push(upstream),
            (false, false) => unsupported.push(upstream),
        }
    }
    Experimental {
        status: status(cases, &[]),
        supported_features: supported,
        unsupported_features: unsupported,
    }
}
