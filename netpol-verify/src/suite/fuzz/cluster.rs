//! A cluster as manifests: how it is read, counted and written down.

use std::path::Path;

use serde_json::Value;

use crate::{
    cluster::{ClusterState, Loaded, Object, Snapshot, path::Step},
    policy::compile,
};

/// Manifests of namespaces, pods and policies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cluster {
    pub(super) manifests: Vec<Value>,
}

impl Cluster {
    pub(super) const fn new(manifests: Vec<Value>) -> Self {
        Self { manifests }
    }

    /// Its objects; nothing where an API server would refuse one of them.
    pub(super) fn objects(&self) -> Option<Vec<Object>> {
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": self.manifests});
        let loaded = Loaded::from_text(&list.to_string(), Path::new("-"));
        let all = loaded.problems.is_empty() && loaded.objects.len() == self.manifests.len();
        if !all {
            return None;
        }
        let (_, problems) = compile(&snapshot(&loaded.objects));
        problems.is_empty().then_some(loaded.objects)
    }

    /// How many manifests of a kind it has.
    pub(super) fn count(&self, kind: &str) -> usize {
        self.manifests
            .iter()
            .filter(|manifest| is_of(manifest, kind))
            .count()
    }

    /// The same without a part.
    pub(super) fn without(&self, part: &[Step]) -> Option<Self> {
        let (first, rest) = part.split_first()?;
        let Step::Index(index) = first else { return None };
        let mut manifests = self.manifests.clone();
        if rest.is_empty() {
            (*index < manifests.len()).then(|| manifests.remove(*index))?;
        } else {
            take_out(manifests.get_mut(*index)?, rest)?;
        }
        Some(Self { manifests })
    }

    /// As YAML for `kubectl apply`, without what only the API server or the lab gives; that is told in comments.
    pub(super) fn to_yaml(&self) -> String {
        let documents = self.manifests.iter().filter_map(|manifest| {
            let mut written = manifest.clone();
            written.as_object_mut()?.remove("status");
            if is_of(manifest, "Pod") {
                written.get_mut("spec")?.as_object_mut()?.remove("nodeName");
            }
            let text = serde_saphyr::to_string(&written).ok()?;
            Some(format!("{}{text}", whereabouts(manifest)))
        });
        documents.collect::<Vec<_>>().join("---\n")
    }
}

/// Where a pod was when it was played, which blocks of addresses are about.
fn whereabouts(manifest: &Value) -> String {
    if !is_of(manifest, "Pod") {
        return String::new();
    }
    let text = |path: &str| manifest.pointer(path).and_then(Value::as_str);
    let addresses: Vec<&str> = manifest
        .pointer("/status/podIPs")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("ip")?.as_str())
        .collect();
    let phase = text("/status/phase").unwrap_or("Running");
    let node = text("/spec/nodeName").map_or(String::new(), |node| format!(" on {node}"));
    format!("# {phase}{node}, at {}\n", addresses.join(" and "))
}

/// Whether a manifest is of a kind.
pub(super) fn is_of(manifest: &Value, kind: &str) -> bool {
    manifest.get("kind").and_then(Value::as_str) == Some(kind)
}

/// The objects as a cluster at one moment.
pub(super) fn snapshot(objects: &[Object]) -> Snapshot {
    let mut state = ClusterState::default();
    state.apply(objects.iter().cloned());
    state.snapshot()
}

fn take_out(from: &mut Value, part: &[Step]) -> Option<()> {
    let (last, way) = part.split_last()?;
    let mut parent = from;
    for step in way {
        parent = match step {
            Step::Key(key) => parent.get_mut(key)?,
            Step::Index(index) => parent.get_mut(*index)?,
        };
    }
    match (parent, last) {
        (Value::Object(map), Step::Key(key)) => map.remove(key).map(drop),
        (Value::Array(list), Step::Index(index)) if *index < list.len() => {
            list.remove(*index);
            Some(())
        }
        _ => None,
    }
}
