//! What a watch tells: small, converted, and nothing of the objects as the server spelled them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{LiveError, error::bounded, resource::Resource};
use crate::cluster::{Kind, Loaded, Object, ObjectKey, Problem};

/// An object's problems repeat; whoever may write the object may choose how many it has.
const MAX_PROBLEMS: usize = 16;

/// One thing that a watch of the cluster tells. [`Followed`](super::Followed) makes a cluster of them.
#[derive(Clone, Debug)]
pub enum Told {
    /// An object is there, and this is what stands now.
    Put {
        /// Its name.
        key: ObjectKey,
        /// The object; none where it cannot be taken at all, which the problems say.
        object: Option<Box<Object>>,
        /// All that could not be taken as it stands, instead of what was told of this object before.
        problems: Vec<Problem>,
    },
    /// An object is gone.
    Gone(ObjectKey),
    /// A kind was listed as a whole, and from here on each change of it is told. What is not named does not exist.
    Listed {
        /// The kind.
        kind: Kind,
        /// All that exists.
        keys: BTreeSet<ObjectKey>,
    },
    /// Everything that happened to a kind so far was told. A quiet server says so about once a minute.
    Alive(Kind),
    /// A kind cannot be followed for now, and what changes is not told. It is tried again until it is `Listed` or `Absent`;
    /// each try that fails is told.
    Broken {
        /// The kind.
        kind: Kind,
        /// Why, and what to do.
        why: LiveError,
    },
    /// The server does not serve a kind, so none of it exists. It is asked again now and then.
    Absent {
        /// The kind.
        kind: Kind,
        /// What an answer lacks all the same: the kind is served in a version that is not read, or that cannot be told.
        lacks: Option<String>,
    },
}

impl Told {
    /// The kind it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Put { key, .. } | Self::Gone(key) => key.kind,
            Self::Alive(kind)
            | Self::Listed { kind, .. }
            | Self::Broken { kind, .. }
            | Self::Absent { kind, .. } => *kind,
        }
    }
}

/// What a server's object says, through the door of manifests.
pub(super) fn put(resource: &Resource, value: Value) -> Told {
    let key = key(resource, &value);
    let mut loaded = Loaded::default();
    loaded.take_listed(resource.api_version(), resource.kind, vec![value]);
    let object = loaded.objects.into_iter().find(|object| object.key() == key);
    let mut problems = loaded.problems;
    if let Some(more) = problems.len().checked_sub(MAX_PROBLEMS).filter(|more| *more > 0) {
        problems.truncate(MAX_PROBLEMS);
        if let Some(last) = problems.last().cloned() {
            problems.push(Problem {
                path: None,
                message: format!("has {more} problems more"),
                ..last
            });
        }
    }
    Told::Put {
        key,
        object: object.map(Box::new),
        problems,
    }
}

/// The name of a server's object. A server says it always; without one it is a name that no object has.
pub(super) fn key(resource: &Resource, value: &Value) -> ObjectKey {
    let word = |name: &str| value.get("metadata")?.get(name)?.as_str().map(bounded);
    let namespace = || word("namespace").filter(|it| !it.is_empty());
    ObjectKey {
        kind: resource.object,
        namespace: resource
            .object
            .is_namespaced()
            .then(|| namespace().unwrap_or_else(|| "default".to_owned())),
        name: word("name").unwrap_or_default(),
    }
}

/// The version of the cluster at which an object stands.
pub(super) fn version(value: &Value) -> Option<&str> {
    value.get("metadata")?.get("resourceVersion")?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(spec: &Value) -> Told {
        let resource = Resource::of(Kind::NetworkPolicy).unwrap();
        put(
            resource,
            json!({"metadata": {"namespace": "shop", "name": "web", "resourceVersion": "7", "annotations": {"a": "secret"}}, "spec": spec}),
        )
    }

    #[test]
    fn what_is_told_is_trimmed_and_named() {
        let told = policy(&json!({"podSelector": {}}));
        let Told::Put {
            key,
            object: Some(object),
            problems,
        } = &told
        else {
            panic!("{told:?}")
        };
        assert_eq!(key.to_string(), "NetworkPolicy shop/web");
        assert_eq!((object.key(), problems.len()), (key.clone(), 0));
        assert!(!format!("{told:?}").contains("secret"));
    }

    #[test]
    fn what_cannot_be_taken_is_named_all_the_same() {
        let told = policy(&json!({"podSelector": 7}));
        let Told::Put {
            key,
            object: None,
            problems,
        } = &told
        else {
            panic!("{told:?}")
        };
        assert_eq!(key.to_string(), "NetworkPolicy shop/web");
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn an_objects_author_does_not_choose_how_much_is_kept_of_its_problems() {
        let unknown: serde_json::Map<_, _> = (0..1_000).map(|n| (format!("f{n}"), json!(1))).collect();
        let Told::Put { problems, .. } = policy(&unknown.into()) else {
            panic!("no object")
        };
        assert_eq!(problems.len(), MAX_PROBLEMS + 1);
        assert_eq!(problems[MAX_PROBLEMS].message, "has 984 problems more");
    }

    #[test]
    fn a_name_that_is_missing_or_endless_is_no_harm() {
        let resource = Resource::of(Kind::Pod).unwrap();
        for value in [
            json!(null),
            json!({"metadata": {"name": 7}}),
            json!({"metadata": {"name": "n".repeat(1 << 20)}}),
        ] {
            let Told::Put { key, object, .. } = put(resource, value) else {
                panic!("no object")
            };
            assert!(object.is_none() && key.name.len() < 1_000);
        }
    }
}
