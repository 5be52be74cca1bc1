//! The stages' arrows point one way: read from `use` lines and paths, and compared with the table.

use std::collections::BTreeSet;

use crate::source::{Source, sources};

/// Each stage, and the stages it may name. `net` is in no list because every stage may.
const ARROWS: &[(&str, &[&str])] = &[
    ("net", &[]),
    ("kernel", &[]),
    ("bus", &[]),
    ("sensor", &["kernel", "bus"]),
    ("observe", &["kernel", "bus"]),
    ("flow", &["bus", "observe"]),
    ("cluster", &[]),
    ("policy", &["cluster"]),
    ("judge", &["observe", "flow", "cluster", "policy"]),
    ("finding", &["judge"]),
    ("report", &["finding"]),
    // What people ask without packets, and how it is shown.
    ("oracle", &["cluster", "policy", "report"]),
    ("lint", &["cluster", "policy", "report"]),
    // Not `policy`: the lab's enforcer and its literal reading share nothing with the engine they check.
    ("lab", &["cluster"]),
    (
        "suite",
        &[
            "kernel", "bus", "sensor", "observe", "flow", "cluster", "policy", "judge", "finding", "report",
            "lab",
        ],
    ),
    (
        "verifier",
        &[
            "kernel", "bus", "sensor", "observe", "flow", "cluster", "policy", "judge", "finding", "report",
            "suite",
        ],
    ),
    (
        "certify",
        &[
            "bus", "sensor", "flow", "cluster", "policy", "judge", "finding", "report", "suite", "verifier",
        ],
    ),
    (
        "cli",
        &[
            "kernel", "bus", "sensor", "observe", "flow", "cluster", "policy", "judge", "finding", "report",
            "oracle", "lint", "lab", "suite", "verifier", "certify",
        ],
    ),
];

/// Crates whose types stop at a door: the crate, and the beginnings of the paths that may name it.
const DOORS: &[(&str, &[&str])] = &[
    (
        "k8s_openapi",
        &[
            "cluster/",
            "policy/compile",
            "lab/literal/",
            "lab/enforcer/",
            "lab/fault/",
            "lint/written.rs",
            "certify/",
        ],
    ),
    ("kube", &["cluster/live/", "certify/", "oracle/matrix/labels.rs"]),
    (
        "netpol_verify_ebpf",
        &["sensor/", "bus/", "observe/", "suite/", "lab/enforcer/tc/"],
    ),
    // The lab's enforcer by TC loads an object of its own: a CNI's part is played there, and the sensor has no share in it.
    ("aya", &["sensor/", "kernel/", "lab/enforcer/tc/"]),
    ("async_nats", &["bus/nats/"]),
    ("axum", &["verifier/"]),
    ("prometheus_client", &["verifier/"]),
    ("comfy_table", &["report/", "cli/"]),
    ("rtnetlink", &["lab/", "sensor/"]),
    ("clap", &["cli/"]),
];

/// Who may ask what time it is; everything else is told.
const CLOCKS: &[(&str, &[&str])] = &[
    // tokio's: deadlines of waiting, no times of packets.
    ("Instant::now", &["verifier/prober.rs", "certify/"]),
    ("SystemTime::now", &[]),
    ("clock_gettime(", &["net/clock.rs"]),
    (
        "Clock.now",
        &["sensor/", "suite/", "verifier/", "certify/", "cli/"],
    ),
    (
        "Timestamp::now",
        &["sensor/", "suite/", "verifier/", "certify/", "cli/"],
    ),
];

fn product() -> Vec<Source> {
    sources("netpol-verify/src")
        .into_iter()
        .filter(|source| !source.only_tests)
        .collect()
}

/// The stages a text names by `crate::stage` or `use crate::{stage…, stage…}`.
fn named(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, found) in text.match_indices("crate::") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|character| character.is_alphanumeric() || character == '_') {
            continue;
        }
        let rest = &text[at + found.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.extend(word(rest)),
        }
    }
    names
}

/// The first words of a group's members: `bus::{A, B}, net::C}` gives `bus` and `net`.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut heads) = (0_usize, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.extend(word(group[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.extend(word(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> Option<String> {
    let word: String = text
        .chars()
        .take_while(|one| one.is_alphanumeric() || *one == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

/// Whether a text names a crate, as a whole word.
fn names_crate(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let part = |one: char| one.is_alphanumeric() || one == '_';
        let after = &text[at + name.len()..];
        !text[..at].chars().next_back().is_some_and(part)
            && (after.starts_with("::") || after.starts_with(';'))
    })
}

#[test]
fn the_reader_finds_groups_nested_groups_and_paths() {
    let text = "use crate::{\n    bus::{A, b::{C, D}},\n    net,\n};\nlet x = crate::flow::Y; use super::crate_x; mycrate::z";
    let found: Vec<String> = named(text).into_iter().collect();
    assert_eq!(found, ["bus", "flow", "net"]);
    assert!(names_crate("use aya::Ebpf;", "aya") && !names_crate("use aya_log::X; my_aya::Y", "aya"));
}

#[test]
fn no_arrow_points_the_wrong_way() {
    let mut wrong = Vec::new();
    for source in product() {
        let Some(stage) = source.stage() else { continue };
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == stage) else {
            wrong.push(format!("{stage} is a stage without a row in the table"));
            continue;
        };
        for name in named(&source.product()) {
            let is_stage = ARROWS.iter().any(|(one, _)| *one == name);
            if is_stage && name != stage && name != "net" && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: {stage} -> {name}", source.path));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that are not in the table:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_table_has_no_circle() {
    for (at, (stage, allowed)) in ARROWS.iter().enumerate() {
        for name in *allowed {
            let to = ARROWS
                .iter()
                .position(|(one, _)| one == name)
                .expect("every stage has a row");
            assert!(to < at, "{stage} -> {name}: a stage may only name rows above it");
        }
    }
}

#[test]
fn outside_types_stop_at_their_door() {
    let mut wrong = Vec::new();
    for source in product() {
        let text = source.product();
        for (name, doors) in DOORS {
            if names_crate(&text, name) && !doors.iter().any(|door| source.path.starts_with(door)) {
                wrong.push(format!("{} names {name}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn time_is_an_argument() {
    let mut wrong = Vec::new();
    for source in product() {
        let text = source.product();
        for (call, allowed) in CLOCKS {
            if text.contains(call) && !allowed.iter().any(|path| source.path.starts_with(path)) {
                wrong.push(format!("{} calls {call}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
