//! The kernel function behind an address, from `/proc/kallsyms`.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    sync::Arc,
};

/// Text symbols by address. A kernel has a hundred thousand: their names lie in one text, or each would cost an allocation.
#[derive(Clone, Debug, Default)]
pub struct Symbols(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    names: String,
    /// Where a function begins, and its name in `names`.
    by_address: Vec<(u64, u32, u32)>,
}

impl Symbols {
    /// Reads the running kernel's; empty when `kernel.kptr_restrict` or a missing capability hides the addresses.
    #[must_use]
    pub fn of_kernel() -> Self {
        // Line by line: the whole file has more bytes than what is kept of it.
        File::open("/proc/kallsyms")
            .map(|file| Self::of_lines(BufReader::new(file).lines().map_while(Result::ok)))
            .unwrap_or_default()
    }

    /// Reads lines of `address type name [module]`; hidden (zero) addresses are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::of_lines(text.lines())
    }

    fn of_lines(lines: impl Iterator<Item = impl AsRef<str>>) -> Self {
        let mut table = Table::default();
        for line in lines {
            let mut fields = line.as_ref().split_ascii_whitespace();
            let (Some(address), Some("t" | "T" | "w" | "W"), Some(name)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let (Ok(address @ 1..), Ok(start)) =
                (u64::from_str_radix(address, 16), u32::try_from(table.names.len()))
            else {
                continue;
            };
            table.names.push_str(name);
            if let Ok(end) = u32::try_from(table.names.len()) {
                table.by_address.push((address, start, end));
            }
        }
        table.by_address.sort_unstable();
        table.by_address.shrink_to_fit();
        table.names.shrink_to_fit();
        Self(Arc::new(table))
    }

    /// Whether no symbol is readable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.by_address.is_empty()
    }

    /// The function that contains the address.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<&str> {
        // Farther than this from a symbol is not inside it.
        const FARTHEST: u64 = 1 << 20;
        let Table { names, by_address } = &*self.0;
        let after = by_address.partition_point(|(begin, ..)| *begin <= address);
        let (begin, start, end) = by_address.get(after.checked_sub(1)?)?;
        let name = names.get(usize::try_from(*start).ok()?..usize::try_from(*end).ok()?)?;
        (address - begin < FARTHEST).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::Symbols;

    #[test]
    fn an_address_belongs_to_the_function_before_it() {
        let symbols =
            Symbols::parse("ffffffff81000100 T nft_do_chain\nffffffff81000000 t early\n0 T hidden\nrubbish");
        assert_eq!(symbols.function(0xffff_ffff_8100_0105), Some("nft_do_chain"));
        assert_eq!(symbols.function(0xffff_ffff_8100_0000), Some("early"));
        assert_eq!(symbols.function(0x10), None);
        assert_eq!(symbols.function(0xffff_ffff_9100_0000), None);
        assert_eq!(Symbols::default().function(1), None);
    }
}
