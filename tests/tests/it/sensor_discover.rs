//! Pods of a Kubernetes node, found without a word from Kubernetes: by names of namespaces and by processes in cgroups.

use std::{collections::BTreeSet, path::Path, process::Command, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use netpol_verify::{
    bus::{Inbox as _, InterfaceState, LocalBus, LocalInbox, Message, WatchedInterface},
    kernel::KernelFacts,
    net::{NetnsCookie, netns_cookie_here},
    sensor::{Attachment, Mode, NetnsPath, Options, Pods, Sensor, inside},
};
use netpol_verify_tests::{Node, as_root};

/// A sensor on a node, and all that it has announced.
struct Watcher {
    sensor: Sensor,
    inbox: LocalInbox,
    said: Vec<WatchedInterface>,
}

impl Watcher {
    async fn start(pods: Pods) -> Result<Self> {
        Self::start_with(pods, None).await
    }

    async fn start_with(pods: Pods, attachment: Option<Attachment>) -> Result<Self> {
        let (bus, inbox) = LocalBus::new(1 << 12);
        let options = Options {
            attachment,
            without_drops: true,
            ..Options::default()
        };
        let facts = KernelFacts::of_kernel();
        let sensor =
            Sensor::start_with(&facts, Mode::Passive, "node".into(), Arc::new(bus), pods, options).await?;
        let mut watcher = Self {
            sensor,
            inbox,
            said: Vec::new(),
        };
        watcher.take();
        Ok(watcher)
    }

    fn take(&mut self) {
        while let Some(message) = self.inbox.try_receive() {
            self.note(message);
        }
    }

    fn note(&mut self, message: Message) {
        if let Message::Announcement(announcement) = message {
            self.said.push(announcement.interface);
        }
    }

    /// The first announcement from `from` on that is as wanted, waited for.
    async fn hear(
        &mut self,
        from: usize,
        wanted: impl Fn(&WatchedInterface) -> bool,
    ) -> Result<WatchedInterface> {
        let heard = async {
            let mut next = from;
            loop {
                if let Some(found) = self.said[next..].iter().find(|said| wanted(said)) {
                    return Ok(found.clone());
                }
                next = self.said.len();
                let message = self.inbox.receive().await.context("the sensor has ended")?;
                self.note(message);
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(20), heard).await;
        match heard {
            Ok(heard) => heard,
            Err(_) => bail!("never announced; what was: {:#?}", self.said),
        }
    }

    /// After everything that is there now has been looked at: a namespace that came last has been announced.
    async fn look_around(&mut self, node: &Node, number: u32) -> Result<()> {
        let last = node.cni_netns(number)?;
        add_veth(&last, "last0")?;
        let pause = node.start_pod(&node.uid(number), Some(&last))?;
        let cookie = cookie(&last)?;
        let is_told = |said: &WatchedInterface| said.netns == cookie && !said.pods.is_empty();
        self.hear(0, is_told).await?;
        drop(pause);
        node.remove_name(&last)?;
        self.hear(0, |said| said.netns == cookie && is_gone(said)).await?;
        self.said.retain(|said| said.netns != cookie);
        Ok(())
    }

    fn cookies(&self) -> BTreeSet<NetnsCookie> {
        self.said.iter().map(|said| said.netns).collect()
    }
}

fn is_watched(said: &WatchedInterface) -> bool {
    matches!(said.state, InterfaceState::Watched { .. })
}

fn is_gone(said: &WatchedInterface) -> bool {
    matches!(said.state, InterfaceState::Gone { .. })
}

fn cookie(netns: &Path) -> Result<NetnsCookie> {
    Ok(inside(&NetnsPath::from(netns), netns_cookie_here)??)
}

fn run(netns: &Path, command: &str) -> Result<()> {
    let output = Command::new("nsenter")
        .arg(format!("--net={}", netns.display()))
        .args(command.split_whitespace())
        .output()?;
    ensure!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn add_veth(netns: &Path, name: &str) -> Result<()> {
    run(
        netns,
        &format!("ip link add {name} type veth peer name peer-{name}"),
    )
}

fn programs(netns: &Path, ifname: &str) -> Result<Vec<String>> {
    let (_, programs) = inside(&NetnsPath::from(netns), || {
        SchedClassifier::query_tcx(ifname, TcAttachType::Ingress)
    })??;
    Ok(programs
        .iter()
        .filter_map(|program| program.name_as_str().map(str::to_owned))
        .collect())
}

#[tokio::test]
async fn a_pod_is_watched_before_its_first_process_and_named_once_that_runs() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let node = Node::new()?;
    let mut watcher = Watcher::start(node.pods()).await?;
    let netns = node.cni_netns(1)?;
    add_veth(&netns, "eth0")?;
    let early = watcher
        .hear(0, |said| said.ifname == "eth0" && is_watched(said))
        .await?;
    assert_eq!((early.netns, early.pods.len()), (cookie(&netns)?, 0));
    assert_eq!(early.netns_name, format!("cni-{}", node.uid(1)));
    let _pause = node.start_pod(&node.uid(1), Some(&netns))?;
    let named = watcher
        .hear(0, |said| said.ifname == "eth0" && !said.pods.is_empty())
        .await?;
    assert_eq!(named.pods, BTreeSet::from([node.uid(1)]));
    assert_eq!(named.state, early.state, "watched since before");
    // Found by both ways, it is one.
    assert_eq!(watcher.cookies().len(), 1);
    assert!(watcher.sensor.netns(named.netns).is_some());
    Ok(())
}

#[tokio::test]
async fn a_namespace_without_a_name_is_found_by_its_processes_and_goes_with_them() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let node = Node::new()?;
    let before = node.start_pod(&node.uid(1), None)?;
    add_veth(&before.netns(), "eth0")?;
    let mut watcher = Watcher::start(node.pods()).await?;
    // One that was there has been announced when the sensor has started.
    let found = watcher
        .said
        .iter()
        .find(|said| said.ifname == "eth0" && is_watched(said));
    let found = found.context("not announced")?.clone();
    assert_eq!(found.netns, cookie(&before.netns())?);
    assert_eq!(found.pods, BTreeSet::from([node.uid(1)]));
    assert_eq!(found.netns_name, before.netns().display().to_string());
    // One that comes later, whose container pretends to be another pod's.
    let uid = node.uid(2);
    let deep = format!("kubepods/pod{uid}/c/kubepods/besteffort/pod{}/c", node.uid(3));
    let after = node.start(&deep, None)?;
    let late = cookie(&after.netns())?;
    add_veth(&after.netns(), "eth0")?;
    let found = watcher
        .hear(0, |said| said.netns == late && is_watched(said))
        .await?;
    assert_eq!(found.pods, BTreeSet::from([uid]));
    drop(after);
    watcher
        .hear(0, |said| said.netns == late && is_gone(said))
        .await?;
    assert!(watcher.sensor.netns(late).is_none());
    Ok(())
}

#[tokio::test]
async fn a_namespace_outlives_its_name_as_long_as_its_processes_live() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let node = Node::new()?;
    let netns = node.cni_netns(1)?;
    add_veth(&netns, "eth0")?;
    let pause = node.start_pod(&node.uid(1), Some(&netns))?;
    let mut watcher = Watcher::start(node.pods()).await?;
    let this = cookie(&netns)?;
    node.remove_name(&netns)?;
    watcher.look_around(&node, 2).await?;
    assert!(
        !watcher
            .said
            .iter()
            .any(|said| said.netns == this && is_gone(said))
    );
    assert_eq!(programs(&pause.netns(), "eth0")?, ["pod_ingress"]);
    drop(pause);
    watcher
        .hear(0, |said| said.netns == this && is_gone(said))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_renamed_interface_is_watched_without_a_gap() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let node = Node::new()?;
    let netns = node.cni_netns(1)?;
    add_veth(&netns, "tmp0")?;
    let mut watcher = Watcher::start(node.pods()).await?;
    let before = watcher
        .hear(0, |said| said.ifname == "tmp0" && is_watched(said))
        .await?;
    run(&netns, "ip link set tmp0 name eth0")?;
    let after = watcher.hear(0, |said| said.ifname == "eth0").await?;
    assert_eq!((after.ifindex, &after.state), (before.ifindex, &before.state));
    watcher.look_around(&node, 2).await?;
    let of_it = watcher.said.iter().filter(|said| said.ifindex == before.ifindex);
    assert_eq!(of_it.count(), 2, "once, and once more: {:#?}", watcher.said);
    assert_eq!(programs(&netns, "eth0")?, ["pod_ingress"]);
    Ok(())
}

