//! What the programs must be told of the running kernel, and what its drop reasons are called.

use std::{collections::BTreeMap, sync::Arc};

use super::btf::Btf;

/// Byte offsets of the members that `packet_drop` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// `sk_buff.dev`.
    pub skb_dev: u32,
    /// `sk_buff.head`.
    pub skb_head: u32,
    /// `sk_buff.len`.
    pub skb_len: u32,
    /// `sk_buff.tail`.
    pub skb_tail: u32,
    /// `sk_buff.network_header`.
    pub skb_network_header: u32,
    /// `sk_buff.protocol`.
    pub skb_protocol: u32,
    /// `net_device.ifindex`.
    pub device_ifindex: u32,
    /// `net_device.nd_net`, whose only member is the pointer.
    pub device_net: u32,
    /// `net.net_cookie` (Linux 5.14).
    pub net_cookie: u32,
}

/// Names of `enum skb_drop_reason` as the running kernel has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropReasons(Arc<BTreeMap<u32, String>>);

impl From<BTreeMap<u32, String>> for DropReasons {
    fn from(names: BTreeMap<u32, String>) -> Self {
        Self(Arc::new(names))
    }
}

impl DropReasons {
    /// A table of numbers and names; the prefix `SKB_DROP_REASON_` is taken off.
    pub fn new(pairs: impl IntoIterator<Item = (String, u32)>) -> Self {
        let strip = |name: String| match name.strip_prefix("SKB_DROP_REASON_") {
            Some(short) => short.to_owned(),
            None => name,
        };
        Self(Arc::new(
            pairs
                .into_iter()
                .map(|(name, number)| (number, strip(name)))
                .collect(),
        ))
    }

    /// The name; a number the kernel gives no name stays visible (subsystems have their own, from 0x10000 on).
    #[must_use]
    pub fn name(&self, number: u32) -> String {
        self.0
            .get(&number)
            .cloned()
            .unwrap_or_else(|| format!("unknown({number})"))
    }

    /// The names by number.
    #[must_use]
    pub fn names(&self) -> &BTreeMap<u32, String> {
        &self.0
    }

    /// Whether the kernel tells reasons at all (Linux 5.17).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// All that is taken from BTF, and what is missing.
#[derive(Clone, Debug, Default)]
pub struct KernelFacts {
    /// The offsets, when every member is there.
    pub offsets: Option<Offsets>,
    /// Names of drop reasons.
    pub drop_reasons: DropReasons,
    /// `kfree_skb` tells the reason (Linux 5.17).
    pub has_drop_reason: bool,
    /// The BTF number of `bpf_cast_to_kern_ctx` (Linux 6.2), which makes the look at a pod's packet cheaper.
    pub context_cast: Option<u32>,
    /// What is missing and what it costs, one sentence each.
    pub notes: Vec<String>,
}

impl KernelFacts {
    /// Reads them from the running kernel; what cannot be read becomes a note.
    #[must_use]
    pub fn of_kernel() -> Self {
        match Btf::of_kernel() {
            Ok(btf) => Self::from_btf(&btf),
            Err(error) => Self {
                notes: vec![format!(
                    "{error}; neither pods nor drops can be told apart, so every verdict is Inconclusive"
                )],
                ..Self::default()
            },
        }
    }

    /// Picks them out of BTF.
    #[must_use]
    pub fn from_btf(btf: &Btf) -> Self {
        let mut notes = Vec::new();
        let offsets = offsets(btf);
        if offsets.is_none() {
            notes.push(
                "the kernel's sk_buff, net_device or net lacks a member that is read (net_cookie came with Linux \
                 5.14); neither pods nor drops can be told apart, so every verdict is Inconclusive"
                    .to_owned(),
            );
        }
        // One parameter of the tracepoint is the data pointer, not an argument.
        let has_drop_reason = btf
            .parameters_of_typedef("btf_trace_kfree_skb")
            .is_some_and(|count| count >= 4);
        if !has_drop_reason {
            notes.push(
                "kfree_skb tells no reason before Linux 5.17: a drop cannot be told to be policy".to_owned(),
            );
        }
        Self {
            offsets,
            drop_reasons: DropReasons::new(btf.enumerators("skb_drop_reason")),
            has_drop_reason,
            context_cast: btf.function("bpf_cast_to_kern_ctx"),
            notes,
        }
    }
}

fn offsets(btf: &Btf) -> Option<Offsets> {
    let skb = |member| btf.member_offset("sk_buff", member);
    Some(Offsets {
        skb_dev: skb("dev")?,
        skb_head: skb("head")?,
        skb_len: skb("len")?,
        skb_tail: skb("tail")?,
        skb_network_header: skb("network_header")?,
        skb_protocol: skb("protocol")?,
        device_ifindex: btf.member_offset("net_device", "ifindex")?,
        device_net: btf.member_offset("net_device", "nd_net")?,
        net_cookie: btf.member_offset("net", "net_cookie")?,
    })
}

#[cfg(test)]
mod tests {
    use super::DropReasons;

    #[test]
    fn an_unknown_reason_stays_visible() {
        let reasons = DropReasons::new([("SKB_DROP_REASON_NETFILTER_DROP".to_owned(), 8)]);
        assert_eq!(reasons.name(8), "NETFILTER_DROP");
        assert_eq!(reasons.name(70_000), "unknown(70000)");
    }
}
