//! What a run left on the machine: looked up in the kernel, not asked of the program.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Result;

use crate::binary::TAG;

/// The names of the sensor's programs.
const PROGRAMS: [&str; 3] = ["pod_egress", "pod_ingress", "packet_drop"];

/// Everything that is left of the process with that number and tag.
///
/// # Errors
/// `/proc` or `/run` cannot be read.
pub(crate) fn of(pid: u32, tag: &str) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let (space, note) = (format!("npv-{pid}-"), format!("-{pid}-"));
    left.extend(
        names("/run/netns")
            .into_iter()
            .filter(|name| name.starts_with(&space)),
    );
    left.extend(
        names("/run/netpol-verify")
            .into_iter()
            .filter(|name| name.contains(&note) || name.starts_with(".new-")),
    );
    left.extend(
        fs::read_to_string("/proc/self/mountinfo")?
            .lines()
            .filter(|line| line.contains(&space))
            .map(str::to_owned),
    );
    // The lab's links live in namespaces of its own, so that the machine's stays as it was.
    left.extend(
        names("/sys/class/net").into_iter().filter(|name| {
            name.starts_with("cali") || name.starts_with("flannel.") || name.starts_with("npv")
        }),
    );
    left.extend(processes(tag));
    left.extend(unheld_programs()?);
    Ok(left)
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn numbers() -> impl Iterator<Item = String> {
    names("/proc")
        .into_iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Processes that carry the tag in their environment, as children inherit it.
fn processes(tag: &str) -> Vec<String> {
    let wanted = format!("{TAG}={tag}");
    numbers()
        .filter(|number| {
            fs::read(format!("/proc/{number}/environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == wanted.as_bytes())
            })
        })
        .map(|number| {
            let name = fs::read_to_string(format!("/proc/{number}/comm")).unwrap_or_default();
            format!("process {number} {}", name.trim())
        })
        .collect()
}

/// The sensor's programs that the kernel keeps though no process holds them or a link to them.
fn unheld_programs() -> Result<Vec<String>> {
    let mut ours = BTreeSet::new();
    for program in aya::programs::loaded_programs() {
        // One that was let go meanwhile.
        let Ok(program) = program else { continue };
        if program.name_as_str().is_some_and(|name| PROGRAMS.contains(&name)) {
            ours.insert(program.id());
        }
    }
    for number in numbers() {
        let folder = format!("/proc/{number}/fdinfo");
        for descriptor in names(&folder) {
            let text = fs::read_to_string(Path::new(&folder).join(descriptor)).unwrap_or_default();
            for held in text.lines().filter_map(|line| line.strip_prefix("prog_id:")) {
                if let Ok(id) = held.trim().parse::<u32>() {
                    ours.remove(&id);
                }
            }
        }
    }
    Ok(ours.into_iter().map(|id| format!("eBPF program {id}")).collect())
}
