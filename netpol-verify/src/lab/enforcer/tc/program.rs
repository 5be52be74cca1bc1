//! The programs and maps of one node.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use aya::{
    Ebpf, include_bytes_aligned,
    maps::{Array, HashMap, MapData, MapError},
    programs::{
        LinkOrder, SchedClassifier, TcAttachType,
        tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions},
    },
    util::KernelVersion,
};
use netpol_verify_ebpf::gate::{Gate, GateKey, RULES, Rule, Way, name};

use super::TcError;
use crate::lab::Netns;

/// The object; `cargo xtask build-ebpf` makes it and CI compares.
static OBJECT: &[u8] = include_bytes_aligned!("../../../../bpf/lab-enforcer.bpf.o");

/// Each program and the hook of the node's end that it belongs to: what a pod sends comes in there.
const PROGRAMS: [(&str, TcAttachType); 2] = [
    (name::FROM_POD, TcAttachType::Ingress),
    (name::TO_POD, TcAttachType::Egress),
];

/// How programs are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// TCX links (Linux 6.6): they die with the process.
    Tcx,
    /// clsact filters.
    Clsact,
}

impl Hook {
    /// The best that this kernel can do.
    pub(super) fn of_kernel() -> Self {
        match KernelVersion::current() {
            Ok(version) if version >= KernelVersion::new(6, 6, 0) => Self::Tcx,
            _ => Self::Clsact,
        }
    }

    fn options(self) -> TcAttachOptions {
        match self {
            Self::Tcx => TcAttachOptions::TcxOrder(LinkOrder::default()),
            Self::Clsact => TcAttachOptions::Netlink(NlOptions::default()),
        }
    }
}

/// The programs of one node, their maps, and where they are attached. Dropping it ends the enforcement.
pub(super) struct Programs {
    netns: Netns,
    hook: Hook,
    ebpf: Ebpf,
    gates: HashMap<MapData, [u32; 2], [u32; 2]>,
    rules: Array<MapData, [u64; 6]>,
    /// The gates that are in force.
    keys: BTreeSet<[u32; 2]>,
    /// Whether the rules in force are in the upper half of the map.
    upper: bool,
    /// By interface and its number: a pod that is made anew has another number behind the same name.
    attached: BTreeMap<(String, u32), Vec<SchedClassifierLink>>,
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut programs = f.debug_struct("Programs");
        programs.field("netns", &self.netns).field("hook", &self.hook);
        programs.field("gates", &self.keys).finish_non_exhaustive()
    }
}

/// The node's end of a pod's link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) index: u32,
}

/// A gate before an interface.
pub(super) struct Placed {
    pub(super) index: u32,
    pub(super) way: Way,
    pub(super) rules: Vec<Rule>,
}

impl Programs {
    pub(super) fn load(netns: Netns, hook: Hook) -> Result<Self, TcError> {
        let mut ebpf = Ebpf::load(OBJECT).map_err(|source| TcError::Object(Box::new(source)))?;
        for (program, _) in PROGRAMS {
            classifier(&mut ebpf, program)?
                .load()
                .map_err(|source| TcError::Program {
                    program,
                    source: Box::new(source),
                })?;
        }
        let gates = ebpf.take_map(name::GATES).ok_or(TcError::Missing(name::GATES))?;
        let rules = ebpf.take_map(name::RULES).ok_or(TcError::Missing(name::RULES))?;
        Ok(Self {
            netns,
            hook,
            ebpf,
            gates: HashMap::try_from(gates).map_err(refused(name::GATES))?,
            rules: Array::try_from(rules).map_err(refused(name::RULES))?,
            keys: BTreeSet::new(),
            upper: false,
            attached: BTreeMap::new(),
        })
    }

