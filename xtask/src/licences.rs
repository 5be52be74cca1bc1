//! Licences of all dependencies against the list in `deny.toml`: by cargo-deny where it is installed, else by itself.
//!
//! cargo-deny takes many minutes to build on two cores, so CI does without; what it would check beyond licences (sources)
//! is small enough to be checked here.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;

/// Fails on a dependency whose licence is not allowed or whose source is not the public registry.
pub(crate) fn run() -> Result<()> {
    if command::find("cargo-deny").is_some() {
        return command::run(command::cargo().args([
            "deny",
            "--all-features",
            "check",
            "licenses",
            "bans",
            "sources",
        ]));
    }
    let file = command::workspace().join("deny.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let allowed = allowed(&text)?;
    let metadata = command::output(command::cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata wrote no JSON")?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("cargo metadata names no packages")?;
    let wrong: Vec<String> = packages
        .iter()
        .filter_map(|package| objection(package, &allowed))
        .collect();
    if !wrong.is_empty() {
        bail!("licences: {}", wrong.join("; "));
    }
    println!(
        "Licences and sources of {} packages: allowed by deny.toml.",
        packages.len()
    );
    Ok(())
}

/// The list `licenses.allow`.
fn allowed(text: &str) -> Result<Vec<String>> {
    let table: toml::Table = text.parse().context("deny.toml does not parse")?;
    let list = table
        .get("licenses")
        .and_then(|licences| licences.get("allow"))
        .and_then(toml::Value::as_array)
        .context("deny.toml has no list licenses.allow")?;
    Ok(list
        .iter()
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect())
}

/// What is wrong with a package, if anything.
fn objection(package: &Value, allowed: &[String]) -> Option<String> {
    let text = |key: &str| package.get(key).and_then(Value::as_str);
    let name = format!(
        "{} {}",
        text("name").unwrap_or("?"),
        text("version").unwrap_or("?")
    );
    match text("source") {
        // A member of the workspace.
        None => {}
        Some(source) if source.starts_with("registry+") => {}
        Some(source) => return Some(format!("{name} comes from {source}")),
    }
    match text("license") {
        None => Some(format!("{name} names no licence")),
        Some(licence) => match satisfies(licence, allowed) {
            Ok(true) => None,
            Ok(false) => Some(format!("{name} is {licence}")),
            Err(error) => Some(format!("{name}: {error:#}")),
        },
    }
}

/// Whether an SPDX expression can be met with allowed licences; `/` as older crates write it means `OR`.
fn satisfies(expression: &str, allowed: &[String]) -> Result<bool> {
    let expression = spdx::Expression::parse_mode(expression, spdx::ParseMode::LAX)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(expression.evaluate(|requirement| allowed.iter().any(|one| *one == requirement.to_string())))
}

#[cfg(test)]
mod tests {
    use super::{allowed, satisfies};

    #[test]
    fn an_expression_needs_one_way_through_the_list() {
        let list = allowed("[licenses]\nallow = [\"MIT\", \"Apache-2.0 WITH LLVM-exception\"]").unwrap();
        for (expression, expected) in [
            ("MIT", true),
            ("MIT OR GPL-3.0-only", true),
            ("MIT/GPL-3.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("Apache-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("(GPL-2.0-only OR MIT) AND MIT", true),
        ] {
            assert_eq!(satisfies(expression, &list).unwrap(), expected, "{expression}");
        }
        assert!(satisfies("not a licence", &list).is_err());
    }
}
