//! A reader of the few parts of BTF that are needed: members, enumerators, function types.
//!
//! Ours because the crate that reads all of it (`btf-rs`) is LGPL and cannot be linked into an MIT/Apache binary, and
//! aya's reader is private. Format: Documentation/bpf/btf.rst, Linux 6.18.

use std::collections::HashMap;

/// The type information cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file is not there: the kernel was built without CONFIG_DEBUG_INFO_BTF.
    #[error(
        "reading the kernel's type information at {path}: {source}; the kernel needs CONFIG_DEBUG_INFO_BTF=y"
    )]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It does not start as BTF does, or it is of another byte order.
    #[error("the type information does not start with BTF's magic number in this machine's byte order")]
    Magic,
    /// It ends inside a type.
    #[error("the type information is cut short at byte {offset}")]
    Truncated {
        /// Where.
        offset: usize,
    },
    /// It holds a kind that this reader cannot step over.
    #[error("the type information has a type of the unknown kind {kind} (number {id})")]
    UnknownKind {
        /// The kind.
        kind: u32,
        /// The type's number.
        id: u32,
    },
}

const MAGIC: u16 = 0xeb9f;
const KIND_PTR: u32 = 2;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;

/// One type: where its extra data lies in the type section.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    vlen: usize,
    /// Members' offsets carry a bit-field size in their upper byte.
    kind_flag: bool,
    reference: u32,
    extra: usize,
}

/// The kernel's types, indexed by name.
pub struct Btf {
    types: Vec<Type>,
    section: Vec<u8>,
    strings: Vec<u8>,
    by_name: HashMap<(u32, Vec<u8>), u32>,
}

fn number(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    bytes
        .get(at..at.saturating_add(4))
        .and_then(|four| four.try_into().ok())
        .map(u32::from_ne_bytes)
        .ok_or(BtfError::Truncated { offset: at })
}

fn size(bytes: &[u8], at: usize) -> Result<usize, BtfError> {
    number(bytes, at).map(|n| n as usize)
}

impl Btf {
    /// Reads the running kernel's.
    ///
    /// # Errors
    /// The file cannot be read or is not BTF.
    pub fn of_kernel() -> Result<Self, BtfError> {
        let path = "/sys/kernel/btf/vmlinux";
        let bytes = std::fs::read(path).map_err(|source| BtfError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&bytes)
    }

    /// Reads BTF from bytes.
    ///
    /// # Errors
    /// The bytes are not BTF, are cut short, or hold a kind this reader does not know.
    pub fn parse(bytes: &[u8]) -> Result<Self, BtfError> {
        let magic = bytes
            .get(..2)
            .and_then(|two| two.try_into().ok())
            .map(u16::from_ne_bytes);
        if magic != Some(MAGIC) {
            return Err(BtfError::Magic);
        }
        let header = size(bytes, 4)?;
        let part = |offset_at: usize| -> Result<Vec<u8>, BtfError> {
            let start = header.saturating_add(size(bytes, offset_at)?);
            let end = start.saturating_add(size(bytes, offset_at + 4)?);
            bytes
                .get(start..end)
                .map(<[u8]>::to_vec)
                .ok_or(BtfError::Truncated { offset: end })
        };
        let mut btf = Self {
            types: Vec::new(),
            section: part(8)?,
            strings: part(16)?,
            by_name: HashMap::new(),
        };
        btf.index()?;
        Ok(btf)
    }

    fn index(&mut self) -> Result<(), BtfError> {
        // Type 0 is void and is not stored.
        self.types.push(Type {
            name: 0,
            kind: 0,
            vlen: 0,
            kind_flag: false,
            reference: 0,
            extra: 0,
        });
        let mut at = 0;
        while at < self.section.len() {
            let info = number(&self.section, at + 4)?;
            let entry = Type {
                name: number(&self.section, at)?,
                kind: (info >> 24) & 0x1f,
                vlen: (info & 0xffff) as usize,
                kind_flag: info >> 31 == 1,
                reference: number(&self.section, at + 8)?,
                extra: at + 12,
            };
            let id = u32::try_from(self.types.len()).unwrap_or(u32::MAX);
            let extra = match entry.kind {
                2 | 7..=12 | 16 | 18 => 0,
                1 | 14 | 17 => 4,
                3 => 12,
                KIND_STRUCT | KIND_UNION | 15 | 19 => entry.vlen * 12,
                KIND_ENUM | KIND_FUNC_PROTO => entry.vlen * 8,
                kind => return Err(BtfError::UnknownKind { kind, id }),
            };
            if matches!(entry.kind, KIND_STRUCT | KIND_ENUM | KIND_TYPEDEF | KIND_FUNC) {
                let name = self.string(entry.name).to_vec();
                self.by_name.entry((entry.kind, name)).or_insert(id);
            }
            self.types.push(entry);
            at = entry.extra + extra;
        }
        if at == self.section.len() {
            Ok(())
        } else {
            Err(BtfError::Truncated { offset: at })
        }
    }

