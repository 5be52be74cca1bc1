//! Selectors, misread.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::{cluster::Snapshot, lab::fault::policies::each_selector};

/// How selectors are misread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum SelectorMisreading {
    /// Only matchLabels count.
    ExpressionsIgnored,
    /// Only matchExpressions count where there are some.
    LabelsIgnored,
    /// `In` means its first value.
    InIsFirstValue,
    /// `NotIn` selects only what has the key.
    NotInNeedsKey,
    /// `NotIn` is read as `In`.
    NotInAsIn,
    /// `DoesNotExist` is read as `Exists`.
    DoesNotExistAsExists,
    /// `Exists` selects everything.
    ExistsIgnored,
    /// Labels are compared without regard to case.
    CaseIgnored,
    /// Of several labels only the first counts.
    OnlyFirstLabel,
}

impl SelectorMisreading {
    /// The cluster as it is misread.
    pub(in super::super) fn reread(self, snapshot: &Snapshot) -> Snapshot {
        let mut reread = each_selector(snapshot, |selector| self.change(selector));
        if self == Self::CaseIgnored {
            let labels = reread.pods.iter_mut().map(|pod| &mut pod.labels);
            let all = labels.chain(
                reread
                    .namespaces
                    .iter_mut()
                    .map(|namespace| &mut namespace.labels),
            );
            all.flat_map(|labels| labels.values_mut())
                .for_each(|value| *value = value.to_lowercase());
        }
        reread
    }

    fn change(self, selector: &mut LabelSelector) {
        match self {
            Self::ExpressionsIgnored => selector.match_expressions = None,
            Self::LabelsIgnored => {
                if selector
                    .match_expressions
                    .as_ref()
                    .is_some_and(|all| !all.is_empty())
                {
                    selector.match_labels = None;
                }
            }
            Self::OnlyFirstLabel => {
                if let Some(labels) = &mut selector.match_labels {
                    *labels = std::mem::take(labels).into_iter().take(1).collect();
                }
            }
            Self::CaseIgnored => {
                let labels = selector
                    .match_labels
                    .iter_mut()
                    .flat_map(|labels| labels.values_mut());
                let values = requirements(selector.match_expressions.as_mut())
                    .flat_map(|requirement| requirement.values.iter_mut().flatten());
                labels
                    .chain(values)
                    .for_each(|value| *value = value.to_lowercase());
            }
            Self::NotInNeedsKey => {
                let also: Vec<_> = requirements(selector.match_expressions.as_mut())
                    .filter(|requirement| requirement.operator == "NotIn")
                    .map(|requirement| LabelSelectorRequirement {
                        key: requirement.key.clone(),
                        operator: "Exists".to_owned(),
                        values: None,
                    })
                    .collect();
                selector
                    .match_expressions
                    .iter_mut()
                    .for_each(|all| all.extend(also.clone()));
            }
            Self::ExistsIgnored => {
                if let Some(all) = &mut selector.match_expressions {
                    all.retain(|requirement| requirement.operator != "Exists");
                }
            }
            Self::InIsFirstValue => of(selector, "In").for_each(|requirement| {
                requirement
                    .values
                    .iter_mut()
                    .for_each(|values| values.truncate(1));
            }),
            Self::NotInAsIn => {
                of(selector, "NotIn").for_each(|requirement| "In".clone_into(&mut requirement.operator))
            }
            Self::DoesNotExistAsExists => of(selector, "DoesNotExist")
                .for_each(|requirement| "Exists".clone_into(&mut requirement.operator)),
        }
    }
}

fn requirements(
    all: Option<&mut Vec<LabelSelectorRequirement>>,
) -> impl Iterator<Item = &mut LabelSelectorRequirement> {
    all.into_iter().flatten()
}

fn of<'a>(
    selector: &'a mut LabelSelector,
    operator: &'a str,
) -> impl Iterator<Item = &'a mut LabelSelectorRequirement> {
    requirements(selector.match_expressions.as_mut())
        .filter(move |requirement| requirement.operator == operator)
}
