//! Gives up every right that a sensor does not need, and says what it must do without.

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};

/// What is kept where it is held, and what is lost where it is not; `None` where CAP_SYS_ADMIN stands in for it (Linux 5.8,
/// `include/linux/capability.h`: `bpf_capable`, `perfmon_capable`).
const NEEDED: [(Capability, Option<&str>); 7] = [
    (Capability::CAP_BPF, None),
    (Capability::CAP_PERFMON, None),
    (Capability::CAP_SYS_ADMIN, None),
    (
        Capability::CAP_NET_ADMIN,
        Some("before Linux 6.6 (no TCX) no interface can be attached to"),
    ),
    (
        Capability::CAP_SYS_PTRACE,
        Some(
            "other processes' namespaces are hidden: only pods named under /run/netns are found, without UIDs",
        ),
    ),
    (Capability::CAP_NET_RAW, Some("no probes can be sent")),
    // Kept while the sensor runs: modules that are loaded later free packets too.
    (
        Capability::CAP_SYSLOG,
        Some("where kernel.kptr_restrict hides addresses, functions that drop packets have no names"),
    ),
];

/// A sensor may not run as it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// A right is missing without which nothing works.
    #[error(
        "the sensor does not hold {0}: it can enter no pod's network namespace; add it to the container's capabilities"
    )]
    Missing(Capability),
    /// The kernel does not let go.
    #[error("giving up {what}: {cause}")]
    Refused {
        /// What was to be given up.
        what: &'static str,
        /// Why that failed.
        cause: String,
    },
}

/// Gives up, for this thread and those it starts from now on, all capabilities but those of a sensor, and the possibility to
/// gain others. To be called before a runtime has started its threads. What is missing comes back as notes, to be added to
/// [`KernelFacts::notes`](crate::kernel::KernelFacts::notes).
///
/// # Errors
/// Nothing would work with what is held, or the kernel refuses.
pub fn confine() -> Result<Vec<String>, ConfineError> {
    let held = caps::read(None, CapSet::Permitted).map_err(refused("capabilities"))?;
    if !held.contains(&Capability::CAP_SYS_ADMIN) {
        return Err(ConfineError::Missing(Capability::CAP_SYS_ADMIN));
    }
    nix::sys::prctl::set_no_new_privs().map_err(|error| ConfineError::Refused {
        what: "the possibility to gain rights",
        cause: error.to_string(),
    })?;
    let needed: CapsHashSet = NEEDED.iter().map(|(capability, _)| *capability).collect();
    let kept: CapsHashSet = held.intersection(&needed).copied().collect();
    // Shrinking the bounding set is a right of its own. Without it nothing is gained either: no_new_privs holds.
    if held.contains(&Capability::CAP_SETPCAP) {
        let bounding = caps::read(None, CapSet::Bounding).map_err(refused("the bounding set"))?;
        for capability in bounding.difference(&kept) {
            caps::drop(None, CapSet::Bounding, *capability).map_err(refused("the bounding set"))?;
        }
    }
    caps::clear(None, CapSet::Ambient).map_err(refused("ambient capabilities"))?;
    caps::clear(None, CapSet::Inheritable).map_err(refused("inheritable capabilities"))?;
    caps::set(None, CapSet::Effective, &kept).map_err(refused("effective capabilities"))?;
    caps::set(None, CapSet::Permitted, &kept).map_err(refused("permitted capabilities"))?;
    Ok(NEEDED
        .iter()
        .filter(|(capability, _)| !kept.contains(capability))
        .filter_map(|(capability, lost)| Some(format!("{capability} is not held: {}", (*lost)?)))
        .collect())
}

fn refused(what: &'static str) -> impl Fn(CapsError) -> ConfineError {
    move |error| ConfineError::Refused {
        what,
        cause: error.to_string(),
    }
}