    /// Puts these gates in force, in place of all others, and watches these interfaces.
    pub(super) fn enforce(
        &mut self,
        interfaces: &BTreeSet<Interface>,
        placed: &[Placed],
    ) -> Result<(), TcError> {
        let limit = RULES / 2;
        let found = placed.iter().map(|gate| gate.rules.len()).sum();
        if u32::try_from(found).map_or(true, |count| count > limit) {
            return Err(TcError::TooMany { found, limit });
        }
        // Written where nobody looks, then put in force gate by gate: a packet meets the old rules or the new ones.
        let mut next = if self.upper { 0 } else { limit };
        let mut keys = BTreeSet::new();
        let mut gates = Vec::new();
        for gate in placed {
            let first = next;
            for rule in &gate.rules {
                self.rules
                    .set(next, rule.words(), 0)
                    .map_err(refused(name::RULES))?;
                next += 1;
            }
            let key = GateKey {
                ifindex: gate.index,
                way: gate.way as u32,
            };
            let gate = Gate {
                first,
                count: next - first,
            };
            gates.push((key.words(), gate.words()));
        }
        for (key, gate) in gates {
            self.gates.insert(key, gate, 0).map_err(refused(name::GATES))?;
            keys.insert(key);
        }
        for stale in self.keys.difference(&keys) {
            self.gates.remove(stale).map_err(refused(name::GATES))?;
        }
        self.keys = keys;
        self.upper = !self.upper;
        self.watch(interfaces)
    }

    /// Attaches to interfaces that are new, and lets go of those that are gone.
    fn watch(&mut self, interfaces: &BTreeSet<Interface>) -> Result<(), TcError> {
        let wanted = |(name, index): &(String, u32)| {
            interfaces.contains(&Interface {
                name: name.clone(),
                index: *index,
            })
        };
        // What is attached to an interface that is gone is gone with it.
        let gone: Vec<_> = self.attached.keys().filter(|key| !wanted(key)).cloned().collect();
        let links: Vec<_> = gone.iter().filter_map(|key| self.attached.remove(key)).collect();
        self.netns.run(move || drop(links))?;
        for Interface { name, index } in interfaces {
            let key = (name.clone(), *index);
            if !self.attached.contains_key(&key) {
                let (ebpf, hook) = (&mut self.ebpf, self.hook);
                let links = self.netns.run(|| attach(ebpf, name, hook))??;
                self.attached.insert(key, links);
            }
        }
        Ok(())
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let links = std::mem::take(&mut self.attached);
        // A filter is removed by netlink, which speaks of the namespace it is spoken in.
        if let Err(error) = self.netns.run(move || drop(links)) {
            tracing::debug!(netns = self.netns.name(), %error, "The namespace was gone before its programs.");
        }
    }
}

fn attach(ebpf: &mut Ebpf, interface: &str, hook: Hook) -> Result<Vec<SchedClassifierLink>, TcError> {
    if hook == Hook::Clsact {
        // One that is there already serves as well: the error says that it exists.
        match tc::qdisc_add_clsact(interface) {
            Err(source) if !source.to_string().contains("exists") => {
                return Err(TcError::Clsact {
                    interface: interface.to_owned(),
                    source: Box::new(source),
                });
            }
            _ => {}
        }
    }
    PROGRAMS
        .into_iter()
        .map(|(program, direction)| {
            let classifier = classifier(ebpf, program)?;
            classifier
                .attach_with_options(interface, direction, hook.options())
                .and_then(|id| classifier.take_link(id))
                .map_err(|source| TcError::Attach {
                    program,
                    interface: interface.to_owned(),
                    source: Box::new(source),
                })
        })
        .collect()
}

fn classifier<'a>(ebpf: &'a mut Ebpf, program: &'static str) -> Result<&'a mut SchedClassifier, TcError> {
    ebpf.program_mut(program)
        .ok_or(TcError::Missing(program))?
        .try_into()
        .map_err(|source| TcError::Program {
            program,
            source: Box::new(source),
        })
}

fn refused(map: &'static str) -> impl Fn(MapError) -> TcError {
    move |source| TcError::Map {
        map,
        source: Box::new(source),
    }
}
