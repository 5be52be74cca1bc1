//! Which pod a process belongs to, by the cgroup that kubelet and the runtime have put it into.

use std::collections::BTreeSet;

/// Whose process it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// No pod's.
    Nobody,
    /// A pod's, by UID.
    Pod(String),
    /// A pod's of another kubelet on this machine.
    Elsewhere,
}

impl Owner {
    /// Reads `/proc/PID/cgroup`. Pods outside `root`, where there is one, are another kubelet's. A container may move its
    /// processes about beneath its own level only, so all hierarchies name the same pod; where they do not, nobody is
    /// believed.
    pub(super) fn read(text: &str, root: Option<&str>) -> Self {
        let (mut here, mut elsewhere) = (BTreeSet::new(), false);
        // Number, controllers, path; a path may hold colons.
        for path in text.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
            let Some(uid) = pod_uid(path) else { continue };
            if root.is_none_or(|root| is_below(path, root)) {
                here.insert(uid);
            } else {
                elsewhere = true;
            }
        }
        match (here.pop_first(), here.is_empty()) {
            (Some(uid), true) => Self::Pod(uid),
            (None, _) if elsewhere => Self::Elsewhere,
            _ => Self::Nobody,
        }
    }
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A level of a path, as kubelet makes them.
enum Level {
    Kubepods,
    Quality { is_slice: bool },
    Pod { uid: String, is_slice: bool },
    Other,
}

/// Where the walk down a path has come.
enum At {
    /// Above kubelet's level.
    Above,
    /// Seen from a cgroup namespace, what both paths share is hidden, and kubelet's level may be among that.
    MaybeBelow,
    /// In kubelet's level.
    Kubepods,
    /// In that of a quality of service.
    Quality,
}

/// The UID in a cgroup's path: that of the outermost pod, whatever a container has named its own levels. Its level is
/// directly below kubelet's own, or below that of its quality of service.
pub(super) fn pod_uid(path: &str) -> Option<String> {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let mut at = if path.starts_with("/..") {
        At::MaybeBelow
    } else {
        At::Above
    };
    let mut levels = path
        .split('/')
        .skip_while(|level| level.is_empty() || *level == "..")
        .peekable();
    // A user may name the levels of this one.
    if levels.peek() == Some(&"user.slice") {
        return None;
    }
    for name in levels {
        at = match (level(name), at) {
            (Level::Pod { uid, .. }, At::MaybeBelow | At::Kubepods | At::Quality)
            // A slice says by its name that it is kubelet's.
            | (Level::Pod { uid, is_slice: true }, At::Above) => return Some(uid),
            (Level::Quality { .. }, At::MaybeBelow | At::Kubepods)
            | (Level::Quality { is_slice: true }, At::Above) => At::Quality,
            (Level::Kubepods, At::Above | At::MaybeBelow) => At::Kubepods,
            (_, At::Above | At::MaybeBelow) => At::Above,
            (_, At::Kubepods | At::Quality) => return None,
        };
    }
    None
}

fn level(name: &str) -> Level {
    // Where only kubelet speaks systemd: `SLICE:RUNTIME:ID`.
    let slice = name
        .split(':')
        .next()
        .and_then(|name| name.strip_suffix(".slice"));
    let Some(slice) = slice else {
        return match name {
            "kubepods" => Level::Kubepods,
            "besteffort" | "burstable" => Level::Quality { is_slice: false },
            _ => pod(name.strip_prefix("pod").map(str::to_owned), false),
        };
    };
    // A slice repeats the names of those above it, and has `_` for `-` inside a name.
    let mut parts = slice.split('-').skip_while(|part| *part != "kubepods");
    if parts.next().is_none() {
        return Level::Other;
    }
    match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => Level::Kubepods,
        (Some("besteffort" | "burstable"), None, _) => Level::Quality { is_slice: true },
        (Some("besteffort" | "burstable"), Some(name), None) | (Some(name), None, _) => {
            pod(name.strip_prefix("pod").map(|uid| uid.replace('_', "-")), true)
        }
        _ => Level::Other,
    }
}

