//! The kernel function behind an address, from `/proc/kallsyms`.

use std::sync::Arc;

/// Text symbols by address.
#[derive(Clone, Debug, Default)]
pub struct Symbols(Arc<Vec<(u64, String)>>);

impl Symbols {
    /// Reads the running kernel's; empty when `kernel.kptr_restrict` or a missing capability hides the addresses.
    #[must_use]
    pub fn of_kernel() -> Self {
        std::fs::read_to_string("/proc/kallsyms")
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    /// Reads lines of `address type name [module]`; hidden (zero) addresses are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut symbols: Vec<(u64, String)> = text
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_ascii_whitespace();
                let address = u64::from_str_radix(fields.next()?, 16).ok()?;
                let kind = fields.next()?;
                let name = fields.next()?;
                (address != 0 && matches!(kind, "t" | "T" | "w" | "W")).then(|| (address, name.to_owned()))
            })
            .collect();
        symbols.sort_unstable_by_key(|(address, _)| *address);
        Self(Arc::new(symbols))
    }

    /// Whether no symbol is readable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The function that contains the address.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<&str> {
        // Farther than this from a symbol is not inside it.
        const FARTHEST: u64 = 1 << 20;
        let after = self.0.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.0.get(after.checked_sub(1)?)?;
        (address - start < FARTHEST).then_some(name.as_str())
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
