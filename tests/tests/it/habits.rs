//! The house's habits that no lint holds: first lines, sizes, versions, and rules that name their keeper.
#![expect(clippy::panic, reason = "a test that cannot read its sources must fail")]

use std::fs;

use crate::source::{Source, sources, workspace};

const CRATES: [&str; 4] = [
    "netpol-verify/src",
    "netpol-verify-ebpf/src",
    "xtask/src",
    "tests",
];

fn all() -> Vec<(&'static str, Source)> {
    CRATES
        .iter()
        .flat_map(|folder| sources(folder).into_iter().map(move |source| (*folder, source)))
        .collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(workspace().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn every_file_opens_with_a_sentence() {
    let silent: Vec<String> = all()
        .into_iter()
        .filter(|(_, source)| !source.text.starts_with("//! "))
        .map(|(folder, source)| format!("{folder}/{}", source.path))
        .collect();
    assert!(
        silent.is_empty(),
        "these do not start with a `//!` sentence:\n{}",
        silent.join("\n")
    );
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = all()
        .into_iter()
        .map(|(folder, source)| (format!("{folder}/{}", source.path), source.text.lines().count()))
        .filter(|(_, lines)| *lines > 600)
        .map(|(file, lines)| format!("{file}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "over 600 lines:\n{}", long.join("\n"));
}

/// A stage's own `mod.rs` is its table of contents. A folder further down is one subject that was given a folder for its
/// tests; there `mod.rs` is the subject.
#[test]
fn a_stages_mod_rs_is_a_table_of_contents() {
    let long: Vec<String> = sources("netpol-verify/src")
        .into_iter()
        .filter(|source| source.path.ends_with("/mod.rs") && source.path.matches('/').count() == 1)
        .filter(|source| source.text.lines().count() > 60)
        .map(|source| source.path)
        .collect();
    assert!(long.is_empty(), "over 60 lines: {}", long.join(", "));
}

#[test]
fn no_file_is_named_after_nothing() {
    let vague: Vec<String> = all()
        .into_iter()
        .map(|(folder, source)| format!("{folder}/{}", source.path))
        .filter(|file| {
            let name = file
                .trim_end_matches("/mod.rs")
                .trim_end_matches(".rs")
                .rsplit('/')
                .next()
                .unwrap_or_default();
            [
                "util", "utils", "helper", "helpers", "common", "manager", "types", "misc",
            ]
            .contains(&name)
        })
        .collect();
    assert!(vague.is_empty(), "{}", vague.join(", "));
}

/// The lint table denies it; this holds that nobody opts out beside the one file that says why.
#[test]
fn user_space_opts_out_of_safety_in_one_file() {
    let lint = concat!("unsafe", "_code");
    let opted_out: Vec<String> = ["netpol-verify/src", "xtask/src", "tests"]
        .into_iter()
        .flat_map(|folder| sources(folder).into_iter().map(move |source| (folder, source)))
        .filter(|(_, source)| source.text.replace(&format!("forbid({lint})"), "").contains(lint))
        .map(|(folder, source)| format!("{folder}/{}", source.path))
        .collect();
    assert_eq!(opted_out, ["netpol-verify/src/sensor/sys.rs"]);
}

#[test]
fn nothing_the_sensor_loads_can_drop_or_alter_a_packet() {
    let verdicts = [
        "TC_ACT_SHOT",
        "TC_ACT_STOLEN",
        "TCX_DROP",
        "bpf_redirect",
        "_store_bytes",
        "bpf_skb_change",
    ];
    let own: Vec<String> = sources("netpol-verify-ebpf/src")
        .into_iter()
        .filter(|source| verdicts.iter().any(|verdict| source.text.contains(verdict)))
        .map(|source| source.path)
        .collect();
    assert_eq!(own, ["lab_enforcer.rs"], "only the lab's enforcer drops");
    let loaders: Vec<String> = sources("netpol-verify/src")
        .into_iter()
        .filter(|source| source.text.contains("lab-enforcer.bpf.o"))
        .map(|source| source.path)
        .filter(|path| !path.starts_with("lab/enforcer/tc/"))
        .collect();
    assert_eq!(loaders, [""; 0], "only the lab loads it");
}

#[test]
fn readme_names_the_rust_version_of_the_workspace() {
    let manifest = read("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| {
            line.strip_prefix("rust-version = ")?
                .trim()
                .strip_prefix('"')?
                .strip_suffix('"')
        })
        .expect("the workspace names its rust-version");
    assert!(
        read("README.md").contains(&format!("Rust {version}")),
        "README does not say Rust {version}"
    );
    assert!(
        read("rust-toolchain.toml").contains(&format!("channel = \"{version}")),
        "rust-toolchain.toml differs"
    );
}

#[test]
fn readme_names_every_exit_code_of_the_command() {
    let readme = read("README.md");
    for code in 0..=4 {
        assert!(
            readme.contains(&format!("| {code} |")),
            "README's table has no row for exit code {code}"
        );
    }
}

/// Every rule of CONTRIBUTING says who holds it: a test here, a lint of the table, or a step of `cargo xtask`.
#[test]
fn every_must_names_what_fails_when_it_is_broken() {
    let keepers = read("tests/tests/it/arrows.rs") + &read("tests/tests/it/habits.rs");
    let lints = read("Cargo.toml");
    let mut rules = 0;
    for line in read("CONTRIBUTING.md")
        .lines()
        .filter(|line| line.starts_with("- ") && line.contains(" must "))
    {
        rules += 1;
        let keeper = line
            .rsplit_once("(held by `")
            .and_then(|(_, rest)| rest.strip_suffix("`)"))
            .unwrap_or_else(|| panic!("this rule names no keeper: {line}"));
        let exists = match keeper.split_once(' ') {
            Some(("test", name)) => keepers.contains(&format!("fn {name}()")),
            Some(("lint", name)) => lints.contains(&format!("\n{name} = ")),
            Some(("xtask", name)) => workspace()
                .join(format!("xtask/src/{}.rs", name.replace('-', "_")))
                .is_file(),
            _ => false,
        };
        assert!(exists, "`{keeper}` does not exist: {line}");
    }
    assert!(rules > 5, "CONTRIBUTING has lost its rules");
}