    fn string(&self, at: u32) -> &[u8] {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        rest.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    fn find(&self, kind: u32, name: &str) -> Option<&Type> {
        let id = self.by_name.get(&(kind, name.as_bytes().to_vec()))?;
        self.types.get(*id as usize)
    }

    /// The type behind typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<&Type> {
        // A chain longer than this is a cycle.
        for _ in 0..32 {
            let entry = self.types.get(id as usize)?;
            if !matches!(entry.kind, KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST) {
                return Some(entry);
            }
            id = entry.reference;
        }
        None
    }

    /// The byte offset of a structure's member, also inside anonymous structures and unions; `None` when there is no
    /// such member or it is a bit field.
    #[must_use]
    pub fn member_offset(&self, structure: &str, member: &str) -> Option<u32> {
        let bits = self.member_bits(self.find(KIND_STRUCT, structure)?, member, 0)?;
        (bits % 8 == 0).then_some(bits / 8)
    }

    fn member_bits(&self, of: &Type, member: &str, depth: u32) -> Option<u32> {
        if depth > 16 {
            return None;
        }
        for index in 0..of.vlen {
            let at = of.extra + index * 12;
            let name = self.string(number(&self.section, at).ok()?);
            let raw = number(&self.section, at + 8).ok()?;
            let (bits, field_size) = if of.kind_flag {
                (raw & 0x00ff_ffff, raw >> 24)
            } else {
                (raw, 0)
            };
            if name == member.as_bytes() {
                return (field_size == 0).then_some(bits);
            }
            if name.is_empty()
                && let Some(inner) = self.resolve(number(&self.section, at + 4).ok()?)
                && matches!(inner.kind, KIND_STRUCT | KIND_UNION)
                && let Some(found) = self.member_bits(inner, member, depth + 1)
            {
                return bits.checked_add(found);
            }
        }
        None
    }

    /// An enumeration's names and numbers.
    #[must_use]
    pub fn enumerators(&self, enumeration: &str) -> Vec<(String, u32)> {
        let Some(entry) = self.find(KIND_ENUM, enumeration) else {
            return Vec::new();
        };
        (0..entry.vlen)
            .filter_map(|index| {
                let at = entry.extra + index * 8;
                let name = self.string(number(&self.section, at).ok()?);
                Some((
                    String::from_utf8_lossy(name).into_owned(),
                    number(&self.section, at + 4).ok()?,
                ))
            })
            .collect()
    }

    /// The number of a function, by which a program calls it.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<u32> {
        self.by_name.get(&(KIND_FUNC, name.as_bytes().to_vec())).copied()
    }

    /// How many parameters the function type behind a typedef has: `btf_trace_kfree_skb` for the tracepoint.
    #[must_use]
    pub fn parameters_of_typedef(&self, name: &str) -> Option<usize> {
        let pointer = self.resolve(self.find(KIND_TYPEDEF, name)?.reference)?;
        let target = if pointer.kind == KIND_PTR {
            self.resolve(pointer.reference)?
        } else {
            pointer
        };
        (target.kind == KIND_FUNC_PROTO).then_some(target.vlen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Btf, BtfError};

    #[test]
    fn the_running_kernel_has_what_the_programs_read() {
        let Ok(btf) = Btf::of_kernel() else {
            println!("SKIPPED: this kernel has no BTF");
            return;
        };
        // `dev` lies in two levels of anonymous unions.
        for (structure, member) in [
            ("sk_buff", "dev"),
            ("sk_buff", "network_header"),
            ("net", "net_cookie"),
        ] {
            assert!(
                btf.member_offset(structure, member).is_some(),
                "{structure}.{member}"
            );
        }
        assert_eq!(btf.member_offset("sk_buff", "no_such_member"), None);
        assert_eq!(btf.member_offset("no_such_structure", "dev"), None);
        assert_eq!(
            btf.member_offset("sk_buff", "pkt_type"),
            None,
            "a bit field has no byte offset"
        );
        assert!(
            btf.enumerators("skb_drop_reason")
                .iter()
                .any(|(name, _)| name.contains("NETFILTER_DROP"))
        );
    }

    #[test]
    fn every_truncation_is_an_error() {
        let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            println!("SKIPPED: this kernel has no BTF");
            return;
        };
        for length in [0, 1, 2, 7, 8, 23, 24, 1000, bytes.len() / 2, bytes.len() - 1] {
            assert!(
                Btf::parse(bytes.get(..length).unwrap()).is_err(),
                "{length} bytes"
            );
        }
        assert!(matches!(Btf::parse(b"\x7fELF"), Err(BtfError::Magic)));
    }

    proptest! {
        #[test]
        fn random_bytes_behind_a_good_header_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let half = u32::try_from(body.len() / 2).unwrap();
            let mut bytes = vec![0x9f, 0xeb, 1, 0];
            for n in [24_u32, 0, half, half, half] {
                bytes.extend(n.to_ne_bytes());
            }
            bytes.extend(&body);
            if let Ok(btf) = Btf::parse(&bytes) {
                let _ = btf.member_offset("a", "b");
                let _ = btf.enumerators("a");
            }
        }
    }
}
