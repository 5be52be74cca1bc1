//! The embedded eBPF object: checked, told the kernel's facts, loaded once.

use aya::{
    Btf, Ebpf, EbpfLoader, VerifierLogLevel, include_bytes_aligned,
    maps::{Array, MapData, PerCpuArray, PerCpuHashMap, RingBuf},
    programs::{BtfTracePoint, SchedClassifier},
};
use aya_log::EbpfLogger;
use netpol_verify_ebpf::{
    ABI_VERSION,
    settings::{Settings, name},
};

use super::{
    link::link,
    options::Options,
    sys::{LossesValue, SettingsValue},
};
use crate::kernel::{KernelFacts, Offsets};

/// The object this crate was built with; `cargo xtask build-ebpf` makes it and CI compares.
pub static EMBEDDED: &[u8] = include_bytes_aligned!("../../bpf/netpol-verify.bpf.o");

/// The programs could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The object does not say which record format it speaks.
    #[error(
        "the eBPF object carries no NPV_ABI_VERSION: it is not an object of netpol-verify, or it is damaged"
    )]
    NoAbi,
    /// It speaks another.
    #[error(
        "the eBPF object speaks record format {found}, this binary {ABI_VERSION}; rebuild it with `cargo xtask build-ebpf`"
    )]
    Abi {
        /// The object's number.
        found: u32,
    },
    /// The kernel refused a map or the object itself.
    #[error(
        "loading the eBPF object: {0}; this needs CAP_BPF and CAP_NET_ADMIN, and CAP_PERFMON to see drops"
    )]
    Object(#[from] Box<aya::EbpfError>),
    /// The kernel refused a program.
    #[error("loading the eBPF program {program}: {source}")]
    Program {
        /// Its name.
        program: &'static str,
        /// Why.
        source: Box<aya::programs::ProgramError>,
    },
    /// The object lacks a part.
    #[error("the eBPF object has no {what} of the name {name}")]
    Missing {
        /// `program` or `map`.
        what: &'static str,
        /// Its name.
        name: &'static str,
    },
    /// A map is not what it should be.
    #[error("the eBPF map {map}: {source}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        source: Box<aya::maps::MapError>,
    },
}