fn pod(uid: Option<String>, is_slice: bool) -> Level {
    uid.filter(|uid| is_uid(uid))
        .map_or(Level::Other, |uid| Level::Pod { uid, is_slice })
}

/// A UUID as the API server makes them, or the 32 digits of a static pod's hash.
fn is_uid(text: &str) -> bool {
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    is_hex(text, 32)
        || (text.split('-').count() == 5
            && text
                .split('-')
                .zip([8, 4, 4, 4, 12])
                .all(|(part, length)| is_hex(part, length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Owner, pod_uid};

    const SHAPES: &str = include_str!("shapes.txt");
    const A: &str = "0f1c2d3e-4b5a-6978-8796-a5b4c3d2e1f0";

    fn shapes() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
        SHAPES
            .lines()
            .filter(|line| line.starts_with('/'))
            .filter_map(|line| line.rsplit_once(" -> "))
            .map(|(path, uid)| (path, (uid != "-").then_some(uid)))
    }

    #[test]
    fn every_shape_names_its_pod() {
        let wrong: Vec<String> = shapes()
            .filter(|(path, uid)| pod_uid(path).as_deref() != *uid)
            .map(|(path, _)| format!("{path}: {:?}", pod_uid(path)))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(shapes().count() > 50);
    }

    #[test]
    fn all_hierarchies_must_name_the_same_pod() {
        let other = "eeeeeeee-eeee-eeee-eeee-eeeeeeeeeeee";
        let one = format!("11:pids:/kubepods/pod{A}/x\n1:name=systemd:/kubepods/pod{A}/x\n0::/\n");
        assert_eq!(Owner::read(&one, None), Owner::Pod(A.to_owned()));
        let two = format!("11:pids:/kubepods/pod{A}/x\n1:name=systemd:/kubepods/pod{other}/x\n");
        assert_eq!(Owner::read(&two, None), Owner::Nobody);
        assert_eq!(Owner::read("0::/init.scope\nrubbish\n", None), Owner::Nobody);
        // Only the path may hold colons.
        let colons = format!(
            "0::/system.slice/x/kubepods-pod{}.slice:cri:1\n",
            A.replace('-', "_")
        );
        assert_eq!(Owner::read(&colons, None), Owner::Pod(A.to_owned()));
    }

    #[test]
    fn pods_outside_the_root_are_another_kubelets() {
        let text = format!("0::/tb-n1/kubepods/besteffort/pod{A}/x\n");
        assert_eq!(Owner::read(&text, Some("/tb-n1")), Owner::Pod(A.to_owned()));
        assert_eq!(Owner::read(&text, Some("/tb-n1/")), Owner::Pod(A.to_owned()));
        assert_eq!(Owner::read(&text, Some("/tb-n")), Owner::Elsewhere);
        assert_eq!(Owner::read(&text, Some("/tb-n2")), Owner::Elsewhere);
        assert_eq!(Owner::read("0::/tb-n2/x\n", Some("/tb-n1")), Owner::Nobody);
    }

    proptest! {
        #[test]
        fn nothing_below_a_pod_changes_whose_it_is(below in "(/[a-z0-9._:@ -]{0,12}|/kubepods|/pode{8}(-e{4}){3}-e{12}|/\\.\\.){0,6}") {
            for (path, uid) in shapes().filter(|(path, uid)| uid.is_some() && !path.ends_with(')')) {
                prop_assert_eq!(pod_uid(&format!("{path}/x{below}")), uid.map(str::to_owned));
            }
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,200}", path in "[/a-z0-9.:_-]{0,80}") {
            let _ = Owner::read(&text, Some("/x"));
            let _ = pod_uid(&path);
        }
    }
}
