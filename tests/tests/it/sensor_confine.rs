//! A sensor gives up every right but its own, works on with those, and names what it lacks.

use std::{collections::BTreeSet, fs, sync::Arc, thread};

use anyhow::{Context as _, Result, anyhow};
use netpol_verify::{
    bus::{InterfaceState, LocalBus, Message},
    kernel::KernelFacts,
    sensor::{ConfineError, Mode, Pods, Sensor, confine},
};
use netpol_verify_tests::{Node, Pair, as_root};

/// Capabilities by their numbers in `linux/capability.h`.
const NET_ADMIN: u32 = 12;
const NET_RAW: u32 = 13;
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;
const SYSLOG: u32 = 34;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// Runs on a thread of its own, whose rights end with it.
fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    thread::spawn(work).join().map_err(|_| anyhow!("it panicked"))?
}

fn status(field: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    Ok(u64::from_str_radix(line.context("no such field")?.trim(), 16)?)
}

fn numbers(set: u64) -> BTreeSet<u32> {
    (0..64).filter(|number| set & (1 << number) != 0).collect()
}

/// What the sensor on these pods announces as watched, on a runtime of this thread's.
fn watched(pods: Pods) -> Result<(BTreeSet<String>, Vec<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (bus, mut inbox) = LocalBus::new(1 << 12);
        let facts = KernelFacts::of_kernel();
        let sensor = Sensor::start(&facts, Mode::Passive, "node".into(), Arc::new(bus), pods).await?;
        let mut watched = BTreeSet::new();
        while let Some(message) = inbox.try_receive() {
            if let Message::Announcement(said) = message
                && matches!(said.interface.state, InterfaceState::Watched { .. })
            {
                watched.insert(said.interface.netns_name);
            }
        }
        Ok((watched, sensor.facts().facts.notes))
    })
}

#[test]
fn a_sensor_keeps_what_it_needs_and_works_on() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let node = Node::new()?;
    let pod = node.start_pod(&node.uid(1), None)?;
    let expected = pod.netns().display().to_string();
    let pods = node.pods();
    apart(move || {
        assert_eq!(confine()?, Vec::<String>::new());
        let kept = BTreeSet::from([NET_ADMIN, NET_RAW, SYS_PTRACE, SYS_ADMIN, SYSLOG, PERFMON, BPF]);
        for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
            assert_eq!(numbers(status(set)?), kept, "{set}");
        }
        for set in ["CapInh:", "CapAmb:"] {
            assert_eq!(status(set)?, 0, "{set}");
        }
        assert_eq!(status("NoNewPrivs:")?, 1);
        // A namespace has no interface but loopback until it is given one.
        let add = std::process::Command::new("nsenter")
            .arg(format!("--net={expected}"))
            .args("ip link add eth0 type veth peer name eth1".split(' '))
            .status()?;
        assert!(add.success());
        assert_eq!(watched(pods)?.0, BTreeSet::from([expected]));
        Ok(())
    })?;
    // Twice is as good as once, and other threads keep theirs.
    apart(|| {
        confine()?;
        assert!(confine()?.is_empty());
        Ok(())
    })?;
    assert!(numbers(status("CapEff:")?).len() > 7);
    Ok(())
}

#[test]
fn a_missing_right_is_named_with_what_is_lost() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let pair = Pair::new()?;
    let prefix = pair.prefix().to_owned();
    let node = Node::new()?;
    let mut roots = node.roots();
    roots.netns = "/run/netns".into();
    roots.names = Arc::new(move |name: &str| name.starts_with(&prefix));
    apart(move || {
        give_up(&[SYS_PTRACE, NET_RAW])?;
        let notes = confine()?;
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(
            notes[0].contains("CAP_SYS_PTRACE") && notes[0].contains("/run/netns"),
            "{notes:?}"
        );
        assert!(
            notes[1].contains("CAP_NET_RAW") && notes[1].contains("probes"),
            "{notes:?}"
        );
        // Names are found all the same, and the node says that processes are not.
        let (found, notes) = watched(Pods::Kubernetes(roots))?;
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(notes.iter().any(|note| note.contains("hostPID")), "{notes:?}");
        Ok(())
    })?;
    apart(|| {
        give_up(&[SYS_ADMIN])?;
        let refused = confine();
        assert!(
            matches!(&refused, Err(error @ ConfineError::Missing(_)) if error.to_string().contains("CAP_SYS_ADMIN")),
            "{refused:?}"
        );
        Ok(())
    })
}

fn give_up(numbers: &[u32]) -> Result<()> {
    use caps::{CapSet, Capability};
    for capability in [
        Capability::CAP_SYS_PTRACE,
        Capability::CAP_NET_RAW,
        Capability::CAP_SYS_ADMIN,
    ] {
        if numbers.contains(&u32::from(capability.index())) {
            caps::drop(None, CapSet::Effective, capability)?;
            caps::drop(None, CapSet::Permitted, capability)?;
        }
    }
    Ok(())
}
