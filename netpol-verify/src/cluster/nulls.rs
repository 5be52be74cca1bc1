//! Nulls in lists and maps, as the API server reads them: Go has no null there and takes the element's empty value.
//!
//! `ingress: [null]` is `ingress: [{}]`, which lets everything in (measured against kube-apiserver 1.34).

use serde_json::{Map, Value};

/// The lists of texts in what the model takes; all others are lists of objects.
const TEXTS: [&str; 8] = [
    "values",
    "except",
    "policyTypes",
    "addresses",
    "clusterIPs",
    "externalIPs",
    "command",
    "args",
];
/// The maps from text to text.
const MAPS: [&str; 4] = ["matchLabels", "labels", "annotations", "selector"];

/// Puts empty values in the place of nulls that stand in a list or in a map of texts. A field that is null is absent.
pub(super) fn filled(value: &mut Value) {
    fill(value, "");
}

fn fill(value: &mut Value, key: &str) {
    match value {
        Value::Array(items) => {
            for item in items {
                if item.is_null() {
                    *item = if TEXTS.contains(&key) {
                        Value::String(String::new())
                    } else {
                        Value::Object(Map::new())
                    };
                } else {
                    fill(item, key);
                }
            }
        }
        Value::Object(fields) => {
            let is_map = MAPS.contains(&key);
            for (name, field) in fields {
                if field.is_null() && is_map {
                    *field = Value::String(String::new());
                } else {
                    fill(field, name);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::filled;

    #[test]
    fn nulls_become_what_go_makes_of_them() {
        let mut value = json!({
            "ingress": [null, {"from": null, "ports": [null]}],
            "podSelector": {"matchLabels": {"app": null}, "matchExpressions": [{"values": [null]}]},
            "policyTypes": [null],
        });
        filled(&mut value);
        assert_eq!(
            value,
            json!({
                "ingress": [{}, {"from": null, "ports": [{}]}],
                "podSelector": {"matchLabels": {"app": ""}, "matchExpressions": [{"values": [""]}]},
                "policyTypes": [""],
            })
        );
    }
}