#[tokio::test]
async fn every_interface_of_a_pod_is_watched_and_one_that_comes_back_is_watched_anew() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let node = Node::new()?;
    let netns = node.cni_netns(1)?;
    add_veth(&netns, "eth0")?;
    let mut watcher = Watcher::start(node.pods()).await?;
    add_veth(&netns, "net1")?;
    run(&netns, "ip addr add 10.9.9.9/24 dev net1")?;
    let second = watcher
        .hear(0, |said| said.ifname == "net1" && !said.addresses.is_empty())
        .await?;
    assert!(is_watched(&second));
    // With another number, then with the same again.
    for number in [77, 77] {
        let from = watcher.said.len();
        run(&netns, "ip link del eth0")?;
        run(
            &netns,
            &format!("ip link add eth0 index {number} type veth peer name peer-eth0"),
        )?;
        watcher
            .hear(from, |said| said.ifname == "eth0" && is_gone(said))
            .await?;
        let again = watcher
            .hear(from, |said| said.ifname == "eth0" && is_watched(said))
            .await?;
        assert_eq!(again.ifindex.0, number);
        assert_eq!(programs(&netns, "eth0")?, ["pod_ingress"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_that_is_restarted_has_another_namespace_under_the_same_uid() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let node = Node::new()?;
    let uid = node.uid(1);
    let is_the_pod = |said: &WatchedInterface| is_watched(said) && said.pods.contains(&uid);
    let mut watcher = Watcher::start(node.pods()).await?;
    let mut seen = BTreeSet::new();
    for number in 1..=3 {
        let from = watcher.said.len();
        let netns = node.cni_netns(number)?;
        add_veth(&netns, "eth0")?;
        let pause = node.start_pod(&uid, Some(&netns))?;
        let pod = watcher.hear(from, is_the_pod).await?;
        assert_eq!(pod.netns, cookie(&netns)?);
        assert!(seen.insert(pod.netns), "another namespace");
        drop(pause);
        node.remove_name(&netns)?;
        watcher
            .hear(from, |said| said.netns == pod.netns && is_gone(said))
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_pods_is_left_alone() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let node = Node::new()?;
    let pod = node.cni_netns(1)?;
    add_veth(&pod, "eth0")?;
    let _pause = node.start_pod(&node.uid(1), Some(&pod))?;
    // A user's own, named and with a process; a pod's on the node's network; a container's in a container.
    let users = node.name_netns("blue")?;
    add_veth(&users, "eth0")?;
    let _user = node.start("user", Some(&users))?;
    let _nameless = node.start("user", None)?;
    let _on_the_node = node.start_pod(&node.uid(2), Some(Path::new("/proc/self/ns/net")))?;
    let nested = node.start(&format!("kubepods/besteffort/pod{}/docker", node.uid(1)), None)?;
    add_veth(&nested.netns(), "eth0")?;
    let mut watcher = Watcher::start(node.pods()).await?;
    watcher.look_around(&node, 3).await?;
    assert_eq!(watcher.cookies(), BTreeSet::from([cookie(&pod)?]));
    Ok(())
}

#[tokio::test]
async fn two_nodes_of_one_machine_keep_apart() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let (one, two) = (Node::new()?, Node::new()?);
    // Both see the same names; whose pods they are, their processes tell.
    let mut roots = two.roots();
    roots.netns = one.folder();
    let mut first = Watcher::start(one.pods()).await?;
    let mut second = Watcher::start(Pods::Kubernetes(roots)).await?;
    let netns = one.cni_netns(1)?;
    add_veth(&netns, "eth0")?;
    let this = cookie(&netns)?;
    second
        .hear(0, |said| said.netns == this && is_watched(said))
        .await?;
    let _pause = one.start_pod(&one.uid(1), Some(&netns))?;
    first
        .hear(0, |said| said.netns == this && !said.pods.is_empty())
        .await?;
    second.hear(0, |said| said.netns == this && is_gone(said)).await?;
    // One without a name is never the other's.
    let nameless = two.start_pod(&two.uid(2), None)?;
    add_veth(&nameless.netns(), "eth0")?;
    let that = cookie(&nameless.netns())?;
    second
        .hear(0, |said| said.netns == that && is_watched(said))
        .await?;
    first.look_around(&one, 3).await?;
    assert_eq!(first.cookies(), BTreeSet::from([this]));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_attached_to_is_said_once_and_tried_until_it_can() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let node = Node::new()?;
    let netns = node.cni_netns(1)?;
    add_veth(&netns, "eth0")?;
    // Somebody's ingress qdisc is in clsact's place: it has no egress.
    run(&netns, "tc qdisc add dev eth0 ingress")?;
    let mut watcher = Watcher::start_with(node.pods(), Some(Attachment::Clsact)).await?;
    let failed = |said: &WatchedInterface| matches!(said.state, InterfaceState::Failed { .. });
    watcher
        .hear(0, |said| said.ifname == "eth0" && failed(said))
        .await?;
    watcher.look_around(&node, 2).await?;
    assert_eq!(watcher.said.iter().filter(|said| failed(said)).count(), 1);
    run(&netns, "tc qdisc del dev eth0 ingress")?;
    watcher
        .hear(0, |said| said.ifname == "eth0" && is_watched(said))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_sensor_that_starts_anew_finds_everything_and_nothing_of_the_one_before() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let node = Node::new()?;
    let netns = node.cni_netns(1)?;
    add_veth(&netns, "eth0")?;
    let _pause = node.start_pod(&node.uid(1), Some(&netns))?;
    for _ in 0..3 {
        let watcher = Watcher::start(node.pods()).await?;
        let found = watcher
            .said
            .iter()
            .find(|said| said.ifname == "eth0" && is_watched(said));
        assert_eq!(found.map(|said| said.pods.len()), Some(1));
        drop(watcher);
    }
    for _ in 0..100 {
        if programs(&netns, "eth0")?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("still attached: {:?}", programs(&netns, "eth0")?);
}