/// The record format an object speaks: the value of its global `NPV_ABI_VERSION`.
#[must_use]
pub fn abi_version(object: &[u8]) -> Option<u32> {
    use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
    let file = object::File::parse(object).ok()?;
    let symbol = file
        .symbols()
        .find(|symbol| symbol.name() == Ok("NPV_ABI_VERSION"))?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let start = usize::try_from(symbol.address()).ok()?;
    let four = section.data().ok()?.get(start..start.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

/// The loaded programs and their maps. Dropping it detaches everything.
pub struct Object {
    ebpf: Ebpf,
    settings: Array<MapData, SettingsValue>,
    sees_drops: bool,
}

impl Object {
    /// Loads an object and starts to watch drops, where the kernel can tell them.
    ///
    /// # Errors
    /// The object is of another format, or the kernel refuses it.
    pub fn load(object: &[u8], facts: &KernelFacts) -> Result<Self, LoadError> {
        Self::load_with(object, facts, Options::default())
    }

    /// As [`Self::load`], with choices.
    ///
    /// # Errors
    /// As [`Self::load`]; also when the kernel takes no ring of that size.
    pub fn load_with(object: &[u8], facts: &KernelFacts, options: Options) -> Result<Self, LoadError> {
        match abi_version(object) {
            None => return Err(LoadError::NoAbi),
            Some(ABI_VERSION) => {}
            Some(found) => return Err(LoadError::Abi { found }),
        }
        let Some(function) = facts.context_cast else {
            return Self::load_linked(object, facts, options, 0);
        };
        match Self::load_linked(&link(object, function), facts, options, 1) {
            // A kernel that has the function may still refuse it to classifiers: the programs have another way.
            Err(LoadError::Program { program, source }) => {
                tracing::debug!(program, %source, "The kernel refuses bpf_cast_to_kern_ctx; reading by helper instead.");
                Self::load_linked(object, facts, options, 0)
            }
            loaded => loaded,
        }
    }

    fn load_linked(
        object: &[u8],
        facts: &KernelFacts,
        options: Options,
        kernel_context: u32,
    ) -> Result<Self, LoadError> {
        let drop_reason = u32::from(facts.has_drop_reason);
        let offsets = facts.offsets.as_ref().map(globals).unwrap_or_default();
        let mut loader = EbpfLoader::new();
        // The verifier's full log of a program that loads is megabytes of text for nobody.
        loader.verifier_log_level(VerifierLogLevel::STATS);
        loader.override_global("NPV_DROP_REASON", &drop_reason, true);
        loader.override_global("NPV_KERNEL_CONTEXT", &kernel_context, true);
        for (name, value) in &offsets {
            loader.override_global(name, value, true);
        }
        if let Some(bytes) = options.ring_bytes {
            loader.map_max_entries(name::RECORDS, bytes);
        }
        let mut ebpf = loader.load(object).map_err(Box::new)?;
        for program in [name::POD_EGRESS, name::POD_INGRESS, name::NOTHING] {
            let classifier: &mut SchedClassifier = ebpf
                .program_mut(program)
                .and_then(|program| program.try_into().ok())
                .ok_or(LoadError::Missing {
                    what: "program",
                    name: program,
                })?;
            classifier.load().map_err(|source| LoadError::Program {
                program,
                source: Box::new(source),
            })?;
        }
        let settings = ebpf.take_map(name::SETTINGS).ok_or(LoadError::Missing {
            what: "map",
            name: name::SETTINGS,
        })?;
        let settings = Array::try_from(settings).map_err(|source| LoadError::Map {
            map: name::SETTINGS,
            source: Box::new(source),
        })?;
        let mut object = Self {
            ebpf,
            settings,
            sees_drops: false,
        };
        if facts.offsets.is_some() && !options.without_drops {
            object.watch_drops()?;
        }
        Ok(object)
    }

    fn watch_drops(&mut self) -> Result<(), LoadError> {
        let program = name::PACKET_DROP;
        let refused = |source| LoadError::Program {
            program,
            source: Box::new(source),
        };
        let btf = Btf::from_sys_fs()
            .map_err(|source| LoadError::Object(Box::new(aya::EbpfError::BtfError(source))))?;
        let tracepoint: &mut BtfTracePoint = self
            .ebpf
            .program_mut(program)
            .and_then(|program| program.try_into().ok())
            .ok_or(LoadError::Missing {
                what: "program",
                name: program,
            })?;
        tracepoint.load("kfree_skb", &btf).map_err(refused)?;
        tracepoint.attach().map_err(refused)?;
        self.sees_drops = true;
        Ok(())
    }

    /// Whether drops are seen.
    #[must_use]
    pub const fn sees_drops(&self) -> bool {
        self.sees_drops
    }

    /// Changes the settings at once.
    ///
    /// # Errors
    /// The kernel refuses the map update.
    pub fn set(&mut self, settings: Settings) -> Result<(), LoadError> {
        self.settings
            .set(0, SettingsValue(settings), 0)
            .map_err(|source| LoadError::Map {
                map: name::SETTINGS,
                source: Box::new(source),
            })
    }

    /// A classifier by its name.
    pub(super) fn classifier(&mut self, program: &'static str) -> Result<&mut SchedClassifier, LoadError> {
        self.ebpf
            .program_mut(program)
            .and_then(|program| program.try_into().ok())
            .ok_or(LoadError::Missing {
                what: "program",
                name: program,
            })
    }

    /// A loaded classifier, for `BPF_PROG_TEST_RUN`.
    ///
    /// # Errors
    /// The object has none of that name.
    pub fn classifier_for_test_run(&mut self, program: &'static str) -> Result<&SchedClassifier, LoadError> {
        self.classifier(program).map(|classifier| &*classifier)
    }

    /// The ring and the counters, for whoever runs classifiers by `BPF_PROG_TEST_RUN`; to be taken once.
    ///
    /// # Errors
    /// The object lacks one of them, or they have been taken.
    pub fn take_maps_for_test_run(
        &mut self,
    ) -> Result<(RingBuf<MapData>, PerCpuArray<MapData, u64>), LoadError> {
        self.take_maps().map(|maps| (maps.records, maps.counters))
    }

    /// The maps that are read from outside; to be taken once.
    pub(super) fn take_maps(&mut self) -> Result<Maps, LoadError> {
        fn take<T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>>(
            ebpf: &mut Ebpf,
            map: &'static str,
        ) -> Result<T, LoadError> {
            let taken = ebpf.take_map(map).ok_or(LoadError::Missing {
                what: "map",
                name: map,
            })?;
            T::try_from(taken).map_err(|source| LoadError::Map {
                map,
                source: Box::new(source),
            })
        }
        // An object built with the feature `log` has a map of messages; the committed one has none.
        let flush_log: Option<FlushLog> = EbpfLogger::init(&mut self.ebpf)
            .ok()
            .map(|mut logger| -> FlushLog { Box::new(move || logger.flush()) });
        Ok(Maps {
            flush_log,
            records: take(&mut self.ebpf, name::RECORDS)?,
            counters: take(&mut self.ebpf, name::COUNTERS)?,
            losses: take(&mut self.ebpf, name::LOSSES)?,
        })
    }
}

/// Hands the programs' own messages to `log`, and so to `tracing`.
pub(super) type FlushLog = Box<dyn FnMut() + Send>;

/// The maps user space reads.
pub(super) struct Maps {
    pub(super) flush_log: Option<FlushLog>,
    pub(super) records: RingBuf<MapData>,
    pub(super) counters: PerCpuArray<MapData, u64>,
    pub(super) losses: PerCpuHashMap<MapData, u64, LossesValue>,
}

fn globals(offsets: &Offsets) -> Vec<(&'static str, u32)> {
    vec![
        ("NPV_SK_BUFF_DEV", offsets.skb_dev),
        ("NPV_SK_BUFF_HEAD", offsets.skb_head),
        ("NPV_SK_BUFF_LEN", offsets.skb_len),
        ("NPV_SK_BUFF_TAIL", offsets.skb_tail),
        ("NPV_SK_BUFF_NETWORK_HEADER", offsets.skb_network_header),
        ("NPV_SK_BUFF_PROTOCOL", offsets.skb_protocol),
        ("NPV_NET_DEVICE_IFINDEX", offsets.device_ifindex),
        ("NPV_NET_DEVICE_ND_NET", offsets.device_net),
        ("NPV_NET_NET_COOKIE", offsets.net_cookie),
    ]
}

#[cfg(test)]
mod tests {
    use netpol_verify_ebpf::ABI_VERSION;

    use super::{EMBEDDED, LoadError, Object, abi_version};
    use crate::kernel::KernelFacts;

    #[test]
    fn the_embedded_object_speaks_our_format() {
        assert_eq!(abi_version(EMBEDDED), Some(ABI_VERSION));
    }

    #[test]
    fn an_object_of_another_format_is_refused_before_the_kernel_sees_it() {
        use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
        let file = object::File::parse(EMBEDDED).unwrap();
        let symbol = file
            .symbols()
            .find(|symbol| symbol.name() == Ok("NPV_ABI_VERSION"))
            .unwrap();
        let section = file.section_by_index(symbol.section_index().unwrap()).unwrap();
        let (start, _) = section.file_range().unwrap();
        let at = usize::try_from(start + symbol.address()).unwrap();
        let mut other = EMBEDDED.to_vec();
        other[at] = other[at].wrapping_add(1);
        let facts = KernelFacts::default();
        assert!(
            matches!(Object::load(&other, &facts), Err(LoadError::Abi { found }) if found == ABI_VERSION + 1)
        );
        assert!(matches!(
            Object::load(b"not an object", &facts),
            Err(LoadError::NoAbi)
        ));
    }
}
