//! Manifests of a step: whole, or taken from a named one with parts replaced.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use crate::cluster::{
    Loaded, Object, Place, Problem,
    document::{self},
    path::{FieldPath, Step},
};

/// Manifests that `like` may name: those of `suite.yaml` by their names there, those of the world as `Pod x/a`.
pub(super) type Known = BTreeMap<String, Value>;

/// What is wrong with an entry of `apply`: the key in it, and why.
pub(super) type Fault = (FieldPath, String);

/// The world's manifests by kind and name. What cannot be read is reported where the world is loaded.
pub(super) fn known(world: &str) -> Known {
    let values = document::values(&document::split(world))
        .into_iter()
        .filter_map(Result::ok)
        .flatten();
    let objects = values.flat_map(|(mut value, _)| match value.get_mut("items") {
        Some(Value::Array(items)) => std::mem::take(items),
        _ => vec![value],
    });
    objects.filter_map(|value| Some((key(&value)?, value))).collect()
}

fn key(value: &Value) -> Option<String> {
    let (kind, metadata) = (value.get("kind")?.as_str()?, value.get("metadata")?);
    let name = metadata.get("name")?.as_str()?;
    Some(match metadata.get("namespace").and_then(Value::as_str) {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    })
}

/// An entry of `apply` as a whole manifest.
pub(super) fn whole(entry: &Value, known: &Known) -> Result<Value, Fault> {
    let Some(like) = entry.get("like") else {
        return Ok(entry.clone());
    };
    let at = |dotted: &str| FieldPath::of(dotted);
    let strange = entry
        .as_object()
        .and_then(|map| map.keys().find(|key| !matches!(key.as_str(), "like" | "set")));
    if let Some(key) = strange {
        return Err((at("").key(key), "is unknown; expected like and set".to_owned()));
    }
    let found = like.as_str().and_then(|name| known.get(name));
    let Some(mut manifest) = found.cloned() else {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let message = format!(
            "{like} is no manifest here; expected one of: {}",
            names.join(", ")
        );
        return Err((at("like"), message));
    };
    let Some(parts) = entry.get("set") else {
        return Ok(manifest);
    };
    let Some(parts) = parts.as_object() else {
        return Err((at("set"), "expected field paths and their values".to_owned()));
    };
    for (path, value) in parts {
        replace(&mut manifest, path, value).map_err(|message| (at("set").key(path), message))?;
    }
    Ok(manifest)
}

/// Puts a value at `spec.ingress[0].from`; null takes the field away. What leads to the field must be there.
fn replace(manifest: &mut Value, path: &str, value: &Value) -> Result<(), String> {
    let mut steps =
        steps(path).ok_or_else(|| format!("{path:?} is no field path, as spec.ingress[0].from"))?;
    let Some(last) = steps.pop() else {
        return Err("is empty; expected a field path".to_owned());
    };
    let mut parent = manifest;
    for step in &steps {
        let next = match step {
            Step::Key(key) => parent.get_mut(key),
            Step::Index(index) => parent.get_mut(*index),
        };
        parent = next.ok_or("leads to no field of the manifest")?;
    }
    match (parent, last) {
        (Value::Object(map), Step::Key(key)) if value.is_null() => {
            map.remove(&key).ok_or("is not there to be taken away")?;
        }
        (Value::Object(map), Step::Key(key)) => {
            map.insert(key, value.clone());
        }
        (Value::Array(list), Step::Index(index)) if index < list.len() && !value.is_null() => {
            list.splice(index..=index, [value.clone()]);
        }
        _ => return Err("leads to no field of the manifest".to_owned()),
    }
    Ok(())
}

fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() {
            return None;
        }
        steps.push(Step::Key(key.to_owned()));
        while !rest.is_empty() {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = after;
        }
    }
    Some(steps)
}

/// A whole manifest as objects, all of them at one place of the suite.
pub(super) fn objects(manifest: &Value, place: &Place) -> (Vec<Object>, Vec<Problem>) {
    let loaded = Loaded::from_text(&manifest.to_string(), Path::new(""));
    let mut problems = loaded.problems;
    if loaded.ignored > 0 || (loaded.objects.is_empty() && problems.is_empty()) {
        problems.push(Problem {
            place: place.clone(),
            object: None,
            path: None,
            message: "is of a kind that nothing here depends on".to_owned(),
        });
    }
    for problem in &mut problems {
        problem.place = place.clone();
    }
    let mut objects = loaded.objects;
    for object in &mut objects {
        match object {
            Object::Policy(policy) => policy.place = place.clone(),
            Object::Admin(policy) => policy.place = place.clone(),
            _ => {}
        }
    }
    (objects, problems)
}
