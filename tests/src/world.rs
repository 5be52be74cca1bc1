//! Two pods on one router, out of network namespaces of this test's own.
//!
//! ```text
//!  a (10.77.0.2, fd77:0::2) --- r --- b (10.77.1.2, fd77:1::2)
//! ```

use std::{
    net::IpAddr,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, ensure};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Whether this process may make namespaces; says `SKIPPED` when not.
#[must_use]
pub fn as_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("SKIPPED: not root, so no network namespace can be made");
    }
    root
}

/// Two pods and the router between them; removed when dropped.
pub struct Pair {
    prefix: String,
}

impl Pair {
    /// Builds it.
    ///
    /// # Errors
    /// `ip` is missing or refuses.
    pub fn new() -> Result<Self> {
        let prefix = format!(
            "npvt-{}-{}-",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let pair = Self { prefix };
        for role in ["a", "b", "r"] {
            pair.ip(&format!("netns add {}", pair.name(role)))?;
            pair.inside(role, "ip link set lo up")?;
            // Duplicate address detection holds back neighbour discovery for a second or two.
            pair.inside(
                role,
                "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0",
            )?;
        }
        for (index, role) in ["a", "b"].into_iter().enumerate() {
            let (pod, router) = (pair.name(role), pair.name("r"));
            pair.ip(&format!(
                "link add veth{role} netns {router} type veth peer name eth0 netns {pod}"
            ))?;
            for (side, device, host) in [("r", format!("veth{role}"), 1), (role, "eth0".to_owned(), 2)] {
                pair.inside(side, &format!("ip addr add 10.77.{index}.{host}/24 dev {device}"))?;
                pair.inside(
                    side,
                    &format!("ip addr add fd77:{index}::{host}/64 dev {device} nodad"),
                )?;
                pair.inside(side, &format!("ip link set {device} up"))?;
            }
            pair.inside(role, &format!("ip route add default via 10.77.{index}.1"))?;
            pair.inside(role, &format!("ip -6 route add default via fd77:{index}::1"))?;
        }
        pair.inside(
            "r",
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
        )?;
        Ok(pair)
    }

    /// The namespace's name.
    #[must_use]
    pub fn name(&self, role: &str) -> String {
        format!("{}{role}", self.prefix)
    }

    /// The namespace's path.
    #[must_use]
    pub fn path(&self, role: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.name(role))
    }

    /// The prefix of all its names.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A pod's address.
    #[must_use]
    pub fn address(&self, role: &str, v6: bool) -> IpAddr {
        let net = u16::from(role == "b");
        if v6 {
            IpAddr::from([0xfd77, net, 0, 0, 0, 0, 0, 2])
        } else {
            IpAddr::from([10, 77, u8::try_from(net).unwrap_or(0), 2])
        }
    }

    /// Removes a namespace before its time.
    ///
    /// # Errors
    /// It is not there.
    pub fn remove(&self, role: &str) -> Result<()> {
        self.ip(&format!("netns del {}", self.name(role))).map(|_| ())
    }

    /// Runs a command inside a namespace.
    ///
    /// # Errors
    /// It fails.
    pub fn inside(&self, role: &str, command: &str) -> Result<String> {
        self.ip(&format!("netns exec {} {command}", self.name(role)))
    }

    /// Loads declarations and the rules of a forward chain into the router's namespace, one to a line.
    ///
    /// # Errors
    /// `nft` refuses it.
    pub fn forward(&self, family: &str, declarations: &str, rules: &str) -> Result<()> {
        self.chain("r", family, "forward", declarations, rules)
    }

    /// Loads declarations and the rules of a chain at a hook of a namespace, one to a line.
    ///
    /// # Errors
    /// `nft` refuses it.
    pub fn chain(&self, role: &str, family: &str, hook: &str, declarations: &str, rules: &str) -> Result<()> {
        let ruleset = format!(
            "table {family} t {{\n{declarations}\nchain f {{\ntype filter hook {hook} priority 0\n{rules}\n}}\n}}\n"
        );
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), ruleset)?;
        self.inside(role, &format!("nft -f {}", file.path().display()))
            .map(|_| ())
    }

    fn ip(&self, arguments: &str) -> Result<String> {
        let output = Command::new("ip")
            .args(arguments.split_whitespace())
            .output()
            .context("running ip")?;
        ensure!(
            output.status.success(),
            "ip {arguments}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for role in ["a", "b", "r"] {
            let _ = self.ip(&format!("netns del {}", self.name(role)));
        }
    }
}
