//! Links the programs with a function of the running kernel: what `.ksyms` does for programs written in C.

use netpol_verify_ebpf::settings::KERNEL_CONTEXT_CALL;
use object::{Object as _, ObjectSection as _, SectionKind};

/// An instruction's size in bytes (Documentation/bpf/standardization/instruction-set.rst, Linux 6.18).
const INSTRUCTION: usize = 8;
/// `BPF_JMP | BPF_CALL`.
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL` as the source register, no destination register.
const KERNEL_FUNCTION: u8 = 2 << 4;

/// The object with each placeholder call turned into a call of the kernel function of that BTF number.
pub(super) fn link(object: &[u8], function: u32) -> Vec<u8> {
    let mut linked = object.to_vec();
    for (start, size) in code(object) {
        let Some(instructions) = start.checked_add(size).and_then(|end| linked.get_mut(start..end)) else {
            continue;
        };
        for instruction in instructions.chunks_exact_mut(INSTRUCTION) {
            if let [CALL, registers @ 0, 0, 0, number @ ..] = instruction
                && *number == KERNEL_CONTEXT_CALL.to_le_bytes()
            {
                *registers = KERNEL_FUNCTION;
                number.copy_from_slice(&function.to_le_bytes());
            }
        }
    }
    linked
}

/// Where the instructions lie in the file.
fn code(object: &[u8]) -> Vec<(usize, usize)> {
    let Ok(file) = object::File::parse(object) else {
        return Vec::new();
    };
    file.sections()
        .filter(|section| section.kind() == SectionKind::Text)
        .filter_map(|section| section.file_range())
        .filter_map(|(start, size)| Some((usize::try_from(start).ok()?, usize::try_from(size).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::link;
    use crate::sensor::EMBEDDED;

    #[test]
    fn only_the_placeholder_calls_of_both_classifiers_change() {
        let linked = link(EMBEDDED, 0x0102_0304);
        let changed: Vec<usize> = (0..linked.len())
            .filter(|&at| linked[at] != EMBEDDED[at])
            .collect();
        // The registers and the four bytes of the number, once in each classifier.
        assert_eq!(changed.len(), 10, "{changed:?}");
        assert_eq!(link(b"not an object", 1), b"not an object");
    }
}
